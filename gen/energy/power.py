"""Power of a netlist whose toggles are known, by OpenSTA.

OpenSTA 2.0 overwrites the activity of every net that logic drives by its own estimate, charges each
transition the energy of two, and sums what alternatives (inputs that may be the cause, states of
the others) should share. So it is given a library of our own making, in which nothing leads it
astray (:func:`power_library`), and must first weigh a known case right (:func:`check_weighing`).
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.liberty import Group, library_group, lookup_table, numbers, remainder
from lutcore.gen.tools.opensta import run_sta, sta_command, sta_version

_LOADS = "total_output_net_capacitance"
_TEMPLATE = "lutcore_load"

#: Cell of a power library that drives a net which comes from outside, with its output Y.
SOURCE = "lutcore_source"
#: Pin without a load that every cell of a power library has: OpenSTA charges a cell's toggles to
#: the period of a clock that reaches one of its pins.
CLOCK = "lutcore_clock"
_CLOCK_PIN = f"  pin ({CLOCK}) {{ direction : input; capacitance : 0; }}"


#: Energy of a transition by load: grid, or empty where it is constant, and values.
_Curve = tuple[np.ndarray, np.ndarray]


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


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.9g}" for value in values)


def _pin(pin: Group, cause: str, templates: Mapping[str, Group]) -> str:
    """One pin of the power library; ``cause`` is an input pin."""
    lines = [f"direction : {pin.values['direction']};"]
    is_input = pin.values["direction"] == "input"
    names = ("capacitance", "rise_capacitance", "fall_capacitance")
    load = next((pin.values[name] for name in names if name in pin.values), None)
    if is_input and load:
        lines.append(f"capacitance : {load};")
    energy = _energy(pin, templates)
    if energy is not None:
        loads, values = energy
        body = f'values ("{_list(values)}");'
        kind = "scalar"
        if len(loads):
            kind, body = _TEMPLATE, f'index_1 ("{_list(loads)}"); {body}'
        related = "" if is_input or not cause else f'related_pin : "{cause}"; '
        edges = " ".join(f"{edge}_power ({kind}) {{ {body} }}" for edge in ("rise", "fall"))
        lines.append(f"internal_power () {{ {related}{edges} }}")
    return f"  pin ({pin.name}) {{ {' '.join(lines)} }}"


def _leakage(cell: Group) -> float | None:
    """Leakage of a cell: as stated, else the mean of its states; None where there is none."""
    stated = numbers(cell.values.get("cell_leakage_power", ""))
    if len(stated) and stated[0]:
        return float(stated[0])
    states = [numbers(group.values.get("value", "")) for group in cell.of("leakage_power")]
    values = [float(state[0]) for state in states if len(state)]
    return sum(values) / len(values) if values else None


def power_library(content: bytes, where: str, wanted: Callable[[str], bool]) -> str:
    """A Liberty library for power analysis alone, of the cells that are ``wanted``.

    Outputs have no function and no timing, so that nothing but what is set tells how often they
    toggle; a pin's internal power is one table by load. See the manual for why.

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
    root = library_group(content, where)
    head = remainder(content, root, "cell")
    templates = {group.name: group for group in root.of("power_lut_template", "lu_table_template")}
    cells = []
    for name, cell in {cell.name: cell for cell in root.of("cell")}.items():
        if not wanted(name):
            continue
        pins = [p for p in cell.of("pin") if p.values.get("direction") in ("input", "output")]
        cause = next((p.name for p in pins if p.values["direction"] == "input"), "")
        try:
            lines = [_pin(pin, cause, templates) for pin in pins]
        except ValueError as error:
            raise InputError(
                f"{where}: cell {name}: a power table does not fit its template: fetch it again"
            ) from error
        leakage = _leakage(cell)
        if leakage is None or (cause and not any("internal_power" in line for line in lines)):
            what = "leakage_power" if leakage is None else "internal_power"
            raise InputError(f"{where}: cell {name} has no {what}: give a library with power data")
        leaks = f"  cell_leakage_power : {leakage:.9g};"
        cells.append("\n".join([f"cell ({name}) {{", leaks, _CLOCK_PIN, *lines, "}", ""]))
    voltage = numbers(root.values.get("nom_voltage", ""))
    stated = "default_operating_conditions" in root.values
    if not stated and not voltage.any():
        raise InputError(f"{where}: no voltage: give a library with power data")
    added = f'power_lut_template ({_TEMPLATE}) {{ variable_1 : {_LOADS}; index_1 ("0, 1"); }}\n'
    if not stated:
        added += (
            f"operating_conditions (lutcore) {{ voltage : {voltage[0]:.9g}; }}\n"
            "default_operating_conditions : lutcore;\n"
        )
    added += f"cell ({SOURCE}) {{\n{_CLOCK_PIN}\n  pin (Y) {{ direction : output; }}\n}}\n"
    return head[: head.rindex("}")] + added + "".join(cells) + "}\n"


# OpenSTA -----------------------------------------------------------------------------------------

_SCRIPT = """\
set_cmd_units -time ns
create_clock -name clock -period {period:.9g} [get_ports {clock}]
set_power_activity -input -activity 0 -duty 0
proc toggles {{pin activity duty}} {{
  ::sta::set_power_pin_activity [::sta::find_pin $pin] $activity $duty
}}
{toggles}
set output [open power.txt w]
foreach name {{{names}}} {{
  puts $output [lrange [::sta::instance_power [::sta::find_instance $name] [::sta::cmd_corner]] 0 2]
}}
close $output
"""


@dataclass(frozen=True)
class Load:
    """One instance of a library cell, as power sees it.

    Attributes
    ----------
    cell : str
        Its library cell.
    nets : dict
        Pin -> net; 0 and 1 are the constants.
    outputs : tuple of str
        Those of the pins that drive their nets.
    """

    cell: str
    nets: Mapping[str, int]
    outputs: tuple[str, ...]


def weigh(
    loads: Sequence[Load],
    libraries: Sequence[str],
    rates: Mapping[int, tuple[float, float]],
    period: float,
) -> np.ndarray:
    """Power of each instance in W: internal, switching of the nets that it drives, leakage.

    Parameters
    ----------
    loads : sequence of Load
        A net that none of them drives takes a :data:`SOURCE`.
    libraries : sequence of str
        Of :func:`power_library`.
    rates : mapping
        Net -> toggles per clock cycle, and the part of the time in which it is 1.
    period : float
        Clock period in ns.

    Returns
    -------
    float64 [instances, 3]

    Raises
    ------
    InputError
        OpenSTA is missing.
    ToolError
        It failed.
    """
    names = [f"g{i}" for i in range(len(loads))]
    nets = sorted({net for load in loads for net in load.nets.values() if net > 1})
    module = [f"module top ({CLOCK});", f"input {CLOCK};", *(f"wire n{net};" for net in nets)]
    toggles = []
    for name, load in zip(names, loads, strict=True):
        pins = {pin: f"n{net}" if net > 1 else f"1'b{net}" for pin, net in load.nets.items()}
        joined = ", ".join(f".{pin}({net})" for pin, net in {CLOCK: CLOCK, **pins}.items())
        module.append(f"{load.cell} {name} ({joined});")
        for pin in load.outputs:
            activity, duty = rates[load.nets[pin]]
            toggles.append(f"toggles {name}/{pin} {activity:.9g} {duty:.9g}")
    files = {"netlist.v": "\n".join([*module, "endmodule", ""]).encode()}
    files |= {f"cells_{i}.lib": text.encode("latin-1") for i, text in enumerate(libraries)}
    script = [f"read_liberty {name}" for name in files if name.endswith(".lib")]
    script += ["read_verilog netlist.v", "link_design top"]
    script.append(
        _SCRIPT.format(
            period=period, clock=CLOCK, toggles="\n".join(toggles), names=" ".join(names)
        )
    )
    text = run_sta("\n".join(script), files, ["power.txt"])[1]["power.txt"]
    found = [line.split() for line in text.splitlines()]
    if len(found) != len(loads) or any(len(line) != 3 for line in found):
        raise ToolError(f"OpenSTA weighed {len(found)} instances of {len(loads)}")
    powers = np.array(found, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(powers).all():
        raise ToolError("OpenSTA found powers that are no numbers")
    return powers


_KNOWN_CELLS = b"""library (known) {
  time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA"; pulling_resistance_unit : "1kohm";
  leakage_power_unit : "1nW"; capacitive_load_unit (1, ff); nom_voltage : 2.0;
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
  cell (KNOWN) {
    cell_leakage_power : 7;
    pin (A) { direction : input; capacitance : 3; internal_power () {
      rise_power (scalar) { values ("1"); } fall_power (scalar) { values ("5"); } } }
    pin (Y) { direction : output; function : "!A"; internal_power () { related_pin : "A";
      rise_power (scalar) { values ("8"); } fall_power (scalar) { values ("4"); } } }
  }
}
"""
#: At a period of 0.5 ns, A toggling in half the cycles and Y, onto another A, in a quarter.
_KNOWN_POWER = (
    (0.5 * (1 + 5) / 2 + 0.25 * (8 + 4) / 2) * 1e-15 / 0.5e-9,
    0.25 * (0.5 * 3e-15 * 2.0**2) / 0.5e-9,
    7e-9,
)


def check_weighing() -> None:
    """Let OpenSTA weigh what is known.

    Raises
    ------
    InputError
        OpenSTA is missing.
    ToolError
        It fails at that.
    """
    _check(sta_command())


@functools.lru_cache
def _check(command: str | None) -> None:
    library = power_library(_KNOWN_CELLS, "known.lib", lambda name: True)
    loads = [
        Load(SOURCE, {"Y": 2}, ("Y",)),
        Load("KNOWN", {"A": 2, "Y": 3}, ("Y",)),
        Load("KNOWN", {"A": 3}, ()),
    ]
    found = weigh(loads, [library], {2: (0.5, 0.5), 3: (0.25, 0.5)}, 0.5)[1]
    if not np.allclose(found, _KNOWN_POWER, rtol=1e-4, atol=0):
        version = sta_version(command) if command else ""
        raise ToolError(
            f"OpenSTA {version} weighs power in a way of its own ({found[0]:.3g}, {found[1]:.3g}, "
            f"{found[2]:.3g} W where {', '.join(f'{p:.3g}' for p in _KNOWN_POWER)} are right): "
            "set LUTCORE_STA to another version, 2.0 for example"
        )
