"""Builders with one fact wrong: each is seen by what a judge computed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judged import judged

from lutcore.compiler.graph.ir import Graph, Node
from lutcore.gen.judges import compare as comparing
from lutcore.gen.judges.compare import LIMIT, distance, in_floats

Mutation = Callable[[Graph], None]


def each(op: str, name: str = "", **attributes: Any) -> Mutation:
    """Other attributes of operations whose name has ``name`` in it; None takes one away."""

    def mutate(graph: Graph) -> None:
        changed = [replace(n, attributes=_other(n)) if fits(n) else n for n in graph.nodes]
        assert changed != graph.nodes
        graph.nodes = changed

    def fits(node: Node) -> bool:
        return node.op == op and name in node.name

    def _other(node: Node) -> dict[str, Any]:
        made = dict(node.attributes)
        for key, value in attributes.items():
            made[key] = value(made.get(key)) if callable(value) else value
        return {key: value for key, value in made.items() if value is not None}

    return mutate


def without(op: str, name: str) -> Mutation:
    """Operations left out: who reads them reads their first input."""

    def mutate(graph: Graph) -> None:
        gone = [node for node in graph.nodes if node.op == op and name in node.name]
        assert gone
        for node in gone:
            _redirect(graph, node.name, node.inputs[0])
            graph.nodes.remove(next(n for n in graph.nodes if n.outputs == node.outputs))

    return mutate


def _redirect(graph: Graph, old: str, new: str, only: str = "") -> None:
    graph.nodes = [
        replace(n, inputs=tuple(new if i == old else i for i in n.inputs)) if only in n.name else n
        for n in graph.nodes
    ]
    graph.outputs = [new if name == old else name for name in graph.outputs]


def inputs(op: str, name: str, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Mutation:
    """Other inputs of operations."""

    def mutate(graph: Graph) -> None:
        before = list(graph.nodes)
        graph.nodes = [
            replace(n, inputs=change(n.inputs)) if n.op == op and name in n.name else n
            for n in graph.nodes
        ]
        assert graph.nodes != before

    return mutate


def array(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Mutation:
    """Other constants, of those whose name has ``part`` in it."""

    def mutate(graph: Graph) -> None:
        names = [name for name in graph.arrays if part in name]
        assert names
        for name in names:
            graph.arrays[name] = np.ascontiguousarray(change(graph.arrays[name]), np.float32)

    return mutate


def after(read: str, by: str, instead: str) -> Mutation:
    """An operation that reads another value than it should."""

    def mutate(graph: Graph) -> None:
        before = list(graph.nodes)
        _redirect(graph, read, instead, only=by)
        assert graph.nodes != before

    return mutate


def tiled(graph: Graph) -> None:
    """Queries take keys in turn (0, 1, 0, 1), not in blocks (0, 0, 1, 1)."""
    order = np.arange(64).reshape(4, 16)[[0, 2, 1, 3]].ravel()
    for name, values in graph.arrays.items():
        if "q_proj.weight" in name:
            graph.arrays[name] = np.ascontiguousarray(values[order])
        if "o_proj.weight" in name:
            graph.arrays[name] = np.ascontiguousarray(values[:, order])


def less(part: str) -> Mutation:
    """Biases left out."""
    return array(part, np.zeros_like)


def turned(name: str) -> Mutation:
    """Something more gets the rotary embedding."""

    def mutate(graph: Graph) -> None:
        rotary = next(n for n in graph.nodes if n.name == "blk.0.k_rotated")
        at = next(i for i, n in enumerate(graph.nodes) if n.name == name)
        made = replace(rotary, inputs=(name, *rotary.inputs[1:]), outputs=(f"{name}.turned",))
        _redirect(graph, name, made.name)
        graph.nodes.insert(at + 1, graph.typed(made))

    return mutate


def scaled(name: str, factor: float) -> Mutation:
    """A value times a factor."""

    def mutate(graph: Graph) -> None:
        at = next(i for i, n in enumerate(graph.nodes) if n.name == name)
        made = Node("scale", (name,), (f"{name}.scaled",), {"factor": factor})
        _redirect(graph, name, made.name)
        graph.nodes.insert(at + 1, graph.typed(made))

    return mutate


def swapped(values: tuple[str, ...]) -> tuple[str, ...]:
    return values[:-2] + values[:-3:-1]


def _other_pairs(pairs: str) -> str:
    return {"halves": "neighbours", "neighbours": "halves"}[pairs]


def _more(by: float) -> Callable[[Any], Any]:
    return lambda value: value * by


def _pool(kind: str) -> Mutation:
    return each("pool", "pooled", kind=kind)


GROUPED, WINDOWS = "llama: grouped keys", "mistral: a window"
BIASED, FED = "llama: biases of attention", "llama: biases of the feed-forward network"
LONG, YARN = "llama: longrope, a long text", "llama: yarn"
LLAMA, QWEN = "llama in GGUF: grouped keys", "qwen2 in GGUF: grouped keys"
SCALES = "llama in GGUF: scales of all, before and after biases"
MASKED, VECTORS = "bert: masked", "bert: vectors"
BITNET = "bitnet: grouped keys"

#: What is wrong -> case, mutation.
MUTATIONS: dict[str, tuple[str, Mutation]] = {
    "epsilon of RMSNorm": ("llama: another epsilon", each("norm", epsilon=_more(1.1))),
    "epsilon of LayerNorm": ("bert: another epsilon", each("norm", epsilon=_more(1.1))),
    "RMSNorm is LayerNorm": (GROUPED, each("norm", kind="layer")),
    "LayerNorm is RMSNorm": (VECTORS, each("norm", kind="rms")),
    "no bias of LayerNorm": (VECTORS, less("LayerNorm.bias")),
    "no norm of queries": ("qwen3: grouped keys", without("norm", "q_norm")),
    "no norm of keys": ("qwen3: grouped keys", without("norm", "k_norm")),
    "no norm before attention": (GROUPED, without("norm", "input_layernorm")),
    "no norm before the feed-forward network": (GROUPED, without("norm", "post_attention")),
    "no last norm": (GROUPED, without("norm", "model.norm")),
    "no norm inside attention": (BITNET, without("norm", "attn_sub_norm")),
    "no norm inside the feed-forward network": (BITNET, without("norm", "ffn_sub_norm")),
    "no norm of embeddings": (VECTORS, without("norm", "embeddings.LayerNorm")),
    "base": (GROUPED, each("rotary", base=_more(1.05))),
    "pairs, config.json": (GROUPED, each("rotary", pairs=_other_pairs)),
    "pairs, llama in GGUF": (LLAMA, each("rotary", pairs=_other_pairs)),
    "pairs, qwen2 in GGUF": (QWEN, each("rotary", pairs=_other_pairs)),
    "half of a head turned": (GROUPED, each("rotary", dimension=lambda d: d // 2)),
    "queries not turned": (GROUPED, without("rotary", "q_rotated")),
    "keys not turned": (GROUPED, without("rotary", "k_rotated")),
    "values turned": (GROUPED, turned("blk.0.attn_v")),
    "linear not scaled": ("llama: linear", array("rope", np.ones_like)),
    "linear scaled twice": ("llama: linear", array("rope", np.square)),
    "linear the wrong way": ("llama: linear", array("rope", np.reciprocal)),
    "llama3 not scaled": ("llama: llama3", array("rope", np.ones_like)),
    "llama3 scaled everywhere": ("llama: llama3", array("rope", lambda f: np.full_like(f, 8))),
    "llama3 without its middle": (
        "llama: llama3",
        array("rope", lambda f: np.where(f > 4, 8.0, 1.0)),
    ),
    "yarn not scaled": (YARN, array("rope", np.ones_like)),
    "yarn scaled everywhere": (YARN, array("rope", lambda f: np.full_like(f, 4))),
    "yarn's ramp one pair late": (YARN, array("rope", lambda f: np.r_[f[:1], f[:-1]])),
    "no magnitude": (YARN, each("rotary", magnitude=None)),
    "magnitude twice": (YARN, each("rotary", magnitude=np.square)),
    "factors of short texts": (LONG, each("rotary", original=64)),
    "factors of long texts": ("llama: longrope, a short text", each("rotary", original=8)),
    "long and short factors": (LONG, inputs("rotary", "", swapped)),
    "longrope's magnitude": (LONG, each("rotary", magnitude=None)),
    "GGUF's factors": ("llama in GGUF: tensors of factors", array("rope", np.ones_like)),
    "GGUF's magnitude": ("llama in GGUF: a magnitude alone", each("rotary", magnitude=None)),
    "scale of attention": (GROUPED, each("scale", factor=_more(1.02))),
    "no scale of attention": (GROUPED, without("scale", "q_scaled")),
    "scale by a token's width": (GROUPED, each("scale", factor=64**-0.5)),
    "tokens see those after them": (GROUPED, each("attention", causal=False)),
    "encoders see none after": (VECTORS, each("attention", causal=True)),
    "GGUF's decoder sees none after": (
        "llama in GGUF: all tokens see all",
        each("attention", causal=True),
    ),
    "a window, one more": (WINDOWS, each("attention", window=6)),
    "a window, one less": (WINDOWS, each("attention", window=4)),
    "no window": (WINDOWS, each("attention", window=None)),
    "a window in one layer": (WINDOWS, each("attention", "blk.1", window=None)),
    "windows of all layers": ("qwen2: windows by layer", each("attention", window=5)),
    "queries take keys in turn": (GROUPED, tiled),
    "half the heads": (GROUPED, each("attention", heads=2, kv_heads=1)),
    "no bias of queries": (BIASED, less("q_proj.bias")),
    "no bias of keys": (BIASED, less("k_proj.bias")),
    "no bias of values": (BIASED, less("v_proj.bias")),
    "no bias of attention's output": (BIASED, less("o_proj.bias")),
    "no bias of the gate": (FED, less("gate_proj.bias")),
    "no bias of up": (FED, less("up_proj.bias")),
    "no bias of down": (FED, less("down_proj.bias")),
    "biases subtracted": (BIASED, array("proj.bias", np.negative)),
    "SiLU is GELU": (GROUPED, each("activation", kind="gelu")),
    "GELU is its approximation": ("llama: GELU", each("activation", kind="gelu-tanh")),
    "the approximation is GELU": ("llama: GELU by tanh", each("activation", kind="gelu")),
    "BERT's GELU is its approximation": (VECTORS, each("activation", kind="gelu-tanh")),
    "squared ReLU is ReLU": (BITNET, each("activation", kind="relu")),
    "up is the gate": (
        GROUPED,
        after("blk.0.ffn_gate", "blk.0.activation", "blk.0.ffn_up"),
    ),
    "no gate": (GROUPED, without("multiply", "blk.1.gated")),
    "attention's residual is normalised": (
        GROUPED,
        after("embedding", "blk.0.attention_residual", "model.layers.0.input_layernorm"),
    ),
    "no residual of attention": (
        GROUPED,
        after("embedding", "blk.0.attention_residual", "blk.0.attn_output"),
    ),
    "the feed-forward network beside attention": (
        GROUPED,
        after("blk.0.attention_residual", "layers.0.post_attention_layernorm", "embedding"),
    ),
    "embeddings scaled": (GROUPED, scaled("embedding", 8.0)),
    "positions from one": (
        VECTORS,
        array("places", lambda table: np.roll(table, -1, axis=0)),
    ),
    "an own output matrix that is the embedding": (
        GROUPED,
        inputs("linear", "output", lambda i: (i[0], "model.embed_tokens.weight")),
    ),
    "masked, no activation": (MASKED, without("activation", "masked_activation")),
    "masked, no norm": (MASKED, without("norm", "cls.predictions")),
    "masked, no bias": (MASKED, less("cls.predictions.bias")),
    "classes without tanh": ("bert: classes", without("activation", "pooled")),
    "classes by the last token": ("bert: classes", each("pool", kind="last")),
    "cls is mean": ("bert: pooled by cls", _pool("mean")),
    "mean is cls": ("bert: pooled by mean", _pool("first")),
    "max is mean": ("bert: pooled by max", _pool("mean")),
    "mean of roots is mean": ("bert: pooled by mean_sqrt_len_tokens", _pool("mean")),
    "weighted mean is mean": ("bert: pooled by weightedmean", _pool("mean")),
    "the last token is the first": ("bert: pooled by lasttoken", _pool("first")),
    "not of length 1": ("bert: pooled and of length 1", without("unit", "")),
    "GGUF: cls is mean": ("bert in GGUF: pooled: cls", _pool("mean")),
    "no scales of matrices": (SCALES, each("scale", "attn", factor=1.0)),
    "no scales of down": (SCALES, each("scale", "ffn_down", factor=1.0)),
    "scales after the bias": (SCALES, array("unscaled", _more(1.5))),
}


def test_there_are_enough():
    assert len(MUTATIONS) >= 50


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_judge_sees_it(name, tmp_path, monkeypatch):
    of, mutate = MUTATIONS[name]
    case, wanted = judged()[of]
    checkpoint = case.open(tmp_path)
    assert distance(in_floats(case, checkpoint), wanted) <= (
        comparing.HALF_LIMIT if "bert in" in of else LIMIT
    )
    build = comparing.float_network

    def wrong(checkpoint):
        network = build(checkpoint)
        mutate(network.graph)
        network.graph.check()
        return network

    monkeypatch.setattr(comparing, "float_network", wrong)
    found = distance(in_floats(case, checkpoint), wanted)
    assert found > (2 * comparing.HALF_LIMIT if "bert in" in of else 2 * LIMIT)
