"""What other tools get of a mapped tile: netlist, models of cells and bench fit each other."""

import re
import subprocess
from pathlib import Path

import pytest
from pages import run_commands

from lutcore import tools
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.synth import netlist
from lutcore.gen.emit.rtl import design_name
from lutcore.gen.verify.handoff import netlist_files
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import PRESETS

TILES = {
    "dense": CoreConfig(
        m=1, n=2, k=2, lookups=3, table_form="subset", group_size=12, max_weight_bits=1, max_k=24,
        zero_points="external", pipeline=1,
    ),
    "ternary pairs": PRESETS["dense-ternary-a8"].replace(m=1, n=2, max_k=64),
}  # fmt: skip


def run(files, folder, *options):
    """What the bench says on Icarus Verilog."""
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = [name for name in files if name.endswith(".v")]
    subprocess.run(["iverilog", "-g2005", "-o", "bench", *sources], cwd=folder, check=True)
    done = subprocess.run(
        ["vvp", "-n", "bench", *options], cwd=folder, capture_output=True, text=True
    )
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.asic
@pytest.mark.skipif(tools.find("iverilog") is None, reason="apt-get install iverilog")
@pytest.mark.parametrize("kind", TILES)
def test_the_bench_judges_the_netlist(kind, tmp_path):
    config = TILES[kind]
    name = design_name(config)
    files = netlist_files(config, DEMO)
    assert netlist(config, DEMO) in files[f"{name}_mapped.v"]
    status, said = run(files, tmp_path)
    assert status == 0 and "PASS: " in said
    assert not list(tmp_path.glob("*.vcd"))
    run(files, tmp_path, "+waves")
    assert (tmp_path / f"{name}.vcd").stat().st_size > 10_000
    mapped = files[f"{name}_mapped.v"]
    before, _, after = mapped.rpartition("XNOR2_X1")
    files[f"{name}_mapped.v"] = f"{before}NAND2_X1{after}"
    assert "NAND2_X1 (" in files[f"{name}_cells.v"]
    status, said = run(files, tmp_path)
    assert status != 0 and "FAIL: " in said


@pytest.mark.slow
@pytest.mark.asic
@pytest.mark.skipif(tools.find("iverilog") is None, reason="apt-get install iverilog")
def test_the_commands_of_the_manual_work(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "area.md").read_text("utf-8")
    (commands,) = re.findall(r"^```sh\n(lutcore synth .*?)^```$", page, re.M | re.S)
    done = run_commands(commands, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PASS: " in done.stdout and "not met" not in done.stdout.lower()
