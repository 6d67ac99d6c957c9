"""What a checkpoint's metadata says of its network, in one form for GGUF and config.json."""

from dataclasses import dataclass
from typing import Any

from lutcore.compiler.graph.ends import End, read_end
from lutcore.compiler.graph.families import GGUF, HUGGING_FACE, Family
from lutcore.compiler.graph.ops import ACTIVATIONS
from lutcore.compiler.graph.reading import Reading
from lutcore.compiler.graph.rope import Rope, read_rope
from lutcore.compiler.importers.settings import short

#: Names of config.json for activations that have another here.
_ACTIVATION_NAMES = {
    "gelu_new": "gelu-tanh",
    "gelu_pytorch_tanh": "gelu-tanh",
    "swish": "silu",
}

#: Field -> GGUF key behind the architecture, key of config.json.
KEYS = {
    "layers": ("block_count", "num_hidden_layers"),
    "width": ("embedding_length", "hidden_size"),
    "hidden": ("feed_forward_length", "intermediate_size"),
    "heads": ("attention.head_count", "num_attention_heads"),
    "kv_heads": ("attention.head_count_kv", "num_key_value_heads"),
    "head_size": ("attention.key_length", "head_dim"),
    "value_size": ("attention.value_length", ""),
    "context": ("context_length", "max_position_embeddings"),
    "rotated": ("rope.dimension_count", ""),
    "vocabulary": ("vocab_size", "vocab_size"),
    "types": ("", "type_vocab_size"),
    "window": ("", "sliding_window"),
    "full_layers": ("", "max_window_layers"),
}
_EPSILON = {
    "decoder": ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    "bert": ("attention.layer_norm_epsilon", "layer_norm_eps"),
}
_CAUSAL = ("attention.causal", "is_decoder")
_MOST, _GREATEST = 1 << 24, 1e30


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Sizes and conventions of a network; lengths in elements.

    Attributes
    ----------
    windows : tuple of int
        Of each layer: tokens that attention looks back over, itself included; 0 is all of them.
    biases : dict of str to str
        Role of a linear layer -> ``"always"`` or ``"maybe"``; others have none.
    ties : bool
        Whether the embedding serves as the output matrix where there is none.
    vocabulary, types : int
        Rows of the embeddings of tokens and of their types; 0 where the metadata does not say it.
    inner_epsilon : float or None
        Of a norm inside each quantised layer (``use_rms_norm``); None where there are none.
    """

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
    epsilon: float
    rope: Rope | None
    activation: str
    windows: tuple[int, ...]
    causal: bool
    biases: dict[str, str]
    ties: bool
    vocabulary: int
    types: int
    inner_epsilon: float | None
    end: End

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

    def __init__(self, reading: Reading):
        self.reading = reading
        families = HUGGING_FACE if reading.hugging_face else GGUF
        self.kind = str(
            reading.take("model_type" if reading.hugging_face else "general.architecture")
        )
        if self.kind not in families:
            reading.refuse(
                f"architecture {self.kind[:40]!r} is not known; "
                f"known: {', '.join(families)}: {_INSTEAD}"
            )
        self.family = families[self.kind]

    def key(self, names: tuple[str, str]) -> str:
        """The key of a pair of names, "" where this world has none."""
        gguf, plain = names
        if self.reading.hugging_face:
            return plain
        return gguf and f"{self.kind}.{gguf}"

    def value(self, key: str, default: Any = None) -> Any:
        """What a key says; else what transformers takes; else ``default``."""
        if not key:
            return default
        return self.reading.take(key, self.family.defaults.get(key, default))

    def whole(self, field: str, default: int | None = None) -> int:
        """A positive whole number; ``default`` where the metadata does not say it."""
        key = self.key(KEYS[field])
        value = self.value(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            self.reading.refuse(f"{key} must be 1..{_MOST}, not {short(value)}: {_INSTEAD}")
        return value

    def real(self, names: tuple[str, str]) -> float:
        """A positive number."""
        key = self.key(names)
        value = self.value(key)
        if not isinstance(value, int | float) or not 0 < value < _GREATEST:
            self.reading.refuse(f"{key} must be positive, not {short(value)}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.value(key, default)
        if not isinstance(value, bool):
            self.reading.refuse(f"{key} must be true or false, not {short(value)}")
        return value


def read_facts(reading: Reading) -> ModelFacts:
    """Facts of a checkpoint's network.

    Raises
    ------
    InputError
        The architecture is unknown, or the metadata is incomplete or absurd.
    """
    data = _Metadata(reading)
    family, hf = data.family, reading.hugging_face
    width, heads = data.whole("width"), data.whole("heads")
    decoder = family.builder == "decoder"
    stated = decoder and data.value(data.key(KEYS["head_size"])) is not None
    size = data.whole("head_size") if stated else -(-width // heads)
    kv_heads = data.whole("kv_heads", heads)
    if heads % kv_heads or (not stated and size * heads != width):
        reading.refuse(f"{heads} heads, {kv_heads} of keys do not divide {width}")
    if decoder and data.whole("value_size", size) != size:
        reading.refuse(f"values of {data.whole('value_size')} elements, keys of {size}: {_INSTEAD}")
    layers, context = data.whole("layers"), data.whole("context")
    base = family.defaults.get("rope_theta", 10000.0)
    return ModelFacts(
        architecture=data.kind,
        family=family,
        hugging_face=hf,
        layers=layers,
        width=width,
        hidden=data.whole("hidden"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=size,
        context=context,
        epsilon=data.real(_EPSILON[family.builder]),
        rope=_rope(data, size, context, base) if decoder else None,
        activation=_activation(data),
        windows=_windows(data, layers),
        causal=_causal(data),
        biases=_biases(data),
        ties=data.flag("tie_word_embeddings", False) if hf else True,
        vocabulary=data.whole("vocabulary", 0),
        types=data.whole("types", 0) if not decoder else 0,
        inner_epsilon=_inner_epsilon(reading),
        end=read_end(reading, data.kind, family, width),
    )


def _rope(data: _Metadata, size: int, context: int, base: float) -> Rope:
    rotated = data.whole("rotated", size)
    if rotated > size or (rotated < size and not data.family.partial):
        data.reading.refuse(f"{rotated} elements are turned of heads of {size}: {_INSTEAD}")
    return read_rope(data.reading, data.kind, rotated, context, base)


def _causal(data: _Metadata) -> bool:
    """Whether tokens see none after them; llama.cpp's BERT always sees all."""
    decoder = data.family.builder == "decoder"
    if decoder == data.reading.hugging_face:
        return decoder
    return data.flag(data.key(_CAUSAL), decoder)


def _activation(data: _Metadata) -> str:
    said = data.value("hidden_act") if data.reading.hugging_face else None
    name = str(data.family.activation if said is None else said)[:40]
    name = _ACTIVATION_NAMES.get(name, name)
    if name not in ACTIVATIONS:
        data.reading.refuse(f"hidden_act {name!r} is not known: {', '.join(ACTIVATIONS)}")
    return name


def _biases(data: _Metadata) -> dict[str, str]:
    """Roles that have a bias, by what the family and config.json say."""
    found = {}
    for role, when in data.family.biases.items():
        if when in ("always", "maybe"):
            found[role] = when
        elif data.flag(when, False):
            found[role] = "always"
    return found


def _windows(data: _Metadata, layers: int) -> tuple[int, ...]:
    """The window of each layer, as transformers builds the architecture."""
    family, take = data.family, data.value
    if not family.window:
        return (0,) * layers
    window = take("sliding_window")
    if family.window == "all":
        return (0 if window is None else data.whole("window"),) * layers
    used = data.flag("use_sliding_window", False)
    kinds, full = take("layer_types"), data.value("max_window_layers", 28)
    if kinds is None:
        if not used or window is None:
            return (0,) * layers
        if not isinstance(full, int) or full < 0:
            data.reading.refuse(f"max_window_layers must not be negative, not {short(full)}")
        return tuple(data.whole("window") if i >= full else 0 for i in range(layers))
    known = ("full_attention", "sliding_attention")
    if not isinstance(kinds, list) or len(kinds) != layers or not {*kinds} <= {*known}:
        data.reading.refuse(
            f"layer_types must be {layers} of {' or '.join(known)}, not {short(kinds)}"
        )
    if "sliding_attention" in kinds and (not used or window is None):
        data.reading.refuse("layer_types has sliding_attention, but use_sliding_window is not true")
    return tuple(data.whole("window") if kind == known[1] else 0 for kind in kinds)


def _inner_epsilon(reading: Reading) -> float | None:
    """Of the norms that BitNet's quantised layers begin with, if they have them."""
    settings = reading.checkpoint.quantisation()
    used = settings.get("use_rms_norm", False)
    if not isinstance(used, bool):
        reading.refuse(f"use_rms_norm must be true or false, not {short(used)}")
    if not used:
        return None
    value = settings.get("rms_norm_eps", 1e-6)
    if not isinstance(value, int | float) or not 0 < value < _GREATEST:
        reading.refuse(f"rms_norm_eps must be positive, not {short(value)}")
    return float(value)
