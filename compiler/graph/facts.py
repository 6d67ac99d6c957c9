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

    def summary(self) -> dict[str, Any]:
        """What a reader of the compiled network may want to know."""
        return {
            "architecture": self.architecture,
            "builder": self.family.builder,
            "context": self.context,
            "layers": self.layers,
            "width": self.width,
        }


_INSTEAD = "compile single matrices with lutcore matrix compile"


class _Metadata:
    """A checkpoint's metadata by the field's name, whichever tool wrote it."""

    def __init__(self, checkpoint: Checkpoint):
        self.about, self.where = checkpoint.metadata, str(checkpoint.path)
        self.hugging_face = "general.architecture" not in self.about
        self.kind = str(
            self.about.get("model_type" if self.hugging_face else "general.architecture")
        )
        if self.kind not in FAMILIES:
            raise InputError(
                f"{self.where}: architecture {self.kind[:40]!r} is not known; "
                f"known: {', '.join(FAMILIES)}: {_INSTEAD}"
            )

    def whole(self, field: str, default: int | None = None) -> int:
        """A positive whole number."""
        gguf, plain = _KEYS[field]
        key = plain if self.hugging_face else f"{self.kind}.{gguf}"
        value = self.about.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            raise InputError(
                f"{self.where}: {key} must be 1..{_MOST}, not {repr(value)[:40]}: {_INSTEAD}"
            )
        return value

    def real(self, names: tuple[str, ...], default: float | None = None) -> float:
        """A positive number, of the first name that is there."""
        about = self.about
        value = next((about[name] for name in names if about.get(name) is not None), default)
        if not isinstance(value, int | float) or not 0 < value < _GREATEST:
            raise InputError(f"{self.where}: {names[0]} must be positive, not {repr(value)[:40]}")
        return float(value)


def read_facts(checkpoint: Checkpoint) -> ModelFacts:
    """Facts of a checkpoint's network.

    Raises
    ------
    InputError
        The architecture is unknown, or the metadata is incomplete or absurd.
    """
    data = _Metadata(checkpoint)
    kind, family = data.kind, FAMILIES[data.kind]
    width, heads = data.whole("width"), data.whole("heads")
    size = data.whole("head_size", -(-width // heads))
    kv_heads = data.whole("kv_heads", heads)
    if heads % kv_heads or ("head_size" not in data.about and size * heads < width):
        raise InputError(f"{data.where}: {heads} heads, {kv_heads} of keys do not divide {width}")
    return ModelFacts(
        architecture=kind,
        family=family,
        hugging_face=data.hugging_face,
        layers=data.whole("layers"),
        width=width,
        hidden=data.whole("hidden"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=size,
        context=data.whole("context"),
        rotated=data.whole("rotated", size),
        epsilon=data.real(_EPSILON_HF if data.hugging_face else _gguf_epsilon(kind)),
        rope_base=data.real(("rope_theta", f"{kind}.rope.freq_base"), 10000.0),
        activation=_activation(data.about, family, data.where),
        pairs="halves" if data.hugging_face else family.pairs,
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
