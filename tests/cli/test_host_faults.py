"""Each command with each fault of the host: one line, the right status, nothing half-written.

After the fault is gone the same command does what it should.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lutcore.cli import main as entry
from lutcore.files import LEDGER

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODEL = str(EXAMPLES / "minilm.gguf")
TENSOR = ("--tensor", "blk.0.ffn_down.weight")
SMALL = ("--set", "n=4", "--set", "max_k=256")
#: Commands that write: their words before the place that they write to.
WRITERS = {
    "generate": ("generate", "w2a8", *SMALL, "-o"),
    "matrix compile": ("matrix", "compile", MODEL, *TENSOR, "--rows", "1", "--core", "edge", "-o"),
    "performance": ("performance", "llama2-7b", "-o"),
    "matrix run": ("matrix", "run", "PROGRAM", "-o"),
    "run": ("run", "PROGRAM", "-o"),
    "demo": ("demo", "--files"),
}
#: Commands that read a file of the user, which stands last.
READERS = {
    "inspect": ("inspect",),
    "compile": ("compile", "-o", "out.lut"),
    "matrix compile": ("matrix", "compile", *TENSOR, "-o", "out.lut"),
    "matrix run": ("matrix", "run"),
    "run": ("run",),
    "disasm": ("disasm",),
    "activations": (
        *("matrix", "compile", MODEL, *TENSOR, "--core", "edge", "-o", "out.lut"),
        "--activations",
    ),
    "simulate": ("simulate", "w2a8", "--model", MODEL, *TENSOR, "--activations"),
    "show": ("show",),
    "explore": ("explore",),
    "synth": ("synth", "w2a8", "--liberty"),
    "perplexity": ("perplexity", MODEL),
    "generate-text": ("generate-text",),
}
#: What is wrong with a place to write to.
PLACES = {
    "below a file": "file/out",
    "below nothing": "/proc/lutcore/out",
    "a NUL": "a\0b/out",
    "too long": "x" * 300 + "/out",
}


@pytest.fixture
def lutcore(monkeypatch, capfd, tmp_path):
    """Call a command in this process: its status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["lutcore", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            entry.main()
        out, err = capfd.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "p.lut"
    words = [*WRITERS["matrix compile"], str(path)]
    subprocess.run([sys.executable, "-m", "lutcore.cli.main", *words], check=True)
    return path


def one_line(err):
    assert err.count("\n") == 1 and err.startswith("lutcore: ") and "Traceback" not in err, err


def left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", WRITERS)
def test_places_that_cannot_be_written(command, place, lutcore, program, tmp_path):
    (tmp_path / "file").write_text("mine")
    words = [program if word == "PROGRAM" else word for word in WRITERS[command]]
    status, _, err = lutcore(*words, PLACES[place])
    lines = [line for line in err.splitlines() if "is now 'lutcore matrix run" not in line]
    assert status == 2 and len(lines) == 1 and lines[0].startswith("lutcore: "), err
    assert left(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", WRITERS)
def test_files_of_others_stay_until_they_are_forced(command, lutcore, program, tmp_path):
    words = [program if word == "PROGRAM" else word for word in WRITERS[command]]
    assert lutcore(*words, tmp_path / "out")[0] == 0
    written = [path for path in (tmp_path / "out", *tmp_path.glob("out/*")) if path.is_file()]
    victim = next(path for path in sorted(written) if path.name != LEDGER)
    victim.write_text("a person's")
    status, _, err = lutcore(*words, tmp_path / "out")
    assert status == 2 and str(victim) in err and victim.read_text() == "a person's"
    assert lutcore(*words, tmp_path / "out", "--force")[0] == 0
    assert victim.read_bytes() != b"a person's"
    assert lutcore(*words, tmp_path / "out")[0] == 0  # its own, now


def files_that_are_wrong(folder):
    """Files of every kind: absent, empty, noise, a folder, half of a right one."""
    rng = np.random.default_rng(0)
    (folder / "empty").touch()
    (folder / "noise").write_bytes(rng.bytes(5000))
    (folder / "text").write_text("plain text\n" * 9)
    (folder / "folder").mkdir()
    (folder / "half.gguf").write_bytes(Path(MODEL).read_bytes()[:2000])
    np.savez(folder / "whole.npz", a=rng.bytes(10))
    (folder / "half.npz").write_bytes((folder / "whole.npz").read_bytes()[:100])
    (folder / "wrong.toml").write_text("n = [")
    return ["absent", *sorted(path.name for path in folder.iterdir())]


@pytest.mark.parametrize("command", READERS)
def test_files_that_are_wrong(command, lutcore, tmp_path):
    checked = 0
    for name in files_that_are_wrong(tmp_path):
        before = left(tmp_path)
        status, _, err = lutcore(*READERS[command], tmp_path / name)
        assert status == 2, (name, err)
        one_line(err)
        assert left(tmp_path) == before, name
        checked += 1
    assert checked >= 9


@pytest.mark.parametrize("command", ["presets", "doctor", "show w2a8"])
def test_output_that_nobody_reads(command):
    words = [sys.executable, "-m", "lutcore.cli.main", *command.split()]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        ended = subprocess.run(words, stdout=broken, stderr=subprocess.PIPE, text=True)
    assert ended.returncode in (0, 1, 141) and ended.stderr == ""


@pytest.mark.parametrize("words", [(), ("matrix",), ("cache",)], ids=str)
def test_without_arguments_the_help_is_all_that_is_said(words, lutcore):
    status, out, err = lutcore(*words)
    assert status == 2 and "Usage: " in out and err == ""


@pytest.mark.parametrize(
    "words", ["nothing", "generate", "synth w2a8 --perod 1", "show w2a8 more", "-x"]
)
def test_a_wrong_command_line_is_one_line(words, lutcore):
    status, out, err = lutcore(*words.split())
    assert status == 2 and out == ""
    one_line(err)
