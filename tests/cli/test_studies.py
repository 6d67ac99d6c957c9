"""The commands ``study`` and ``explore`` as a user meets them."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from opensta import needs_opensta

from lutcore.files import LEDGER
from lutcore.gen.asic.synth import NEUTRAL_CELLS

pytestmark = pytest.mark.slow

SPACE = """
[measure]
target = "TARGET"
[fixed]
m = 1
max_weight_bits = 1
group_size = 16
zero_points = "external"
k = 2
[space]
n = [1, 2, 3]
[objectives]
AREA = "min"
ops_per_cycle = "max"
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "studies-cache"))


@pytest.fixture
def space(tmp_path):
    def write(target: str = "asic", area: str = "core_ge"):
        path = tmp_path / "space.toml"
        path.write_text(SPACE.replace("TARGET", target).replace("AREA", area))
        return path

    return write


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "lutcore.cli.main", *map(str, arguments)]


def lutcore(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True)


def in_process(monkeypatch, *arguments) -> int | str | None:
    """Exit status of the command in this process, where its parts can be replaced."""
    from lutcore.cli import main

    monkeypatch.setattr(sys, "argv", ["lutcore", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main.main()
    return stop.value.code


def test_help_names_the_commands():
    text = lutcore("--help").stdout
    assert "study" in text and "explore" in text
    text = lutcore("study", "--help").stdout
    for option in ("--liberty", "--period", "--jobs", "--reduced", "--scheduler", "--json"):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study", "fig11"), "no study 'fig11'; studies: k-sweep, dp4"),
        (("study", "dp4", "--period", 1), "--period needs --liberty"),
        (("study", "dp4", "--liberty", "no.lib"), "no.lib: no such file"),
        (("study", "dp4", "--liberty", "text.lib"), "text.lib: not a Liberty file"),
        (("study", "dp4", "--liberty", "gates.lib"), "gates.lib: no D flip-flop cell"),
        (("study", "ablation", "-o", "/proc/none"), "cannot write to /proc/none"),
        (("explore", "no.toml"), "cannot read space no.toml: No such file"),
        (("explore", "text.lib"), "text.lib: not valid TOML"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "text.lib").write_text("not a library\n")
    gates = re.sub(r"\n    ff .*?\}", "", NEUTRAL_CELLS.read_text(), flags=re.DOTALL)
    (tmp_path / "gates.lib").write_text(gates)
    monkeypatch.chdir(tmp_path)
    assert in_process(monkeypatch, *arguments) == 2
    out, said = capsys.readouterr()
    lines = [line for line in said.splitlines() if "not compared" not in line]
    assert len(lines) == 1 and message in lines[0]
    assert out == ""
    assert {path.name for path in tmp_path.iterdir()} == {"text.lib", "gates.lib"}


def test_a_missing_opensta_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lutcore.gen.experiments.campaign.sta_command", lambda: None)
    arguments = ("study", "dp4", "--liberty", NEUTRAL_CELLS, "--period", 1, "-o", tmp_path)
    assert in_process(monkeypatch, *arguments) == 2
    assert "OpenSTA is missing: apt-get install opensta" in capsys.readouterr().err


def test_areas_without_timing_are_listed_but_not_compared(space, tmp_path):
    result = lutcore("explore", space(), "-o", tmp_path / "out", "--json")
    assert result.returncode == 1, result.stderr
    assert "no --liberty: areas are listed without timing, and not compared" in result.stderr
    assert "the front is empty" in result.stderr
    found = json.loads(result.stdout)
    assert found["counts"] == {
        **{"points": 3, "compared": 0, "slower": 0, "not_closed": 0, "not_analysed": 3, "failed": 0}
    }
    assert found["exploration"]["front"] == 0
    assert all(row["core_ge"] > 0 for row in found["rows"])
    names = {path.name for path in (tmp_path / "out").iterdir()} - {LEDGER}
    assert names == {"points", "space.csv", "space.html", "space.json"}


@needs_opensta
def test_an_exploration_on_the_synthetic_library(space, tmp_path):
    """Areas with closed timing are compared; whatever shows them says what they are of."""
    options = ("--liberty", "demo", "--period", 3, "-o", tmp_path / "out")
    result = lutcore("explore", space(), *options)
    assert result.returncode == 0, result.stderr
    assert "Exploration of space.toml, on demo.lib (synthetic)" in result.stdout
    assert "3 points, 3 compared" in result.stdout
    found = json.loads((tmp_path / "out" / "space.json").read_text())
    assert {row["liberty"] for row in found["rows"]} == {"demo.lib (synthetic)"}
    assert all("--liberty demo --period 3.0" in row["command"] for row in found["rows"])
    for name in ("space.html", "space-front.svg"):
        assert "demo.lib (synthetic)" in (tmp_path / "out" / name).read_text()


def test_an_exploration_of_an_fpga(space, tmp_path):
    result = lutcore("explore", space("ice40", "core_luts"), "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "3 points, 3 compared" in result.stdout
    assert result.stdout.rstrip().endswith("space.html")
    found = json.loads((tmp_path / "out" / "space.json").read_text())
    front = [row for row in found["rows"] if row["series"] == "front"]
    assert front and all(row["core_luts"] > 0 for row in front)
    assert (tmp_path / "out" / "space-front.svg").exists()


def test_an_interrupt_keeps_points_and_a_restart_goes_on(space, tmp_path):
    """Ctrl-C reaches the command, its workers and their tools alike."""
    arguments = command("explore", space(), "-o", tmp_path / "out", "--jobs", 2)
    process = subprocess.Popen(
        arguments, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    points = tmp_path / "out" / "points"
    while not list(points.glob("*.json")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    kept = {path: path.stat().st_mtime_ns for path in points.glob("*.json")}
    assert process.returncode == 130
    assert f"interrupted: {len(kept)} finished points are kept" in said
    assert "Traceback" not in said
    lutcore("explore", space(), "-o", tmp_path / "out")
    assert len(list(points.glob("*.json"))) == 3
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


def test_failed_points_end_with_status_1_and_the_reason(space, tmp_path, monkeypatch, capsys):
    from lutcore.errors import ToolError
    from lutcore.gen.experiments import measure

    def fail(*_, **__):
        raise ToolError("Yosys failed: no memory")

    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(measure, "synthesise", fail)
    assert in_process(monkeypatch, "explore", space(), "-o", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "points failed: Yosys failed: no memory; run it again to try them again" in said
    assert json.loads((tmp_path / "out" / "space.json").read_text())["counts"]["failed"] == 3


def test_a_missing_extra_is_named(space, monkeypatch, capsys):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert in_process(monkeypatch, "explore", space()) == 2
    assert "matplotlib is missing: pip install 'lut-tensor-core[study]'" in capsys.readouterr().err
