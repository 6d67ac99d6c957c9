"""A Liberty file written again so that every tool reads the same in it.

Tools differ in what of the format they know: OpenSTA 2.0 has no ``//`` comments and takes a unit
for what comes after it, Yosys passes over lists of pins, ABC knows units in small letters only. So
they are given what was read, in one plain form: no comments, units first, what is referred to
before what refers to it, one group a pin. Numbers stay as they are, in the units of the file.
"""

import re
from collections.abc import Iterator

from lutcore.gen.asic.liberty import Group
from lutcore.gen.asic.library import Cell, File
from lutcore.gen.asic.pins import PINS
from lutcore.gen.asic.units import UNITS

#: The attribute whose group OpenSTA must have met.
_REFERRING = "default_operating_conditions"
#: Groups of a library in this order; those of other kinds after them, and cells last.
_ORDER = ("type", "operating_conditions", "wire_load")
_CONTINUED = re.compile(r"\\\r?\n")


def plain_text(file: File) -> bytes:
    """A file in the plain form, without cells of which something is not read."""
    library = file.group
    attributes = list(_attributes(library, UNITS))
    last = [line for line in attributes if line.startswith(_REFERRING)]
    groups = [group for group in library.groups if group.kind != "cell"]
    groups.sort(key=lambda group: [group.kind != kind for kind in _ORDER])
    lines = [f"{_head(library)} {{", *file.units.spelled()]
    lines += [line for line in attributes if line not in last]
    for group in groups:
        lines += _lines(group)
    lines += last
    for cell in file.cells.values():
        lines += () if cell.unread else _cell(cell)
    return "\n".join([*lines, "}", ""]).encode("latin-1")


def _cell(cell: Cell) -> Iterator[str]:
    yield f"{_head(cell.group)} {{"
    yield from _attributes(cell.group)
    for group in cell.group.groups:
        if group.kind not in PINS:
            yield from _lines(group)
    for name, pin in cell.pins.items():
        head = _head(pin) if len(pin.arguments) == 1 and pin.name == name else f'pin ("{name}")'
        yield from _lines(pin, head)
    yield "}"


def _lines(group: Group, head: str = "") -> Iterator[str]:
    yield f"{head or _head(group)} {{"
    yield from _attributes(group)
    for inner in group.groups:
        yield from _lines(inner)
    yield "}"


def _head(group: Group) -> str:
    return f"{group.kind} ({', '.join(map(_joined, group.arguments))})"


def _attributes(group: Group, without: tuple[str, ...] = ()) -> Iterator[str]:
    for name, value in group.simple.items():
        if name not in without:
            yield f"{name} : {_joined(value)};"
    for name, each in group.complex.items():
        for arguments in each if name not in without else ():
            yield f"{name} ({', '.join(map(_joined, arguments))});"


def _joined(token: str) -> str:
    """A token in one line."""
    if "\n" not in token:
        return token
    return _CONTINUED.sub("", token).replace("\n", " ")
