"""What a file holds decides what commands do; of what they cannot read they say one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from crafted_files import changed, sealed, small_network, small_program, table_of

from lutcore.cli.main import main

OLD = Path(__file__).resolve().parents[1] / "data"
COMMANDS = (("matrix", "run"), ("run",), ("disasm",))


@pytest.fixture
def lutcore(monkeypatch, capsys):
    """Exit status, output and errors of a command."""

    def call(*words):
        monkeypatch.setattr("sys.argv", ["lutcore", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    small_program().save(folder / "program")
    small_network().save(folder / "network")
    return folder


def negative(raw):
    return sealed(raw, changed(table_of(raw), ("about", "address"), -4096))


def flipped(raw):
    return raw[:80] + bytes([raw[80] ^ 1]) + raw[81:]


def bent(raw):
    return sealed(raw, changed(table_of(raw), ("about", "graph", "nodes", 0, "inputs"), [-1]))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("program", negative, "address must be a whole number in 0.."),
        ("program", flipped, "is damaged: the digest of section code differs"),
        ("network", flipped, "make it with lutcore"),
        ("network", bent, "make it with lutcore"),
        ("network", lambda raw: raw[:5000], "is truncated or damaged"),
        ("network", lambda raw: b"text\n", "make it with lutcore"),
        (
            OLD / "program-1.npz",
            None,
            "is a program of format 1, this is 2: make it with lutcore m",
        ),
        (
            OLD / "network-1.lut",
            None,
            "is a network of format 1, this is 2: make it with lutcore c",
        ),
        ("absent", None, "cannot read"),
    ],
)
def test_what_cannot_be_read_is_one_line(lutcore, files, tmp_path, command, name, change, message):
    path = files / name
    if change is not None:
        path = tmp_path / "bad"
        path.write_bytes(change((files / name).read_bytes()))
    status, out, err = lutcore(*command, path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err and str(path) in err


def no_programs(folder):
    """Files of many kinds, and a folder."""
    np.save(folder / "a.npy", np.arange(5))
    np.savez(folder / "objects.npz", about=np.array([{}], object))
    files = {
        "text": b"hello\n",
        "empty": b"",
        "half": b"LUTCORE\n",
        "zip": b"PK\x03\x04" + bytes(30),
        "a.gguf": (OLD.parents[1] / "examples" / "minilm.gguf").read_bytes()[:4096],
        "pickle": b"\x80\x04N.",
    }
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    (folder / "folder").mkdir()
    return sorted(folder.iterdir())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_program_is_one_line(lutcore, tmp_path, command):
    """Never the advice of NumPy or of Python."""
    for path in no_programs(tmp_path):
        status, out, err = lutcore(*command, path)
        assert (status, out, err.count("\n")) == (2, "", 1), path
        assert str(path) in err and "make it with lutcore" in err, err
        assert not any(word in err for word in ("pickle=", "allow_pickle", "Traceback", "Error"))


def test_a_network_is_no_program(lutcore, files):
    status, _, err = lutcore("matrix", "run", files / "network")
    assert status == 2 and "is a network, not a program" in err and err.count("\n") == 1


def test_run_takes_both_and_says_where_programs_go(lutcore, files, tmp_path):
    words = ("--json", "-o", tmp_path / "out.npy")
    status, out, err = lutcore("run", files / "program", *words)
    assert (status, json.loads(out)["cause"]) == (0, "NONE")
    assert "'lutcore run PROGRAM' is now 'lutcore matrix run PROGRAM'" in err
    assert err.count("\n") == 1
    assert np.load(tmp_path / "out.npy").shape == (1, 8)
    status, out, err = lutcore("run", files / "network", "--tokens", "1,2", "--force", *words)
    assert (status, json.loads(out)["mismatches"], err) == (0, 0, "")
    status, _, err = lutcore("run", files / "program", "--tokens", "1")
    assert status == 2 and "--tokens are for networks" in err


def test_disasm_takes_both(lutcore, files):
    status, out, err = lutcore("disasm", files / "program")
    assert (status, out.count("halt"), err) == (0, 1, "")
    status, out, err = lutcore("disasm", files / "network")
    assert (status, out.count("halt"), err) == (0, 2, "")
