"""What a host computes of a network, in float32."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lutcore.errors import InputError

_Attributes = dict[str, Any]

#: A token whose activations are all smaller than this has the step of one that reaches it.
_LEAST = np.float32(1e-5)


def _embed(attributes: _Attributes, index: np.ndarray, table: np.ndarray) -> list[np.ndarray]:
    return [table[index]]


def _norm(attributes: _Attributes, x: np.ndarray, *gains: np.ndarray) -> list[np.ndarray]:
    wide = x.reshape(len(x), int(attributes.get("heads", 1)), -1)
    if attributes["kind"] == "layer":
        wide = wide - wide.mean(axis=-1, keepdims=True)
    mean = np.square(wide).mean(axis=-1, keepdims=True)
    wide = wide / np.sqrt(mean + np.float32(attributes["epsilon"])) * gains[0]
    for bias in gains[1:]:
        wide = wide + bias
    return [wide.reshape(x.shape)]


def _linear(attributes: _Attributes, x: np.ndarray, w: np.ndarray, *bias) -> list[np.ndarray]:
    y = x @ w.T
    return [y + bias[0] if bias else y]


def quantise_rows(x: np.ndarray, most: int = 127) -> tuple[np.ndarray, np.ndarray]:
    """Round each row to integers of at most ``most``, half to even: int64 codes, float32 steps.

    Parameters
    ----------
    x : float32 [M, K]
    """
    step = np.maximum(np.abs(x).max(axis=1, keepdims=True), _LEAST) / np.float32(most)
    return np.rint(x / step).astype(np.int64), step


def _quantise(attributes: _Attributes, x: np.ndarray) -> list[np.ndarray]:
    if not np.isfinite(x).all():
        raise InputError("activations are not finite: the network's weights are damaged")
    codes, step = quantise_rows(x)
    return [codes.astype(np.int8), step]


def offset(codes: np.ndarray, minimums: np.ndarray, group: int) -> np.ndarray:
    """What minimums [N, groups] add to ``O`` [M, N] for codes [M, K], float32."""
    starts = np.arange(0, codes.shape[1], group)
    sums = np.add.reduceat(codes.astype(np.int64), starts, axis=1).astype(np.float32)
    return sums @ minimums.T


def _offset(attributes: _Attributes, y, codes, minimums, *order) -> list[np.ndarray]:
    ordered = codes[:, order[0]] if order else codes
    return [y + offset(ordered, minimums, int(attributes["group"]))]


def _rescale(attributes: _Attributes, y: np.ndarray, scale: np.ndarray, *bias) -> list[np.ndarray]:
    if "factor" in attributes:
        scale = scale * np.float32(attributes["factor"])
    y = y * scale
    return [y + bias[0] if bias else y]


def _rotary(attributes: _Attributes, x: np.ndarray, positions, *factors) -> list[np.ndarray]:
    half = int(attributes["dimension"]) // 2
    rates = float(attributes["base"]) ** (-np.arange(half) / half)
    if factors:
        long = len(factors) > 1 and positions.max() >= int(attributes["original"])
        rates = rates / factors[int(long)]
    angles, magnitude = positions[:, None, None] * rates, float(attributes.get("magnitude", 1))
    cosine = (np.cos(angles) * magnitude).astype(np.float32)
    sine = (np.sin(angles) * magnitude).astype(np.float32)
    wide = x.reshape(len(x), int(attributes["heads"]), -1).copy()
    turned = wide[..., : 2 * half]
    if attributes["pairs"] == "halves":
        low, high = turned[..., :half].copy(), turned[..., half:].copy()
        turned[..., :half], turned[..., half:] = (
            low * cosine - high * sine,
            high * cosine + low * sine,
        )
    else:
        low, high = turned[..., ::2].copy(), turned[..., 1::2].copy()
        turned[..., ::2], turned[..., 1::2] = (
            low * cosine - high * sine,
            high * cosine + low * sine,
        )
    return [wide.reshape(x.shape)]


def attention(
    attributes: _Attributes, q: np.ndarray, k: np.ndarray, v: np.ndarray
) -> list[np.ndarray]:
    """``softmax(q k^T) v`` of each head; keys may begin before the queries, which are the last.

    Parameters
    ----------
    q : float32 [T, heads * size]
    k, v : float32 [S, kv_heads * size], S >= T
    """
    heads, kv_heads = int(attributes["heads"]), int(attributes["kv_heads"])
    t, s = len(q), len(k)
    queries = q.reshape(t, kv_heads, heads // kv_heads, -1).transpose(1, 2, 0, 3)
    keys = k.reshape(s, kv_heads, -1).transpose(1, 2, 0)[:, None]
    scores = queries @ keys  # [kv_heads, heads of one, T, S]
    window = int(attributes.get("window", s))
    if attributes["causal"] and (t > 1 or window < s):
        back = np.arange(s - t, s)[:, None] - np.arange(s)  # from a query to a key
        scores = np.where((back >= 0) & (back < window), scores, np.float32(-np.inf))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores = scores / scores.sum(axis=-1, keepdims=True)
    context = scores @ v.reshape(s, kv_heads, -1).transpose(1, 0, 2)[:, None]
    return [context.transpose(2, 0, 1, 3).reshape(t, -1)]


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float32])(x)


_HALF, _ONE = np.float32(0.5), np.float32(1)
_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gelu": lambda x: _HALF * x * (_ONE + _erf(x * np.float32(math.sqrt(0.5)))),
    "gelu-tanh": lambda x: (
        _HALF * x * (_ONE + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + 0.044715 * x**3)))
    ),
    "silu": lambda x: x / (_ONE + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.square(np.maximum(x, 0)),
    "tanh": np.tanh,
}


def _unit(attributes: _Attributes, x: np.ndarray) -> list[np.ndarray]:
    length = np.sqrt(np.square(x).sum(axis=-1, keepdims=True))
    return [x / np.maximum(length, np.float32(1e-12))]


def _weighted(x: np.ndarray) -> np.ndarray:
    weights = np.arange(1, len(x) + 1, dtype=np.float32)[:, None]
    return (x * weights).sum(axis=0, keepdims=True) / weights.sum()


_POOLINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda x: x.mean(axis=0, keepdims=True),
    "first": lambda x: x[:1],
    "last": lambda x: x[-1:],
    "max": lambda x: x.max(axis=0, keepdims=True),
    "mean-sqrt": lambda x: x.sum(axis=0, keepdims=True) / np.float32(math.sqrt(len(x))),
    "weighted": _weighted,
}


#: Operation -> its function of attributes and inputs; returns the outputs.
OPERATORS: dict[str, Callable[..., list[np.ndarray]]] = {
    "embed": _embed,
    "norm": _norm,
    "linear": _linear,
    "quantise": _quantise,
    "offset": _offset,
    "rescale": _rescale,
    "rotary": _rotary,
    "attention": attention,
    "activation": lambda attributes, x: [_ACTIVATIONS[attributes["kind"]](x)],
    "scale": lambda attributes, x: [x * np.float32(attributes["factor"])],
    "multiply": lambda attributes, a, b: [a * b],
    "add": lambda attributes, a, b: [a + b],
    "pool": lambda attributes, x: [_POOLINGS[attributes["kind"]](x)],
    "unit": _unit,
}
