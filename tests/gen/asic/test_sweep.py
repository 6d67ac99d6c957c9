"""Sweeps over periods and cuts: which points there are, which is the best, what is written."""

import dataclasses
import json

import pytest
from command_line import lutcore
from opensta import needs_opensta

from lutcore.errors import InputError
from lutcore.gen.asic import sweep as sweeping
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.sweep import cuts, periods, sweep
from lutcore.gen.asic.synth import AreaReport, synthesise
from lutcore.hdl.config.core import CoreConfig

DENSE = CoreConfig(
    m=1, n=1, k=2, lookups=3, table_form="subset", group_size=12, max_weight_bits=1,
    zero_points="external", pipeline=1,
)  # fmt: skip

REPORT = AreaReport(
    design="d", config=DENSE.to_dict(), target="asic", liberty="l", blocks={}, area_um2=None,
    gate_equivalents=0.0, sequential_gate_equivalents=0.0, cells=1, period_ns=1.0, slack_ns=0.0,
    path=[], block_slack_ns={}, tool_versions={}, seconds=0.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.6:1.0", [0.6, 0.7, 0.8, 0.9, 1.0]),
        ("1:1", [1.0]),
        ("0.6:1.0:0.15", [0.6, 0.75, 0.9]),
        ("2:3:1", [2.0, 3.0]),
    ],
)
def test_periods(text, wanted):
    assert periods(text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.6", "LOW:HIGH"),
        ("a:b", "LOW:HIGH"),
        ("1:2:3:4", "LOW:HIGH"),
        ("1:0.5", "LOW <= HIGH"),
        ("0:1", "0 < LOW"),
        ("-1:1", "0 < LOW"),
        ("nan:1", "0 < LOW"),
        ("1:inf", "0 < LOW"),
        ("1:2:0", "STEP > 0"),
        ("1:2:0.001", "at most 100"),
    ],
)
def test_what_is_no_sweep(text, said):
    with pytest.raises(InputError, match=said):
        periods(text)


def test_cuts_are_those_that_differ():
    """Three entries leave two rows after the first level: all cuts but the whole sum are one."""
    assert [config.pipeline_cut for config in cuts(DENSE)] == [6, 0]
    assert cuts(DENSE.replace(pipeline=0)) == []
    few = {config.pipeline_cut for config in cuts(DENSE.replace(lookups=1))}
    many = {config.pipeline_cut for config in cuts(DENSE.replace(lookups=6))}
    assert len(few) < len(many)


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_the_best_of_a_sweep(tmp_path, monkeypatch):
    """Every point is what ``synthesise`` says; a missed period counts as the one that is met."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))
    said = []
    found = sweep(DENSE, DEMO, [0.05, 3.0], told=said.append)
    assert [report.period_ns for report in found.periods] == [0.05, 3.0]
    early, late = found.periods
    assert early.slack_ns is not None and late.slack_ns is not None
    assert early.slack_ns < 0 <= late.slack_ns
    assert early.reached_ns is not None and early.reached_ns > 0.05 and late.reached_ns == 3.0
    for report in (*found.periods, *found.cuts):
        assert report == synthesise(
            CoreConfig.from_dict(report.config), DEMO, period=report.period_ns
        )
        area = report.core_gate_equivalents * (report.reached_ns or 0)
        assert report.core_ge_ns == pytest.approx(area / 6)
    rates = {id(r): r.core_ge_ns or 0 for r in (*found.periods, *found.cuts)}
    assert rates[id(found.best)] == min(rates.values()) > 0
    at_best = min(found.periods, key=lambda r: rates[id(r)]).period_ns
    assert {report.period_ns for report in found.cuts} == {at_best}
    assert len(said) == len(found.periods) + len(found.cuts)
    source = tmp_path / "own.toml"
    source.write_text(DENSE.replace(name="own").to_toml())
    command = ["synth", str(source), "--liberty", "demo", "--sweep", "0.05:3:2.95"]
    ended = lutcore(*command, "-o", str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    told = ended.stdout
    assert f"best: {found.best.reached_ns:g} ns, pipeline_cut={DENSE.pipeline_cut}" in told
    written = json.loads((tmp_path / "out" / "own-sweep.json").read_text())
    assert written["best"]["core_ge_ns"] == found.best.core_ge_ns
    assert (tmp_path / "out" / "own-sweep.svg").read_text().startswith("<?xml")


def test_a_longer_period_takes_no_more_area_and_the_best_is_searched(monkeypatch):
    """Sizing that is worse at 0.9 ns than at 0.8 ns, and misses all below 0.72 ns."""
    asked = []

    def made(config, liberty, *, period):
        asked.append(period)
        area = 120.0 if period == 0.9 else 50 / period
        slack = period - 0.72 if period < 0.72 else 0.01
        return dataclasses.replace(
            REPORT, period_ns=period, slack_ns=slack, blocks={"columns": area},
            block_slack_ns={"columns": slack}, config=config.to_dict(),
        )  # fmt: skip

    monkeypatch.setattr(sweeping, "synthesise", made)
    monkeypatch.setattr(sweeping, "sta_command", lambda: "sta")
    monkeypatch.setattr(sweeping, "cuts", lambda config: [config])
    found = sweep(DENSE, DEMO, [0.7, 0.8, 0.9, 1.0], halvings=2)
    assert asked[:4] == [0.7, 0.8, 0.9, 1.0]
    assert all(0.7 <= period <= 1.0 for period in asked)
    assert min(abs(period - 0.72) for period in asked) <= 0.026
    areas = {r.period_ns: r.core_gate_equivalents for r in found.periods}
    assert list(areas) == sorted(asked)
    met = [r for r in found.periods if (r.slack_ns or 0) >= 0]
    assert [r.core_gate_equivalents for r in met] == sorted(
        (r.core_gate_equivalents for r in met), reverse=True
    )
    assert areas[0.9] == areas[max(period for period in asked if 0.72 <= period < 0.9)]
    moved = next(r for r in found.periods if r.period_ns == 0.9)
    assert moved.slack_ns == moved.block_slack_ns["columns"] == pytest.approx(0.06, abs=0.06)
    assert moved.reached_ns == 0.9
    assert sweep(DENSE, DEMO, [0.8], halvings=2).best.period_ns == 0.8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sweep", "1:2", "--period", "1"], "leave --period out"),
        (["--sweep", "1:2", "--target", "ecp5"], "for target asic"),
        (["-o", "x", "--target", "ecp5"], "for target asic"),
        (["--sweep", "2"], "LOW:HIGH"),
    ],
)
def test_options_that_do_not_fit(arguments, said):
    ended = lutcore("synth", "dense-w1a8", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr and ended.stderr.count("\n") == 1
