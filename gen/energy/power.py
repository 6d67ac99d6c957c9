"""Power of a netlist whose toggles are known, by OpenSTA.

OpenSTA 2.0 overwrites the activity of every net that logic drives by its own estimate, charges each
transition the energy of two, and sums what alternatives (inputs that may be the cause, states of
the others) should share. So it is given a library of our own making, in which nothing leads it
astray (:mod:`lutcore.gen.energy.power_library`), and must first weigh a known case right
(:func:`check_weighing`).
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lutcore.errors import ToolError
from lutcore.gen.asic.library import File
from lutcore.gen.energy.power_library import CLOCK, SOURCE, power_library
from lutcore.gen.tools.opensta import run_sta, sta_command, sta_version

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
        A net that none of them drives takes a :data:`~lutcore.gen.energy.power_library.SOURCE`.
    libraries : sequence of str
        Of :func:`~lutcore.gen.energy.power_library.power_library`.
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
    files = {"netlist.v": _netlist(loads).encode()}
    files |= {f"cells_{i}.lib": text.encode("latin-1") for i, text in enumerate(libraries)}
    script = [f"read_liberty {name}" for name in files if name.endswith(".lib")]
    script += ["read_verilog netlist.v", "link_design top"]
    toggles = []
    for i, load in enumerate(loads):
        for pin in load.outputs:
            activity, duty = rates[load.nets[pin]]
            toggles.append(f"toggles g{i}/{pin} {activity:.9g} {duty:.9g}")
    names = " ".join(f"g{i}" for i in range(len(loads)))
    script.append(
        _SCRIPT.format(period=period, clock=CLOCK, toggles="\n".join(toggles), names=names)
    )
    text = run_sta("\n".join(script), files, ["power.txt"])[1]["power.txt"]
    return _powers(text, len(loads))


def _netlist(loads: Sequence[Load]) -> str:
    """Verilog of the instances: g0, g1, ..., on nets n2, n3, ..."""
    nets = sorted({net for load in loads for net in load.nets.values() if net > 1})
    lines = [f"module top ({CLOCK});", f"input {CLOCK};", *(f"wire n{net};" for net in nets)]
    for i, load in enumerate(loads):
        pins = {pin: f"n{net}" if net > 1 else f"1'b{net}" for pin, net in load.nets.items()}
        joined = ", ".join(f".{pin}({net})" for pin, net in {CLOCK: CLOCK, **pins}.items())
        lines.append(f"{load.cell} g{i} ({joined});")
    return "\n".join([*lines, "endmodule", ""])


def _powers(text: str, instances: int) -> np.ndarray:
    """What OpenSTA wrote, a line for each instance."""
    found = [line.split() for line in text.splitlines()]
    if len(found) != instances or any(len(line) != 3 for line in found):
        raise ToolError(f"OpenSTA weighed {len(found)} instances of {instances}")
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
    library = power_library(File.read(_KNOWN_CELLS, "known.lib"), lambda name: True)
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
