"""Liberty files: what a synthesis run must know of a standard-cell library before it starts."""

import functools
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hdl.errors import InputError

#: Functions that are looked for, as truth tables (see :func:`truth_table`).
INVERTER, NAND2, PARITY3, MAJORITY3 = 0b01, 0b0111, 0b10010110, 0b11101000

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
#: The end of a group; or ``name (arguments) {``, ``name (arguments)``, ``name : value``.
_STATEMENT = re.compile(r'(\})|(\w+)\s*(?:\(([^()]*)\)\s*(\{)?|:\s*("[^"]*"|[^;}\n]*))')
_TOKEN = re.compile(r"[\w\[\].]+|\S")


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
    """

    name: str
    area: float
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    flip_flop: bool
    storage: bool
    usable: bool

    @functools.cached_property
    def tables(self) -> dict[str, int]:
        """Output pin -> truth table; only of usable gates with up to three inputs, else empty."""
        if self.storage or not self.usable or not self.area or len(self.inputs) > 3:
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
    """

    name: str
    cells: dict[str, Cell]
    nand2: Cell
    full_adder: Cell | None


def read_bytes(path: Path) -> bytes:
    """Content of a Liberty file, decompressed.

    Raises
    ------
    InputError
        The file cannot be read, or its gzip data are damaged.
    """
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


def parse(content: bytes, where: str) -> Library:
    """Cells of a Liberty file; ``where`` names the file in messages.

    Raises
    ------
    InputError
        It is no Liberty file, or has no flip-flop, 2-input NAND or inverter.
    """
    group = _library_group(content.decode("latin-1"), where)
    cells = {cell.name: _cell(cell) for cell in group.of("cell")}
    nand2 = _smallest(cells, 2, NAND2)
    remedy = "give a library with flip-flop, 2-input NAND and inverter"
    if not any(cell.flip_flop and cell.usable for cell in cells.values()):
        raise InputError(f"{where}: no flip-flop cell: {remedy}")
    if nand2 is None:
        raise InputError(f"{where}: no 2-input NAND cell with an area: {remedy}")
    if _smallest(cells, 1, INVERTER) is None:
        raise InputError(f"{where}: no inverter cell with an area: {remedy}")
    return Library(group.name, cells, nand2, _smallest(cells, 3, PARITY3, MAJORITY3))


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


@dataclass
class _Group:
    """``kind (name, ...) { values and groups }``."""

    kind: str
    name: str
    values: dict[str, str] = field(default_factory=dict)
    groups: list["_Group"] = field(default_factory=list)

    def of(self, kind: str) -> Iterator["_Group"]:
        return (group for group in self.groups if group.kind == kind)


def _library_group(text: str, where: str) -> _Group:
    stack = [_Group("", "")]
    for match in _STATEMENT.finditer(_COMMENT.sub("", text)):
        end, kind, arguments, opens, value = match.groups()
        if end and len(stack) > 1:
            stack.pop()
        elif opens:
            group = _Group(kind, arguments.split(",")[0].strip(' \t"'))
            stack[-1].groups.append(group)
            stack.append(group)
        elif value is not None:
            stack[-1].values[kind] = value.strip(' \t\r"')
    libraries = list(stack[0].of("library"))
    if len(libraries) != 1:
        raise InputError(f"{where}: not a Liberty file: give one (.lib or .lib.gz)")
    if len(stack) > 1:
        raise InputError(f"{where}: cut off inside a group: fetch it again")
    return libraries[0]


def _cell(group: _Group) -> Cell:
    pins = {
        direction: [pin for pin in group.of("pin") if pin.values.get("direction") == direction]
        for direction in ("input", "output")
    }
    kinds = {member.kind for member in group.groups}
    try:
        area = float(group.values.get("area", 0))
    except ValueError:
        area = 0.0
    return Cell(
        name=group.name,
        area=area,
        inputs=tuple(pin.name for pin in pins["input"]),
        outputs={pin.name: pin.values.get("function", "") for pin in pins["output"]},
        flip_flop="ff" in kinds,
        storage=bool(kinds & {"ff", "latch", "statetable"}),
        usable=group.values.get("dont_use") != "true",
    )


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
