"""What is read of a Liberty file, so that two ways of writing a library can be compared."""

import re

import numpy as np

from lutcore.gen.asic.delays import CellDelays, pin_loads
from lutcore.gen.asic.library import File
from lutcore.gen.energy.power_library import power_library


def facts(content: bytes) -> dict[str, list]:
    """What is read of each cell: texts and numbers, in an order that the file's does not change."""
    file = File.read(content, "some.lib")
    found: dict[str, list] = {"": [vars(file.wires) if file.wires else None]}
    for name, cell in file.cells.items():
        delays = CellDelays(cell)
        tables = [delays.setups[key] for key in sorted(delays.setups)]
        tables += [table for key in sorted(delays.arcs) for table in delays.arcs[key]]
        loads = [(pin, *pin_loads(cell, pin)) for pin in sorted(cell.inputs)]
        power = []
        if name not in ("DFFRS_X1", "WORD_X1"):
            text = re.sub(r'related_pin : "\w+"; ', "", power_library(file, name.__eq__))
            power = sorted(text.splitlines())
        found[name] = [
            *(cell.area, cell.max_load, cell.flip_flop, cell.storage, cell.state, cell.takes_d),
            *(loads, sorted(cell.outputs.items()), sorted(delays.arcs), sorted(delays.setups)),
            *([each.tolist() for each in (table.x, table.y, table.values)] for table in tables),
            *power,
        ]
    return found


def same(one: object, other: object) -> bool:
    """Whether texts and numbers agree, but for what is lost in the last bits."""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other
