"""The networks that llama.cpp is asked about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class GgufRow:
    """A network in GGUF.

    Attributes
    ----------
    name, architecture : str
    options : dict
        Of :class:`lutcore.verif.samples.networks_gguf.Options`.
    context : int
        That llama.cpp makes room for: longrope goes by it. 0 is the file's.
    """

    name: str
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    context: int = 0


def _row(architecture: str, name: str, room: int = 0, **options: Any) -> GgufRow:
    given = {"kv_heads": 2, **options} if architecture != "bert" else options
    return GgufRow(f"{architecture} in GGUF: {name}", architecture, given, room)


def _everywhere(of: str) -> list[GgufRow]:
    yarn = {"type": "yarn", "factor": 4.0, "original_context_length": 16}
    return [
        _row(of, "grouped keys"),
        _row(of, "one head of keys", kv_heads=1),
        _row(of, "keys of all heads", kv_heads=4),
        _row(of, "tied", tied=True),
        _row(of, "another base and epsilon", rope_base=500.0, epsilon=0.1),
        _row(of, "linear", scaling={"type": "linear", "factor": 4.0}),
        _row(of, "a factor alone", scaling={"factor": 4.0}),
        _row(of, "a factor that counts for nothing", scaling={"type": "none", "factor": 4.0}),
        _row(of, "yarn", scaling=yarn),
        _row(of, "yarn, a magnitude", scaling=yarn | {"attn_factor": 1.3}),
        _row(of, "a magnitude alone", scaling={"attn_factor": 1.3}),
        _row(of, "all tokens see all", pairs={"attention.causal": ["BOOL", False]}),
        _row(of, "scales of attention", shapes=_scales("attn_q", "attn_k", "attn_v")),
    ]


def _scales(*names: str) -> dict[str, tuple[int, ...]]:
    return {f"blk.{layer}.{name}.scale": (1,) for layer in range(2) for name in names}


_LONG = {"type": "longrope", "original_context_length": 16}
_ATTENTION = ("attn_q", "attn_k", "attn_v")
_FEED_FORWARD = ("ffn_gate", "ffn_up", "ffn_down")

ROWS: tuple[GgufRow, ...] = (
    *_everywhere("llama"),
    _row("llama", "heads wider than a token's share", head_size=16),
    _row("llama", "heads narrower than a token's share", head_size=4),
    _row("llama", "biases", biases=(*_ATTENTION, "attn_output", *_FEED_FORWARD)),
    _row("llama", "tensors of factors", rope_freqs=True),
    _row("llama", "tensors of factors and linear", rope_freqs=True, scaling={"factor": 2.0}),
    _row(
        "llama",
        "tensors of factors and yarn",
        rope_freqs=True,
        scaling={"type": "yarn", "factor": 4.0, "original_context_length": 16},
    ),
    _row("llama", "longrope, a long text", scaling=_LONG),
    _row("llama", "longrope, a magnitude", scaling=_LONG | {"attn_factor": 1.2}),
    _row("llama", "longrope, a factor", scaling=_LONG | {"factor": 2.0}),
    _row(
        "llama",
        "longrope, a short text",
        256,
        context=512,
        scaling={"type": "longrope", "original_context_length": 256},
    ),
    _row(
        "llama",
        "scales of all, before and after biases",
        biases=(*_ATTENTION, "attn_output", *_FEED_FORWARD),
        shapes=_scales(*_ATTENTION, "attn_output", *_FEED_FORWARD),
    ),
    *_everywhere("qwen2"),
    _row("qwen2", "without biases", biases=()),
    _row("qwen2", "a bias of the output", shapes={"output.bias": (64,)}),
    *_everywhere("qwen3"),
    _row("qwen3", "heads wider than a token's share", head_size=16),
    _row("qwen3", "pooled: last", pairs={"pooling_type": ["UINT32", 3]}),
    _row("qwen3", "biases", biases=_ATTENTION),
    *_everywhere("bitnet"),
    _row("bitnet", "a part of each head turned", rotated=4),
    *(_row("bert", f"pooled: {way}", pooling=way) for way in ("none", "mean", "cls", "last")),
    _row("bert", "pooling not said", pooling=None),
    _row("bert", "without biases", biases=()),
    _row("bert", "another epsilon", epsilon=0.1),
)
