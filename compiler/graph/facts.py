"""What a checkpoint's metadata says of its network, in one form for GGUF and config.json."""

from dataclasses import dataclass
from typing import Any

from lutcore.compiler.graph.ops import ACTIVATIONS
from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.errors import InputError


@dataclass(frozen=True)
class Family:
    """What an architecture has that its metadata does not say.

    Attributes
    ----------
    builder : {"decoder", "bert"}
    activation : str
    pairs : str
        How a GGUF of it pairs elements for the rotary embedding; in config.json's world: halves.
    """

    builder: str
    activation: str
    pairs: str = "halves"


#: Architecture, as GGUF or config.json's model_type has it -> its family.
FAMILIES: dict[str, Family] = {
    "bert": Family("bert", "gelu"),
    "llama": Family("decoder", "silu", "neighbours"),
    "mistral": Family("decoder", "silu", "neighbours"),
    "bitnet": Family("decoder", "silu"),
    "bitnet-b1.58": Family("decoder", "relu2"),
    "qwen2": Family("decoder", "silu"),
    "qwen3": Family("decoder", "silu"),
}

#: Names of config.json for activations that have another here.
_ACTIVATION_NAMES = {"gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "relu2": "relu2"}

#: Field -> GGUF key behind the architecture, key of config.json.
_KEYS = {
    "layers": ("block_count", "num_hidden_layers"),
    "width": ("embedding_length", "hidden_size"),
    "hidden": ("feed_forward_length", "intermediate_size"),
    "heads": ("attention.head_count", "num_attention_heads"),
    "kv_heads": ("attention.head_count_kv", "num_key_value_heads"),
    "head_size": ("attention.key_length", "head_dim"),
    "context": ("context_length", "max_position_embeddings"),
    "rotated": ("rope.dimension_count", ""),
}
_MOST, _GREATEST = 1 << 24, 1e30


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Sizes and conventions of a network; lengths in elements."""

    architecture: str
    family: Family
    hugging_face: bool
    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    context: int
    rotated: int
    epsilon: float
    rope_base: float
    activation: str
    pairs: str


def read_facts(checkpoint: Checkpoint) -> ModelFacts:
    """Facts of a checkpoint's network.

    Raises
    ------
    InputError
        The architecture is unknown, or the metadata is incomplete or absurd.
    """
    about, where = checkpoint.metadata, str(checkpoint.path)
    hugging_face = "general.architecture" not in about
    kind = about.get("model_type" if hugging_face else "general.architecture")
    family = FAMILIES.get(str(kind))
    if family is None:
        raise InputError(
            f"{where}: architecture {str(kind)[:40]!r} is not known; known: {', '.join(FAMILIES)}: "
            "compile single matrices with lutcore matrix compile"
        )

    def key(field: str) -> str:
        gguf, plain = _KEYS[field]
        return plain if hugging_face else f"{kind}.{gguf}"

    def whole(field: str, default: int | None = None) -> int:
        value = about.get(key(field))
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            raise InputError(
                f"{where}: {key(field)} must be 1..{_MOST}, not {repr(value)[:40]}: "
                "compile single matrices with lutcore matrix compile"
            )
        return value

    def real(names: tuple[str, ...], default: float | None) -> float:
        value = next((about[name] for name in names if about.get(name) is not None), default)
        if not isinstance(value, int | float) or not 0 < value < _GREATEST:
            raise InputError(f"{where}: {names[0]} must be positive, not {repr(value)[:40]}")
        return float(value)

    width, heads = whole("width"), whole("heads")
    size = whole("head_size", -(-width // heads))
    kv_heads = whole("kv_heads", heads)
    if heads % kv_heads or ("head_size" not in about and size * heads < width):
        raise InputError(f"{where}: {heads} heads and {kv_heads} of keys do not divide {width}")
    return ModelFacts(
        architecture=str(kind),
        family=family,
        hugging_face=hugging_face,
        layers=whole("layers"),
        width=width,
        hidden=whole("hidden"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=size,
        context=whole("context"),
        rotated=whole("rotated", size),
        epsilon=real(_EPSILON_HF if hugging_face else _gguf_epsilon(str(kind)), None),
        rope_base=real(("rope_theta", f"{kind}.rope.freq_base"), 10000.0),
        activation=_activation(about, family, where),
        pairs="halves" if hugging_face else family.pairs,
    )


_EPSILON_HF = ("rms_norm_eps", "layer_norm_eps")


def _gguf_epsilon(kind: str) -> tuple[str, ...]:
    stem = f"{kind}.attention.layer_norm"
    return f"{stem}_rms_epsilon", f"{stem}_epsilon"


def _activation(about: dict[str, Any], family: Family, where: str) -> str:
    name = str(about.get("hidden_act", family.activation))[:40]
    name = _ACTIVATION_NAMES.get(name, name)
    if name not in ACTIVATIONS:
        raise InputError(f"{where}: hidden_act {name!r} is not known: {', '.join(ACTIVATIONS)}")
    scaling = about.get("rope_scaling")
    if isinstance(scaling, dict) and scaling.get("rope_type", scaling.get("type")) != "default":
        raise InputError(f"{where}: rope_scaling is not supported: take a checkpoint without it")
    return name
