"""The commands ``energy``, ``compare`` and ``synth``: areas, times and energies."""

import json

import pytest
from command_line import lutcore
from opensta import needs_opensta

from lutcore.gen.asic.synth import NEUTRAL_CELLS

TINY = ("--set", "m=1", "--set", "n=2", "--set", "lookups=2")


def test_energy_without_a_library_says_what_to_give():
    result = lutcore("energy", "edge")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "a library with power data: give a Liberty file (--liberty FILE; " in result.stderr
    assert "--liberty demo" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edge"], "compare takes two configurations or more"),
        (["edge", "edge"], "one of them stands twice"),
        (["edge", "egde"], "did you mean 'edge'?"),
        (["edge", "default", "--period", "1"], "--period needs --liberty"),
    ],
)
def test_compare_says_what_is_wrong(arguments, message):
    result = lutcore("compare", *arguments)
    assert result.returncode == 2 and message in result.stderr and result.stdout == ""


CELLS = NEUTRAL_CELLS.read_text()
#: What is replaced in the neutral library, by what, and what is said of it.
BAD = {
    "no-buffer": (
        "cell (BUF)",
        "cells (BUF)",
        ": no buffer cell with an area: give a library with",
    ),
    "statetable": ("ff (", "statetable (", ", line 149: no D flip-flop cell, and DFF has a state"),
    "no-unit": (
        "clock : true;",
        "capacitance : 1;",
        ", line 20: library (lutcore_gate_equivalents",
    ),
    "unknown-unit": (") {", ') {\n time_unit : "1us/2";', ", line 21: unknown time_unit '1us/2'"),
    "no-quote": ('"!A"', '"!A', ", line 24: a string begins that does not end in its line: close"),
    "cut": (
        "}\n}",
        "}",
        ", line 20: library (lutcore_gate_equivalents) does not end: close it; if",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_library_that_does_not_do_is_told_in_one_line(case, tmp_path):
    old, new, message = BAD[case]
    assert old in CELLS
    (tmp_path / "bad.lib").write_text(CELLS.replace(old, new, 1))
    result = lutcore("synth", "edge", "--liberty", "bad.lib", cwd=tmp_path)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and f"bad.lib{message}" in result.stderr


@pytest.mark.slow
@pytest.mark.asic
def test_compare_shows_both_sides_and_the_failed_one():
    names = ("dense-w1a8", "mac-int8", "dense-w2a8")
    found = json.loads(lutcore("compare", *names, *TINY, "--json").stdout)
    assert [side["name"] for side in found["sides"]] == list(names)
    assert found["weight_bits"] == 1 and found["period_ns"] is None
    assert found["sides"][0]["ratios"]["core_gate_equivalents"] == 1
    assert found["sides"][1]["ratios"]["core_ge_per_product"] > 1
    table = lutcore("compare", *names, *TINY, "--bits", 2, COLUMNS="140")
    assert table.returncode == 1
    assert "area: takes weights of 1 bits, not of 2" in table.stdout


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_energy_of_a_product_on_the_synthetic_library():
    options = ("--liberty", "demo", "--period", 3)
    found = json.loads(lutcore("energy", "dense-w1a8", *TINY, *options, "--json").stdout)
    assert found["liberty"] == "demo.lib (synthetic)" and found["slack_ns"] > 0
    assert found["energy_fj_per_op"] > found["core_energy_fj_per_op"] > 0
    table = lutcore("energy", "dense-w1a8", *TINY, *options)
    assert table.returncode == 0 and "fJ a product" in table.stdout


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_energy_without_a_period_takes_one_that_is_met():
    words = ("energy", "w2a8", "--set", "m=1", "--set", "n=2", "--liberty", "demo", "--json")
    ended = lutcore(*words)
    found = json.loads(ended.stdout)
    assert ended.returncode == 0 and found["slack_ns"] >= 0 and found["period_ns"] > 1
    late = lutcore(*words, "--period", 1)
    assert late.returncode == 1 and json.loads(late.stdout)["slack_ns"] < 0


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_synth_says_what_period_would_be_met():
    options = ("--liberty", "demo", "--period", 0.2)
    found = lutcore("synth", "dense-w1a8", *TINY, *options, "--json")
    report = json.loads(found.stdout)
    assert found.returncode == 1 and report["reached_ns"] > 0.2
    assert 0 < report["core_gate_equivalents"] < report["gate_equivalents"]
    text = lutcore("synth", "dense-w1a8", *TINY, *options).stdout
    assert f"{report['reached_ns']} ns would be met." in text
    assert f"try --set {report['advice']['change']}" in text
