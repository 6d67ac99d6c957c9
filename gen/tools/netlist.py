"""Netlists in Yosys's JSON format: as they are edited, and as a model that is read.

A design is a dict that steps of the flow change in place. What only reads a mapped one reads
:class:`Netlist`: modules of library cells and of instances of other modules.
"""

import itertools
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: A net's number, or a constant.
Bit = int | str
Json = dict[str, Any]

#: A cell of a module: all instances of the module share its type.
Place = tuple[str, str]
#: Library cell, or "" for a port of the module itself, and its pin.
Pin = tuple[str, str]


# Editing -----------------------------------------------------------------------------------------


def nets(module: Json, named: bool = True) -> Iterator[list[Bit]]:
    """All lists of nets of a module: of ports and pins, and of names."""
    for part in (*(module["netnames"].values() if named else ()), *module["ports"].values()):
        yield part["bits"]
    for cell in module["cells"].values():
        yield from cell["connections"].values()


def free_numbers(module: Json) -> Iterator[int]:
    """Numbers of no net."""
    used = (bit for bits in nets(module) for bit in bits if isinstance(bit, int))
    return itertools.count(1 + max(used, default=1))


def new_cell(kind: str, inputs: dict[str, Bit], outputs: dict[str, Bit]) -> Json:
    """A cell with one-bit pins."""
    return {
        "hide_name": 1,
        "type": kind,
        "parameters": {},
        "attributes": {},
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": {pin: [bit] for pin, bit in (inputs | outputs).items()},
    }


def below_first(modules: Json) -> Iterator[str]:
    """Names of modules, each after those that it has instances of."""
    met: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in modules and name not in met:
            met.add(name)
            for cell in modules[name]["cells"].values():
                yield from visit(cell["type"])
            yield name

    for name in modules:
        yield from visit(name)


#: Output port and bit of it; port and bit that it repeats.
_Repeat = tuple[str, int, str, int]


def bypass(design: Json) -> None:
    """Lead nets that pass through a module around it, in place.

    An output bit that is an input bit of its module, or an earlier output bit, is left without a
    driver, and what it fed takes that bit. A net then loads what drives it wherever it leads, and
    OpenSTA 2.0, whose linker can loop on such outputs for ever, is spared them.
    """
    modules: Json = design["modules"]
    repeats: dict[str, list[_Repeat]] = {}
    for name in below_first(modules):
        _lead_around(modules[name], repeats)
        repeats[name] = list(_repeats(modules[name]))
    below = {cell["type"] for module in modules.values() for cell in module["cells"].values()}
    for name in below & modules.keys():
        _release(modules[name], repeats[name])


def _lead_around(module: Json, repeats: Mapping[str, list[_Repeat]]) -> None:
    """Take what instances below repeat from where they have it."""
    numbers = free_numbers(module)
    around: dict[Bit, Bit] = {}
    for cell in module["cells"].values():
        wired = cell["connections"]
        for port, i, source, j in repeats.get(cell["type"], ()):
            if port in wired and source in wired:
                around[wired[port][i]] = wired[source][j]
                wired[port][i] = next(numbers)
    if around:
        for bits in nets(module):
            bits[:] = [_end(around, bit) for bit in bits]


def _repeats(module: Json) -> Iterator[_Repeat]:
    first: dict[Bit, tuple[str, int]] = {}
    for port, found in _inputs_first(module):
        for i, bit in enumerate(found["bits"]):
            if found["direction"] == "output" and bit in first:
                yield port, i, *first[bit]
            elif isinstance(bit, int):
                first[bit] = port, i


def _release(module: Json, repeats: list[_Repeat]) -> None:
    """Leave output bits that repeat another without a driver."""
    numbers = free_numbers(module)
    for port, i, *_ in repeats:
        module["ports"][port]["bits"][i] = number = next(numbers)
        if port in module["netnames"]:
            module["netnames"][port]["bits"][i] = number


def _end(around: dict[Bit, Bit], bit: Bit) -> Bit:
    while bit in around:
        bit = around[bit]
    return bit


def _inputs_first(module: Json) -> list[tuple[str, Json]]:
    return sorted(module["ports"].items(), key=lambda item: item[1]["direction"] == "output")


# Reading -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """A library cell of a flattened netlist: its place, its type, and its pins' nets."""

    place: Place
    cell: str
    nets: dict[str, int]


@dataclass(frozen=True)
class Cell:
    """A library cell in a module, or an instance of a module.

    Attributes
    ----------
    name, kind : str
        Instance name; library cell or module.
    pins : dict
        Pin or port -> bits, low first.
    outputs : frozenset of str
        Those of the pins that drive; empty of cells that Yosys had no declaration of.
    """

    name: str
    kind: str
    pins: dict[str, list[Bit]]
    outputs: frozenset[str]


def _cell(name: str, cell: Json) -> Cell:
    directions = cell.get("port_directions", {})
    outputs = frozenset(pin for pin, direction in directions.items() if direction == "output")
    return Cell(name, cell["type"], cell["connections"], outputs)


class Module:
    """A module, read.

    Attributes
    ----------
    name : str
    ports : dict
        Port -> bits, low first.
    inputs : frozenset of str
        Ports that are inputs.
    cells : list of Cell
    """

    def __init__(self, name: str, module: Json):
        self.name = name
        self.ports: dict[str, list[Bit]] = {n: p["bits"] for n, p in module["ports"].items()}
        self.inputs = frozenset(n for n, p in module["ports"].items() if p["direction"] == "input")
        self.cells = [_cell(name, cell) for name, cell in module["cells"].items()]

    def counts(self) -> Counter[str]:
        """Cell or module below -> how often."""
        return Counter(cell.kind for cell in self.cells)

    def drivers(self) -> dict[int, Pin]:
        """Net -> the pin that drives it."""
        return {bit: pin for pin, drives, bit in self._ends() if drives}

    def readers(self) -> dict[int, Counter[Pin]]:
        """Net -> the pins that read it, of each kind how many."""
        readers: dict[int, Counter[Pin]] = {}
        for pin, drives, bit in self._ends():
            if not drives:
                readers.setdefault(bit, Counter())[pin] += 1
        return readers

    def _ends(self) -> Iterator[tuple[Pin, bool, int]]:
        """Pins, whether they drive, and their nets, constants left out."""
        for cell in self.cells:
            for pin, bits in cell.pins.items():
                for bit in bits:
                    if isinstance(bit, int):
                        yield (cell.kind, pin), pin in cell.outputs, bit
        for port, bits in self.ports.items():
            for bit in bits:
                if isinstance(bit, int):
                    yield ("", port), port in self.inputs, bit


class Netlist:
    """A mapped design, read.

    Parameters
    ----------
    design : dict
        Yosys JSON.
    top : str
    library : container of str
        Names of library cells: modules of these names are not the design's.

    Attributes
    ----------
    top : str
    modules : dict
        Name -> :class:`Module`.
    """

    def __init__(self, design: Json, top: str, library: Container[str] = ()):
        self.top = top
        self.modules = {
            name: Module(name, module)
            for name, module in design["modules"].items()
            if name not in library
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Module -> cell or module below -> how often."""
        return {name: dict(module.counts()) for name, module in self.modules.items()}

    def instances(self) -> Iterator[tuple[str, Module]]:
        """Path of each instance of a module, "" that of the top, and the module."""

        def visit(path: str, module: Module) -> Iterator[tuple[str, Module]]:
            yield path, module
            for cell in module.cells:
                if cell.kind in self.modules:
                    below = f"{path}/{cell.name}" if path else cell.name
                    yield from visit(below, self.modules[cell.kind])

        return visit("", self.modules[self.top])

    def joined(self, instance: Cell) -> Iterator[tuple[Bit, Bit]]:
        """Bits that an instance joins: outside of it, and inside."""
        ports = self.modules[instance.kind].ports
        for port, bits in instance.pins.items():
            yield from zip(bits, ports[port], strict=True)
