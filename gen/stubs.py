"""A smaller design with the same timing: of many equal instances, one stays and stubs load nets."""

import re
from collections.abc import Mapping

from gen.netlist import Json

#: File name of the stubs' Liberty text.
STUBS = "stubs.lib"
_THRESHOLDS = {
    "input_threshold_pct": 50,
    "output_threshold_pct": 50,
    "slew_lower_threshold_pct": 20,
    "slew_upper_threshold_pct": 80,
}
_UNIT = re.compile(r"capacitive_load_unit\s*\([^)]*\)")


def with_stubs(
    design: Json, loads: Mapping[str, Mapping[str, list[float]]], liberty: bytes
) -> tuple[Json, bytes]:
    """Replace all but the first instance of a module in its parent by cells that are mere loads.

    Parameters
    ----------
    design : dict
        Mapped netlist, Yosys JSON. The result shares its cells, so their types change together.
    loads : dict
        Module -> input port -> load of each bit, in the library's unit.
    liberty : bytes
        The library, for that unit.
    """
    used: set[str] = set()
    modules = {}
    for name, module in design["modules"].items():
        seen: set[str] = set()
        cells = {}
        for instance, cell in module["cells"].items():
            kind = cell["type"]
            if kind in seen and kind in design["modules"]:
                used.add(kind)
                cell = {**cell, "type": _name(kind)}
            seen.add(kind)
            cells[instance] = cell
        modules[name] = {**module, "cells": cells}
    unit = _UNIT.search(liberty.decode("latin-1"))
    text = ["library (stubs) {", f"{unit.group()};" if unit else "", "delay_model : table_lookup;"]
    for name, value in _THRESHOLDS.items():  # OpenSTA wants them, though nothing here has a delay
        text += [f"{name}_{edge} : {value};" for edge in ("rise", "fall")]
    for kind in sorted(used):
        text += _cell(kind, design["modules"][kind]["ports"], loads[kind])
    return {**design, "modules": modules}, "\n".join([*text, "}"]).encode()


def _name(module: str) -> str:
    return f"{module}__stub"


def _cell(module: str, ports: Json, loads: Mapping[str, list[float]]) -> list[str]:
    """Liberty text of a cell with the module's ports."""
    types, pins = [], []
    for port, found in ports.items():
        width = len(found["bits"])
        direction = "input" if found["direction"] == "input" else "output"
        inside = f"direction : {direction};"
        each = [f"capacitance : {load:g};" for load in loads.get(port, [])]
        if width == 1:
            pins.append(f"pin ({port}) {{ {inside} {' '.join(each)} }}")
            continue
        kind = f"{module}_{port}"
        types.append(
            f"type ({kind}) {{ base_type : array; data_type : bit; bit_width : {width}; "
            f"bit_from : {width - 1}; bit_to : 0; }}"
        )
        bits = " ".join(f"pin ({port}[{i}]) {{ {load} }}" for i, load in enumerate(each))
        pins.append(f"bus ({port}) {{ bus_type : {kind}; {inside} {bits} }}")
    return [*types, f"cell ({_name(module)}) {{ area : 0;", *pins, "}"]
