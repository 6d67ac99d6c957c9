"""The commands of the language model."""

import json
import math
import subprocess
import sys

import pytest

from lutcore.compiler.importers.ternary_model import ModelShape, random_model, write_model

SHAPE = ModelShape(layers=1, hidden=256, context=16)
TEXT = "In the beginning God created the heaven and the earth."


def lutcore(*arguments, said=""):
    command = [sys.executable, "-m", "lutcore.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, input=said)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    write_model(path, SHAPE, *random_model(SHAPE, seed=3))
    return path


def test_perplexity_with_both_tables(model, tmp_path):
    (tmp_path / "text").write_text(TEXT)
    result = lutcore("perplexity", model, tmp_path / "text", "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["windows"] == math.ceil(len(TEXT) / 17)
    exact, rounded = facts["perplexity"].values()
    assert exact > 100 and exact != rounded == pytest.approx(exact, rel=0.05)


def test_what_perplexity_needs_is_said(model, tmp_path):
    (tmp_path / "text").write_text(TEXT)
    for arguments, message in (
        ((model, tmp_path / "none"), "none: no such file: give a text"),
        ((model, tmp_path / "text", "--tables", "w2a8"), "w2a8: table must be int8"),
    ):
        result = lutcore("perplexity", *arguments)
        assert result.returncode == 2
        assert message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_generate_text_is_the_same_on_golden_and_isa(model):
    found = {}
    for on in ("golden", "isa"):
        arguments = ("--prompt", "In the", "--tokens", 5, "--on", on, "--temperature", 0.8)
        result = lutcore("generate-text", model, *arguments, "--seed", 2, "--json")
        assert result.returncode == 0, result.stderr
        found[on] = json.loads(result.stdout)
    assert found["golden"]["tokens"] == found["isa"]["tokens"]
    assert len(found["isa"]["tokens"]) == 5 and found["isa"]["counters"]["slices"] > 0
    assert found["golden"]["tokens a second"] > 0


@pytest.mark.slow
def test_chat_answers_every_line_until_an_empty_one(model):
    result = lutcore("chat", model, "--tokens", 3, said="And God\nsaid\n\nnot read\n")
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("\n") and len(result.stdout) > 3
    again = lutcore("chat", model, "--tokens", 3, said="And God\nsaid\n")
    assert again.stdout == result.stdout  # the end of input ends it too


@pytest.mark.slow
def test_what_generate_text_needs_is_said(model):
    for arguments, message in (
        (("--on", "paper"), "--on must be one of golden, isa, rtl"),
        (("--prompt", ""), "a text begins with a prompt of at least one byte"),
        (("--temperature", "nan"), "the temperature must be 0 or more, not nan"),
    ):
        result = lutcore("generate-text", model, *arguments)
        assert result.returncode == 2
        assert message in result.stderr and "Traceback" not in result.stderr
