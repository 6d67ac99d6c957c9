"""Configurations side by side: the same products on all sides."""

import pytest
from opensta import needs_opensta

from lutcore.gen.experiments import side_by_side as module
from lutcore.gen.experiments.point import ops_per_cycle
from lutcore.gen.experiments.side_by_side import FIGURES, common_bits, side_by_side
from lutcore.hdl.config.presets import preset

SIDES = {name: preset(name) for name in ("dense-w2a8", "mac-int8", "ternary-a8")}


@pytest.fixture
def measured(monkeypatch):
    """Points in place of their synthesis; the second one fails at ``fails``."""

    def install(slack=None, fails=None):
        points = []

        def record(point):
            points.append(point)
            if fails and point.config.engine == "mac":
                return {"error": fails}
            rate = ops_per_cycle(point.config, point.bits)
            area = 100.0 * len(points)
            return {
                **{"area_ge": 2 * area, "core_ge": area, "ops_per_cycle": rate, "error": None},
                **{"ge_per_op": area / rate, "slack_ns": slack, "liberty": "cells.lib"},
            }

        monkeypatch.setattr(module, "record", record)
        return points

    return install


def test_products_are_equally_wide_on_all_sides(measured):
    points = measured()
    found = side_by_side(SIDES, None, None)
    assert found["weight_bits"] == common_bits(list(SIDES.values())) == 2
    assert [point.bits for point in points] == [2, 2, 2]
    assert [point.measure for point in points] == ["area"] * 3
    first, second, _ = found["sides"]
    assert first["figures"]["products_per_cycle"] == 256  # two planes a weight
    assert second["figures"]["core_gate_equivalents"] == 200.0
    assert second["ratios"]["core_gate_equivalents"] == 2.0
    assert set(first["figures"]) == set(first["ratios"]) == set(FIGURES)
    assert first["ratios"]["core_ge_per_product"] == 1.0 and first["ratios"]["reached_ns"] is None


def test_a_missed_period_counts_with_the_one_that_is_reached(measured):
    measured(slack=-0.25)
    found = side_by_side({"a": SIDES["dense-w2a8"]}, None, 1.0)
    figures = found["sides"][0]["figures"]
    assert figures["reached_ns"] == 1.25
    assert figures["core_ge_ns_per_product"] == pytest.approx(1.25 * 100 / 256)


def test_what_fails_is_told_and_the_others_stand(measured):
    measured(fails="Yosys failed")
    dones = []
    found = side_by_side(SIDES, None, None, on_done=lambda: dones.append(1))
    assert [bool(side["errors"]) for side in found["sides"]] == [False, True, False]
    assert found["sides"][1]["errors"] == {"area": "Yosys failed"} and len(dones) == 3
    assert found["sides"][1]["ratios"]["gate_equivalents"] is None


def test_a_side_that_takes_no_such_weights(measured):
    measured()
    found = side_by_side(SIDES, None, None, 1)
    assert found["sides"][2]["errors"] == {"area": "takes weights of 2 bits, not of 1"}


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_energy_where_the_library_has_power():
    from lutcore.gen.asic.liberty import DEMO

    tiny = {"m": 1, "n": 2, "lookups": 2}
    sides = {name: preset(name).replace(**tiny) for name in ("dense-w1a8", "mac-int8")}
    found = side_by_side(sides, DEMO, 3.0)
    assert found["liberty"] == "demo.lib (synthetic)"
    for side in found["sides"]:
        assert not side["errors"] and side["slack_ns"] > 0
        figures = side["figures"]
        assert figures["energy_fj_per_product"] > figures["core_energy_fj_per_product"] > 0
