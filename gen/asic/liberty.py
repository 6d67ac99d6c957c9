"""Liberty files: what a synthesis run must know of a standard-cell library before it starts."""

import functools
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lutcore.errors import InputError

#: The word that stands for :data:`DEMO_CELLS` where a Liberty file is asked for.
DEMO = Path("demo")
#: A small synthetic library, for tests and for trying the commands.
DEMO_CELLS = Path(__file__).with_name("demo.lib")

#: Functions that are looked for, as truth tables (see :func:`truth_table`).
INVERTER, NAND2, NOR2 = 0b01, 0b0111, 0b0001
PARITY3, MAJORITY3 = 0b10010110, 0b11101000
#: ``!((i0 & i1) | i2)`` and ``!((i0 | i1) & i2)``.
AOI21, OAI21 = 0b00000111, 0b00011111

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
#: The end of a group; or ``name (arguments) {``, ``name (arguments)``, ``name : value``.
_STATEMENT = re.compile(r'(\})|(\w+)\s*(?:\(([^()]*)\)\s*(\{)?|:\s*("[^"]*"|[^;}\n]*))')
_TOKEN = re.compile(r"[\w\[\].]+|\S")


@dataclass
class Group:
    """``kind (name, ...) { values, lists and groups }``.

    Attributes
    ----------
    values : dict
        Of ``name : value``, without quotes.
    lists : dict
        Of ``name (arguments)``, each time that it is there.
    """

    kind: str
    name: str
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def of(self, kind: str) -> Iterator["Group"]:
        """Its groups of that kind."""
        return (group for group in self.groups if group.kind == kind)


@dataclass(frozen=True)
class Cell:
    """One standard cell.

    Attributes
    ----------
    name : str
    area : float
        In the library's unit; 0 where the file gives none.
    inputs : tuple of str
        Input pins in the file's order.
    outputs : dict
        Output pin -> Boolean function, empty where the file gives none.
    flip_flop : bool
        Stores a bit at a clock edge.
    storage : bool
        Stores anything at all.
    usable : bool
        The file does not forbid its use.
    capacitance : dict
        Input pin -> its load, in the library's unit; 0 where the file gives none.
    max_load : float
        Greatest load of an output, in the same unit; 0 where the file gives none.
    state : tuple
        What the file says of its storage, as (name, value) pairs.
    pins : dict
        Pin -> its group in the file.
    """

    name: str
    area: float
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    flip_flop: bool
    storage: bool
    usable: bool
    capacitance: dict[str, float]
    max_load: float
    state: tuple[tuple[str, str], ...]
    pins: dict[str, Group] = field(repr=False)

    @functools.cached_property
    def tables(self) -> dict[str, int]:
        """Output pin -> truth table; only of usable gates with up to four inputs, else empty."""
        if self.storage or not self.usable or not self.area or len(self.inputs) > 4:
            return {}
        try:
            return {pin: truth_table(text, self.inputs) for pin, text in self.outputs.items()}
        except ValueError:  # a function of something else than the input pins
            return {}


@dataclass(frozen=True)
class Library:
    """A standard-cell library that is fit for synthesis.

    Attributes
    ----------
    name : str
        As its ``library`` group says.
    cells : dict
        Cell name -> :class:`Cell`.
    nand2 : Cell
        The smallest 2-input NAND, whatever its name: its area is one gate equivalent.
    full_adder : Cell or None
        The smallest full adder.
    templates : dict
        Name of a kind of table -> its group.
    wire_load : Group or None
        The default wire-load model.
    """

    name: str
    cells: dict[str, Cell]
    nand2: Cell
    full_adder: Cell | None
    templates: dict[str, Group] = field(repr=False, default_factory=dict)
    wire_load: Group | None = field(repr=False, default=None)

    @property
    def timed(self) -> bool:
        """Whether it tells loads, without which no delay can be had from it."""
        return self.nand2.max_load > 0 < min(self.nand2.capacitance.values())

    def smallest(self, inputs: int, *tables: int) -> Cell | None:
        """The smallest cell with so many inputs and exactly these output functions."""
        return _smallest(self.cells, inputs, *tables)

    def gate(self, inputs: int, table: int) -> tuple[Cell, tuple[str, ...]] | None:
        """The smallest gate of that function, and its pins in the order of the table's inputs."""
        for cell in sorted(self.cells.values(), key=lambda cell: cell.area):
            if len(cell.tables) == 1 and len(cell.inputs) == inputs:
                (text,) = cell.outputs.values()
                for pins in itertools.permutations(cell.inputs):
                    if truth_table(text, pins) == table:
                        return cell, pins
        return None

    @functools.cached_property
    def variants(self) -> dict[str, tuple[str, ...]]:
        """Cell name -> cells of the same pins and function, by ascending drive strength."""
        families: dict[tuple, list[Cell]] = {}
        for cell in self.cells.values():
            if cell.usable and cell.area and cell.max_load and any(cell.outputs.values()):
                key = (frozenset(cell.inputs), frozenset(cell.outputs.items()), cell.state)
                families.setdefault(key, []).append(cell)
        variants = {}
        for family in families.values():
            names = [cell.name for cell in sorted(family, key=lambda c: (c.max_load, c.area))]
            variants |= dict.fromkeys(names, tuple(names))
        return variants

    @functools.cached_property
    def buffers(self) -> tuple[Cell, ...]:
        """Buffers by ascending drive strength."""
        found = [
            cell
            for cell in self.cells.values()
            if cell.max_load and len(cell.inputs) == 1 and list(cell.tables.values()) == [0b10]
        ]
        return tuple(sorted(found, key=lambda cell: (cell.max_load, cell.area)))


def library_path(text: str, folder: Path = Path()) -> Path:
    """Path of a Liberty file as a user wrote it, in ``folder`` unless it is absolute.

    ``demo`` is :data:`DEMO`; a file of that name is ``./demo``, which needs its folder's name to
    stay apart from the word.
    """
    path = folder / text
    if text == str(DEMO):
        return DEMO
    return path.absolute() if path == DEMO else path


def library_name(path: Path) -> str:
    """What reports call a library: its file's name, and that it is synthetic if it is."""
    return f"{DEMO_CELLS.name} (synthetic)" if path in (DEMO, DEMO_CELLS) else path.name


def read_bytes(path: Path) -> bytes:
    """Content of a Liberty file, decompressed; of :data:`DEMO_CELLS` for the path :data:`DEMO`.

    Raises
    ------
    InputError
        The file cannot be read, or its gzip data are damaged.
    """
    path = DEMO_CELLS if path == DEMO else path
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file: give a Liberty file (.lib or .lib.gz)") from error
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}: give a Liberty file (.lib or .lib.gz)"
        ) from error
    if path.suffix != ".gz" and not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}): fetch it again") from error


def parse(contents: bytes | Sequence[bytes], where: str) -> Library:
    """Cells of Liberty files that form one library; ``where`` names them in messages.

    Raises
    ------
    InputError
        It is no Liberty file, or has no flip-flop, 2-input NAND or inverter.
    """
    contents = [contents] if isinstance(contents, bytes) else contents
    groups = [_library_group(content.decode("latin-1"), where) for content in contents]
    cells = {cell.name: _cell(cell) for group in groups for cell in group.of("cell")}
    nand2 = _smallest(cells, 2, NAND2)
    remedy = "give a library with flip-flop, 2-input NAND and inverter"
    if not any(cell.flip_flop and cell.usable for cell in cells.values()):
        raise InputError(f"{where}: no flip-flop cell: {remedy}")
    if nand2 is None:
        raise InputError(f"{where}: no 2-input NAND cell with an area: {remedy}")
    if _smallest(cells, 1, INVERTER) is None:
        raise InputError(f"{where}: no inverter cell with an area: {remedy}")
    templates = {found.name: found for group in groups for found in group.of("lu_table_template")}
    adder = _smallest(cells, 3, PARITY3, MAJORITY3)
    models = {found.name: found for group in groups for found in group.of("wire_load")}
    wire_load = models.get(groups[0].values.get("default_wire_load", ""))
    return Library(groups[0].name, cells, nand2, adder, templates, wire_load)


def _smallest(cells: dict[str, Cell], inputs: int, *tables: int) -> Cell | None:
    """The smallest cell with so many inputs and exactly these output functions."""
    wanted = sorted(tables)
    found = [
        cell
        for cell in cells.values()
        if len(cell.inputs) == inputs and sorted(cell.tables.values()) == wanted
    ]
    return min(found, key=lambda cell: cell.area, default=None)


# Syntax ------------------------------------------------------------------------------------------


def _library_group(text: str, where: str) -> Group:
    stack = [Group("", "")]
    for match in _STATEMENT.finditer(_COMMENT.sub("", text)):
        end, kind, arguments, opens, value = match.groups()
        if end and len(stack) > 1:
            stack.pop()
        elif opens:
            group = Group(kind, arguments.split(",")[0].strip(' \t"'))
            stack[-1].groups.append(group)
            stack.append(group)
        elif value is not None:
            stack[-1].values[kind] = value.strip(' \t\r"')
        elif kind:
            stack[-1].lists.setdefault(kind, []).append(arguments)
    libraries = list(stack[0].of("library"))
    if len(libraries) != 1:
        raise InputError(f"{where}: not a Liberty file: give one (.lib or .lib.gz)")
    if len(stack) > 1:
        raise InputError(f"{where}: cut off inside a group: fetch it again")
    return libraries[0]


def _cell(group: Group) -> Cell:
    pins = {
        direction: [pin for pin in group.of("pin") if pin.values.get("direction") == direction]
        for direction in ("input", "output")
    }
    kinds = {member.kind for member in group.groups}
    return Cell(
        name=group.name,
        area=_number(group, "area"),
        inputs=tuple(pin.name for pin in pins["input"]),
        outputs={pin.name: pin.values.get("function", "") for pin in pins["output"]},
        flip_flop="ff" in kinds,
        storage=bool(kinds & {"ff", "latch", "statetable"}),
        usable=group.values.get("dont_use") != "true",
        capacitance={pin.name: _number(pin, "capacitance") for pin in pins["input"]},
        max_load=min((_number(pin, "max_capacitance") for pin in pins["output"]), default=0.0),
        state=tuple(
            sorted(
                item
                for kind in ("ff", "latch")
                for g in group.of(kind)
                for item in g.values.items()
            )
        ),
        pins={pin.name: pin for pin in group.of("pin")},
    )


def _number(group: Group, name: str) -> float:
    try:
        return float(group.values.get(name, 0))
    except ValueError:
        return 0.0


def truth_table(function: str, inputs: tuple[str, ...]) -> int:
    """Truth table of a Liberty function: bit r is its value where input i is bit i of r.

    Operators, the tightest first: ``!`` before or ``'`` after an operand; ``^``; ``&``, ``*`` or
    nothing between operands; ``|`` or ``+``.

    Raises
    ------
    ValueError
        ``function`` is not such an expression of ``inputs``.
    """
    rows = 1 << len(inputs)
    ones = (1 << rows) - 1
    operands = {"0": 0, "1": ones} | {
        pin: sum(1 << row for row in range(rows) if row >> i & 1) for i, pin in enumerate(inputs)
    }
    tokens = _TOKEN.findall(function)[::-1]

    def ahead(choices: str) -> bool:
        return bool(tokens) and tokens[-1] in choices

    def operand() -> int:
        token = tokens.pop() if tokens else ""
        if token == "!":
            return ones ^ operand()
        if token == "(":
            value = disjunction()
            if not tokens or tokens.pop() != ")":
                raise ValueError(f"unbalanced parenthesis in {function!r}")
        elif token in operands:
            value = operands[token]
        else:
            raise ValueError(f"unexpected {token!r} in {function!r}")
        while ahead("'"):
            tokens.pop()
            value ^= ones
        return value

    def parity() -> int:
        value = operand()
        while ahead("^"):
            tokens.pop()
            value ^= operand()
        return value

    def conjunction() -> int:
        value = parity()
        while tokens and not ahead(")|+"):
            if ahead("&*"):
                tokens.pop()
            value &= parity()
        return value

    def disjunction() -> int:
        value = conjunction()
        while ahead("|+"):
            tokens.pop()
            value |= conjunction()
        return value

    table = disjunction()
    if tokens:
        raise ValueError(f"unexpected {tokens[-1]!r} in {function!r}")
    return table
