"""The shipped language model: small, trained, and the same on the executor and the reference."""

import numpy as np
import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import ToolError
from lutcore.gen.manual.language_rates import CORE, MODEL, language_rates
from lutcore.gen.run.language import load_network, opened
from lutcore.hdl.config.presets import load_config
from lutcore.verif.golden.language_model import ExactLinear, LanguageModel, perplexity

HELD_OUT = MODEL.with_name("kjv-held-out.txt")


@pytest.fixture(scope="module")
def checkpoint():
    return open_checkpoint(MODEL)


def test_it_is_small_and_ternary(checkpoint):
    assert MODEL.stat().st_size < 2_000_000
    matrices = [name for name in checkpoint.names() if checkpoint.kind(name) == "TQ1_0"]
    weights = sum(np.prod(checkpoint.shape(name)) for name in matrices)
    assert 2_000_000 <= weights <= 4_000_000
    for name in matrices:
        assert len(np.unique(checkpoint.tensor(name).scales)) == 1


def test_it_was_trained(checkpoint):
    text = HELD_OUT.read_bytes()[:1500]
    assert perplexity(LanguageModel(checkpoint), text, ExactLinear(checkpoint)) < 4.2


def test_the_executor_is_the_reference(checkpoint):
    tokens = np.frombuffer(HELD_OUT.read_bytes()[:60], np.uint8).astype(int)
    wanted = LanguageModel(checkpoint).logits(tokens, ExactLinear(checkpoint))
    with opened(load_network(MODEL, load_config(CORE[0], CORE[1])), "golden") as network:
        found = np.concatenate(
            [network.decode(tokens[:50])]
            + [network.decode(tokens[i : i + 1]) for i in range(50, 60)]
        )
    # In float32 an activation now and then rounds to the neighbouring code.
    error = np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2))
    assert error < 0.02
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.95


def test_backends_that_differ_are_no_benchmark(monkeypatch):
    from lutcore.gen.manual import language_rates as module

    assert set(language_rates({"golden": 3, "isa": 3})) >= {"language model on isa (tokens/s)"}
    texts = iter([b"abc", b"abd"])

    class Writer:
        def __init__(self, network, sampler):
            self.read = lambda text: None

        def write(self, most):
            return iter(next(texts))

    monkeypatch.setattr(module, "Writer", Writer)
    with pytest.raises(ToolError, match=r"on isa writes b'abd', not b'abc'"):
        language_rates({"golden": 3, "isa": 3})
