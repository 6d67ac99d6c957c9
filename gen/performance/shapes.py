"""Models as the operators of their blocks: shapes only, built in or from metadata."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError

#: Bytes of a number between operators, and of the KV cache.
HALF = 2


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A decoder.

    Attributes
    ----------
    name : str
    hidden, blocks, heads, kv_heads, ffn, vocabulary : int
    gated : bool
        The feed-forward part has a gate beside the way up.
    rotary : bool
        Positions are rotations of queries and keys.
    sub_norms : bool
        Norms before the output and down projections too (BitNet b1.58).
    """

    name: str
    hidden: int
    blocks: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    gated: bool = True
    rotary: bool = True
    sub_norms: bool = False

    @property
    def kv(self) -> int:
        """Width of keys, and of values."""
        return self.hidden // self.heads * self.kv_heads


@dataclass(frozen=True, kw_only=True)
class Phase:
    """What is computed at once.

    ``batch`` sequences of ``tokens`` new tokens each, which see ``context`` tokens, themselves
    included.
    """

    name: str
    batch: int
    tokens: int
    context: int

    @property
    def rows(self) -> int:
        """Rows of activations."""
        return self.batch * self.tokens


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a phase.

    Attributes
    ----------
    name : str
    count : int
        How often it is there.
    shape : (int, int, int) or None
        M, N, K of a linear layer; None: it runs on the host.
    operations : int
        Multiplications and additions.
    bytes : int
        Of a host's operator: activations and cache, read and written, HALF each. Of a linear
        layer, see :mod:`lutcore.gen.performance.model`.
    source : str
        Of a linear layer: the activations whose tables it needs.
    """

    name: str
    count: int
    shape: tuple[int, int, int] | None = None
    operations: int = 0
    bytes: int = 0
    source: str = ""


def _linear(name: str, count: int, m: int, n: int, k: int, source: str) -> Operator:
    return Operator(
        name=name, count=count, shape=(m, n, k), operations=2 * m * n * k, source=source
    )


def _pointwise(name: str, count: int, read: int, written: int, each: int = 1) -> Operator:
    return Operator(
        name=name, count=count, operations=each * written, bytes=HALF * (read + written)
    )


def operators(model: ModelShape, phase: Phase) -> Iterator[Operator]:
    """Operators of all blocks and the head: linear layers, and what the host does.

    Attention is causal: of ``tokens`` new ones each sees half of them and all earlier ones; its
    scores stay on the chip. The head is computed for the last token of each sequence.
    """
    m, d, kv, blocks = phase.rows, model.hidden, model.kv, model.blocks
    seen = phase.context - (phase.tokens - 1) / 2
    norms = 2 + 2 * model.sub_norms
    yield _pointwise("norms", norms * blocks, m * d, m * d, each=4)
    yield _linear("qkv", blocks, m, d + 2 * kv, d, "norm 1")
    if model.rotary:
        yield _pointwise("rotary", blocks, m * (d + kv), m * (d + kv), each=3)
    yield Operator(
        name="attention",
        count=blocks,
        operations=int(4 * m * seen * d),
        bytes=HALF * (2 * m * d + 2 * phase.batch * phase.context * kv),
    )
    yield _linear("output", blocks, m, d, d, "attention")
    yield _pointwise("residuals", 2 * blocks, 2 * m * d, m * d)
    up = (1 + model.gated) * model.ffn
    yield _linear("up" + ", gate" * model.gated, blocks, m, up, d, "norm 2")
    yield _pointwise("activation", blocks, m * up, m * model.ffn, each=4)
    yield _linear("down", blocks, m, d, model.ffn, "activation")
    yield _linear("head", 1, phase.batch, model.vocabulary, d, "norm 3")


def _old(name: str, hidden: int, blocks: int, heads: int, vocabulary: int, rotary: bool = False):
    """Multi-head attention and a feed-forward part of four times the width without a gate."""
    return ModelShape(
        name=name, hidden=hidden, blocks=blocks, heads=heads, kv_heads=heads, ffn=4 * hidden,
        vocabulary=vocabulary, gated=False, rotary=rotary,
    )  # fmt: skip


def _llama(name: str, hidden: int, blocks: int, heads: int, kv_heads: int, ffn: int, **more: bool):
    return ModelShape(
        name=name, hidden=hidden, blocks=blocks, heads=heads, kv_heads=kv_heads, ffn=ffn,
        vocabulary=32_000, **more,
    )  # fmt: skip


_SHAPES = (
    _old("opt-175b", 12_288, 96, 96, 50_272),
    _old("bloom-176b", 14_336, 70, 112, 250_880),
    _llama("llama2-7b", 4096, 32, 32, 32, 11_008),
    _llama("llama2-13b", 5120, 40, 40, 40, 13_824),
    _llama("llama2-70b", 8192, 80, 64, 8, 28_672),
    _llama("bitnet-3b", 3200, 26, 32, 32, 8640, sub_norms=True),
)
#: Built-in shapes, of the published configurations.
MODELS = {shape.name: shape for shape in _SHAPES}

#: Fields of :class:`ModelShape` -> keys in a ``config.json``, and in GGUF after the architecture.
_KEYS = {
    "hidden": ("hidden_size", "embedding_length"),
    "blocks": ("num_hidden_layers", "block_count"),
    "heads": ("num_attention_heads", "attention.head_count"),
    "kv_heads": ("num_key_value_heads", "attention.head_count_kv"),
    "ffn": ("intermediate_size", "feed_forward_length"),
    "vocabulary": ("vocab_size", "vocab_size"),
}


def from_metadata(name: str, metadata: Mapping[str, Any]) -> ModelShape:
    """Shape of a checkpoint, from its GGUF key-values or its ``config.json``.

    Raises
    ------
    InputError
        Something is missing, or no positive integer.
    """
    architecture = metadata.get("general.architecture") or metadata.get("model_type", "")
    values: dict[str, Any] = {}
    for field, (plain, gguf) in _KEYS.items():
        value = metadata.get(f"{architecture}.{gguf}", metadata.get(plain))
        if value is None and field == "kv_heads":
            value = values["heads"]
        if value is None and field == "vocabulary":
            value = len(metadata.get("tokenizer.ggml.tokens") or ()) or None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 24:
            raise InputError(
                f"{name}: {plain} must be a positive integer, not {value!r}: no model shape"
            )
        values[field] = value
    if values["hidden"] % values["heads"]:
        raise InputError(
            f"{name}: {values['hidden']} columns do not divide into {values['heads']} heads"
        )
    more: dict[str, Any] = {"sub_norms": architecture == "bitnet"}
    return ModelShape(name=name, **values, **more)
