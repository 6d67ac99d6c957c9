"""A Liberty library of our own making, for power analysis alone.

Nothing in it leads OpenSTA 2.0 astray (:mod:`lutcore.gen.energy.power`): outputs have no function
and no timing, so that nothing but what is set tells how often they toggle; a pin's internal power
is one table by load.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from lutcore.errors import InputError
from lutcore.gen.asic.liberty import Group, library_group, lookup_table, numbers, remainder

#: Kinds of groups that describe the axes of power tables; the axis that remains; what we call that.
_TEMPLATES = ("power_lut_template", "lu_table_template")
_LOADS, _TEMPLATE = "total_output_net_capacitance", "lutcore_load"
#: What may tell the load of a pin.
_CAPACITANCES = ("capacitance", "rise_capacitance", "fall_capacitance")
_REMEDY = "give a library with power data"

#: Cell of a power library that drives a net which comes from outside, with its output Y.
SOURCE = "lutcore_source"
#: Pin without a load that every cell of a power library has: OpenSTA charges a cell's toggles to
#: the period of a clock that reaches one of its pins.
CLOCK = "lutcore_clock"
_CLOCK_PIN = f"  pin ({CLOCK}) {{ direction : input; capacitance : 0; }}"
_OWN = f'power_lut_template ({_TEMPLATE}) {{ variable_1 : {_LOADS}; index_1 ("0, 1"); }}\n'
_DRIVER = f"cell ({SOURCE}) {{\n{_CLOCK_PIN}\n  pin (Y) {{ direction : output; }}\n}}\n"

#: Energy of a transition by load: grid, or empty where it is constant, and values.
_Curve = tuple[np.ndarray, np.ndarray]


def power_library(content: bytes, where: str, wanted: Callable[[str], bool]) -> str:
    """A Liberty library for power analysis alone, of the cells that are ``wanted``.

    See the manual for why.

    Parameters
    ----------
    content : bytes
        Liberty file.
    where : str
        Its name in messages.

    Raises
    ------
    InputError
        The library lacks power data.
    """
    library = library_group(content, where)
    templates = {found.name: found for found in library.of(*_TEMPLATES)}
    found = {cell.name: cell for cell in library.of("cell") if wanted(cell.name)}
    cells = [_cell(cell, templates, where) for cell in found.values()]
    head, brace, _ = remainder(content, library, "cell").rpartition("}")
    return "".join([head, _OWN, _conditions(library, where), _DRIVER, *cells, brace, "\n"])


def _conditions(library: Group, where: str) -> str:
    """Operating conditions, where the library states none as its default."""
    if "default_operating_conditions" in library.values:
        return ""
    voltage = numbers(library.values.get("nom_voltage", ""))
    if not voltage.any():
        raise InputError(f"{where}: no voltage: {_REMEDY}")
    return (
        f"operating_conditions (lutcore) {{ voltage : {voltage[0]:.9g}; }}\n"
        "default_operating_conditions : lutcore;\n"
    )


def _cell(cell: Group, templates: Mapping[str, Group], where: str) -> str:
    pins = [pin for pin in cell.of("pin") if pin.values.get("direction") in ("input", "output")]
    cause = next((pin.name for pin in pins if pin.values["direction"] == "input"), "")
    try:
        lines = [_pin(pin, cause, templates) for pin in pins]
    except ValueError as error:
        raise InputError(
            f"{where}: cell {cell.name}: a power table does not fit its template: fetch it again"
        ) from error
    leakage = _leakage(cell)
    if leakage is None:
        raise InputError(f"{where}: cell {cell.name} has no leakage_power: {_REMEDY}")
    if cause and not any("internal_power" in line for line in lines):
        raise InputError(f"{where}: cell {cell.name} has no internal_power: {_REMEDY}")
    leaks = f"  cell_leakage_power : {leakage:.9g};"
    return "\n".join([f"cell ({cell.name}) {{", leaks, _CLOCK_PIN, *lines, "}", ""])


def _pin(pin: Group, cause: str, templates: Mapping[str, Group]) -> str:
    """One pin of the power library; ``cause`` is an input pin."""
    lines = [f"direction : {pin.values['direction']};"]
    is_input = pin.values["direction"] == "input"
    load = next((pin.values[name] for name in _CAPACITANCES if name in pin.values), None)
    if is_input and load:
        lines.append(f"capacitance : {load};")
    if energy := _energy(pin, templates):
        related = "" if is_input or not cause else f'related_pin : "{cause}"; '
        edges = " ".join(f"{edge}_power {_table(*energy)}" for edge in ("rise", "fall"))
        lines.append(f"internal_power () {{ {related}{edges} }}")
    return f"  pin ({pin.name}) {{ {' '.join(lines)} }}"


def _table(loads: np.ndarray, values: np.ndarray) -> str:
    if not len(loads):
        return f'(scalar) {{ values ("{_list(values)}"); }}'
    return f'({_TEMPLATE}) {{ index_1 ("{_list(loads)}"); values ("{_list(values)}"); }}'


def _energy(pin: Group, templates: Mapping[str, Group]) -> _Curve | None:
    """Energy of one transition of a pin: mean of rise and fall, causes and states; sum of supplies.

    None where the pin has no internal power.
    """
    supplies: dict[str, list[_Curve]] = {}
    for power in pin.of("internal_power"):
        curves = [_curve(g, templates) for g in power.of("rise_power", "fall_power", "power")]
        if curves:
            supplies.setdefault(power.values.get("related_pg_pin", ""), []).append(_mean(curves))
    if not supplies:
        return None
    means = [_mean(curves) for curves in supplies.values()]
    grid, mean = _mean(means)
    return grid, mean * len(means)


def _curve(power: Group, templates: Mapping[str, Group]) -> _Curve:
    """A power table at a moderate input slew: a third of the way through its grid."""
    axes, values = lookup_table(power, templates)
    loads = np.array([])
    for variable, points in axes.items():  # the first axis goes: to the last place, or is taken
        if variable == _LOADS:
            loads, values = points, np.moveaxis(values, 0, -1)
        else:
            values = values[len(points) // 3]
    return loads, np.atleast_1d(values)


def _mean(curves: Sequence[_Curve]) -> _Curve:
    """Mean of curves, on the first grid of any."""
    grid = next((loads for loads, _ in curves if len(loads)), np.array([]))
    spread = [
        np.interp(grid, loads, values) if len(loads) else np.full(max(1, len(grid)), values[0])
        for loads, values in curves
    ]
    return grid, np.mean(spread, axis=0)


def _leakage(cell: Group) -> float | None:
    """Leakage of a cell: as stated, else the mean of its states; None where there is none."""
    stated = numbers(cell.values.get("cell_leakage_power", ""))
    if len(stated) and stated[0]:
        return float(stated[0])
    states = [numbers(group.values.get("value", "")) for group in cell.of("leakage_power")]
    values = [float(state[0]) for state in states if len(state)]
    return sum(values) / len(values) if values else None


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.9g}" for value in values)
