"""Rotary embeddings: what each way of scaling makes of the frequencies.

All of them divide the frequency ``base^(-2i/d)`` of pair ``i`` by a factor of its own, and some
multiply sines and cosines by one number. Sources: transformers' ``modeling_rope_utils``, and
llama.cpp's ``ggml_rope`` and ``llama_context``, which agree where both know a way.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from lutcore.compiler.graph.reading import Reading
from lutcore.compiler.importers.settings import short

_GREATEST = 1e30


@dataclass(frozen=True, kw_only=True)
class Rope:
    """A rotary embedding.

    Attributes
    ----------
    dimension : int
        Elements of a head that are turned, even.
    base : float
    factors, long_factors : float64 [dimension / 2], or None
        Divisors of the frequencies; the long ones count in texts longer than ``original``.
    original : int
        0 where there are no long factors.
    magnitude : float
        Multiplies sines and cosines.
    """

    dimension: int
    base: float
    factors: np.ndarray | None = None
    long_factors: np.ndarray | None = None
    original: int = 0
    magnitude: float = 1.0


@dataclass(frozen=True)
class _Asked:
    """What the metadata says of the scaling, by the names of config.json."""

    reading: Reading
    names: dict[str, tuple[str, ...]]
    dimension: int
    base: float
    context: int

    def number(self, name: str, default: float | None = None, least: float = 0.0) -> float:
        key, value = self.reading.first(self.names.get(name, ()), default)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not least < value < _GREATEST:
            where = key or (self.names.get(name) or (name,))[0]
            self.reading.refuse(f"{where} must be over {least:g}, not {short(value)}")
        return float(value)

    def factors(self, name: str) -> np.ndarray:
        key, value = self.reading.first(self.names[name])
        numbers = value if isinstance(value, list) else []
        good = all(isinstance(n, int | float) and 0 < n < _GREATEST for n in numbers)
        if not good or len(numbers) != self.dimension // 2:
            self.reading.refuse(
                f"{key or self.names[name][0]} must be {self.dimension // 2} positive numbers, "
                f"one of each pair, not {short(value)}"
            )
        return np.array(numbers, np.float64)

    def rates(self) -> np.ndarray:
        return self.base ** (-np.arange(0, self.dimension, 2) / self.dimension)

    def original(self) -> float:
        return self.number("original", float(self.context))


def _plain(asked: _Asked) -> dict[str, Any]:
    return {}


def _linear(asked: _Asked) -> dict[str, Any]:
    return {"factors": np.full(asked.dimension // 2, asked.number("factor"))}


def _llama3(asked: _Asked) -> dict[str, Any]:
    factor, original = asked.number("factor"), asked.original()
    low, high = asked.number("low_freq_factor"), asked.number("high_freq_factor")
    if low == high:
        asked.reading.refuse("low_freq_factor and high_freq_factor of the rope must differ")
    turns = original * asked.rates() / (2 * math.pi)  # of a pair, in the original context
    smooth = (turns - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    return {"factors": np.where(turns < low, factor, np.where(turns > high, 1.0, between))}


def _mscale(factor: float, by: float = 1.0) -> float:
    return 0.1 * by * math.log(factor) + 1 if factor > 1 else 1.0


def _yarn(asked: _Asked) -> dict[str, Any]:
    original = asked.original()
    factor = asked.number("factor", asked.context / original if asked.reading.hugging_face else 1)
    half = asked.dimension // 2
    if asked.base <= 1:
        asked.reading.refuse(f"the rotary base must be over 1 for yarn, not {asked.base:g}")

    def pair(turns: float) -> float:
        """The pair that makes so many turns in the original context."""
        return half * math.log(original / (turns * 2 * math.pi)) / math.log(asked.base)

    low, high = pair(asked.number("beta_fast", 32.0)), pair(asked.number("beta_slow", 1.0))
    said = [asked.reading.take(key) for key in asked.names["truncate"] if key in asked.reading.said]
    if all(said):  # null is no, too
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, asked.dimension - 1)
    if low == high:
        high += 0.001
    ramp = np.clip((np.arange(half) - low) / (high - low), 0, 1)
    return {"factors": 1 / (ramp / factor + 1 - ramp), "magnitude": _yarn_magnitude(asked, factor)}


def _yarn_magnitude(asked: _Asked, factor: float) -> float:
    """What sines and cosines are multiplied by: as it is said, or by the factor's logarithm."""
    said = [n for n in _MAGNITUDES if asked.reading.first(asked.names.get(n, ()))[1] is not None]
    if said == ["attention_factor"]:
        return asked.number("attention_factor")
    if said == ["mscale", "mscale_all_dim"]:
        return _mscale(factor, asked.number(said[0])) / _mscale(factor, asked.number(said[1]))
    if said:
        asked.reading.refuse(
            f"the rope has {' and '.join(said)}: either attention_factor, or mscale and "
            "mscale_all_dim, or none of them says how large sines and cosines are"
        )
    return _mscale(factor)


def _longrope(asked: _Asked) -> dict[str, Any]:
    original = asked.number("original", float(asked.context), 1.0)
    factor = asked.number("factor", asked.context / original)
    wanted = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    return {
        "factors": asked.factors("short_factor"),
        "long_factors": asked.factors("long_factor"),
        "original": int(original),
        "magnitude": asked.number("attention_factor", wanted),
    }


_SCALINGS: dict[str, Callable[[_Asked], dict[str, Any]]] = {
    "default": _plain,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}

_MAGNITUDES = ("attention_factor", "mscale", "mscale_all_dim")
_ORIGINAL = "original_max_position_embeddings"
_MEMBERS = (
    *("factor", "beta_fast", "beta_slow", "truncate", *_MAGNITUDES),
    *("low_freq_factor", "high_freq_factor", "short_factor", "long_factor"),
)
#: config.json's names: transformers 5 has one object, before it there were a key and an object.
_PLACES = ("rope_parameters.", "rope_scaling.")
_HUGGING_FACE = {
    **{name: tuple(place + name for place in _PLACES) for name in _MEMBERS},
    "type": tuple(place + name for place in _PLACES for name in ("rope_type", "type")),
    "base": (f"{_PLACES[0]}rope_theta", f"{_PLACES[1]}rope_theta", "rope_theta"),
    "original": (_ORIGINAL, *(place + _ORIGINAL for place in _PLACES)),
}
#: GGUF's names, after the architecture.
_GGUF = {
    "type": ("rope.scaling.type",),
    "base": ("rope.freq_base",),
    "factor": ("rope.scaling.factor", "rope.scale_linear"),
    "original": ("rope.scaling.original_context_length",),
    "truncate": (),
    "attn_factor": ("rope.scaling.attn_factor",),
}


def read_rope(
    reading: Reading, kind: str, dimension: int, context: int, base: float = 10000.0
) -> Rope:
    """The rotary embedding that a checkpoint says; GGUF's tensors of factors come on top.

    Parameters
    ----------
    kind : str
        Architecture, which GGUF's keys begin with.
    dimension : int
        Elements of a head that are turned.
    context : int
        Tokens of a text, at most.
    base : float
        Where the checkpoint says none.

    Raises
    ------
    InputError
        The way of scaling is not known, or its numbers are absent or absurd.
    """
    if dimension % 2:
        reading.refuse(f"{dimension} elements of a head are turned in pairs: it must be even")
    if reading.hugging_face:
        names = _HUGGING_FACE
        places = [p for p in _PLACES if any(key.startswith(p) for key in reading.said)]
        if len(places) > 1:
            reading.refuse(f"both {' and '.join(p[:-1] for p in places)} are there: remove one")
    else:
        names = {name: tuple(f"{kind}.{key}" for key in keys) for name, keys in _GGUF.items()}
    base = _Asked(reading, names, dimension, 0.0, context).number("base", base)
    asked = _Asked(reading, names, dimension, base, context)
    key, way = reading.first(names["type"])
    if not reading.hugging_face:
        return _of_gguf(asked, key, way)
    if way not in (None, *_SCALINGS):
        _unknown(reading, key, way, _SCALINGS)
    return Rope(dimension=dimension, base=base, **_SCALINGS[way or "default"](asked))


def _unknown(reading: Reading, key: str, way: object, known: Iterable[str]) -> NoReturn:
    reading.refuse(
        f"{key} {short(way)} is not known; known: {', '.join(known)}: take a checkpoint with one"
    )


def _longrope_gguf(asked: _Asked) -> dict[str, Any]:
    """Factors are tensors; one for all multiplies them."""
    factors = np.full(asked.dimension // 2, asked.number("factor", 1.0))
    return {"factors": factors, "long_factors": factors, "original": int(asked.original())}


def _of_gguf(asked: _Asked, key: str, way: object) -> Rope:
    """As llama.cpp: a factor alone is linear, and ``attn_factor`` counts whatever the way is."""
    ways = {"none": _plain, "linear": _linear, "yarn": _yarn, "longrope": _longrope_gguf}
    if way not in (None, *ways):
        _unknown(asked.reading, key, way, ways)
    scaled = asked.reading.first(asked.names["factor"])[1] is not None
    made = ways[str(way or ("linear" if scaled else "none"))](asked)
    magnitude = made.pop("magnitude", 1.0) * asked.number("attn_factor", 1.0)
    return Rope(dimension=asked.dimension, base=asked.base, magnitude=magnitude, **made)
