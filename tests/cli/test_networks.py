"""compile, run and disasm of whole networks."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lutcore.files import LEDGER
from lutcore.verif.samples.networks import ternary_model


def lutcore(*arguments) -> subprocess.CompletedProcess:
    words = [str(word) for word in arguments]
    return subprocess.run(
        [sys.executable, "-m", "lutcore.cli.main", *words], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    model = ternary_model(folder).path
    words = ("-o", folder / "tiny.lut", "--batch", "1", "--dump", folder / "graphs", "--json")
    result = lutcore("compile", model, *words)
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout)


def test_compile_says_what_it_made(compiled):
    folder, facts = compiled
    assert facts["matrices on the core"] == 15 and facts["matrices on the host"] == {}
    assert facts["operators on the host"]["attention"] == 2
    assert facts["file bytes"] == (folder / "tiny.lut").stat().st_size
    names = {path.name for path in (folder / "graphs").iterdir()}
    assert {"0-built.txt", "0-built.svg", "5-fuse.txt", "5-fuse.svg"} <= names
    assert len(names - {LEDGER}) == 12
    assert "norm + quantise + precompute" in (folder / "graphs" / "5-fuse.txt").read_text()


def test_run_gives_logits_that_are_checked(compiled):
    folder, _ = compiled
    for on in ("golden", "isa"):
        words = ("--on", on, "--tokens", "72,105", "-o", folder / f"{on}.npy", "--json")
        result = lutcore("run", folder / "tiny.lut", *words)
        assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["mismatches"] == 0 and facts["outputs compared"] > 1000
    np.testing.assert_array_equal(np.load(folder / "isa.npy"), np.load(folder / "golden.npy"))
    assert np.load(folder / "isa.npy").shape == (2, 256)


def test_disasm_prints_the_program_of_each_matrix(compiled):
    folder, _ = compiled
    text = lutcore("disasm", folder / "tiny.lut").stdout
    assert text.count("# blk.0") == 7 and text.count("halt") == 15
    one = lutcore("disasm", folder / "tiny.lut", "--layer", "output.weight").stdout
    assert one.startswith("# output.weight: N 256, K 256, for 1 rows") and one in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--on", "moon"], "--on must be one of golden, isa, rtl, board"),
        (["run", "--on", "board"], "--on board and --port go together"),
        (["run", "--on", "board", "--port", "/dev/no-such-port"], "cannot open /dev/no-such-port"),
        (["run", "--tokens", "1,x"], "--tokens takes whole numbers"),
        (["run", "--tokens", "999"], "tokens must be 0..255"),
        (["run", "--tokens", "no.npy"], "cannot read no.npy"),
        (["disasm", "--layer", "nothing"], "no matrix 'nothing'"),
    ],
)
def test_what_is_wrong_is_one_line(compiled, arguments, message):
    command, *words = arguments
    result = lutcore(command, compiled[0] / "tiny.lut", *words)
    assert result.returncode == 2 and message in result.stderr
    assert result.stderr.count("\n") == 1
