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


def run_cocotb(folder, name):
    """The bench in Python, as its docstring says."""
    environment = os.environ | {"SIM": "icarus"}
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


@pytest.mark.parametrize("run", [run_verilog, run_cocotb])
def test_a_design_that_never_answers_fails(run, tmp_path):
    def silent(text):
        assert "results__valid <= results__valid_term;" in text
        return text.replace("results__valid <= results__valid_term;", "results__valid <= 1'b0;")

    config = PRESETS["w2a8"]
    name = written(tmp_path, config, "tile", silent)
    status, printed = run(tmp_path, name)
    assert status == 1 and "0 of 16 beats" in printed


def test_all_presets_have_words_to_play():
    for name in PRESETS:
        assert len(bench_files(preset(name), "tile")) >= 6
    for name in CORE_PRESETS:
        assert len(bench_files(preset(name), "axi")) == 4
