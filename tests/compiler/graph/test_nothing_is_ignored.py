"""Whatever a checkpoint says counts: another value is another network, or is refused by name.

Each key and each tensor of networks of every kind is changed alone. What changes nothing must be
on the reviewed list of what is harmless.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from judged import Altered, judged

from lutcore.compiler.graph.build import describe
from lutcore.compiler.graph.reading import NEUTRAL, Reading
from lutcore.compiler.importers.harmless import reason
from lutcore.errors import InputError
from lutcore.gen.run.floats import float_network
from lutcore.gen.run.network import Executor

#: One network of each kind, and those that have keys of their own.
CASES = (
    "llama: grouped keys",
    "llama: yarn, two scales",
    "llama: yarn, a range",
    "llama: llama3",
    "llama: longrope, a long text",
    "llama: biases of attention",
    "mistral: a window",
    "qwen2: windows of the last layers",
    "qwen2: tied",
    "qwen3: windows by layer",
    "bitnet: linear",
    "bert: vectors",
    "bert: masked",
    "bert: causal",
    "bert: classes",
    "bert: pooled and of length 1",
    "llama in GGUF: yarn, a magnitude",
    "llama in GGUF: longrope, a factor",
    "llama in GGUF: tensors of factors and linear",
    "llama in GGUF: scales of all, before and after biases",
    "qwen2 in GGUF: tied",
    "qwen3 in GGUF: linear",
    "bitnet in GGUF: a part of each head turned",
    "bert in GGUF: pooled: cls",
)


def others(value: Any) -> list[Any]:
    """Values that say something else."""
    if isinstance(value, bool):
        return [not value]
    if value is None:
        return [3, "something", True]
    if isinstance(value, int):
        return [value + 1, 2 * value + 2, 64 * value + 64]
    if isinstance(value, float):
        return [value * 1.5 + 0.1, value / 3]
    if isinstance(value, str):
        return ["something", value + "x"]
    if isinstance(value, list):
        return [[*value[:-1], *others(value[-1])[:1]], value[:-1]] if value else [["something"]]
    return [{"something": 1}] if isinstance(value, dict) else []


def said_by(checkpoint: Altered) -> dict[str, Any]:
    return Reading(checkpoint).said


def say(checkpoint: Altered, key: str, value: Any) -> None:
    """Put a value in the place of one, wherever it stands."""
    file, _, member = key.partition(": ")
    if member:
        checkpoint.sidecars[file][member] = value
    elif key in checkpoint.sidecars:
        checkpoint.sidecars[key] = value
    elif key in checkpoint.metadata:
        checkpoint.metadata[key] = value
    else:
        outer, _, inner = key.partition(".")
        checkpoint.metadata[outer][inner] = value


def computed(checkpoint: Altered, tokens: list[int]) -> tuple[int, bytes, bytes]:
    """Outputs of the network for two texts, and how much text it takes."""
    network = float_network(checkpoint)
    whole, start = (Executor(network).run(np.array(t)).tobytes() for t in (tokens, tokens[:8]))
    return network.facts["context"], whole, start


def is_silent(key: str, said: dict[str, Any]) -> bool:
    """Whether a key has no meaning beside what else is said, to transformers either."""
    windows = said.get("use_sliding_window", True) and said.get("sliding_window") is not None
    if key == "tie_word_embeddings":
        return "Bert" in said["architectures"][0] and "LM" not in said["architectures"][0]
    if key == "max_window_layers":
        return not windows or "layer_types" in said
    if key == "use_sliding_window":
        return "sliding_attention" not in said.get("layer_types", ["sliding_attention"])
    return key == "sliding_window" and not windows


def fresh(checkpoint: Altered) -> Altered:
    made = object.__new__(Altered)
    made.path, made._tensors = checkpoint.path, dict(checkpoint._tensors)
    made.metadata, made.sidecars = deepcopy(checkpoint.metadata), deepcopy(checkpoint.sidecars)
    return made


@pytest.fixture(params=CASES)
def network(request, tmp_path):
    case, _ = judged()[request.param]
    checkpoint = Altered(tmp_path, case)
    return checkpoint, case.tokens, computed(checkpoint, case.tokens)


def is_harmless(checkpoint: Altered, key: str) -> bool:
    """By the table, not by a value."""
    stem = f"{checkpoint.metadata.get('general.architecture')}."
    plain = "{}." + key.removeprefix(stem) if key.startswith(stem) else key
    return reason(plain) is not None


def test_every_key(network):
    checkpoint, tokens, before = network
    ignored, said = [], said_by(checkpoint)
    for key, value in said.items():
        if is_harmless(checkpoint, key) or is_silent(key, said):
            continue
        same, tried = [], [v for v in others(value) if v not in NEUTRAL.get(key, ())]
        for other in tried:
            changed = fresh(checkpoint)
            say(changed, key, other)
            try:
                same += [other] if computed(changed, tokens) == before else []
            except InputError as error:
                assert str(checkpoint.path) in str(error), (key, error)
        # A number may be so near that rounding hides it; all of them are not.
        near = isinstance(value, int | float) and not isinstance(value, bool)
        if tried and (len(same) == len(tried) or (same and not near)):
            ignored.append((key, same))
    assert not ignored


def test_every_tensor(network):
    checkpoint, tokens, before = network
    ignored, harmless = [], describe(checkpoint)[1].harmless
    for name in checkpoint.names():
        changed = fresh(checkpoint)
        old = checkpoint.array(name)
        rng = np.random.default_rng(1)
        changed.change(name, (old * 1.5 + rng.normal(size=old.shape)).astype(np.float32))
        try:
            same = computed(changed, tokens) == before
        except InputError as error:
            assert name in str(error)
            continue
        if same and name not in harmless:
            ignored.append(name)
    assert not ignored


@pytest.mark.parametrize("end", ["scale_2", "rms_norm.weight", "input_scale", "sinks"])
def test_a_tensor_more_in_a_block_is_refused(network, end):
    checkpoint, tokens, _ = network
    matrix = next(n for n in checkpoint.names() if checkpoint.facts(n).shape[1:] and ".0." in n)
    name = f"{matrix.removesuffix('.weight')}.{end}"
    changed = fresh(checkpoint)
    changed.change(name, np.ones(1, np.float32))
    with pytest.raises(InputError, match="not understood.*" + end):
        computed(changed, tokens)


def test_a_tensor_less_is_refused_or_another_network(network):
    checkpoint, tokens, before = network
    harmless = describe(checkpoint)[1].harmless
    for name in checkpoint.names():
        changed = fresh(checkpoint)
        del changed._tensors[name]
        try:
            same = computed(changed, tokens) == before
        except InputError:
            continue
        assert not same or name in harmless, name


@pytest.mark.parametrize(
    "key", ["logit_scale", "num_experts", "attn_logit_softcapping", "unheard_of", "prism.hadamard"]
)
def test_a_key_more_is_refused(network, key):
    checkpoint, tokens, _ = network
    changed = fresh(checkpoint)
    changed.metadata[key] = 8
    with pytest.raises(InputError, match="not understood.*" + key):
        computed(changed, tokens)


def test_neutral_values_pass_and_no_others(tmp_path):
    case, _ = judged()["llama: grouped keys"]
    checkpoint = Altered(tmp_path, case)
    before = computed(checkpoint, case.tokens)
    for key, values in NEUTRAL.items():
        if "." in key or ":" in key or key.startswith(("rope", "attention_b", "mlp_b")):
            continue  # of others, or read by this one
        for value in (None, *values):
            changed = fresh(checkpoint)
            changed.metadata[key] = value
            assert computed(changed, case.tokens) == before
        for other in (other for other in others(values[0]) if other not in values):
            changed = fresh(checkpoint)
            changed.metadata[key] = other
            with pytest.raises(InputError, match=key):
                computed(changed, case.tokens)
