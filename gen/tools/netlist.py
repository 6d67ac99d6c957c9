"""Netlists in Yosys's JSON format."""

import itertools
from collections.abc import Iterator
from typing import Any

#: A net's number, or a constant.
Bit = int | str
Json = dict[str, Any]


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


def bypass(design: Json) -> None:
    """Lead nets that pass through a module around it, in place.

    An output bit that is an input bit of its module, or an earlier output bit, is left without a
    driver, and what it fed takes that bit. A net then loads what drives it wherever it leads, and
    OpenSTA 2.0, whose linker can loop on such outputs for ever, is spared them.
    """
    modules: Json = design["modules"]
    #: Module -> (output port, its bit, port and bit that it repeats).
    repeated: dict[str, list[tuple[str, int, str, int]]] = {}

    def visit(name: str) -> None:
        if name in repeated:
            return
        module = modules[name]
        numbers = free_numbers(module)
        around: dict[Bit, Bit] = {}
        for cell in module["cells"].values():
            if cell["type"] not in modules:
                continue
            visit(cell["type"])
            wired = cell["connections"]
            for port, i, source, j in repeated[cell["type"]]:
                if port in wired and source in wired:
                    around[wired[port][i]] = wired[source][j]
                    wired[port][i] = next(numbers)
        if around:
            for bits in nets(module):
                bits[:] = [_end(around, bit) for bit in bits]
        first: dict[Bit, tuple[str, int]] = {}
        repeated[name] = []
        for port, found in _inputs_first(module):
            for i, bit in enumerate(found["bits"]):
                if found["direction"] == "output" and bit in first:
                    repeated[name].append((port, i, *first[bit]))
                elif isinstance(bit, int):
                    first[bit] = port, i

    for name in modules:
        visit(name)
    below = {cell["type"] for module in modules.values() for cell in module["cells"].values()}
    for name in below & modules.keys():
        module = modules[name]
        numbers = free_numbers(module)
        for port, i, *_ in repeated[name]:
            module["ports"][port]["bits"][i] = number = next(numbers)
            if port in module["netnames"]:
                module["netnames"][port]["bits"][i] = number


def _end(around: dict[Bit, Bit], bit: Bit) -> Bit:
    while bit in around:
        bit = around[bit]
    return bit


def _inputs_first(module: Json) -> list[tuple[str, Json]]:
    return sorted(module["ports"].items(), key=lambda item: item[1]["direction"] == "output")
