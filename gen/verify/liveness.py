"""Which bits of a flat design can ever show at its outputs, through any number of registers.

Each bit of a word is followed by itself: bits of an address above the size of its buffer go round
in their register for ever, and nothing reads them.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

_Json = dict[str, Any]

#: Cells whose output bits each depend on the inputs' bits of the same place.
_BITWISE = {"$and", "$or", "$xor", "$xnor", "$not", "$pos", "$mux", "$dff"}
#: Cells whose output bits depend on the inputs' bits of the same place and below.
_CARRIED = {"$add", "$sub", "$neg", "$mul"}
#: Pins of these that every bit depends on.
_SHARED = {"S", "CLK"}


def live_bits(
    ports: Mapping[str, _Json], cells: Mapping[str, _Json], zeros: Container[int | None] = ()
) -> set[int]:
    """Nets that outputs can depend on.

    Parameters
    ----------
    ports, cells : mapping
        Of a module in Yosys' JSON: word-level cells, registers too.
    zeros : container of int
        Nets that are 0: a multiplexer that one of them selects has one input.
    """
    drivers = {
        bit: (cell, place)
        for cell in cells.values()
        for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] == "output"
        for place, bit in enumerate(bits)
    }
    left = [bit for port in ports.values() if port["direction"] != "input" for bit in port["bits"]]
    found: set[int] = set()
    while left:
        bit = left.pop()
        if bit in found or not isinstance(bit, int):
            continue
        found.add(bit)
        if bit in drivers:
            left += _sources(*drivers[bit], zeros)
    return found


def chooser_of(cell: _Json) -> int | None:
    """The net that selects one of two inputs, of a cell that does that."""
    return cell["connections"]["S"][0] if cell["type"] == "$mux" else None


def is_passed(cell: _Json, pin: str, zeros: Container[int | None]) -> bool:
    """Whether a cell's output can depend on a pin."""
    fixed = chooser_of(cell) in zeros
    return cell["port_directions"][pin] == "input" and (not fixed or pin == "A")


def _sources(cell: _Json, place: int, zeros: Container[int | None]) -> Iterator[int]:
    """Nets at a cell's inputs that a bit of its output can depend on."""
    kind = cell["type"]
    for pin, bits in cell["connections"].items():
        if not is_passed(cell, pin, zeros):
            continue
        if pin in _SHARED or kind not in _BITWISE | _CARRIED:
            yield from bits
        else:
            last = min(place, len(bits) - 1)  # beyond it lies its sign
            yield from bits[last : last + 1] if kind in _BITWISE else bits[: last + 1]
