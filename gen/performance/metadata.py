"""Shapes of models from GGUF key-values or a ``config.json``."""

from collections.abc import Mapping
from typing import Any

from lutcore.compiler.graph.facts import KEYS
from lutcore.errors import InputError
from lutcore.gen.performance.shapes import ModelShape

#: Field of :class:`ModelShape` -> keys of GGUF after the architecture, then of ``config.json``.
_KEYS = {
    "hidden": KEYS["width"],
    "blocks": KEYS["layers"],
    "heads": KEYS["heads"],
    "kv_heads": KEYS["kv_heads"],
    "ffn": KEYS["hidden"],
    "vocabulary": KEYS["vocabulary"],
    "head_size": KEYS["head_size"],
    "value_size": ("attention.value_length", "v_head_dim"),
    "experts": ("expert_count", "num_experts", "num_local_experts", "n_routed_experts"),
    "experts_used": ("expert_used_count", "num_experts_per_tok", "experts_per_token"),
    "expert_ffn": ("expert_feed_forward_length", "moe_intermediate_size"),
    "shared_ffn": ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
    "dense_blocks": ("leading_dense_block_count", "first_k_dense_replace"),
    "drafts": ("nextn_predict_layers",),
}
#: Fields that need not be there, or may be 0.
_OPTIONAL = tuple(_KEYS)[6:]
#: Quantisation methods of ``config.json`` whose widths it need not say: bits and scale group.
_METHODS = {"bitnet": (2, 0), "mxfp4": (5, 32)}


class _Metadata:
    """Whole numbers by field, whichever tool wrote them."""

    def __init__(self, name: str, metadata: Mapping[str, Any], defaults: Mapping[str, int]):
        text = metadata.get("text_config")  # models of images and text
        inner = text if isinstance(text, Mapping) and "hidden_size" not in metadata else {}
        self.about, self.name, self.defaults = {**metadata, **inner}, name, defaults
        self.gguf = "general.architecture" in metadata
        named = metadata.get("general.architecture") or self.about.get("model_type", "")
        self.architecture = str(named)

    def value(self, field: str) -> Any:
        """What is said of a field; a list that repeats one number is that number."""
        first, *plain = _KEYS[field]
        names = (f"{self.architecture}.{first}", *plain)
        found = next((self.about[name] for name in names if self.about.get(name) is not None), None)
        if isinstance(found, list) and found and found.count(found[0]) == len(found):
            found = found[0]
        if field in self.defaults and not isinstance(found, int):
            return self.defaults[field]
        return found

    def whole(self, field: str, default: int | None = None) -> int:
        """A whole number: positive, or what is to be taken where nothing is said."""
        value = self.value(field)
        if value is None and field == "vocabulary":
            value = len(self.about.get("tokenizer.ggml.tokens") or ()) or None
        if value is None or (value == 0 and field in (*_OPTIONAL, "ffn")):
            value = default
        if field in _OPTIONAL and value == 0:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 24:
            first, *plain = _KEYS[field]
            key = f"{self.architecture}.{first}" if self.gguf or not plain else plain[0]
            raise InputError(
                f"{self.name}: {key} must be a positive integer, not {repr(value)[:40]}: "
                "no model shape"
            )
        return value


def from_metadata(
    name: str, metadata: Mapping[str, Any], defaults: Mapping[str, int] | None = None
) -> ModelShape:
    """Shape of a checkpoint, from its GGUF key-values or its ``config.json``.

    Parameters
    ----------
    defaults : mapping of str to int, optional
        Fields of :class:`ModelShape` that metadata need not say, or not as one number.

    Raises
    ------
    InputError
        Something is missing, no positive integer, or contradicts something else.
    """
    data = _Metadata(name, metadata, defaults or {})
    hidden, blocks, heads = (data.whole(field) for field in ("hidden", "blocks", "heads"))
    head_size = data.whole("head_size", 0)
    if not head_size and hidden % heads:
        raise InputError(f"{name}: {hidden} columns do not divide into {heads} heads")
    experts, used = data.whole("experts", 0), data.whole("experts_used", 0)
    if experts and not 0 < used <= experts:
        raise InputError(
            f"{name}: has {experts} experts, of which a token uses {used or 'nobody says how many'}"
        )
    ffn = data.whole("ffn", data.whole("expert_ffn", 0) or None)
    expert_ffn = data.whole("expert_ffn", ffn) if experts else 0
    more = data.about.get("n_shared_experts")
    shared = more * expert_ffn if isinstance(more, int) and 0 < more < 1 << 10 else 0
    only = data.about.get("mlp_only_layers")
    dense = data.whole("dense_blocks", len(only) if isinstance(only, list) else 0)
    bits, group_size, notes = _stated_format(data.about)
    return ModelShape(
        name=name,
        hidden=hidden,
        blocks=max(1, blocks - data.whole("drafts", 0) * data.gguf),
        heads=heads,
        kv_heads=data.whole("kv_heads", heads),
        ffn=ffn,
        vocabulary=data.whole("vocabulary"),
        sub_norms=data.architecture == "bitnet",
        head_size=head_size,
        value_size=data.whole("value_size", 0),
        experts=experts,
        experts_used=used,
        expert_ffn=expert_ffn,
        shared_ffn=data.whole("shared_ffn", shared) if experts else 0,
        dense_blocks=min(dense, blocks) if experts else 0,
        bits=bits,
        group_size=group_size,
        notes=notes,
    )


def _stated_format(about: Mapping[str, Any]) -> tuple[int, int, tuple[str, ...]]:
    """Bits and scale group of weights as ``quantization_config`` says, 0 where it does not."""
    stated = about.get("quantization_config")
    if not isinstance(stated, Mapping):
        return 0, 0, ()
    method = str(stated.get("quant_method"))[:40]
    bits: Any = stated.get("bits")
    group: Any = stated.get("group_size")
    if method in _METHODS:
        return *_METHODS[method], ()
    if not _whole(bits, 1, 8) or not _whole(group, -1, 1 << 24):
        note = f"its quantization_config, of method {method!r}, says no bits and group: not used"
        return 0, 0, (note,)
    return bits, max(0, group), ()


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
