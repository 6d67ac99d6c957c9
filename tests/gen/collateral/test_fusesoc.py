"""Cores of FuseSoC, run by FuseSoC with the tools of Python packages; and its generator."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import yaml

from lutcore.files import LEDGER
from lutcore.gen.collateral.fusesoc import LIBRARY, fusesoc_core
from lutcore.gen.collateral.fusesoc_generator import main
from lutcore.gen.tools.launchers import toolbox

DESIGN = """module adder(input wire clk, input wire [7:0] a, output reg [7:0] y);
  always @(posedge clk) y <= a + 8'd1;
endmodule
"""
WRAPPER = """module adder_wrapper(input logic clk, input logic [7:0] a, output logic [7:0] y);
  adder inner (.clk(clk), .a(a), .y(y));
endmodule
"""
BENCH = """module adder_tb;
  reg clk = 0;
  reg [7:0] values [0:1];
  wire [7:0] y;
  adder dut (.clk(clk), .a(values[0]), .y(y));
  always #5 clk = ~clk;
  initial begin
    $readmemh("adder_values.hex", values);
    repeat (2) @(posedge clk);
    #1 if (y !== values[1]) $fatal(1, "wrong");
    $display("PASS");
    $finish;
  end
endmodule
"""
FILES = {
    "adder.v": (DESIGN, "rtl"),
    "adder_wrapper.sv": (WRAPPER, "systemverilog"),
    "adder_tb.v": (BENCH, "testbench"),
    "adder_values.hex": ("7f\n80\n", "vectors"),
    "adder.ys": ("read_verilog adder.v\nsynth -top adder\nstat\nwrite_json gates.json\n", "yosys"),
    "adder.sdc": ("create_clock -period 1 [get_ports clk]\n", "sdc"),
}
SYSTEM = """CAPI=2:
name: "me:mine:system:1.0"
filesets:
  parts: {{depend: ["lutcore:tensor_cores:generator"]}}
  rtl: {{files: [system.v: {{file_type: verilogSource}}]}}
generate:
  tile: {{generator: lutcore, parameters: {parameters}}}
targets:
  default:
    filesets: [parts, rtl]
    generate: [tile]
    toplevel: system
    flow: lint
    flow_options: {{tool: verilator}}
"""


ADDER = "lutcore:tensor_cores:adder"


def core(but=(), **more):
    roles = {name: role for name, (_, role) in FILES.items() if role not in but}
    return fusesoc_core("adder", 'An "adder": of é', "0.2.0", roles, **more)


def fusesoc(folder, *words):
    """FuseSoC in a folder, as after ``eval "$(lutcore env)"``."""
    box = toolbox()
    variables = {
        "PATH": f"{box.folder}:{os.environ['PATH']}",
        "VERILATOR_ROOT": str(box.verilator_root),
        "FUSESOC_CORES": str(LIBRARY),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
    }
    start = "from fusesoc.main import main; main()"
    return subprocess.run(
        [sys.executable, "-P", "-c", start, *words],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def cores(tmp_path):
    """A folder with the adder's core, beside an empty one."""
    (tmp_path / "cores").mkdir()
    (tmp_path / "empty").mkdir()
    for name, (text, _) in FILES.items():
        (tmp_path / "cores" / name).write_text(text)
    (tmp_path / "cores" / "adder.core").write_text(core(), encoding="utf-8")
    return tmp_path / "cores"


def run(cores, target):
    empty = cores.parent / "empty"
    done = fusesoc(empty, "--cores-root=../cores", "run", f"--target={target}", ADDER)
    return done, empty / "build" / f"{ADDER.replace(':', '_')}_0.2.0" / target


# The text -----------------------------------------------------------------------------------------


def test_the_text_is_that_of_a_core():
    head, _, body = core().partition("\n")
    facts = yaml.safe_load(body)
    assert head == "CAPI=2:"
    assert facts["name"] == f"{ADDER}:0.2.0" and facts["description"] == 'An "adder": of é'
    assert set(facts["targets"]) == {"default", "lint", "sim", "synth"}
    assert facts["targets"]["sim"]["toplevel"] == "adder_tb"
    listed = {
        name for group in facts["filesets"].values() for file in group["files"] for name in file
    }
    assert listed == set(FILES)


def test_no_bench_no_simulation():
    facts = yaml.safe_load(core(but=("testbench", "vectors", "sdc")).partition("\n")[2])
    assert set(facts["targets"]) == {"default", "lint", "synth"}
    used = [name for target in facts["targets"].values() for name in target["filesets"]]
    assert set(used) == {"rtl", "systemverilog", "synthesis"}


def test_constraints_are_not_for_who_uses_the_core():
    sets = yaml.safe_load(core().partition("\n")[2])["targets"]["default"]["filesets"]
    assert sets == ["rtl", "systemverilog", "is_toplevel? (constraints)"]


def test_another_name_and_comments():
    text = core(vlnv="a:b:c:2.0", comment="# one\n# two: 2\n")
    assert text.startswith("CAPI=2:\n# one\n# two: 2\nname: ")
    assert yaml.safe_load(text.partition("\n")[2])["name"] == "a:b:c:2.0"


# FuseSoC ------------------------------------------------------------------------------------------


def test_lint(cores):
    done, _ = run(cores, "lint")
    assert done.returncode == 0, done.stdout
    source = cores / "adder.v"
    source.write_text(DESIGN.replace("8'd1", "9'd1"))
    done, _ = run(cores, "lint")
    assert done.returncode != 0 and "WIDTH" in done.stdout


@pytest.mark.slow
def test_simulation(cores):
    done, _ = run(cores, "sim")
    assert done.returncode == 0 and "\nPASS\n" in done.stdout, done.stdout
    (cores / "adder_values.hex").write_text("7f\n81\n")
    done, _ = run(cores, "sim")
    assert done.returncode != 0 and "PASS" not in done.stdout


def test_synthesis(cores):
    done, work = run(cores, "synth")
    assert done.returncode == 0, done.stdout
    assert "$_DFF_P_" in (work / "gates.json").read_text()
    assert "cells" in (work / "yosys.log").read_text()
    (cores / "adder.v").write_text(DESIGN.replace("adder(", "other("))
    assert run(cores, "synth")[0].returncode != 0


def test_a_library(cores):
    empty = cores.parent / "empty"
    assert fusesoc(empty, "library", "add", "ours", "../cores").returncode == 0
    assert fusesoc(empty, "run", "--target=lint", ADDER).returncode == 0


# The generator ------------------------------------------------------------------------------------


def system(folder, parameters):
    (folder / "system.core").write_text(SYSTEM.format(parameters=parameters))
    (folder / "system.v").write_text(
        "module system(input wire clk, output wire y);\n"
        "  mine_tile tile (.clk(clk), .rst(1'b0), .results__valid(y));\nendmodule\n"
    )
    (folder / "mine.toml").write_text("m = 1\nn = 2\nmax_k = 256\n")
    return fusesoc(folder, "--cores-root=.", "run", "me:mine:system")


def test_fusesoc_generates(tmp_path):
    """The design is a part of a system, which Verilator finds whole but for its open pins."""
    done = system(tmp_path, "{config: mine.toml, top: tile, set: [n=4, name=mine]}")
    assert "PINMISSING" in done.stdout and "MODMISSING" not in done.stdout, done.stdout
    (found,) = (tmp_path / "build").glob("*/default/src/*/mine_tile.v")
    assert "module mine_tile" in found.read_text()


def test_fusesoc_says_what_is_wrong(tmp_path):
    done = system(tmp_path, "{config: w2a9}")
    assert done.returncode != 0
    assert "'w2a9' is neither a preset nor a .toml file: did you mean 'w2a8'?" in done.stdout
    assert "Traceback" not in done.stdout


def request(folder, parameters, **more):
    facts = {"gapi": "1.0", "files_root": str(folder), "vlnv": "a:b:c-tile:1", **more}
    (folder / "input.yml").write_text(yaml.safe_dump({**facts, "parameters": parameters}))
    return [str(folder / "input.yml")]


def test_the_generator_answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = request(tmp_path, {"config": "w2a8", "set": ["n=4", "name=mine"]})
    assert main(asked) == 0 and main(asked) == 0  # twice into one folder
    (written,) = tmp_path.glob("*.core")
    ledger = json.loads((tmp_path / LEDGER).read_text())["files"]
    digest = hashlib.sha256(written.read_bytes()).hexdigest()
    assert ledger[written.name]["sha256"] == digest  # written once: who asks again is not refused
    facts = yaml.safe_load(written.read_text().partition("\n")[2])
    assert facts["name"] == "a:b:c-tile:1"
    assert "# SPDX-License-Identifier: Apache-2.0\n" in written.read_text()
    assert (tmp_path / f"{facts['targets']['default']['toplevel']}.v").is_file()


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"config": "w2a8", "tops": "tile"}, "unknown parameter 'tops': did you mean 'top'?"),
        ({"top": "tile"}, "parameter config must name"),
        ({"config": 3}, "parameter config must name"),
        ({"config": "w2a8", "top": ["tile"]}, "parameter top must be a name"),
        ({"config": "w2a8", "top": "tiles"}, "--top must be one of"),
        ({"config": "w2a8", "set": "n=4"}, "parameter set must be a list"),
        ({"config": "w2a8", "set": ["n"]}, "--set takes field=value, for example n=32, not 'n'"),
        ({"config": "w2a8", "set": ["m=0"]}, "m must be in 1..256, not 0"),
        ({"config": "no.toml"}, "cannot read configuration"),
        (["config"], "no request of FuseSoC"),
    ],
)
def test_bad_parameters(parameters, says, tmp_path, monkeypatch, capsys):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert main(request(tmp_path, parameters)) == 2
    told = capsys.readouterr().err
    assert told.startswith("lutcore: ") and says in told and told.count("\n") == 1
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("text", [None, "{", "", "- a", "vlnv: x", "\x00", "\ud800"])
def test_bad_requests(text, tmp_path, capsys):
    if text is not None:
        (tmp_path / "input.yml").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert main([str(tmp_path / "input.yml")]) == 2
    told = capsys.readouterr().err
    assert "no request of FuseSoC" in told and told.count("\n") == 1


def test_one_argument(capsys):
    assert main([]) == 2
    assert "give one file" in capsys.readouterr().err
