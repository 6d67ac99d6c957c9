"""compile, run and disasm of whole networks."""

import json
import subprocess
import sys

import numpy as np
import pytest
from judged import judged

from lutcore.compiler.graph.build import build_graph
from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError
from lutcore.files import LEDGER
from lutcore.verif.samples.networks import ternary_model
from lutcore.verif.samples.networks_gguf import network, write_gguf


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


def _checkpoint(folder, change):
    case, wanted = judged()["llama: yarn"]
    path = case.write(folder)
    config = json.loads((path / "config.json").read_text()) | change
    (path / "config.json").write_text(json.dumps(config))
    return case, wanted, path


def test_a_checkpoint_runs_in_floats(tmp_path):
    case, wanted, path = _checkpoint(tmp_path, {})
    tokens, out = ",".join(map(str, case.tokens)), tmp_path / "out.npy"
    result = lutcore("run", path, "--on", "float", "--tokens", tokens, "-o", out, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["architecture"] == "llama"
    np.testing.assert_allclose(np.load(out)[case.rows], wanted, atol=1e-4)


def test_what_is_not_understood_is_refused_by_name_unless_it_is_ignored(tmp_path):
    _, _, path = _checkpoint(tmp_path, {"final_logit_softcapping": 30.0})
    out = tmp_path / "out.lut"
    command = ("compile", path, "--bits", "4", "-o", out)
    refused = lutcore(*command)
    assert refused.returncode == 2 and not out.exists()
    assert "final_logit_softcapping = 30.0" in refused.stderr and "--ignore" in refused.stderr
    said = lutcore("inspect", path, "--json")
    assert json.loads(said.stdout)["network"]["unknown"] == {"final_logit_softcapping": "= 30.0"}
    assert "not understood: final_logit" in lutcore("inspect", path).stdout
    taken = lutcore(*command, "--ignore", "final_logit_softcapping")
    assert taken.returncode == 0, taken.stderr
    wrong = lutcore(*command, "--force", "--ignore", "rope_parameters.factor")
    assert wrong.returncode == 2 and "is not among what is not understood" in wrong.stderr
    late = lutcore("run", out, "--on", "isa", "--ignore", "x")
    assert late.returncode == 2 and "--ignore is for --on float" in late.stderr


def test_no_weights_are_read_before_the_metadata_is_judged(tmp_path, monkeypatch):
    _, _, path = _checkpoint(tmp_path, {"num_experts": 8})
    checkpoint = open_checkpoint(path)
    monkeypatch.setattr(checkpoint, "array", None)
    monkeypatch.setattr(checkpoint, "tensor", None)
    with pytest.raises(InputError, match=r"num_experts = 8 \(a mixture of experts\)"):
        build_graph(checkpoint)


def test_experts_are_named_as_the_reason_not_the_tensors_that_they_stand_for(tmp_path):
    pairs, shapes = network("llama", pairs={"expert_count": ["UINT32", 4]})
    stacks = {
        n.replace(".weight", "_exps.weight"): (4, *s) for n, s in shapes.items() if "ffn_" in n
    }
    kept = {name: shape for name, shape in shapes.items() if "ffn_" not in name}
    path = tmp_path / "moe.gguf"
    write_gguf(path, pairs, kept | stacks, 0)
    with pytest.raises(InputError, match=r"expert_count = 4 \(a mixture of experts\)"):
        build_graph(open_checkpoint(path))
