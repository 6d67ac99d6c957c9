"""What is said where a clock period is missed."""

import pytest

from lutcore.gen.asic.advice import CHANGES, advise, reached
from lutcore.gen.asic.synth import AreaReport
from lutcore.gen.tools.hierarchy import BLOCKS
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.presets import preset


@pytest.mark.parametrize(
    ("period", "slack", "met"),
    [(1.0, -0.034, 1.034), (1.0, -0.1516, 1.152), (5.0, -0.785, 5.785), (1.0, -0.0001, 1.001)],
)
def test_the_period_that_is_met(period, slack, met):
    assert reached(period, slack) == met
    assert reached(met, met - period + slack) <= met
    assert reached(met, 0.0) == reached(met, 0.25) == met


def test_every_block_has_changes_of_fields():
    assert set(CHANGES) == set(BLOCKS)
    assert all(change.field in DOMAINS for changes in CHANGES.values() for change in changes)


@pytest.mark.parametrize(
    ("name", "changes", "block", "advice"),
    [
        ("dense-w1a8", {}, "columns", "pipeline=1"),
        ("dense-w1a8", {"pipeline": 2}, "columns", "lookups=4"),
        ("w1a8", {"pipeline": 2}, "row_sums", "k=3"),
        ("w2a8", {}, "zero_points", "zero_points=external"),
        ("w4-fp16", {}, "aligner", "align_bits=12"),
        ("w2a8-int8-tables", {}, "rounder", "table=exact"),
        ("default", {}, "drain", "result_columns=16"),
    ],
)
def test_what_to_change(name, changes, block, advice):
    config = preset(name).replace(**changes)
    found = advise(config, {"tile": -0.001, block: -0.1})
    assert found is not None and (found.block, found.change) == (block, advice)
    field, _, value = advice.partition("=")
    config.replace(**{field: type(getattr(config, field))(value)})


def test_nothing_is_advised_where_the_rules_allow_nothing():
    assert advise(preset("dense-w1a8"), {}) is None
    assert advise(preset("dense-w1a8"), {"columns": 0.1}) is None
    assert advise(preset("dense-w1a8").replace(zero_points="external"), {"zero_points": -1}) is None


def report(slack):
    return AreaReport(
        design="t",
        config=preset("dense-w1a8").to_dict(),
        target="asic",
        liberty="cells.lib",
        blocks={"columns": 70.0, "tile": 5.0, "row_sums": 10.0, "drain": 15.0},
        area_um2=None,
        gate_equivalents=100.0,
        sequential_gate_equivalents=20.0,
        cells=80,
        period_ns=None if slack is None else 1.0,
        slack_ns=slack,
        path=[],
        block_slack_ns={} if slack is None else {"columns": slack, "tile": 0.5},
        tool_versions={},
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("slack", "met", "change"),
    [(None, None, None), (0.2, 1.0, None), (-0.2, 1.2, "pipeline=1")],
)
def test_a_report_has_core_period_and_advice(slack, met, change):
    found = report(slack).to_dict()
    assert found["core_gate_equivalents"] == 75.0
    assert found["reached_ns"] == met
    assert (found["advice"] and found["advice"]["change"]) == change


def test_the_command_prints_them(capsys):
    from lutcore.cli import synthesis

    synthesis._print_area("t", report(-0.2))
    synthesis._print_timing(report(-0.2), 1.0)
    said = capsys.readouterr().out
    assert "core: without the results' way out" in said and "75.0%" in said
    assert "1.2 ns would be met." in said
    assert "Block columns is the latest: try --set pipeline=1" in said
