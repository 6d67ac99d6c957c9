"""Architectures as tables of facts: what a network has that its metadata does not say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Roles of linear layers in attention and in the feed-forward network.
_ATTENTION = ("q", "k", "v", "attention_output")
_FEED_FORWARD = ("gate", "up", "down")


def _biases(roles: tuple[str, ...], key: str) -> dict[str, str]:
    return dict.fromkeys(roles, key)


@dataclass(frozen=True, kw_only=True)
class Family:
    """An architecture as one world, GGUF or Hugging Face, knows it.

    Attributes
    ----------
    builder : {"decoder", "bert"}
    activation : str
        Where the metadata says none.
    pairs : {"halves", "neighbours"}
        Elements that the rotary embedding turns together.
    ends : dict of str to str
        Name in ``architectures`` of config.json -> the end of the network, of
        :data:`~lutcore.compiler.graph.ends.ENDS`; GGUF has the one of "".
    biases : dict of str to str
        Role of a linear layer -> what says whether it has a bias: a key of config.json,
        ``"always"`` or ``"maybe"`` (as the tensors show). Roles that are absent have none.
    norms : tuple of str
        Roles of norms that only some architectures have; these are then needed.
    window : {"", "all", "layers"}
        Whether ``sliding_window`` counts: never, in all layers, or in those that ``layer_types``
        or ``max_window_layers`` name.
    scaled : tuple of str
        Roles of linear layers that GGUF's ``.scale`` multiplies.
    factors : bool
        Whether GGUF has tensors of factors of the rotary embedding.
    partial : bool
        Whether the rotary embedding may turn a part of each head only.
    defaults : dict
        Values of keys that config.json leaves out, as transformers has them.
    """

    builder: str = "decoder"
    activation: str = "silu"
    pairs: str = "halves"
    ends: Mapping[str, str]
    biases: Mapping[str, str] = field(default_factory=dict)
    norms: tuple[str, ...] = ()
    window: str = ""
    scaled: tuple[str, ...] = (*_ATTENTION, *_FEED_FORWARD)
    factors: bool = False
    partial: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


def _causal(name: str) -> dict[str, str]:
    return {f"{name}ForCausalLM": "logits", f"{name}Model": "vectors"}


_ENDS = ("pooler", "classes", "masked", "output")
_BERT_LAYERS = (*_ATTENTION, "up", "down")
_NORMS_INSIDE = ("attention_sub_norm", "ffn_sub_norm")
_NORMS_OF_HEADS = ("q_norm", "k_norm")

#: ``model_type`` of config.json -> its family, as transformers 5 builds it.
HUGGING_FACE: dict[str, Family] = {
    "bert": Family(
        builder="bert",
        activation="gelu",
        ends={
            "BertModel": "vectors",
            "BertForMaskedLM": "masked",
            "BertLMHeadModel": "masked",
            "BertForSequenceClassification": "classes",
        },
        biases=_biases((*_BERT_LAYERS, *_ENDS), "always"),
        defaults={"tie_word_embeddings": True, "layer_norm_eps": 1e-12},
    ),
    "bitnet": Family(
        activation="relu2",
        ends=_causal("BitNet"),
        biases=_biases(_ATTENTION, "attention_bias"),
        norms=_NORMS_INSIDE,
        defaults={"rope_theta": 500000.0, "rms_norm_eps": 1e-5},
    ),
    "llama": Family(
        ends=_causal("Llama"),
        biases=_biases(_ATTENTION, "attention_bias") | _biases(_FEED_FORWARD, "mlp_bias"),
        defaults={"rms_norm_eps": 1e-6},
    ),
    "mistral": Family(
        ends=_causal("Mistral"),
        window="all",
        defaults={"rms_norm_eps": 1e-6, "sliding_window": 4096, "num_key_value_heads": 8},
    ),
    "qwen2": Family(
        ends=_causal("Qwen2"),
        biases=_biases(_ATTENTION[:3], "always"),
        window="layers",
        defaults={"rms_norm_eps": 1e-6, "sliding_window": 4096, "num_key_value_heads": 32},
    ),
    "qwen3": Family(
        ends=_causal("Qwen3"),
        biases=_biases(_ATTENTION, "attention_bias"),
        norms=_NORMS_OF_HEADS,
        window="layers",
        defaults={
            "rms_norm_eps": 1e-6,
            "sliding_window": 4096,
            "num_key_value_heads": 32,
            "head_dim": 128,
        },
    ),
}

#: ``general.architecture`` of GGUF -> its family, as llama.cpp builds it. BERT's activation is that
#: of the network that was converted; llama.cpp takes its approximation by tanh, in float16.
GGUF: dict[str, Family] = {
    "bert": Family(
        builder="bert",
        activation="gelu",
        ends={"": "vectors"},
        biases=_biases(_BERT_LAYERS, "maybe"),
        scaled=_ATTENTION,
    ),
    "bitnet": Family(ends={"": "logits"}, norms=_NORMS_INSIDE, partial=True),
    "bitnet-b1.58": Family(
        activation="relu2", ends={"": "logits"}, norms=_NORMS_INSIDE, partial=True
    ),
    "llama": Family(
        pairs="neighbours",
        factors=True,
        ends={"": "logits"},
        biases=_biases((*_ATTENTION, *_FEED_FORWARD), "maybe"),
    ),
    "qwen2": Family(
        ends={"": "logits"},
        biases=_biases((*_ATTENTION[:3], "output"), "maybe"),
        scaled=_ATTENTION,  # llama.cpp loads others and passes over them
    ),
    "qwen3": Family(
        ends={"": "logits"}, biases=_biases(_ATTENTION[:3], "maybe"), norms=_NORMS_OF_HEADS
    ),
}
