"""A reference of the ternary language model: plain NumPy, float64 but for the integer products.

It shares nothing with graphs, schedules or packing: weights are the checkpoint's dequantised
codes. The products themselves are a function that the caller gives, so the same network runs with
exact products or with those of eight-bit tables.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.errors import InputError


class Linear(Protocol):
    """Products with the matrices of a model."""

    def __call__(self, name: str, codes: np.ndarray, /) -> np.ndarray:
        """Int8 [M, K] times the transpose of matrix ``name``: floats [M, N]."""
        ...


class ExactLinear:
    """Products with the dequantised weights; the integers in them are exact.

    Needs one scale a matrix: sums of int8 times ternary codes then stay below 2^24, and float32
    holds them.
    """

    def __init__(self, checkpoint: Checkpoint):
        self._checkpoint = checkpoint
        self._made: dict[str, tuple[np.ndarray, float]] = {}

    def __call__(self, name: str, codes: np.ndarray) -> np.ndarray:
        """``codes [M, K]`` times the matrix, float64 [M, N]."""
        if name not in self._made:
            weights = self._checkpoint.tensor(name).dequantise()
            scale = float(np.abs(weights).max()) or 1.0
            self._made[name] = (weights / scale).T.astype(np.float32), scale
        weights, scale = self._made[name]
        return scale * (codes.astype(np.float32) @ weights).astype(np.float64)


def quantise(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """INT8 by the largest magnitude of each row: codes [M, K], steps [M, 1]; half to even."""
    step = np.maximum(np.abs(x).max(axis=1, keepdims=True), 1e-5) / 127
    return np.rint(x / step).astype(np.int8), step


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


@dataclass
class Memory:
    """Keys and values of the tokens so far: per layer [tokens, heads, size]."""

    keys: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens so far."""
        return len(self.keys[0]) if self.keys else 0

    def extend(self, layer: int, keys: np.ndarray, values: np.ndarray) -> tuple:
        """All keys and values of a layer, the new ones behind the old."""
        if layer == len(self.keys):
            self.keys.append(keys)
            self.values.append(values)
        else:
            self.keys[layer] = np.concatenate([self.keys[layer], keys])
            self.values[layer] = np.concatenate([self.values[layer], values])
        return self.keys[layer], self.values[layer]


class LanguageModel:
    """The network of a checkpoint of architecture ``bitnet``.

    Raises
    ------
    InputError
        The checkpoint is of another architecture.
    """

    def __init__(self, checkpoint: Checkpoint):
        about = checkpoint.metadata
        kind = about.get("general.architecture")
        if kind != "bitnet":
            raise InputError(f"{checkpoint.path}: the architecture must be bitnet, not {kind!r}")
        self.layers = int(about["bitnet.block_count"])
        self.heads = int(about["bitnet.attention.head_count"])
        self.context = int(about["bitnet.context_length"])
        self._rope_base = float(about["bitnet.rope.freq_base"])
        self._epsilon = float(about["bitnet.attention.layer_norm_rms_epsilon"])
        gains = [name for name in checkpoint.names() if name.endswith("norm.weight")]
        self._floats = {
            name: checkpoint.array(name).astype(np.float64)
            for name in [*gains, "token_embd.weight"]
        }

    def logits(
        self, tokens: np.ndarray, linear: Linear, memory: Memory | None = None
    ) -> np.ndarray:
        """Scores of the byte after each token, float64 [tokens, 256].

        Parameters
        ----------
        tokens : integer [tokens]
            Bytes that follow those in ``memory``, which takes them in.
        """
        memory = Memory() if memory is None else memory
        first = memory.length
        x = self._floats["token_embd.weight"][tokens]
        for layer in range(self.layers):
            x = x + self._attention(layer, x, linear, memory, first)
            x = x + self._feed_forward(layer, x, linear)
        return self._product("output", self._norm("output_norm", x), linear)

    def _attention(
        self, layer: int, x: np.ndarray, linear: Linear, memory: Memory, first: int
    ) -> np.ndarray:
        block = f"blk.{layer}."
        y = self._norm(block + "attn_norm", x)
        q, k, v = (
            self._product(block + name, y, linear).reshape(len(x), self.heads, -1)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        positions = first + np.arange(len(x))
        keys, values = memory.extend(layer, self._rotated(k, positions), v)
        scores = np.einsum("thd,shd->hts", self._rotated(q, positions), keys)
        later = np.arange(len(keys)) > positions[:, None]
        scores = np.where(later, -np.inf, scores / np.sqrt(q.shape[-1]))
        y = np.einsum("hts,shd->thd", _softmax(scores), values).reshape(len(x), -1)
        return self._product(block + "attn_output", self._norm(block + "attn_sub_norm", y), linear)

    def _feed_forward(self, layer: int, x: np.ndarray, linear: Linear) -> np.ndarray:
        block = f"blk.{layer}."
        y = self._norm(block + "ffn_norm", x)
        gate, up = (self._product(block + name, y, linear) for name in ("ffn_gate", "ffn_up"))
        y = self._norm(block + "ffn_sub_norm", _silu(gate) * up)
        return self._product(block + "ffn_down", y, linear)

    def _product(self, name: str, x: np.ndarray, linear: Linear) -> np.ndarray:
        codes, step = quantise(x)
        return step * linear(name + ".weight", codes)

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        mean = np.square(x).mean(axis=1, keepdims=True)
        return x / np.sqrt(mean + self._epsilon) * self._floats[name + ".weight"]

    def _rotated(self, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """[tokens, heads, size]; element i turns with element i + size / 2."""
        half = x.shape[-1] // 2
        angles = positions[:, None, None] * self._rope_base ** (-np.arange(half) / half)
        cosine, sine = np.cos(angles), np.sin(angles)
        low, high = x[..., :half], x[..., half:]
        return np.concatenate([low * cosine - high * sine, high * cosine + low * sine], axis=-1)


def perplexity(
    model: LanguageModel,
    text: bytes,
    linear: Linear,
    on_window: Callable[[], object] = lambda: None,
) -> float:
    """``exp`` of the mean negative log probability of a byte, over windows of the context.

    Windows do not overlap; the first byte of each is given, the others are predicted.
    ``on_window`` is called after each.

    Raises
    ------
    InputError
        The text is shorter than two bytes.
    """
    losses = []
    for window in windows(model, text):
        scores = model.logits(window[:-1], linear)
        scores = scores - scores.max(axis=1, keepdims=True)
        right = scores[np.arange(len(scores)), window[1:]]
        losses.append(np.log(np.exp(scores).sum(axis=1)) - right)
        on_window()
    return float(np.exp(np.concatenate(losses).mean()))


def windows(model: LanguageModel, text: bytes) -> list[np.ndarray]:
    """The text in pieces of the context and the byte after it, the last one shorter."""
    tokens = np.frombuffer(text, np.uint8).astype(np.int64)
    if len(tokens) < 2:
        raise InputError("the text must have at least two bytes")
    size = model.context + 1
    pieces = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    return [piece for piece in pieces if len(piece) > 1]
