"""The command line as a user meets it: exit status, one clear line, JSON keys."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lutcore.files import LEDGER

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODEL = str(EXAMPLES / "minilm.gguf")
SMALL = ("--set", "n=4", "--set", "max_k=256")


def lutcore(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "lutcore.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
    )


def test_help_names_every_command():
    result = lutcore("--help")
    assert result.returncode == 0
    for command in ("generate", "simulate", "synth", "doctor"):
        assert command in result.stdout


@pytest.mark.slow
def test_generate_writes_and_reports(tmp_path):
    result = lutcore("generate", "w2a8", *SMALL, "-o", tmp_path / "out", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    name = facts["design"]
    assert re.fullmatch("w2a8_[0-9a-f]{6}_tile", name) and facts["config"]["n"] == 4
    written = {path.name for path in (tmp_path / "out").iterdir()} - {LEDGER}
    assert {f"{name}.v", f"{name}.json", f"{name}.core", f"{name}_tb.v"} < written
    assert all(name in file for file in written)


@pytest.mark.slow
def test_simulate_json_has_the_documented_keys():
    result = lutcore(
        "simulate", "w2a8", *SMALL, "--shape", "2,5,70", "--seed", 3, "--stall", 0.2, "--json"
    )
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    keys = "design config model tensor shape cycles slices mismatches max_abs_error seed simulator"
    assert set(keys.split()) | {"seconds"} <= set(facts)
    assert facts["shape"] == [2, 5, 70]
    assert facts["mismatches"] == 0 and facts["max_abs_error"] == 0
    assert facts["cycles"] >= facts["slices"] > 0


@pytest.mark.slow
def test_simulate_table_and_waveform(tmp_path):
    arguments = ("--model", MODEL, "--tensor", "blk.0.ffn_down.weight", "--rows", 1)
    result = lutcore(
        "simulate", "w2a8", "--set", "n=4", "--set", "max_k=2048", *arguments,
        "--activations", EXAMPLES / "minilm-activations.npz",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "TQ2_0" in result.stdout
    result = lutcore(
        "simulate", "w2a8", *SMALL, "--shape", "1,4,16", "--waves", tmp_path / "wave.vcd", "--json"
    )
    assert result.returncode == 0, result.stderr
    waves = Path(json.loads(result.stdout)["waves"])
    assert waves.suffix in (".vcd", ".fst") and waves.stat().st_size > 1000


@pytest.mark.slow
def test_a_mismatch_exits_1(monkeypatch, capsys):
    """With a broken RTL the command itself fails."""
    import lutcore.gen.run.tile
    from lutcore.cli import main

    sound = lutcore.gen.run.tile.verilog
    broken = lambda config: sound(config).replace("keep_0 ?", "1'h1 ?")  # noqa: E731
    monkeypatch.setattr(lutcore.gen.run.tile, "verilog", broken)
    monkeypatch.setattr(sys, "argv", ["lutcore", "simulate", "w2a8", *SMALL, "--shape", "2,9,70"])
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 1
    assert "mismatch: beat" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "w9a9", "-o", "x"), "'w9a9' is neither a preset nor a .toml file"),
        (("generate", "w2a8", "--set", "k=9", "-o", "x"), "k must be in 1..6, not 9"),
        (("generate", "w2a8", "-o", "/proc/none"), "cannot write to /proc/none"),
        (("simulate", "w2a8", "--shape", "1,2"), "--shape takes M,N,K"),
        (("simulate", "w2a8", "--bits", "4"), "set max_weight_bits=4"),
        (("simulate", "w2a8", "--sim", "vcs"), "simulator must be one of verilator, icarus"),
        (("simulate", "w2a8", "--tensor", "t"), "--tensor and --activations need --model"),
        (("simulate", "w2a8", "--model", "no.gguf", "--tensor", "t"), "no.gguf: no such file"),
        (("simulate", "w2a8", "--model", MODEL), "choose one with --tensor: blk.0.attn_q.weight"),
        (
            ("simulate", "w2a8", "--model", MODEL, "--tensor", "blk.0.ffn_down.bias"),
            "no tensor 'blk.0.ffn_down.bias'; the nearest: blk.0.ffn_down.weight",
        ),
        (
            ("simulate", "w2a8", "--model", MODEL, "--tensor", "blk.0.attn_q.weight"),
            "has 8-bit codes, w2a8 takes 2 at most: set max_weight_bits=8",
        ),
        (("synth", "w2a8", "--target", "tsmc"), "target must be one of asic, ecp5,"),
        (("synth", "w2a8", "--liberty", "no.lib"), "no.lib"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(arguments, message, tmp_path):
    result = lutcore(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_bad_activation_files_are_named(tmp_path):
    np.save(tmp_path / "wide.npy", np.full((1, 1536), 300))
    (tmp_path / "junk.npy").write_bytes(b"junk")
    np.savez(tmp_path / "other.npz", other=np.zeros((1, 1536), np.int8))
    tensor = ("simulate", "w2a8", "--model", MODEL, "--tensor", "blk.0.ffn_down.weight")
    for name, message in (
        ("wide.npy", "activations must be int8 (-128..127), not 300 at row 0, column 0"),
        ("junk.npy", "is no array of NumPy, or damaged"),
        ("other.npz", "no array 'blk.0.ffn_down.weight'; there are: other"),
    ):
        result = lutcore(*tensor, "--activations", tmp_path / name)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
        assert message in result.stderr


def test_doctor_lists_tools():
    result = lutcore("doctor", "--json")
    tools = {tool["name"]: tool for tool in json.loads(result.stdout)["tools"]}
    assert result.returncode == 0
    assert tools["g++"]["version"] and tools["verilator"]["version"]
    assert all(tool["remedy"] for tool in tools.values())


def test_doctor_reports_a_missing_tool(monkeypatch, capsys):
    from lutcore.cli import main
    from lutcore.gen.tools import doctor

    monkeypatch.setattr(doctor.tools, "find", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["lutcore", "doctor"])
    with pytest.raises(SystemExit) as stop:
        main.main()
    assert stop.value.code == 2
    assert "apt-get install g++" in capsys.readouterr().out


@pytest.fixture(scope="module")
def program(tmp_path_factory, small_cores):
    from lutcore.compiler.lowering.gemm import gemm
    from lutcore.gen.run.tile import random_activations, random_tensor

    config, rng = small_cores["w4a8"], np.random.default_rng(0)
    tensor = random_tensor((24, 64), 2, 64, rng)
    tensor.zero_points[:] = 1
    path = tmp_path_factory.mktemp("program") / "layer.npz"
    gemm(config, tensor, random_activations(config, 3, 64, rng)).save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("on", ["isa", "rtl"])
def test_run_executes_a_program(program, on, tmp_path):
    result = lutcore("matrix", "run", program, "--on", on, "--json", "-o", tmp_path / "out.npy")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["cause"] == "NONE" and facts["slices"] > 0
    assert ("cycles" in facts) == (on == "rtl")
    if on == "rtl":
        assert facts["mismatches"] == 0
    found = np.load(tmp_path / "out.npy")
    assert found.shape == (3, 24) and found.any()


@pytest.mark.slow
def test_compile_writes_a_program_of_a_real_tensor(tmp_path):
    path = tmp_path / "layer.npz"
    made = lutcore(
        "matrix",
        "compile",
        MODEL,
        "--tensor",
        "blk.0.ffn_up.weight",
        "--rows",
        2,
        "-o",
        path,
        "--core",
        "edge",
    )
    assert made.returncode == 0, made.stderr
    assert "M 2" in made.stdout and path.exists()
    text = lutcore("disasm", path).stdout
    assert text.count("lmma.") and text.splitlines()[-1].strip().startswith("halt")
    result = lutcore("matrix", "run", path, "--json")
    assert json.loads(result.stdout)["cause"] == "NONE"


@pytest.mark.slow
def test_compile_explains_its_choice(tmp_path):
    path = tmp_path / "layer.npz"
    words = ["--tensor", "blk.0.ffn_up.weight", "--rows", 8, "-o", path, "--json", "--explain"]
    result = lutcore("matrix", "compile", MODEL, *words)
    assert result.returncode == 0, result.stderr
    ways = json.loads(result.stdout)["schedules"]
    assert len(ways) > 3 and all(way["cycles"] >= way["limit"] for way in ways)
    assert ways[0]["cycles"] <= 1.01 * min(way["cycles"] for way in ways)
    assert "runs / blocks" in lutcore("matrix", "compile", MODEL, *words[:6], "--explain").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matrix", "--tensor", "no.such.tensor"], "no.such.tensor"),
        ([], "bert.embedding_length must be 1..16777216, not None: compile single matrices"),
        (["--activations", "x.npy"], "are for one matrix: lutcore matrix compile"),
        (["matrix", "--tensor", "blk.0.ffn_up.weight", "--core", "dense-w1a8"], "precompute"),
        (["matrix", "--tensor", "blk.0.ffn_up.weight", "--result", "fp64"], "output must be one"),
    ],
)
def test_compile_says_what_is_wrong(arguments, message, tmp_path):
    group = [word for word in arguments if word == "matrix"]
    words = [MODEL, "-o", tmp_path / "layer.npz", *arguments[len(group) :]]
    result = lutcore(*group, "compile", *words)
    assert result.returncode == 2 and message in result.stderr
    assert result.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_old_spellings_work_and_say_the_new_ones(tmp_path):
    path = tmp_path / "layer.lut"
    words = ("--tensor", "blk.0.ffn_down.weight", "--rows", 1, "--core", "edge", "--json")
    made = lutcore("compile", MODEL, "-o", path, *words)
    assert made.returncode == 0 and json.loads(made.stdout)["m"] == 1
    assert "'lutcore compile --tensor' is now 'lutcore matrix compile --tensor'" in made.stderr
    ran = lutcore("run", path, "--json")
    assert ran.returncode == 0 and json.loads(ran.stdout)["cause"] == "NONE"
    assert "'lutcore run PROGRAM' is now 'lutcore matrix run PROGRAM'" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.lut"], "cannot read missing.lut"),
        ([Path(__file__)], "is no program: make it with lutcore matrix compile"),
    ],
)
def test_run_says_what_is_wrong(arguments, message):
    result = lutcore("matrix", "run", *arguments)
    assert result.returncode == 2 and message in result.stderr
    assert result.stderr.count("\n") == 1


def test_run_on_nothing_known(program):
    result = lutcore("matrix", "run", program, "--on", "paper")
    assert result.returncode == 2 and "--on must be one of isa, rtl, board" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "board"], "--on board and --port go together"),
        (["--on", "rtl", "--port", "sim"], "--on board and --port go together"),
        (["--on", "board", "--port", "/dev/no-such-port"], "cannot open /dev/no-such-port"),
    ],
)
def test_run_on_no_board(program, arguments, message):
    result = lutcore("matrix", "run", program, *arguments)
    assert result.returncode == 2 and message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_run_on_a_simulated_board(program):
    result = lutcore("matrix", "run", program, "--on", "board", "--port", "sim", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["mismatches"] == 0 and facts["cycles"] > 0
