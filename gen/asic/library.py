"""Standard-cell libraries: what a synthesis run must know of one before it starts.

Times are in ns and loads in fF, whatever the files use.
"""

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lutcore.errors import InputError
from lutcore.gen.asic.functions import truth_table
from lutcore.gen.asic.liberty import Group, library_group
from lutcore.gen.asic.pins import pins
from lutcore.gen.asic.units import Units

#: Functions that are looked for, as truth tables (see
#: :func:`~lutcore.gen.asic.functions.truth_table`).
INVERTER, BUFFER, NAND2, NOR2 = 0b01, 0b10, 0b0111, 0b0001
PARITY3, MAJORITY3 = 0b10010110, 0b11101000
#: ``!((i0 & i1) | i2)`` and ``!((i0 | i1) & i2)``.
AOI21, OAI21 = 0b00000111, 0b00011111


#: What tells the load of an input pin, the first that is there.
_LOADS = ("capacitance", "rise_capacitance", "fall_capacitance")
#: Cells whose state or pins are told in ways that are not read here.
_UNREAD: dict[str, str] = {
    **{"statetable": "a statetable", "ff_bank": "an ff_bank", "latch_bank": "a latch_bank"},
    "bus": "a bus",
}
#: Attributes of a flip-flop that must be a pin or its opposite, so that it can be used.
_ROLES = ("clocked_on", "next_state", "clear", "preset")
_ROLE = re.compile(r"!?\s*(\w+)\s*'?")


@dataclass(frozen=True, eq=False)
class File:
    """One of a library's files.

    Attributes
    ----------
    group : Group
        Its ``library``.
    units : Units
    templates : dict
        Name of a kind of delay table -> its group.
    """

    group: Group = field(repr=False)
    units: Units = field(repr=False)
    templates: dict[str, Group] = field(repr=False)

    @classmethod
    def read(cls, content: bytes, where: str) -> "File":
        """From a Liberty file; errors as of :func:`~lutcore.gen.asic.liberty.library_group`."""
        group = library_group(content, where)
        templates = {found.name: found for found in group.of("lu_table_template")}
        return cls(group, Units(group), templates)

    @functools.cached_property
    def cells(self) -> dict[str, "Cell"]:
        """Name -> cell."""
        return {group.name: _cell(group, self) for group in self.group.of("cell")}

    @functools.cached_property
    def types(self) -> dict[str, Group]:
        """Name -> type of a bus."""
        return {found.name: found for found in self.group.of("type")}

    @functools.cached_property
    def wires(self) -> "Wires | None":
        """The default wire-load model, if it has one."""
        name = self.group.text("default_wire_load")
        models = {found.name: found for found in self.group.of("wire_load")}
        if name not in models:
            return None
        model = models[name]
        lengths = {int(sinks): length for sinks, length in model.pairs("fanout_length")}
        return Wires(
            load=self.units.convert(model.number("capacitance"), "capacitance"),
            resistance=self.units.convert(model.number("resistance"), "resistance"),
            slope=model.number("slope"),
            lengths=dict(sorted(lengths.items())) or {0: 0.0},
        )

    def load(self, pin: Group) -> float:
        """Load of an input pin in fF: what the file gives by default where the pin has none."""
        own = next((name for name in _LOADS if name in pin.simple), None)
        owner, name = (pin, own) if own else (self.group, "default_input_pin_cap")
        stated = name in owner.simple
        return self.units.convert(owner.number(name), "capacitance") if stated else 0.0


@dataclass(frozen=True)
class Wires:
    """A wire-load model.

    Attributes
    ----------
    load, resistance : float
        In fF and kohm, of a unit of length.
    slope : float
        Length of each sink above those of ``lengths``.
    lengths : dict
        Number of sinks -> length, ascending.
    """

    load: float
    resistance: float
    slope: float
    lengths: dict[int, float]


@dataclass(frozen=True, eq=False)
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
        The file does not forbid its use, and nothing of it is ``unread``.
    unread : str
        What tells of its state or pins in a way that is not read here; mostly empty.
    capacitance : dict
        Input pin -> its load in fF; 0 where the file gives none.
    max_load : float
        Greatest load of an output in fF; 0 where the file gives none.
    state : tuple
        What the file says of its storage, as (name, value) pairs.
    pins : dict
        Pin -> its group in the file.
    group : Group
        The cell's own.
    file : File
        That file.
    """

    name: str
    area: float
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    flip_flop: bool
    storage: bool
    usable: bool
    unread: str
    capacitance: dict[str, float]
    max_load: float
    state: tuple[tuple[str, str], ...]
    pins: dict[str, Group] = field(repr=False)
    group: Group = field(repr=False)
    file: File = field(repr=False)

    @property
    def takes_d(self) -> bool:
        """Whether it is a flip-flop that takes an input pin, or its opposite, at a clock edge.

        Clear and preset may be there, each a pin or its opposite: they can be tied.
        """
        state = dict(self.state)
        roles = [state[role].strip("() ") for role in _ROLES if role in state]
        pins = {found[1] for found in map(_ROLE.fullmatch, roles) if found}
        told = {"clocked_on", "next_state"} <= state.keys()
        return self.flip_flop and self.usable and told and pins == set(self.inputs)

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
    files : tuple of File
        Those that form it.
    """

    name: str
    cells: dict[str, Cell]
    nand2: Cell
    full_adder: Cell | None
    files: tuple[File, ...] = field(repr=False, default=())

    @property
    def timed(self) -> bool:
        """Whether it tells loads, without which no delay can be had from it."""
        return self.nand2.max_load > 0 < min(self.nand2.capacitance.values())

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
            if cell.max_load and len(cell.inputs) == 1 and list(cell.tables.values()) == [BUFFER]
        ]
        return tuple(sorted(found, key=lambda cell: (cell.max_load, cell.area)))


def parse(content: bytes, where: str) -> Library:
    """Cells of a Liberty file; ``where`` names it in messages. Errors as of :func:`parse_files`."""
    return parse_files([(where, content)])


def parse_files(files: Sequence[tuple[str, bytes]]) -> Library:
    """Cells of Liberty files that form one library: of each its name in messages, and its content.

    Raises
    ------
    InputError
        It is no Liberty file, or has no D flip-flop, 2-input NAND, inverter or buffer.
    """
    found = tuple(File.read(content, where) for where, content in files)
    cells = {name: cell for file in found for name, cell in file.cells.items()}
    where = ", ".join(name for name, _ in files)
    nand2 = _needed(cells, where)
    adder = _smallest(cells, 3, PARITY3, MAJORITY3)
    return Library(found[0].group.name, cells, nand2, adder, found)


def _needed(cells: Mapping[str, Cell], where: str) -> Cell:
    """The smallest 2-input NAND, of cells among which there is all that synthesis needs."""
    remedy = "give a library with D flip-flop, 2-input NAND, inverter and buffer"
    if not any(cell.takes_d for cell in cells.values()):
        for cell in cells.values():
            if cell.unread and "clock_gating_integrated_cell" not in cell.group.simple:
                words = f"{cell.name} has {cell.unread}, which is not read"
                raise cell.group.error(f"no D flip-flop cell, and {words}: {remedy}")
        raise InputError(f"{where}: no D flip-flop cell: {remedy}")
    nand2 = _smallest(cells, 2, NAND2)
    if nand2 is None:
        raise InputError(f"{where}: no 2-input NAND cell with an area: {remedy}")
    for name, table in (("inverter", INVERTER), ("buffer", BUFFER)):
        if _smallest(cells, 1, table) is None:
            raise InputError(f"{where}: no {name} cell with an area: {remedy}")
    return nand2


def _smallest(cells: Mapping[str, Cell], inputs: int, *tables: int) -> Cell | None:
    """The smallest cell with so many inputs and exactly these output functions."""
    wanted = sorted(tables)
    found = [
        cell
        for cell in cells.values()
        if len(cell.inputs) == inputs and sorted(cell.tables.values()) == wanted
    ]
    return min(found, key=lambda cell: cell.area, default=None)


def _cell(group: Group, file: File) -> Cell:
    found = pins(group, file.types)
    ways = {
        way: {name: pin for name, pin in found.items() if pin.text("direction") == way}
        for way in ("input", "output")
    }
    kinds = {member.kind for member in group.groups}
    storing = [member for kind in ("ff", "latch") for member in group.of(kind)]
    limits = [pin.number("max_capacitance") for pin in ways["output"].values()]
    unread = [words for kind, words in _UNREAD.items() if kind in kinds]
    unread += [f"a pin {name}" for name in found if not name.isidentifier()]
    return Cell(
        name=group.name,
        area=group.number("area"),
        inputs=tuple(ways["input"]),
        outputs={name: pin.text("function") for name, pin in ways["output"].items()},
        flip_flop="ff" in kinds,
        storage=bool(kinds & {"ff", "latch", "statetable", "ff_bank", "latch_bank"}),
        usable=group.text("dont_use") != "true" and not unread,
        unread=unread[0] if unread else "",
        capacitance={name: file.load(pin) for name, pin in ways["input"].items()},
        max_load=file.units.convert(min(limits), "capacitance") if any(limits) else 0.0,
        state=tuple(sorted((name, g.text(name)) for g in storing for name in g.simple)),
        pins=found,
        group=group,
        file=file,
    )
