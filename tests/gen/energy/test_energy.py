"""Energy: toggles are those of the stimulus, and OpenSTA weighs them as by hand."""

import functools
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from liberty_variants import in_units
from opensta import needs_opensta

from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.liberty import DEMO, DEMO_CELLS
from lutcore.gen.asic.library import File
from lutcore.gen.asic.synth import NEUTRAL_CELLS, netlist
from lutcore.gen.emit.rtl import design_name
from lutcore.gen.energy import energy as energy_module
from lutcore.gen.energy import power
from lutcore.gen.energy.activity import measure_activity
from lutcore.gen.energy.bench import WARM_UP
from lutcore.gen.energy.cell_models import CellModel, cell_model
from lutcore.gen.energy.energy import EnergyReport, energy
from lutcore.gen.energy.gates import read_gates
from lutcore.gen.energy.power import Load, check_weighing, weigh
from lutcore.gen.energy.power_library import SOURCE, power_library
from lutcore.gen.run.tile import random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import tile_job

pytestmark = [pytest.mark.slow, pytest.mark.asic]

TINY = CoreConfig(
    m=1, n=4, k=2, lookups=2, table_form="subset", zero_points="external", group_size=64, max_k=2048
)
MAC = TINY.replace(engine="mac", table_form="symmetric", n=2, max_weight_bits=4)


#: In ns: easily met, so that synthesis is quick.
PERIOD = 10.0


@functools.cache
def fresh(config: CoreConfig, **options: Any) -> EnergyReport:
    """Measured in this session, whatever an earlier one left in the cache."""
    return energy(config, DEMO, period=PERIOD, use_cache=False, **options)


# Library for power -------------------------------------------------------------------------------

LIBRARY = """library (made) {
  nom_voltage : 1.5; /* no } brace */ leakage_power_unit : "1nW"; capacitive_load_unit (1, ff);
  power_lut_template (both) { variable_1 : input_transition_time;
    variable_2 : total_output_net_capacitance; index_1 ("1, 2, 3"); index_2 ("1, 2"); }
  power_lut_template (turned) { variable_1 : total_output_net_capacitance;
    variable_2 : input_transition_time; index_1 ("1, 2"); index_2 ("1, 2, 3"); }
  power_lut_template (slew) { variable_1 : input_transition_time; index_1 ("1, 2, 3"); }
  cell (GATE) {
    leakage_power () { when : "A"; value : 3; }
    leakage_power () { when : "!A"; value : 5.0; }
    pin ("A") { direction : "input"; rise_capacitance : 2; internal_power () {
      rise_power (slew) { values ("1, 2, 30"); } fall_power (slew) { values ("1, 4, 30"); } } }
    pin (B) { direction : input; capacitance : 4e-1; }
    pin (Y) { direction : output; function : "!(A & B)"; timing () { related_pin : "A"; }
      internal_power () { related_pin : "A"; when : "B";
        rise_power (both) { index_2 ("5, 7"); values ("1, 1", "10, 20", "1, 1"); }
        fall_power (both) { index_2 ("5, 7"); values ("1, 1", "-2, -4", "1, 1"); } }
      internal_power () { related_pin : "B";
        rise_power (turned) { index_1 ("5, 7"); values ("1, 8, 1", "1, 16, 1"); }
        fall_power (scalar) { values ("0"); } } }
  }
  cell (OTHER) { pin (A) { direction : input; } }
}
"""


def made(text: str = LIBRARY, cell: str = "GATE") -> str:
    library = power_library(File.read(text.encode(), "made.lib"), lambda name: name == cell)
    return re.sub(r"\s+", " ", library)


def test_power_library_has_one_table_a_pin():
    text = made()
    assert "cell (OTHER)" not in text and "function" not in text and "timing" not in text
    assert "cell_leakage_power : 4;" in text
    edges = 'rise_power (scalar) { values ("3"); } fall_power (scalar) { values ("3"); }'
    assert f"pin (A) {{ direction : input; capacitance : 2; internal_power () {{ {edges} }}" in text
    assert "pin (B) { direction : input; capacitance : 0.4; }" in text
    # The middle slew: (10, 20) and (-2, -4) by A; (8, 16) and 0 by B, each mean over the edges.
    table = 'index_1 ("5, 7"); values ("4, 8");'
    assert (
        f'internal_power () {{ related_pin : "A"; rise_power (lutcore_load) {{ {table} }}' in text
    )
    assert "operating_conditions (lutcore) { voltage : 1.5; }" in text


def test_supplies_add_up_and_states_share():
    both = LIBRARY.replace('related_pin : "B";', 'related_pin : "B"; related_pg_pin : "VSS";')
    assert 'values ("8, 16");' in made(both)


@pytest.mark.parametrize(
    "change, message",
    [
        (("internal_power", "no_power"), r"line 8: cell \(GATE\) has no internal_power"),
        (("value :", "worth :"), r"line 8: cell \(GATE\) has no leakage_power"),
        (("nom_voltage", "volts"), r"line 1: library \(made\) has no voltage"),
    ],
)
def test_library_without_power_data(change, message):
    with pytest.raises(
        InputError, match=rf"^made\.lib, {message}: give a library with power data$"
    ):
        made(LIBRARY.replace(*change))


def test_damaged_table():
    message = r"^made\.lib, line 12: rise_power \(slew\) has 2 values and its axes ask for 3: fetch"
    with pytest.raises(InputError, match=message):
        made(LIBRARY.replace('values ("1, 2, 30")', 'values ("1, 2")'))


def test_power_library_is_in_one_set_of_units():
    """A tenth of a volt, pF and uW there: V, fF, nW here, and fJ for energies of pF (0.1 V)^2."""
    units = 'leakage_power_unit : "1uW"; capacitive_load_unit (1, PF); voltage_unit : "100mV";'
    text = made(LIBRARY.replace('leakage_power_unit : "1nW"; capacitive_load_unit (1, ff);', units))
    assert "cell_leakage_power : 4000;" in text
    assert "pin (B) { direction : input; capacitance : 400; }" in text
    edges = 'rise_power (scalar) { values ("30"); } fall_power (scalar) { values ("30"); }'
    assert f"capacitance : 2000; internal_power () {{ {edges} }}" in text
    assert 'index_1 ("5000, 7000"); values ("40, 80");' in text
    assert "operating_conditions (lutcore) { voltage : 0.15; }" in text


def test_the_default_conditions_voltage_counts():
    own = "operating_conditions (hot) { voltage : 1.25; } default_operating_conditions : hot;"
    assert "{ voltage : 1.25; }" in made(LIBRARY.replace("nom_voltage", f"{own} nom_voltage"))
    missing = "default_operating_conditions : cold; nom_voltage"
    assert "{ voltage : 1.5; }" in made(LIBRARY.replace("nom_voltage", missing))


# Weighing ----------------------------------------------------------------------------------------


@needs_opensta
def test_known_power_is_checked(monkeypatch):
    check_weighing()
    power._check.cache_clear()
    whole = power.weigh
    monkeypatch.setattr(power, "weigh", lambda *args: 2 * whole(*args))
    with pytest.raises(ToolError, match=r"^OpenSTA 2\S* weighs power in a way of its own .*") as e:
        check_weighing()
    assert "\n" not in str(e.value)


def demo(*cells: str) -> str:
    """Of the demonstration library, these cells for power."""
    file = File.read(DEMO_CELLS.read_bytes(), DEMO_CELLS.name)
    return power_library(file, cells.__contains__)


CHAIN = [
    Load(SOURCE, {"Y": 2}, ("Y",)),
    Load("INV_X1", {"A": 2, "Y": 3}, ("Y",)),
    Load("INV_X1", {"A": 3, "Y": 4}, ("Y",)),
    Load("INV_X1", {"A": 4}, ()),
]
#: Of the demonstration library's rules: volts, slew in ns at which power is read, mean of edges.
VOLTS, SLEW, EDGES = 2.0, 0.02, 0.95


@needs_opensta
def test_inverter_chain_by_hand():
    """By the library's rules: its pin and the wire switch, its parasitic and slew are internal."""
    toggles = (0.7, 0.4, 0.1)
    rates = {2 + i: (each, 0.5) for i, each in enumerate(toggles)}
    found = weigh(CHAIN, [demo("INV_X1")], rates, 2.0)
    load = 2 + 0.5  # fF of the pin, and of the wire to one sink
    per_watt = 1e15 * 2e-9  # fJ of a cycle
    switching = [0.5 * load * VOLTS**2 * each for each in toggles] + [0]
    internal = [0, *(EDGES * (4 + 20 * SLEW + 0.05 * load) * each for each in toggles[1:]), 0]
    assert np.allclose(per_watt * found[:, 1], switching, rtol=1e-4)
    assert np.allclose(per_watt * found[:, 0], internal, rtol=1e-4)
    assert np.allclose(found[:, 2], [0, *3 * [10e-9]], rtol=1e-4)


@needs_opensta
def test_toggles_scale_and_idle_cells_burn_clock_and_leakage():
    loads = [
        Load(SOURCE, {"Y": 2}, ("Y",)),
        Load("DFF_X1", {"CK": 2, "D": 3, "Q": 4}, ("Q",)),
        Load("INV_X1", {"A": 4, "Y": 3}, ("Y",)),
    ]
    library = demo("DFF_X1", "INV_X1")

    def femtojoules(toggles: float) -> np.ndarray:
        rates = {2: (2, 0.5), 3: (toggles, 0.5), 4: (toggles, 0.5)}
        return 1e6 * weigh(loads, [library], rates, 1.0)  # of a cycle of 1 ns

    idle, once, twice = femtojoules(0), femtojoules(0.3), femtojoules(0.6)
    assert np.allclose(twice - idle, 2 * (once - idle), rtol=1e-4)
    assert np.allclose(idle[:, 2], once[:, 2])
    load = 2 + 0.5
    assert math.isclose(idle[0, 1], 2 * 0.5 * load * VOLTS**2, rel_tol=1e-4)  # the clock net
    clock = 2 * EDGES * (4 + 20 * SLEW)  # its pin rises and falls once a cycle
    assert math.isclose(idle[1, 0], clock, rel_tol=1e-4)
    assert not idle[1:, 1].any() and not idle[2, 0]
    assert (once[1:, :2] > idle[1:, :2]).all()
    parasitic = 4 * 12 + 2  # of Q, and of D
    toggle = EDGES * (parasitic + 2 * 20 * SLEW + 0.05 * load)
    assert math.isclose(once[1, 0] - clock, 0.3 * toggle, rel_tol=1e-4)


@needs_opensta
@pytest.mark.parametrize(
    "units",
    [("1ps", ("1", "ff"), "1V", "1nW"), ("10ps", ("1", "pf"), "100mV", "1pW")],
    ids=lambda units: units[0],
)
def test_power_is_what_it_is_in_any_unit(units, tmp_path):
    path = tmp_path / "other.lib"
    path.write_text(in_units(DEMO_CELLS.read_text(), *units))
    own, other = fresh(TINY), energy(TINY, path, period=PERIOD, use_cache=False)
    assert own.leakage_fj > 0 and own.slack_ns is not None
    for part in ("power_mw", "internal_fj", "switching_fj", "leakage_fj", "energy_fj_per_op"):
        assert getattr(other, part) == pytest.approx(getattr(own, part), rel=1e-5)
    assert other.blocks == pytest.approx(own.blocks, rel=1e-5)
    assert other.slack_ns == pytest.approx(own.slack_ns, abs=2e-4)


# Toggles -----------------------------------------------------------------------------------------


def test_toggles_are_those_of_the_stimulus():
    """Inputs toggle as their words differ; results are judged under the same run."""
    config = TINY.replace(max_weight_bits=1)
    gates = read_gates(netlist(config), [NEUTRAL_CELLS.read_bytes()], design_name(config))
    assert set(gates.blocks) > {"table_builder", "columns", "row_sums", "drain"}
    assert gates.clocks == set(gates.ports["clk"])  # and no net behind a flip-flop
    rng = np.random.default_rng(1)
    job = tile_job(config, rng.integers(-128, 128, (2, 256)), random_tensor((4, 256), 1, 64, rng))
    activity = measure_activity(config, gates, [job])
    assert activity.slices == activity.cycles == job.slices - WARM_UP
    words = job.inputs["weights"].astype(int)
    toggles = np.abs(np.diff(words, axis=0))[WARM_UP - 1 :].sum(axis=0)
    nets = gates.ports["weights__payload"]
    assert [activity.toggles[net] for net in nets] == toggles.tolist()
    assert [activity.highs[net] for net in nets] == words[WARM_UP:].sum(axis=0).tolist()
    driven = {g.nets[p] for g in gates.gates for p in g.nets if p in gates.models[g.cell].outputs}
    assert driven <= activity.toggles.keys()
    assert sum(activity.toggles[net] > 0 for net in driven) > 0.9 * len(driven)
    job.expected["dot"][0, 0, 0] += 1
    with pytest.raises(ToolError, match=r"^the netlist of lut_tile\w* computes wrong results: "):
        measure_activity(config, gates, [job])


def test_what_passes_the_clock_on():
    assert CellModel({"Y": "{A}"}, {}, None).is_buffer
    assert not CellModel({"Y": "~{A}"}, {}, None).is_buffer
    assert not CellModel({"Q": "{state_2}"}, {"state_2": "{D}"}, "CK").is_buffer


def test_cells_that_cannot_be_simulated():
    latch = {
        "ports": {
            "D": {"direction": "input", "bits": [2]},
            "Q": {"direction": "output", "bits": [3]},
        },
        "cells": {
            "latch": {
                "type": "$_DLATCH_P_",
                "port_directions": {"E": "input", "D": "input", "Q": "output"},
                "connections": {"E": [2], "D": [2], "Q": [3]},
            }
        },
    }
    with pytest.raises(InputError, match=r"^cell LATCH is neither a gate nor a flip-flop without"):
        cell_model(latch, "LATCH")


# Energy ------------------------------------------------------------------------------------------


@needs_opensta
def test_report_adds_up():
    report = fresh(TINY)
    assert math.isclose(
        report.energy_fj_per_op, report.internal_fj + report.switching_fj + report.leakage_fj
    )
    assert math.isclose(sum(report.blocks.values()), report.power_mw)
    assert list(report.blocks)[-2:] == ["clock", "inputs"] and min(report.blocks.values()) > 0
    assert report.cycles == report.slices >= 512
    per_slice = TINY.products_per_cycle / 2  # of two-bit weights
    assert report.products == report.slices * per_slice
    watts = 1e-15 * report.energy_fj_per_op * per_slice / (PERIOD * 1e-9)
    assert math.isclose(report.power_mw, 1e3 * watts)
    assert 0.05 < report.activity < 1
    assert report.liberty == "demo.lib (synthetic)"
    assert json.loads(report.to_json())["stimulus"] == "random"


@needs_opensta
def test_results_are_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))
    watts = {part: {"columns": 1e-3} for part in ("internal", "switching", "leakage")}
    runs: list[int] = []

    def measured(*_: object) -> dict[str, Any]:
        runs.append(1)
        return {"cycles": 600, "slices": 600, "activity": 0.5, "watts": watts}

    monkeypatch.setattr(energy_module, "_measure", measured)
    first = energy(TINY, DEMO, period=PERIOD)
    assert energy(TINY, DEMO, period=PERIOD) == first and len(runs) == 1
    changes: tuple[dict[str, Any], ...] = (
        {"seed": 1},
        {"weight_bits": 1},
        {"stimulus": "example"},
        {"use_cache": False},
    )
    for count, change in enumerate(changes, 2):
        energy(TINY, DEMO, period=PERIOD, **change)
        assert len(runs) == count
    entries = list((tmp_path / "energy").glob("*.json.gz"))
    assert len(entries) == len(changes)
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:50])
    assert energy(TINY, DEMO, period=PERIOD).energy_fj_per_op == first.energy_fj_per_op
    assert len(runs) == len(changes) + 2


@needs_opensta
def test_operations_of_narrower_weights():
    """A bit plane each on tables; the same slice on multipliers, however narrow the weight."""
    wide, narrow = fresh(TINY), fresh(TINY, weight_bits=1)
    assert wide.products / wide.slices == narrow.products / narrow.slices / 2
    assert 1.6 < wide.energy_fj_per_op / narrow.energy_fj_per_op < 2.4
    wide, narrow = fresh(MAC), fresh(MAC, weight_bits=2)
    assert wide.products / wide.slices == narrow.products / narrow.slices
    assert 0.5 < narrow.energy_fj_per_op / wide.energy_fj_per_op < 1


@needs_opensta
def test_real_stimulus():
    """The example's activations are mostly small and toggle less than uniform ones."""
    random, real = fresh(TINY), fresh(TINY, stimulus="example")
    assert real.stimulus == "example" and real.slices >= 512
    assert 0.5 < real.energy_fj_per_op / random.energy_fj_per_op < 1


@needs_opensta
def test_example_has_no_such_tensor():
    with pytest.raises(
        InputError, match=r"^no tensor of the example \(of 2, 4, 8 bits\) fits: none"
    ):
        energy(TINY, DEMO, stimulus="example", weight_bits=1)


def test_bad_requests(tmp_path, monkeypatch):
    foreign = tmp_path / "foreign.lib"
    foreign.write_text("lorem ipsum")
    cases: list[tuple[dict, str]] = [
        ({"weight_bits": 3}, r"^weight_bits must be in 1\.\.2, not 3$"),
        ({"period": 0.0}, r"^period must be a positive number of ns, not 0\.0$"),
        ({"period": math.nan}, r"^period must be a positive number of ns, not nan$"),
        ({"stimulus": "noise"}, r"^stimulus must be one of random, example, not 'noise'$"),
        ({"liberty": None}, r"^energy needs a library with power data: give a Liberty file \("),
        ({"liberty": NEUTRAL_CELLS}, r"cells\.lib: no power data: give a library with"),
        ({"liberty": foreign}, r"foreign\.lib: not a Liberty file: give one"),
        ({"liberty": tmp_path / "absent.lib"}, r"absent\.lib: no such file: give a Liberty file"),
    ]
    for change, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            energy(TINY, **{"liberty": NEUTRAL_CELLS, **change})
        assert "\n" not in str(caught.value)


def test_opensta_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "cells.lib"
    power = "pin (Y) { internal_power () { } "
    path.write_text(NEUTRAL_CELLS.read_text().replace("pin (Y) {", power, 1))
    monkeypatch.setenv("LUTCORE_STA", "no-such-sta")
    with pytest.raises(InputError, match=r"^OpenSTA is missing: .*LUTCORE_STA$") as caught:
        energy(TINY, path)
    assert "\n" not in str(caught.value)
