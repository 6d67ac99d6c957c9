"""The commands of the language model."""

import json
import math
import subprocess
import sys

import pytest

from compiler.ternary_model import ModelShape, random_model, write_model

SHAPE = ModelShape(layers=1, hidden=256, context=16)
TEXT = "In the beginning God created the heaven and the earth."


def lutcore(*arguments):
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


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
