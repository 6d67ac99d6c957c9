"""The command ``performance``, and the study that models, as a user meets them."""

import json
import subprocess
import sys

import pytest

LANGUAGE = "examples/kjv-ternary.gguf"


def lutcore(*arguments):
    words = [sys.executable, "-m", "lutcore.cli.main", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.slow
def test_a_network_is_modelled(tmp_path):
    words = ["bitnet-3b", "--group", 0, "--bandwidth", 8, "-o", tmp_path / "out"]
    result = lutcore("performance", *words, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    written = json.loads((tmp_path / "out" / "performance.json").read_text())
    assert facts == {"schema": 1} | written
    # Decoding reads all weights: 3.3 billion of two bits, at 8 GB/s.
    assert 0.105 < facts["seconds"] < 0.12
    assert (tmp_path / "out" / "performance-roofline.png").exists()
    assert "tokens/s" in lutcore("performance", *words).stdout


def test_a_checkpoint_is_modelled_as_it_is():
    words = [LANGUAGE, "--set", "max_weight_bits=1"]
    shown = lutcore("performance", *words)
    assert shown.returncode == 0, shown.stderr
    assert "on the host: attn_q, " in shown.stdout and "set max_weight_bits=2" in shown.stdout
    facts = json.loads(lutcore("performance", LANGUAGE, "--latency", 20, "--json").stdout)
    inspected = json.loads(lutcore("inspect", LANGUAGE, "--core", "default", "--json").stdout)
    cycles = sum(row["count"] * row.get("cycles", 0) for row in facts["layers"])
    assert cycles == inspected["totals"]["cycles"] > 0
    assert facts["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([LANGUAGE, "--bits", 4], "--bits 4 contradicts"),
        ([LANGUAGE, "--group", 32], "--group is that of --bits"),
        (["examples/minilm.gguf"], "bert.embedding_length must be a positive integer, not None"),
        (["llama9"], "neither a checkpoint nor a built-in shape"),
        (["llama2-7b", "--bits", 8], "takes weights of 1 to 4 bits, not 8"),
        (["llama2-7b", "--bandwidth", 0], "bandwidth must be above 0"),
        (["pyproject.toml"], "pyproject.toml"),
    ],
)
def test_performance_says_what_is_wrong(arguments, message):
    result = lutcore("performance", *arguments)
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr
