"""Pins of cells, however a Liberty file writes them: lists of pins, buses and bundles."""

import re
from collections.abc import Iterator, Mapping

from lutcore.gen.asic.liberty import Group

#: Groups that hold pins.
PINS = ("pin", "bus", "bundle")
_RANGE = re.compile(r"(.*)\[(\d{1,9}):(\d{1,9})\]")
#: Bits of a bus; more are taken for a mistake.
_WIDEST = 1 << 16


def pins(cell: Group, types: Mapping[str, Group]) -> dict[str, Group]:
    """Pin -> its group: for a member of a bus or bundle what both say, the member's own first.

    Parameters
    ----------
    cell : Group
    types : mapping
        Name -> type of a bus, of the library.

    Raises
    ------
    InputError
        A bus has no type, or one that is not there; a bundle has no members.
    """
    found: dict[str, Group] = {}
    types = {**types, **{group.name: group for group in cell.of("type")}}
    for group in cell.of(*PINS):
        if group.kind == "pin":
            found |= dict.fromkeys(group.names, group)
            continue
        names = _bits(group, types) if group.kind == "bus" else _members(group)
        own: dict[str, Group] = {}
        for pin in group.of("pin"):
            own |= dict.fromkeys(_ranged(pin), pin)
        found |= {name: _member(group, own.get(name)) for name in names}
    return found


def _member(outer: Group, pin: Group | None) -> Group:
    """A pin of a bus or bundle."""
    inner = pin or Group("pin", (), outer.source, outer.token)
    found = Group("pin", inner.arguments, inner.source, inner.token)
    found.simple = outer.simple | inner.simple
    found.complex = outer.complex | inner.complex
    found.groups = [*(group for group in outer.groups if group.kind != "pin"), *inner.groups]
    found.simple.pop("bus_type", None)
    found.complex.pop("members", None)
    return found


def _members(bundle: Group) -> Iterator[str]:
    names = [name for each in bundle.texts("members") for name in each]
    if not names:
        raise bundle.error(f"{bundle} has no members: list them, or leave its cell out")
    return (name for text in names for name in text.replace(",", " ").split())


def _bits(bus: Group, types: Mapping[str, Group]) -> Iterator[str]:
    """Names of a bus's pins, as from ``A[3]`` to ``A[0]``."""
    kind = types.get(bus.text("bus_type"))
    if kind is None:
        wanted = bus.text("bus_type") or "no name"
        raise bus.error(f"{bus} has {wanted} for its bus_type, which is no type: mend the file")
    first, last = int(kind.number("bit_from")), int(kind.number("bit_to"))
    if abs(first - last) >= _WIDEST:
        raise kind.error(f"{kind} has bits {first} to {last}, which is too wide: mend the file")
    return (f"{bus.name}[{bit}]" for bit in _steps(first, last))


def _ranged(pin: Group) -> Iterator[str]:
    """Names of a pin group, each bit of a range like ``A[3:0]``."""
    for name in pin.names:
        bits = _RANGE.fullmatch(name)
        if bits is None:
            yield name
        elif abs(int(bits[2]) - int(bits[3])) < _WIDEST:
            yield from (f"{bits[1]}[{bit}]" for bit in _steps(int(bits[2]), int(bits[3])))


def _steps(first: int, last: int) -> range:
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)
