"""Netlists in Yosys's JSON format."""

import itertools
from collections.abc import Iterator
from typing import Any

#: A net's number, or a constant.
Bit = int | str
Json = dict[str, Any]


def nets(module: Json) -> Iterator[list[Bit]]:
    """All lists of nets of a module: of names, ports and pins."""
    for part in (*module["netnames"].values(), *module["ports"].values()):
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
