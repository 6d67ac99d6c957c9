"""Benches that go with a design, run by other tools: a sound design passes, a broken one never."""

import os
import random
import re
import subprocess
import sys

import pytest

from lutcore import tools
from lutcore.gen.collateral.bench import bench_files
from lutcore.gen.emit.interfaces import TOPS
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, preset
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.sim.simulator import verilator_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(tools.find("iverilog") is None, reason="apt-get install iverilog"),
]
_TILES = ("w2a8", "ternary-a8", "w2-bf16", "w2-fp8-exact", "mac-int8", "w2a8-external")
DESIGNS = [
    *((preset(name), "tile") for name in (*_TILES, "fpga-xilinx-w1a8", "edge")),
    *((SMALL_CORES["w4a8"], top) for top in TOPS),
    *((SMALL_CORES[name], "axi") for name in ("w2a16", "ternary", "fp16", "bus-512")),
]


def written(folder, config, top, change=lambda text: text):
    files = bench_files(config, top) | {
        f"{design_name(config, top)}.v": change(verilog(config, top))
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return design_name(config, top)


def run_verilog(folder, name):
    """Icarus on the bench in Verilog: exit status and what it printed."""
    build = ["iverilog", "-g2005", "-Wall", "-o", "sim", f"{name}_tb.v", f"{name}.v"]
    assert subprocess.run(build, cwd=folder, capture_output=True, check=True).stderr == b""
    done = subprocess.run(["vvp", "-n", "sim"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout


def run_cocotb(folder, name, simulator="icarus"):
    """The bench in Python, as its docstring says."""
    environment = os.environ | {"SIM": simulator}
    done = subprocess.run(
        [sys.executable, f"test_{name}.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("config", "top"), DESIGNS, ids=lambda it: it if isinstance(it, str) else it.digest
)
def test_sound_designs_pass_in_verilog(config, top, tmp_path):
    status, printed = run_verilog(tmp_path, written(tmp_path, config, top))
    assert status == 0 and printed.startswith("PASS"), printed


@pytest.mark.parametrize(("config", "top"), DESIGNS[-12:], ids=lambda it: str(it)[:40])
def test_verilator_has_no_warning(config, top, tmp_path):
    """FuseSoC and others end where a tool warns."""
    name = written(tmp_path, config, top)
    words = ["--lint-only", "--timing", "--top-module", f"{name}_tb", f"{name}_tb.v", f"{name}.v"]
    environment = os.environ | verilator_environment()
    done = subprocess.run(
        ["verilator", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "%" not in done.stderr, done.stderr


def test_a_sound_tile_passes_in_cocotb_with_verilator(tmp_path, monkeypatch):
    for name, value in verilator_environment().items():
        monkeypatch.setenv(name, value)
    name = written(tmp_path, PRESETS["w2a8"].replace(n=2, m=1), "tile")
    status, printed = run_cocotb(tmp_path, name, "verilator")
    assert status == 0 and "PASS=1" in printed, printed


@pytest.mark.parametrize("top", TOPS)
def test_sound_designs_pass_in_cocotb(top, tmp_path):
    name = written(tmp_path, SMALL_CORES["w4a8"], top)
    status, printed = run_cocotb(tmp_path, name)
    assert status == 0 and "PASS=1" in printed, printed


def broken(text, seed):
    """One operator of the datapath exchanged."""
    lines = text.splitlines()
    sums = [at for at, line in enumerate(lines) if re.search(r"assign sum_\d+ = .* \+ ", line)]
    at = random.Random(seed).choice(sums)
    lines[at] = lines[at].replace(" + ", " - ", 1)
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("run", [run_verilog, run_cocotb])
@pytest.mark.parametrize(("name", "top"), [("w2a8", "tile"), ("edge", "core"), ("edge", "axi")])
def test_broken_designs_fail(run, name, top, tmp_path):
    name = written(tmp_path, preset(name), top, lambda text: broken(text, 1))
    status, printed = run(tmp_path, name)
    assert status == 1 and ("FAIL" in printed or "AssertionError" in printed), printed


def stuck(text, port, value):
    """The top's output at a constant, whatever drove it before."""
    driven = re.search(rf"\.(\w+)\({port}\)", text)
    if driven:
        text = text.replace(driven[0], f".{driven[1]}()", 1)
        return text.replace("endmodule", f"  assign {port} = {value};\nendmodule", 1)
    text, count = re.subn(rf"assign {port} =[^;]*;", f"assign {port} = {value};", text, count=1)
    assert count == 1
    return text


_STUCK = [
    *(
        ("axi", port, value)
        for port, value in (
            ("m_axi_awlen", "8'd0"),
            ("m_axi_arsize", "3'd0"),
            ("m_axi_awsize", "3'd7"),
            ("m_axi_awburst", "2'd0"),
            ("m_axi_wlast", "1'b1"),
            ("m_axi_araddr", "48'hfff8"),
            ("m_axi_wstrb", "~0"),
            ("irq", "1'b0"),
        )
    ),
    ("core", "cause", "4'd3"),
    ("axi-stream", "m_axis_results_tlast", "1'b0"),
]


@pytest.mark.parametrize("run", [run_verilog, run_cocotb])
@pytest.mark.parametrize(("top", "port", "value"), _STUCK)
def test_rules_of_the_bus_are_held(run, top, port, value, tmp_path):
    config = SMALL_CORES["w4a8"].replace(output_buffer=1024)
    name = written(tmp_path, config, top, lambda text: stuck(text, port, value))
    status, printed = run(tmp_path, name)
    assert status == 1, printed


@pytest.mark.parametrize("run", [run_verilog, run_cocotb])
def test_a_design_that_never_answers_fails(run, tmp_path):
    def silent(text):
        assert "results__valid <= results__valid_term;" in text
        return text.replace("results__valid <= results__valid_term;", "results__valid <= 1'b0;")

    config = PRESETS["w2a8"]
    name = written(tmp_path, config, "tile", silent)
    status, printed = run(tmp_path, name)
    assert status == 1 and re.search(r"\b0 of \d+ beats", printed)


@pytest.mark.parametrize(
    ("name", "top", "changes"),
    [
        ("board-tile", "tile", {"group_size": 64, "max_k": 64}),
        ("board-tile", "tile", {"group_size": 65, "max_k": 65}),
        ("w2a8", "tile", {"group_size": 1 << 20, "max_k": 1 << 20}),
        (
            "edge",
            "axi",
            {
                "k": 4,
                "lookups": 4,
                "bus_bits": 256,
                "group_size": 4096,
                "activation_buffer": 1 << 17,
                "weight_buffer": 1 << 17,
                "scale_buffer": 4096,
            },
        ),
    ],
)
def test_configurations_at_their_limits_have_words_to_play(name, top, changes):
    files = bench_files(preset(name).replace(**changes), top)
    assert sum(len(text) for text in files.values()) < 1 << 20


def test_all_presets_have_words_to_play():
    for name in PRESETS:
        assert len(bench_files(preset(name), "tile")) >= 6
    for name in CORE_PRESETS:
        assert len(bench_files(preset(name), "axi")) == 4
