"""Graphs of whole networks, from a checkpoint's metadata and names."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lutcore.compiler.graph.builder import Builder
from lutcore.compiler.graph.facts import ModelFacts, read_facts
from lutcore.compiler.graph.ir import Graph
from lutcore.compiler.graph.reading import Account, Reading
from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.errors import InputError


def _embedded(build: Builder) -> str:
    """The vectors of the tokens."""
    table = build.needed("embed")
    build.rows(table, "the metadata", build.facts.vocabulary, build.facts.width)
    return build.add("embed", "embedding", "tokens", table)


def _attention(build: Builder, layer: int, q: str, k: str, v: str) -> str:
    facts, block = build.facts, f"blk.{layer}."
    q = build.add("scale", f"{block}q_scaled", q, factor=facts.head_size**-0.5)
    about: dict[str, Any] = {"heads": facts.heads, "kv_heads": facts.kv_heads}
    if facts.windows[layer]:
        about["window"] = facts.windows[layer]
    return build.add("attention", f"{block}attention", q, k, v, **about, causal=facts.causal)


def _feed_forward(build: Builder, layer: int, y: str) -> str:
    """Gated in decoders, plain in BERT."""
    facts, block = build.facts, f"blk.{layer}."
    gated = facts.family.builder == "decoder"
    first = build.linear("gate" if gated else "up", y, layer, facts.hidden)
    up = build.linear("up", y, layer, facts.hidden) if gated else ""
    z = build.add("activation", f"{block}activation", first, kind=facts.activation)
    if gated:
        z = build.add("multiply", f"{block}gated", z, up)
    if "ffn_sub_norm" in facts.family.norms:
        z = build.norm("ffn_sub_norm", z, layer)
    return build.linear("down", z, layer, facts.width)


def decoder(build: Builder) -> None:
    """LLaMA, Mistral, BitNet and Qwen: norms before, gated feed-forward."""
    facts, norms = build.facts, build.facts.family.norms
    turn = _Rotary(build)
    x = _embedded(build)
    for layer in range(facts.layers):
        block = f"blk.{layer}."
        y = build.norm("attention_norm", x, layer)
        q, k = (
            _turned(build, turn, role, y, layer, heads)
            for role, heads in (("q", facts.heads), ("k", facts.kv_heads))
        )
        v = build.linear("v", y, layer, facts.kv_heads * facts.head_size)
        y = _attention(build, layer, q, k, v)
        if "attention_sub_norm" in norms:
            y = build.norm("attention_sub_norm", y, layer)
        y = build.linear("attention_output", y, layer, facts.width)
        x = build.add("add", f"{block}attention_residual", x, y)
        y = _feed_forward(build, layer, build.norm("ffn_norm", x, layer))
        x = build.add("add", f"{block}residual", x, y)
    _finish(build, build.norm("output_norm", x))


def _turned(build: Builder, turn: "_Rotary", role: str, y: str, layer: int, heads: int) -> str:
    """Queries or keys with their rotary embedding."""
    z = build.linear(role, y, layer, heads * build.facts.head_size)
    if f"{role}_norm" in build.facts.family.norms:
        z = build.norm(f"{role}_norm", z, layer, heads)
    return turn(f"blk.{layer}.{role}_rotated", z, heads)


class _Rotary:
    """Adds rotary embeddings, all of one kind."""

    def __init__(self, build: Builder):
        rope = build.facts.rope
        assert rope is not None, "decoders have one"
        self._build, self._rope = build, rope
        self._about = {
            "dimension": rope.dimension,
            "base": rope.base,
            "pairs": build.facts.family.pairs,
        }
        if rope.magnitude != 1:
            self._about["magnitude"] = rope.magnitude
        self._inputs = ["positions", *self._factors()]

    def _factors(self) -> list[str]:
        """Constants of the divisors: for all texts, or for short and for long ones."""
        build, rope = self._build, self._rope
        both = [("rope_short", rope.factors), ("rope_long", rope.long_factors)]
        if not rope.original:
            both = [("rope_factors", rope.factors)]
        made, half = [], rope.dimension // 2
        for role, factors in both:
            name = build.stored(role) if build.facts.family.factors else None
            if name is not None:
                build.rows(name, "the rotary embedding", rope.dimension // 2)
            elif rope.original and not build.facts.hugging_face:
                build.absent(role)
            elif factors is None:
                continue

            def make(name: str | None = name, factors: np.ndarray | None = factors) -> np.ndarray:
                said = np.ones(half) if factors is None else factors
                return said if name is None else said * build.checkpoint.array(name)

            made.append(build.constant(name or role, (half,), make))
        if rope.original:
            self._about["original"] = rope.original
        return made

    def __call__(self, name: str, x: str, heads: int) -> str:
        return self._build.add("rotary", name, x, *self._inputs, heads=heads, **self._about)


def bert(build: Builder) -> None:
    """BERT encoders: norms after, plain feed-forward."""
    facts = build.facts
    x = _embedded(build)
    places, types = build.needed("positions"), build.stored("types")
    build.rows(places, "the metadata", facts.context, facts.width)
    if types is not None:  # every token is of the first type, wherever it stands
        build.rows(types, "the metadata", facts.types, facts.width)
        shape = (facts.context, facts.width)
        array, table = build.checkpoint.array, places

        def both() -> np.ndarray:
            return array(table) + np.atleast_2d(array(types))[:1]

        places = build.constant("places", shape, both)
    place = build.add("embed", "place", "positions", places)
    x = build.norm("embed_norm", build.add("add", "embedded", x, place))
    for layer in range(facts.layers):
        block = f"blk.{layer}."
        q, k, v = (build.linear(role, x, layer, facts.width) for role in ("q", "k", "v"))
        y = _attention(build, layer, q, k, v)
        y = build.linear("attention_output", y, layer, facts.width)
        x = build.add("add", f"{block}attention_residual", x, y)
        x = build.norm("attention_norm", x, layer)
        y = _feed_forward(build, layer, x)
        x = build.norm("ffn_norm", build.add("add", f"{block}residual", x, y), layer)
    _finish(build, x)


#: Roles of BERT's heads: those that a network has for nothing change nothing.
_HEADS = ("pooler", "masked", "masked_norm", "output", "output_bias", "pairs_of_sentences")


def _finish(build: Builder, x: str) -> None:
    """What stands at the end."""
    end, facts = build.facts.end, build.facts
    tied = "embed" if facts.ties else ""
    if end.kind == "logits":
        x = build.linear("output", x, rows=facts.vocabulary, tied=tied)
    elif end.kind == "masked":
        y = build.linear("masked", x, rows=facts.width)
        y = build.add("activation", "masked_activation", y, kind=facts.activation)
        x = build.linear("output", build.norm("masked_norm", y), rows=facts.vocabulary, tied=tied)
    elif end.kind == "classes":
        x = build.linear("pooler", build.add("pool", "first", x, kind="first"), rows=facts.width)
        x = build.linear("classes", build.add("activation", "pooled", x, kind="tanh"))
    if facts.family.builder == "bert":
        for role in _HEADS:
            build.leave(role)
        build.reading.spare(f"{build.prefix}embeddings.position_ids", "0, 1, 2 and so on")
    elif end.kind == "vectors":
        build.leave("output")
    if end.pooling:
        x = build.add("pool", "pooled", x, kind=end.pooling)
    if end.unit:
        x = build.add("unit", "sentence", x)
    build.graph.outputs = [x]


#: Builder of a family -> what adds its nodes.
BUILDERS = {"decoder": decoder, "bert": bert}


def describe(
    checkpoint: Checkpoint, bits: int | None = None, ignored: Sequence[str] = ()
) -> tuple[Builder, Account]:
    """A checkpoint's network without its weights, and what becomes of all that it says.

    Raises
    ------
    InputError
        The architecture is unknown, metadata or tensors are missing, or shapes disagree.
    """
    reading = Reading(checkpoint, ignored)
    build = Builder(reading, read_facts(reading), bits)
    try:
        BUILDERS[build.facts.family.builder](build)
    except InputError as error:
        reading.refuse_unknown_keys()  # for which a tensor may be absent
        where = reading.where
        raise InputError(str(error) if where in str(error) else f"{where}: {error}") from error
    _see_quantised(build)
    return build, reading.account()


def _see_quantised(build: Builder) -> None:
    """Refuse a checkpoint that is said to be quantised, but is not."""
    checkpoint = build.checkpoint
    method = checkpoint.quantisation().get("quant_method")
    if method is not None and all(checkpoint.facts(n).bits is None for n in build.matrices):
        build.reading.refuse(
            f"quant_method is {method!r}, but no matrix is quantised so: remove it from the "
            "settings, or take the checkpoint that they are of"
        )


def build_graph(
    checkpoint: Checkpoint, bits: int | None = None, ignored: Sequence[str] = ()
) -> tuple[Graph, ModelFacts]:
    """The graph of a checkpoint's network.

    Parameters
    ----------
    checkpoint : Checkpoint
    bits : int, optional
        Width that float matrices will be quantised to; without it the host multiplies by them.
    ignored : sequence of str
        Keys and tensors that are not understood, but change nothing, as the caller says.

    Raises
    ------
    InputError
        The architecture is unknown, metadata or tensors are missing, shapes disagree, or the
        checkpoint says something that is not understood.
    """
    build, account = describe(checkpoint, bits, ignored)
    account.refuse_unknown(str(checkpoint.path))
    graph = build.load()
    graph.check()
    return graph, build.facts
