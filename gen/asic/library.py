"""Standard-cell libraries: what a synthesis run must know of one before it starts."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from lutcore.errors import InputError
from lutcore.gen.asic.functions import truth_table
from lutcore.gen.asic.liberty import Group, library_group

#: Functions that are looked for, as truth tables (see
#: :func:`~lutcore.gen.asic.functions.truth_table`).
INVERTER, NAND2, NOR2 = 0b01, 0b0111, 0b0001
PARITY3, MAJORITY3 = 0b10010110, 0b11101000
#: ``!((i0 & i1) | i2)`` and ``!((i0 | i1) & i2)``.
AOI21, OAI21 = 0b00000111, 0b00011111


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


def parse(contents: bytes | Sequence[bytes], where: str) -> Library:
    """Cells of Liberty files that form one library; ``where`` names them in messages.

    Raises
    ------
    InputError
        It is no Liberty file, or has no flip-flop, 2-input NAND or inverter.
    """
    contents = [contents] if isinstance(contents, bytes) else contents
    groups = [library_group(content, where) for content in contents]
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


def _cell(group: Group) -> Cell:
    pins = {
        direction: [pin for pin in group.of("pin") if pin.values.get("direction") == direction]
        for direction in ("input", "output")
    }
    kinds = {member.kind for member in group.groups}
    return Cell(
        name=group.name,
        area=group.number("area"),
        inputs=tuple(pin.name for pin in pins["input"]),
        outputs={pin.name: pin.values.get("function", "") for pin in pins["output"]},
        flip_flop="ff" in kinds,
        storage=bool(kinds & {"ff", "latch", "statetable"}),
        usable=group.values.get("dont_use") != "true",
        capacitance={pin.name: pin.number("capacitance") for pin in pins["input"]},
        max_load=min((pin.number("max_capacitance") for pin in pins["output"]), default=0.0),
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
