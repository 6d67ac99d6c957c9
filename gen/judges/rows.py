"""The networks that judges are asked about: small, random, and each with one thing of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Tokens of the text, and of all there are.
LENGTH, VOCABULARY = 24, 64


@dataclass(frozen=True)
class Row:
    """A network as transformers makes it.

    Attributes
    ----------
    name : str
    model : str
        Class of transformers.
    config : dict
        Arguments of its configuration, beside :data:`SIZES`.
    pooling : str
        ``pooling_mode`` of sentence-transformers, or "".
    unit : bool
        Whether that is normalised.
    packed : dict
        ``quantization_config`` of a BitNet whose matrices are packed.
    """

    name: str
    model: str
    config: Mapping[str, Any] = field(default_factory=dict)
    pooling: str = ""
    unit: bool = False
    packed: Mapping[str, Any] = field(default_factory=dict)


SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
_GROUPED = {"num_key_value_heads": 2}


def _rope(kind: str, **members: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **members}}


def _yarn(**members: Any) -> dict[str, Any]:
    return _rope("yarn", factor=4.0, original_max_position_embeddings=16, **members)


_LLAMA3 = _rope(
    "llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
_SHORT = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
_LONG = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 9.0]


def _longrope(original: int, **members: Any) -> dict[str, Any]:
    return _rope(
        "longrope",
        short_factor=_SHORT,
        long_factor=_LONG,
        original_max_position_embeddings=original,
        **members,
    )


def _causal(name: str, of: str, **config: Any) -> Row:
    return Row(f"{of.lower()}: {name}", f"{of}ForCausalLM", {**_GROUPED, **config})


def _everywhere(of: str) -> list[Row]:
    """What all decoders have."""
    return [
        _causal("grouped keys", of),
        _causal("one head of keys", of, num_key_value_heads=1),
        _causal("keys of all heads", of, num_key_value_heads=4),
        _causal("tied", of, tie_word_embeddings=True),
        _causal("another base", of, **_rope("default", rope_theta=500.0)),
        _causal("linear", of, **_rope("linear", factor=4.0)),
        _causal("yarn", of, **_yarn()),
        _causal("llama3", of, **_LLAMA3),
        _causal("longrope, a long text", of, **_longrope(16), head_dim=16),
        _causal("another epsilon", of, rms_norm_eps=0.1),
    ]


def _windowed(of: str) -> list[Row]:
    window = {"use_sliding_window": True, "sliding_window": 5}
    kinds = ["sliding_attention", "full_attention"]
    return [
        _causal("windows of the last layers", of, **window, max_window_layers=1),
        _causal("windows by layer", of, **window, layer_types=kinds),
        _causal("windows that are off", of, sliding_window=5),
    ]


def _packed(name: str, model: str, linear: str, bias: bool = False, **settings: Any) -> Row:
    packed = {"quant_method": "bitnet", "linear_class": linear, "quantization_mode": "offline"}
    return Row(name, model, _GROUPED | {"attention_bias": bias}, packed=packed | settings)


_INSIDE = {"use_rms_norm": True, "rms_norm_eps": 0.01}
_WIDE_HEADS = {"head_dim": 32}
_BERT = "BertModel"

ROWS: tuple[Row, ...] = (
    *_everywhere("Llama"),
    _causal("heads wider than a token's share", "Llama", **_WIDE_HEADS),
    _causal("biases of attention", "Llama", attention_bias=True),
    _causal("biases of the feed-forward network", "Llama", mlp_bias=True),
    _causal("GELU", "Llama", hidden_act="gelu"),
    _causal("GELU by tanh", "Llama", hidden_act="gelu_pytorch_tanh"),
    _causal("longrope, a short text", "Llama", **_longrope(32)),
    _causal("longrope, a factor", "Llama", **_longrope(16, factor=2.0)),
    _causal("longrope, a magnitude", "Llama", **_longrope(16, attention_factor=1.3)),
    _causal("yarn, a magnitude", "Llama", **_yarn(attention_factor=1.5)),
    _causal("yarn, two scales", "Llama", **_yarn(mscale=0.7, mscale_all_dim=0.3)),
    _causal("yarn, a range by null", "Llama", **_yarn(beta_fast=4.0, beta_slow=0.3, truncate=None)),
    _causal("yarn, a range", "Llama", **_yarn(beta_fast=4.0, beta_slow=0.5, truncate=False)),
    *_everywhere("Mistral"),
    _causal("heads wider than a token's share", "Mistral", **_WIDE_HEADS),
    _causal("heads narrower than a token's share", "Mistral", head_dim=8),
    _causal("a window", "Mistral", sliding_window=5),
    _causal("no window", "Mistral", sliding_window=None),
    *_everywhere("Qwen2"),
    *_windowed("Qwen2"),
    *_everywhere("Qwen3"),
    *_windowed("Qwen3"),
    _causal("biases of attention", "Qwen3", attention_bias=True),
    _causal("heads of a token's share", "Qwen3", head_dim=16),
    Row("qwen3: vectors", "Qwen3Model", _GROUPED),
    Row("llama: vectors", "LlamaModel", _GROUPED),
    Row("qwen3: pooled by the last token", "Qwen3Model", _GROUPED, "lasttoken", True),
    *_everywhere("BitNet"),
    _causal("SiLU", "BitNet", hidden_act="silu"),
    _packed("packed: BitLinear", "BitNetForCausalLM", "bitlinear"),
    _packed("packed: AutoBitLinear", "BitNetForCausalLM", "autobitlinear"),
    _packed("packed: BitLinear, biases", "BitNetForCausalLM", "bitlinear", bias=True),
    _packed("packed: AutoBitLinear, biases", "BitNetForCausalLM", "autobitlinear", bias=True),
    _packed("packed: BitLinear of a llama", "LlamaForCausalLM", "bitlinear"),
    _packed("packed: BitLinear, norms inside", "LlamaForCausalLM", "bitlinear", **_INSIDE),
    _packed("packed: AutoBitLinear, norms inside", "BitNetForCausalLM", "autobitlinear", **_INSIDE),
    Row("bert: vectors", _BERT),
    Row("bert: another epsilon", _BERT, {"layer_norm_eps": 0.1}),
    Row("bert: ReLU", _BERT, {"hidden_act": "relu"}),
    Row("bert: GELU by tanh", _BERT, {"hidden_act": "gelu_new"}),
    Row("bert: one type of tokens", _BERT, {"type_vocab_size": 1}),
    Row("bert: masked", "BertForMaskedLM"),
    Row("bert: masked, untied", "BertForMaskedLM", {"tie_word_embeddings": False}),
    Row("bert: causal", "BertLMHeadModel", {"is_decoder": True}),
    Row("bert: classes", "BertForSequenceClassification", {"num_labels": 5}),
    *(
        Row(f"bert: pooled by {mode}", _BERT, pooling=mode)
        for mode in ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
    ),
    Row("bert: pooled and of length 1", _BERT, pooling="mean", unit=True),
)
