"""Compiled networks: all backends give the same bits, and the float network's results nearly."""

import math

import numpy as np
import pytest

from lutcore.compiler.lowering.container import Container
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.weights.quantise import Rounding
from lutcore.errors import InputError, ToolError
from lutcore.gen.run.backends import CheckedBackend, GoldenBackend, open_backend
from lutcore.gen.run.network import Executor
from lutcore.verif.samples.networks import bert, qwen, ternary_model

TOKENS = np.frombuffer(b"one two", np.uint8)


@pytest.fixture(scope="module")
def containers(tmp_path_factory, small_cores):
    core, folder = small_cores["w4a8"], tmp_path_factory.mktemp("networks")
    made = {
        "bitnet": compile_network(ternary_model(folder), core, rows=(1, 4))[0],
        "bert": compile_network(bert(), core, rounding=Rounding(4, 16))[0],
        "qwen": compile_network(qwen(), core, rows=(1,), rounding=Rounding(4, 16))[0],
    }
    for name, container in made.items():
        container.save(folder / name)
    return {name: Container.load(folder / name) for name in made}


def tokens_of(name):
    return TOKENS if name == "bitnet" else TOKENS % 40


@pytest.mark.parametrize("name", ["bitnet", "bert", "qwen"])
def test_the_isa_model_gives_the_golden_bits(containers, name):
    container = containers[name]
    backend = CheckedBackend(container, open_backend(container, "isa"))
    found = Executor(container, backend).run(tokens_of(name))
    wanted = Executor(container, open_backend(container, "golden")).run(tokens_of(name))
    np.testing.assert_array_equal(found, wanted)
    assert np.isfinite(found).all() and found.std() > 0.01
    facts = backend.facts()
    assert facts["mismatches"] == 0 and facts["outputs compared"] > 1000 and facts["slices"] > 100


def test_rtl_gives_the_golden_bits(containers):
    for name in ("bert", "qwen"):
        container = containers[name]
        backend = CheckedBackend(container, open_backend(container, "rtl"))
        found = Executor(container, backend).run(tokens_of(name)[:3])
        backend.close()
        wanted = Executor(container, open_backend(container, "golden")).run(tokens_of(name)[:3])
        np.testing.assert_array_equal(found, wanted)
        facts = backend.facts()
        assert facts["mismatches"] == 0 and facts["outputs compared"] > 100 and facts["cycles"] > 0


def test_token_by_token_is_the_whole_text(containers):
    for name in ("bitnet", "qwen"):
        backend = open_backend(containers[name], "golden")
        whole = Executor(containers[name], backend).run(tokens_of(name))
        one = Executor(containers[name], backend)
        parts = np.concatenate([one.decode(tokens_of(name)[i : i + 1]) for i in range(7)])
        np.testing.assert_allclose(parts, whole, atol=1e-4 * np.abs(whole).max())
        assert one.length == 7
        np.testing.assert_array_equal(one.run(tokens_of(name)), whole)


def test_errors_of_a_backend_are_counted(containers):
    class Wrong(GoldenBackend):
        def linear(self, name, activations):
            result = super().linear(name, activations)
            result[0, 0] += 1
            return result

    container = containers["bert"]
    backend = CheckedBackend(container, Wrong(container))
    Executor(container, backend).run(tokens_of("bert"))
    assert backend.mismatches == 6


def test_a_fault_of_a_program_is_reported(containers):
    container = containers["bert"]
    backend = open_backend(container, "isa")
    first = next(iter(container.layers.values())).programs[0]
    backend._machine.write(first.address, np.full(16, 255, np.uint8))
    with pytest.raises(ToolError, match="ended with ILLEGAL"):
        Executor(container, backend).run(tokens_of("bert"))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros(0, int), "a row of whole numbers"),
        (np.zeros((2, 2), int), "a row of whole numbers"),
        (np.array([0.5]), "a row of whole numbers"),
        (np.array([50]), r"tokens must be 0\.\.49"),
        (np.array([-1]), r"tokens must be 0\.\.49"),
        (np.zeros(17, int), "the context holds 16 tokens"),
    ],
)
def test_tokens_that_are_not_right_are_refused(containers, tokens, message):
    executor = Executor(containers["bert"], open_backend(containers["bert"], "golden"))
    with pytest.raises(InputError, match=message):
        executor.run(tokens)


def test_an_encoder_reads_whole_texts(containers):
    executor = Executor(containers["bert"], open_backend(containers["bert"], "golden"))
    executor.decode(np.array([1]))
    with pytest.raises(InputError, match="reads whole texts"):
        executor.decode(np.array([1]))
    with pytest.raises(InputError, match="--on must be one of golden, isa, rtl"):
        open_backend(containers["bert"], "moon")


def float_bert(tensors, tokens, heads=4):
    """The encoder in float64, written down on its own."""
    t = {name: array.astype(np.float64) for name, array in tensors.items()}

    def norm(x, name):
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def linear(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    x = t["embeddings.word_embeddings.weight"][tokens]
    x = x + t["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    stem = "encoder.layer.0."
    q, k, v = (
        linear(x, f"{stem}attention.self.{part}").reshape(len(x), heads, -1).transpose(1, 0, 2)
        for part in ("query", "key", "value")
    )
    scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]))
    y = (scores / scores.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(x.shape)
    y = linear(y, f"{stem}attention.output.dense")
    x = norm(x + y, f"{stem}attention.output.LayerNorm")
    y = linear(x, f"{stem}intermediate.dense")
    y = 0.5 * y * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    x = norm(x + linear(y, f"{stem}output.dense"), f"{stem}output.LayerNorm")
    pooled = x.mean(0)
    return pooled / np.linalg.norm(pooled)


def test_eight_bits_are_nearly_the_float_network(small_cores):
    network = bert()
    core = small_cores["w4a8"].replace(max_weight_bits=8)
    container, _ = compile_network(network, core, rounding=Rounding(8, 16))
    found = Executor(container, open_backend(container, "golden")).run(tokens_of("bert"))
    wanted = float_bert({name: network.array(name) for name in network.names()}, tokens_of("bert"))
    assert found[0] @ wanted > 0.999
