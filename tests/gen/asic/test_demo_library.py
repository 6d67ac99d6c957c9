"""The library that ``--liberty demo`` stands for: its rules, tools that read it, its name."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from opensta import needs_opensta

from lutcore.gen.asic.delays import CellDelays
from lutcore.gen.asic.liberty import DEMO, DEMO_CELLS, library_name, library_path, read_bytes
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.synth import NEUTRAL_CELLS, synthesise
from lutcore.gen.experiments import dp4
from lutcore.gen.experiments.point import Point
from lutcore.gen.experiments.points import Settings
from lutcore.gen.experiments.results import result
from lutcore.gen.explore.space import load_space
from lutcore.gen.tools.opensta import run_sta
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.core import CoreConfig

pytestmark = [pytest.mark.slow, pytest.mark.asic]

TEXT = DEMO_CELLS.read_text()
LIBRARY = parse(DEMO_CELLS.read_bytes(), "demo")
TINY = CoreConfig(m=1, n=1, k=2, max_weight_bits=1, max_k=256, zero_points="external")
SMALL = ("--set", "n=4", "--set", "max_k=256", "--set", "group_size=32")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    """Nothing that an earlier run left may answer, but tests of this file share their results."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "demo-cache"))


def lutcore(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "lutcore.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


# Content -----------------------------------------------------------------------------------------

#: Parasitics, as the file's head lists them.
PARASITICS = {
    **{"INV_X1": 1, "INV_X2": 1, "INV_X4": 1, "BUF_X1": 3, "BUF_X2": 4, "BUF_X4": 4},
    **{"NAND2_X1": 2, "NAND2_X2": 2, "NAND2_X4": 2, "NOR2_X1": 2, "NOR2_X2": 2},
    **{"AOI21_X1": 3, "OAI21_X1": 3, "AOI22_X1": 4, "OAI22_X1": 4},
    **{"XOR2_X1": 5, "XNOR2_X1": 5, "MUX2_X1": 5, "ICG_X1": 4},
    **{("HA_X1", "S"): 6, ("HA_X1", "CO"): 3},
    **{("FA_X1", "S"): 11, ("FA_X1", "S", "CI"): 9, ("FA_X1", "CO"): 8, ("FA_X1", "CO", "CI"): 6},
    **{("DFF_X1", "Q"): 12, ("DFF_X1", "QN"): 13, ("DFF_X2", "Q"): 12, ("DFF_X2", "QN"): 13},
}


def parasitic(cell: str, source: str, target: str) -> float:
    for key in ((cell, target, source), (cell, target), cell):
        if key in PARASITICS:
            pins = LIBRARY.cells[cell].inputs
            return PARASITICS[key] + (0 if cell == "FA_X1" else pins.index(source) / 2)
    raise KeyError(cell)


def test_the_head_says_that_it_is_synthetic():
    head = TEXT.partition("*/")[0]
    for words in ("SYNTHETIC", "no process", "No figure made with it may be quoted", "Apache-2.0"):
        assert words in head
    assert LIBRARY.name == "lutcore_demo"


@pytest.mark.parametrize("name", LIBRARY.cells)
def test_delays_follow_their_rule(name):
    cell, strength = LIBRARY.cells[name], int(name[-1])
    found = CellDelays(cell)
    assert cell.max_load == 32 * strength
    assert {target for _, _, target, _ in found.arcs} == set(cell.outputs)
    for (source, _, target, edge), (delay, transition) in found.arcs.items():
        slew, load = delay.x[:, None], delay.y[None, :]
        scale, intrinsic = (1.0, 0.9)[edge], 0.006 * parasitic(name, source, target)
        rule = scale * (intrinsic + 0.003 * load / strength + 0.2 * slew)
        assert np.allclose(delay.values, rule, atol=1e-9)
        rule = scale * (intrinsic + 0.006 * load / strength + 0.1 * slew)
        assert np.allclose(transition.values, rule, atol=1e-9)
    assert bool(found.setups) == cell.storage
    for (_, edge), setup in found.setups.items():
        rule = (1.0, 0.9)[edge] * (0.04 + 0.2 * setup.x[:, None] - 0.1 * setup.y[None, :])
        assert np.allclose(setup.values, rule, atol=1e-9)


def test_areas_are_those_of_the_neutral_library():
    """In gates, at the least strength; strengths exchange area for load."""
    neutral = parse(NEUTRAL_CELLS.read_bytes(), "cells.lib")
    both = [name for name in neutral.cells if f"{name}_X1" in LIBRARY.cells]
    assert len(both) == 14
    for name in both:
        assert LIBRARY.cells[f"{name}_X1"].area == 2 * neutral.cells[name].area
    families = set(LIBRARY.variants.values())
    assert {tuple(name[-1] for name in family) for family in families} == {
        *(("1",), ("1", "2"), ("1", "2", "4"))
    }
    for family in families:
        areas = [LIBRARY.cells[name].area for name in family]
        assert areas == sorted(set(areas))


@needs_opensta
def test_opensta_reads_it_without_a_word():
    printed, _ = run_sta("read_liberty demo.lib", {"demo.lib": DEMO_CELLS.read_bytes()})
    assert printed == ""


def test_yosys_reads_it_without_a_warning():
    """Every cell, the clock gate's too, and no flip-flop is left."""
    script = [
        "tee -o said.txt read_liberty demo.lib",
        "write_json cells.json",
        "design -reset",
        "read_verilog design.v",
        "synth -top top",
        "tee -a said.txt dfflibmap -liberty demo.lib",
        "tee -a said.txt abc -liberty demo.lib",
        "write_json mapped.json",
    ]
    verilog = "module top(input c, a, b, output reg y); always @(posedge c) y <= a ^ b; endmodule"
    files = {"demo.lib": DEMO_CELLS.read_bytes(), "design.v": verilog.encode()}
    outputs = run_yosys("\n".join(script), files, ("said.txt", "cells.json", "mapped.json"))
    assert "warning" not in outputs["said.txt"].lower()
    assert json.loads(outputs["cells.json"])["modules"].keys() == LIBRARY.cells.keys()
    mapped = json.loads(outputs["mapped.json"])["modules"]["top"]["cells"].values()
    assert sorted(cell["type"] for cell in mapped) == ["DFF_X1", "XOR2_X1"]


# Name --------------------------------------------------------------------------------------------


def test_the_word_wins_over_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("demo").write_text("a file")
    assert library_path("demo") == DEMO and read_bytes(DEMO) == DEMO_CELLS.read_bytes()
    for text in ("./demo", str(tmp_path / "demo")):
        assert read_bytes(library_path(text)) == b"a file"
        assert library_name(library_path(text)) == "demo"
    assert library_path("cells.lib.gz") == Path("cells.lib.gz")
    assert library_path("demo", tmp_path) == DEMO
    assert library_path("./demo", tmp_path) == tmp_path / "demo"


def test_reports_say_that_it_is_synthetic():
    name = "demo.lib (synthetic)"
    assert library_name(DEMO) == library_name(DEMO_CELLS) == name
    report = synthesise(TINY, DEMO)
    assert report.liberty == name and report.area_um2 is None
    assert synthesise(TINY, [DEMO]).liberty == name
    assert Point(config=TINY, liberty=DEMO).facts()["liberty"] == name
    assert Point(config=TINY, liberty=DEMO).key == Point(config=TINY, liberty=DEMO_CELLS).key
    settings = Settings(liberty=DEMO, period=1.0)
    empty = {"rows": [], "findings": [], "plots": [], "columns": []}
    found = result(name="x", title="X", method="", command="", settings=settings, **empty)
    assert found["settings"]["liberty"] == name


def test_a_space_names_it(tmp_path):
    space = tmp_path / "space.toml"
    text = '[measure]\nliberty = "LIBERTY"\n[space]\nn = [1, 2]\n[objectives]\ncore_ge = "min"\n'
    for liberty, expected in (("demo", DEMO), ("./demo", tmp_path / "demo")):
        space.write_text(text.replace("LIBERTY", liberty))
        assert load_space(space).liberty == expected


# Commands ----------------------------------------------------------------------------------------


def test_synth_lists_areas_on_it():
    result = lutcore("synth", "w2a8", *SMALL, "--liberty", "demo")
    assert result.returncode == 0, result.stderr
    assert "area on demo.lib (synthetic)" in result.stdout
    assert "um2" not in result.stdout
    assert "timing: not analysed (no --period)" in result.stdout


@needs_opensta
def test_synth_meets_a_period_on_it():
    external = ("--set", "zero_points=external", "--set", "max_weight_bits=1", "--set", "m=1")
    result = lutcore("synth", "w2a8", *SMALL, *external, "--liberty", "demo", "--period", 2)
    assert result.returncode == 0, result.stderr
    assert "area on demo.lib (synthetic)" in result.stdout
    assert re.search(r"timing: 2\.0 ns met, slack 0\.\d+ ns", result.stdout)
    assert re.search(r"^  0\.\d+ \S+/QN? DFF_X\d$", result.stdout, re.MULTILINE)


def test_a_file_named_like_the_word(tmp_path):
    (tmp_path / "demo").write_text("a file")
    result = lutcore("synth", "w2a8", "--liberty", "./demo", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.endswith("demo: not a Liberty file: give one (.lib or .lib.gz)\n")
    assert lutcore("synth", "w2a8", *SMALL, "--liberty", "demo", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("command", ["synth", "study", "explore"])
def test_help_names_it(command):
    text = " ".join(re.sub(r"[│\s]+", " ", lutcore(command, "--help").stdout).split())
    assert "demo: a small synthetic one, for trying" in text


def test_the_table_of_units_names_it():
    report = {"slack_ns": 0.1, "gate_equivalents": 1.0, "pipeline": 1, "liberty": "demo.lib (x)"}
    kinds = (*dp4.KINDS, *dp4.LUT_KINDS)
    shown = dp4.table(dict.fromkeys(kinds, report), dict.fromkeys(kinds, 0.1))
    assert str(shown.title).endswith("on demo.lib (x)")
