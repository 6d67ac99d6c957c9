"""A Liberty library of our own making, for power analysis alone.

Nothing in it leads OpenSTA 2.0 astray (:mod:`lutcore.gen.energy.power`): outputs have no function
and no timing, so that nothing but what is set tells how often they toggle; a pin's internal power
is one table by load. It is in ns, fF, fJ, nW, V and kohm, whatever the given one uses.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from lutcore.gen.asic.liberty import Group
from lutcore.gen.asic.library import Cell, File, Library
from lutcore.gen.asic.units import lookup_table

#: Kinds of groups that describe the axes of power tables; the axis that remains; what we call that.
_TEMPLATES = ("power_lut_template", "lu_table_template")
_LOADS, _TEMPLATE = "total_output_net_capacitance", "lutcore_load"
_REMEDY = "give a library with power data"

#: Cell of a power library that drives a net which comes from outside, with its output Y.
SOURCE = "lutcore_source"
#: Pin without a load that every cell of a power library has: OpenSTA charges a cell's toggles to
#: the period of a clock that reaches one of its pins.
CLOCK = "lutcore_clock"
_CLOCK_PIN = f"  pin ({CLOCK}) {{ direction : input; capacitance : 0; }}"
#: Thresholds must be there, and do not count.
_HEAD = f"""\
  delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA";
  pulling_resistance_unit : "1kohm"; leakage_power_unit : "1nW"; capacitive_load_unit (1, ff);
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
power_lut_template ({_TEMPLATE}) {{ variable_1 : {_LOADS}; index_1 ("0, 1"); }}
"""
_DRIVER = f"cell ({SOURCE}) {{\n{_CLOCK_PIN}\n  pin (Y) {{ direction : output; }}\n}}\n"

#: Energy of a transition by load: grid, or empty where it is constant, and values.
_Curve = tuple[np.ndarray, np.ndarray]


def has_internal_power(library: Library) -> bool:
    """Whether any pin of a library tells of energy."""
    pins = (pin for cell in library.cells.values() for pin in cell.pins.values())
    return any(True for pin in pins for _ in pin.of("internal_power"))


def power_library(file: File, wanted: Callable[[str], bool]) -> str:
    """A Liberty library for power analysis alone, of a file's cells that are ``wanted``.

    See the manual for why.

    Raises
    ------
    InputError
        The file lacks power data.
    """
    templates = {found.name: found for found in file.group.of(*_TEMPLATES)}
    cells = [_cell(cell, templates) for cell in file.cells.values() if wanted(cell.name)]
    parts = [_HEAD, _conditions(file), _wires(file), _DRIVER, *cells]
    return "".join(["library (lutcore_power) {\n", *parts, "}\n"])


def _conditions(file: File) -> str:
    """Operating conditions: the voltage of the default ones, else the nominal one."""
    default = file.group.text("default_operating_conditions")
    found = {conditions.name: conditions for conditions in file.group.of("operating_conditions")}
    voltage = file.group.number("nom_voltage")
    if default in found:
        voltage = found[default].number("voltage", voltage)
    if not voltage:
        raise file.group.error(f"{file.group} has no voltage: {_REMEDY}")
    volts = file.units.convert(voltage, "voltage")
    return (
        f"operating_conditions (lutcore) {{ voltage : {volts:.9g}; }}\n"
        "default_operating_conditions : lutcore;\n"
    )


def _wires(file: File) -> str:
    """The default wire-load model, whose loads switch with the nets."""
    wires = file.wires
    if wires is None:
        return ""
    lengths = " ".join(f"fanout_length ({n}, {x:.9g});" for n, x in wires.lengths.items())
    each = f"capacitance : {wires.load:.9g}; resistance : {wires.resistance:.9g};"
    return (
        f"wire_load (lutcore) {{ {each} area : 0; slope : {wires.slope:.9g}; {lengths} }}\n"
        "default_wire_load : lutcore;\n"
    )


def _cell(cell: Cell, templates: Mapping[str, Group]) -> str:
    pins = {*cell.inputs, *cell.outputs}
    lines = [_pin(cell, name, templates) for name in cell.pins if name in pins]
    leakage = _leakage(cell.group)
    if leakage is None:
        raise cell.group.error(f"{cell.group} has no leakage_power: {_REMEDY}")
    if cell.inputs and not any("internal_power" in line for line in lines):
        raise cell.group.error(f"{cell.group} has no internal_power: {_REMEDY}")
    leaks = f"  cell_leakage_power : {cell.file.units.convert(leakage, 'leakage'):.9g};"
    return "\n".join([f"cell ({cell.name}) {{", leaks, _CLOCK_PIN, *lines, "}", ""])


def _pin(cell: Cell, name: str, templates: Mapping[str, Group]) -> str:
    """One pin of the power library; an input pin is the cause of what an output takes."""
    is_input = name in cell.inputs
    lines = [f"direction : {'input' if is_input else 'output'};"]
    if is_input:
        lines.append(f"capacitance : {cell.capacitance[name]:.9g};")
    if energy := _energy(cell, cell.pins[name], templates):
        related = "" if is_input or not cell.inputs else f'related_pin : "{cell.inputs[0]}"; '
        edges = " ".join(f"{edge}_power {_table(*energy)}" for edge in ("rise", "fall"))
        lines.append(f"internal_power () {{ {related}{edges} }}")
    return f"  pin ({name}) {{ {' '.join(lines)} }}"


def _table(loads: np.ndarray, values: np.ndarray) -> str:
    if not len(loads):
        return f'(scalar) {{ values ("{_list(values)}"); }}'
    return f'({_TEMPLATE}) {{ index_1 ("{_list(loads)}"); values ("{_list(values)}"); }}'


def _energy(cell: Cell, pin: Group, templates: Mapping[str, Group]) -> _Curve | None:
    """Energy of one transition of a pin: mean of rise and fall, causes and states; sum of supplies.

    None where the pin has no internal power.
    """
    supplies: dict[str, list[_Curve]] = {}
    for power in pin.of("internal_power"):
        tables = power.of("rise_power", "fall_power", "power")
        curves = [_curve(cell.file, table, templates) for table in tables]
        if curves:
            supplies.setdefault(power.text("related_pg_pin"), []).append(_mean(curves))
    if not supplies:
        return None
    means = [_mean(curves) for curves in supplies.values()]
    grid, mean = _mean(means)
    return grid, mean * len(means)


def _curve(file: File, power: Group, templates: Mapping[str, Group]) -> _Curve:
    """A power table at a moderate input slew: a third of the way through its grid."""
    axes, values = lookup_table(power, templates, file.units, "energy")
    loads = np.array([])
    for variable, points in axes.items():  # the first axis goes: to the last place, or is taken
        if variable == _LOADS:
            loads, values = points, np.moveaxis(values, 0, -1)
        else:
            values = values[len(points) // 3]
    return loads, np.atleast_1d(values)


def _mean(curves: Sequence[_Curve]) -> _Curve:
    """Mean of curves, on the grid of those that begins lowest, whatever order they come in."""
    grid = np.array(min((loads.tolist() for loads, _ in curves if len(loads)), default=[]))
    spread = [
        np.interp(grid, loads, values) if len(loads) else np.full(max(1, len(grid)), values[0])
        for loads, values in curves
    ]
    return grid, np.mean(spread, axis=0)


def _leakage(cell: Group) -> float | None:
    """Leakage of a cell: as stated, else the mean of its states; None where there is none."""
    if stated := cell.number("cell_leakage_power"):
        return stated
    values = [g.number("value") for g in cell.of("leakage_power") if "value" in g.simple]
    return sum(values) / len(values) if values else None


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.9g}" for value in values)
