"""The reference of the language model: its parts agree with each other and with known values."""

import numpy as np
import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.importers.ternary_model import ModelShape, Ternary, random_model, write_model
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config
from lutcore.verif.golden.int8_tables import Int8TableLinear
from lutcore.verif.golden.language_model import (
    ExactLinear,
    LanguageModel,
    Memory,
    perplexity,
    quantise,
)

SHAPE = ModelShape(layers=2, hidden=256, context=32)
TEXT = b"In the beginning God created the heaven and the earth."


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    write_model(path, SHAPE, *random_model(SHAPE, seed=3))
    return open_checkpoint(path)


@pytest.fixture(scope="module")
def tokens():
    return np.frombuffer(TEXT, np.uint8)[:24].astype(int)


def test_activations_round_half_to_even():
    codes, step = quantise(np.array([[127.0, -0.5, 1.5, 2.5], [0, 0, 0, 0]]))
    np.testing.assert_array_equal(codes, [[127, 0, 2, 2], [0, 0, 0, 0]])
    assert step[0, 0] == 1


def test_byte_by_byte_equals_all_at_once(checkpoint, tokens):
    model, linear = LanguageModel(checkpoint), ExactLinear(checkpoint)
    whole = model.logits(tokens, linear)
    memory = Memory()
    parts = [model.logits(tokens[:7], linear, memory)]
    parts += [model.logits(tokens[i : i + 1], linear, memory) for i in range(7, len(tokens))]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-9)
    assert memory.length == len(tokens)


def test_later_bytes_change_nothing_before_them(checkpoint, tokens):
    model, linear = LanguageModel(checkpoint), ExactLinear(checkpoint)
    changed = tokens.copy()
    changed[12] = 7
    first, second = model.logits(tokens, linear), model.logits(changed, linear)
    np.testing.assert_allclose(first[:12], second[:12], atol=1e-9)
    assert np.abs(first[12:] - second[12:]).max(axis=1).min() > 1e-3


def test_positions_matter_only_by_their_distance(checkpoint):
    """Rotary: a memory that begins at another position gives the same scores."""
    model = LanguageModel(checkpoint)
    x = np.random.default_rng(1).normal(size=(5, 4, 64))
    scores = [
        np.einsum("thd,shd->hts", model._rotated(x, at), model._rotated(x, at))
        for at in (np.arange(5), 100 + np.arange(5))
    ]
    np.testing.assert_allclose(*scores, atol=1e-9)


def test_a_model_without_knowledge_has_the_perplexity_of_its_alphabet(tmp_path):
    matrices, floats = random_model(SHAPE)
    matrices["output.weight"] = Ternary(np.zeros((256, 256), np.int8), np.float16(1))
    write_model(tmp_path / "m.gguf", SHAPE, matrices, floats)
    blank = open_checkpoint(tmp_path / "m.gguf")
    found = perplexity(LanguageModel(blank), TEXT, ExactLinear(blank))
    assert found == pytest.approx(256, abs=1e-9)


def test_perplexity_is_of_windows(checkpoint):
    """Two windows are two texts: predictions do not see over the border."""
    model, linear = LanguageModel(checkpoint), ExactLinear(checkpoint)
    size = SHAPE.context + 1
    first, second = (np.log(perplexity(model, part, linear)) for part in (TEXT[:size], TEXT[size:]))
    rest = len(TEXT) - size
    expected = (first * (size - 1) + second * (rest - 1)) / (len(TEXT) - 2)
    assert np.log(perplexity(model, TEXT, linear)) == pytest.approx(expected)


def test_eight_bit_tables_are_close_and_not_equal(checkpoint, tokens):
    model = LanguageModel(checkpoint)
    config = load_config("w2a8-int8-tables", [])
    exact = model.logits(tokens, ExactLinear(checkpoint))
    rounded = model.logits(tokens, Int8TableLinear(checkpoint, config))
    error = np.sqrt(np.mean((rounded - exact) ** 2) / np.mean(exact**2))
    assert 0 < error < 0.1


def test_tables_that_do_not_fit_are_refused(checkpoint):
    with pytest.raises(InputError, match="table must be int8, not 'exact'"):
        Int8TableLinear(checkpoint, load_config("w2a8", []))
    linear = Int8TableLinear(checkpoint, load_config("w2a8-int8-tables", ["group_size=96"]))
    with pytest.raises(InputError, match="multiple of 4 that divides 256 and 256, not 96"):
        linear("output.weight", np.zeros((1, 256), np.int8))


def test_other_networks_and_empty_texts_are_refused(checkpoint, example):
    with pytest.raises(InputError, match="architecture must be bitnet"):
        LanguageModel(example)
    with pytest.raises(InputError, match="at least two bytes"):
        perplexity(LanguageModel(checkpoint), b"x", ExactLinear(checkpoint))
