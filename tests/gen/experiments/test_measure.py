"""Points: rates are those of the RTL, keys follow all that matters, records add up."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.synth import NEUTRAL_CELLS
from lutcore.gen.experiments import measure as measuring
from lutcore.gen.experiments import point as pointing
from lutcore.gen.experiments.measure import measure, record
from lutcore.gen.experiments.point import Point, ops_per_cycle
from lutcore.gen.run.tile import random_activations, random_tensor, simulate
from lutcore.gen.tools.hierarchy import core
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.simulator import SIMULATORS, check_simulator

TINY = CoreConfig(m=1, n=2, k=2, max_weight_bits=1, group_size=8, max_k=64)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "measure-cache"))


# Rates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "bits", "expected"),
    [
        ({}, 1, 512),
        ({"max_weight_bits": 4}, 2, 256),
        ({"engine": "mac", "max_weight_bits": 8}, 8, 512),
        ({"n": 32, "k": 4, "lookups": 2}, 1, 512),
        # 10 slices, and 2 for a rest of two elements
        ({"n": 4, "k": 3, "group_size": 32, "result_columns": 4}, 1, 2 * 4 * 32 / 12),
        # 2 slices that wait for 4 beats of results
        ({"n": 8, "group_size": 8, "result_columns": 2}, 1, 2 * 8 * 8 / 5),
    ],
)
def test_operations_a_cycle(fields, bits, expected):
    config = CoreConfig(**{"max_weight_bits": bits, "zero_points": "external"} | fields)
    assert ops_per_cycle(config, bits) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "bits", "stalls"),
    [
        ({"n": 4, "k": 3, "group_size": 32, "result_columns": 4}, 1, False),
        ({"n": 8, "k": 4, "group_size": 8, "result_columns": 2}, 2, True),
    ],
)
def test_rate_is_that_of_the_rtl(fields, bits, stalls):
    config = CoreConfig(m=1, max_weight_bits=2, max_k=1024, zero_points="external", **fields)
    rng = np.random.default_rng(0)
    n, k = 4 * config.n, 16 * config.group_size
    weights = random_tensor((n, k), bits, config.group_size, rng, shared=True)
    simulator = SIMULATORS[-1]
    try:
        check_simulator(simulator)  # Icarus starts sooner
    except InputError:
        simulator = SIMULATORS[0]
    activations = random_activations(config, 1, k, rng)
    found = simulate(config, weights, activations, simulator=simulator)
    rate = n * k / found.issue_cycles
    predicted = ops_per_cycle(config, bits)
    assert found.mismatches == 0
    assert predicted <= rate * 1.02
    assert stalls or predicted == pytest.approx(rate, rel=0.02)


# Points ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"measure": "volume"}, "measure must be one of area, energy, .*not 'volume'"),
        ({"weight_bits": 2}, "weight_bits must be in 1..1 .*not 2"),
        ({"period": 0.0}, "period must be a positive number"),
        ({"period": float("nan")}, "period must be a positive number"),
    ],
)
def test_impossible_points_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Point(config=TINY, **fields)


def test_a_key_follows_everything_that_matters(tmp_path, monkeypatch):
    library = tmp_path / "cells.lib"
    library.write_bytes(NEUTRAL_CELLS.read_bytes())
    same = [
        Point(config=TINY),
        Point(config=TINY, weight_bits=1),
        Point(config=TINY, liberty=library),
    ]
    assert len({point.key for point in same}) == 1
    (other := tmp_path / "other.lib").write_bytes(library.read_bytes() + b"\n")
    differing = [
        Point(config=TINY.replace(n=3)),
        Point(config=TINY, measure="energy"),
        Point(config=TINY, measure="ecp5"),
        Point(config=TINY, period=1.0),
        Point(config=TINY, deepen=True),
        Point(config=TINY, liberty=other),
    ]
    keys = {point.key for point in [*differing, same[0]]}
    assert len(keys) == len(differing) + 1
    monkeypatch.setattr(pointing, "_tools", lambda *_: ["another version"])
    assert Point(config=TINY).key not in keys


def test_a_key_follows_the_sources(monkeypatch):
    """Those of the module that answers count, with all that it imports."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(cache, "sources_digest", lambda *names: asked.append(names) or "changed")
    before = Point(config=TINY).key
    assert asked == [("lutcore.gen.experiments.measure", "lutcore.gen.asic.synth")]
    monkeypatch.setattr(cache, "sources_digest", lambda *names: "again")
    assert Point(config=TINY).key != before


def test_a_record_is_flat_and_adds_up():
    found = measure(Point(config=TINY))
    assert found == json.loads(json.dumps(found))
    assert found["core_ge"] == core(found["blocks"]) < found["area_ge"]
    assert found["area_ge"] == pytest.approx(sum(found["blocks"].values()))
    assert found["columns_ge"] == found["blocks"]["columns"] < found["unit_ge"] < found["core_ge"]
    assert found["ge_per_op"] == found["core_ge"] / 4
    assert (found["closed"], found["slack_ns"], found["error"]) == (None, None, None)
    assert CoreConfig.from_dict(found["config"]) == TINY


def test_a_second_measurement_needs_no_tool(monkeypatch):
    point = Point(config=TINY.replace(name="second"))
    first = measure(point)
    monkeypatch.setattr(measuring, "synthesise", lambda *_, **__: pytest.fail("measured again"))
    assert measure(point) == first


def test_a_failure_is_a_record_and_is_not_kept(monkeypatch):
    point = Point(config=TINY.replace(name="broken"))
    for error in (ToolError("Yosys failed: no"), InputError("no cell"), ZeroDivisionError("x")):

        def fail(*_, error=error, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(measuring, "synthesise", fail)
            assert str(error) in record(point)["error"]
    assert record(point)["error"] is None


class FakeReport:
    def __init__(self, config: CoreConfig, slack: float | None, drain: float = 0.1):
        self._values = {
            "config": config.to_dict(),
            "gate_equivalents": 30.0,
            "sequential_gate_equivalents": 10.0,
            "blocks": {"columns": 20.0, "table_stage": 5.0, "drain": 5.0},
            "slack_ns": slack,
            "block_slack_ns": {} if slack is None else {"columns": slack, "drain": drain},
            "tool_versions": {},
            "seconds": 1.0,
            "area_um2": 1.0,
            "cells": 1,
            "liberty": "cells.lib",
        }

    def to_dict(self):
        return dict(self._values)


@pytest.mark.parametrize(
    ("slacks", "pipeline", "is_closed"),
    [
        ((0.1,), 0, True),
        ((-0.2, 0.0), 1, True),
        ((-0.2, -0.1, -0.15), 1, False),
        ((None,), 0, None),
    ],
)
def test_a_point_deepens_until_it_closes(slacks, pipeline, is_closed, monkeypatch):
    asked = []

    def synthesise(config, liberty, *, period):
        asked.append(config.pipeline)
        return FakeReport(config, slacks[config.pipeline])

    monkeypatch.setattr(measuring, "synthesise", synthesise)
    found = measure(Point(config=TINY, period=1.0, deepen=True), use_cache=False)
    assert asked == list(range(len(slacks)))
    assert (found["config"]["pipeline"], found["closed"]) == (pipeline, is_closed)


def test_a_point_does_not_deepen_where_that_cannot_help(monkeypatch):
    asked = []

    def synthesise(config, liberty, *, period):
        asked.append(config.pipeline)
        return FakeReport(config, -0.2, drain=-0.1)

    monkeypatch.setattr(measuring, "synthesise", synthesise)
    found = measure(Point(config=TINY, period=1.0, deepen=True), use_cache=False)
    assert (asked, found["closed"]) == ([0], False)


def test_energy_counts_what_the_area_counts(monkeypatch):
    report = {
        "energy_fj_per_op": 200.0,
        **{"internal_fj": 120.0, "switching_fj": 70.0, "leakage_fj": 10.0},
        "power_mw": 4.0,
        "blocks": {"columns": 2.0, "clock": 1.0, "drain": 1.0},
        **{"stimulus": "random", "seconds": 5.0},
    }
    answer = SimpleNamespace(to_dict=lambda: report)
    asked = []
    fake = SimpleNamespace(energy=lambda *a, **k: asked.append((a, k)) or answer)
    monkeypatch.setitem(sys.modules, "lutcore.gen.energy.energy", fake)
    monkeypatch.setattr(measuring, "synthesise", lambda config, *_, **__: FakeReport(config, 0.1))
    config = TINY.replace(max_weight_bits=4)
    point = Point(config=config, measure="energy", weight_bits=2, period=2.0)
    found = measure(point, use_cache=False)
    assert asked == [((config, None), {"period": 2.0, "weight_bits": 2})]
    assert (found["energy_fj_per_op"], found["core_fj_per_op"]) == (200.0, 150.0)
    assert (found["seconds"], found["error"]) == (6.0, None)


def test_an_area_outlives_an_energy_that_fails(monkeypatch):
    def fail(*_, **__):
        raise ToolError("Icarus failed")

    monkeypatch.setitem(sys.modules, "lutcore.gen.energy.energy", SimpleNamespace(energy=fail))
    monkeypatch.setattr(measuring, "synthesise", lambda config, *_, **__: FakeReport(config, 0.1))
    found = measure(Point(config=TINY, measure="energy", period=1.0), use_cache=False)
    assert (found["error"], found["closed"]) == ("energy: Icarus failed", True)
    assert found["core_ge"] == 25.0 and "core_fj_per_op" not in found


@pytest.mark.parametrize(("slack", "is_closed"), [(0.0, True), (-0.1, False), (None, None)])
def test_units_of_their_own_are_points_too(slack, is_closed, monkeypatch):
    report = {
        **{"gate_equivalents": 8000.0, "slack_ns": slack, "pipeline": 7, "config": {"kind": "x"}},
        **{"unit_gate_equivalents": 6000.0, "precompute_gate_equivalents": 2000.0},
        **{"liberty": "cells.lib", "tool_versions": {}, "seconds": 1.0},
    }
    asked = []
    fake = SimpleNamespace(measure=lambda *a: asked.append(a) or report)
    monkeypatch.setitem(sys.modules, "lutcore.gen.experiments.dp4", fake)
    found = measure(Point(config=TINY, measure="dp4", unit="fused", period=1.0), use_cache=False)
    assert asked == [("fused", 1.0, None)]
    assert (found["design"], found["ge_per_op"]) == ("dp4-fused", 2000.0)
    assert (found["unit_ge"], found["precompute_ge"]) == (6000.0, 2000.0)
    assert (found["closed"], found["pipeline"]) == (is_closed, 7)


@pytest.mark.slow
def test_a_unit_has_an_area_without_a_library():
    """The recipe for speed needs delays, which the neutral library has not."""
    found = measure(Point(config=TINY, measure="dp4", unit="lut-aligned"))
    assert 300 < found["area_ge"] < 3000
    assert (found["closed"], found["slack_ns"], found["error"]) == (None, None, None)
