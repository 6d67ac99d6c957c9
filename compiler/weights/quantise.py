"""Float matrices to weight codes: rounding to nearest, group by group."""

from dataclasses import dataclass

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

#: Shares of a group's range that are tried: what is outside is cut off.
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True)
class Rounding:
    """How matrices are rounded.

    Each group of ``group_size`` along K gets the scale and the whole zero point, out of a few, that
    leave the least squared error: ``w ~ scale * (code - zero)`` with an FP16 scale. ``ternary``
    keeps two-bit codes to 0, 1, 2.

    Raises
    ------
    InputError
        Bits or group are out of range.
    """

    bits: int
    group_size: int = 32
    ternary: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise InputError(f"--bits must be 1..8, not {self.bits}")
        if self.group_size < 1:
            raise InputError(f"--group must be positive, not {self.group_size}")
        if self.ternary and self.bits != 2:
            raise InputError(f"ternary codes have 2 bits, not {self.bits}")

    def apply(self, name: str, weights: np.ndarray) -> QuantTensor:
        """Round a matrix, float32 [N, K].

        Raises
        ------
        InputError
            The greatest scale is beyond FP16's normal numbers, or beneath them.
        """
        size = min(self.group_size, weights.shape[1])
        if self.bits == 1:
            return self._signs(name, weights, size)
        n, k = weights.shape
        groups = -(-k // size)
        padded = np.pad(weights, ((0, 0), (0, groups * size - k)), mode="edge")
        parts = padded.reshape(n, groups, size)
        most = 2 if self.ternary else (1 << self.bits) - 1
        low = np.minimum(parts.min(axis=2, keepdims=True), 0)
        high = np.maximum(parts.max(axis=2, keepdims=True), 0)
        _check_widest(name, float((high - low).max()) / most)
        best = [np.zeros(0)] * 3
        least = np.full(low.shape, np.inf, np.float32)
        for share in _SHARES:
            scale = ((high - low) * np.float32(share / most)).astype(np.float16)
            scale = np.where(scale == 0, np.float16(1), scale).astype(np.float32)
            zero = np.clip(np.rint(-low * np.float32(share) / scale), 0, most + 1)
            codes = np.clip(np.rint(parts / scale) + zero, 0, most)
            error = np.square(parts - scale * (codes - zero)).sum(axis=2, keepdims=True)
            better = error < least
            least = np.where(better, error, least)
            best = [
                np.where(better, new, old) if old.size else new
                for new, old in zip((scale, zero, codes), best, strict=True)
            ]
        scale, zero, codes = best
        return QuantTensor(
            name=name,
            kind=f"W{self.bits}",
            bits=self.bits,
            codes=codes.reshape(n, -1)[:, :k].astype(np.uint8),
            scales=scale[..., 0],
            zero_points=zero[..., 0].astype(np.int16),
            minimums=None,
            group_size=size,
        )

    def _signs(self, name: str, weights: np.ndarray, size: int) -> QuantTensor:
        """One bit: signs times the group's mean magnitude, which leaves the least squared error."""
        k = weights.shape[1]
        starts = np.arange(0, k, size)
        counts = np.diff([*starts, k]).astype(np.float32)
        scales = 2 * np.add.reduceat(np.abs(weights), starts, axis=1) / counts
        _check_widest(name, float(scales.max()))
        scales = scales.astype(np.float16).astype(np.float32)
        return QuantTensor(
            name=name,
            kind="W1",
            bits=1,
            codes=(weights >= 0).astype(np.uint8),
            scales=scales,
            zero_points=np.zeros(scales.shape, np.int16),
            minimums=scales / np.float32(-2),
            group_size=size,
        )


def _check_widest(name: str, scale: float) -> None:
    """Refuse a tensor whose greatest scale is no normal FP16 number: it would lose its values."""
    low, high = 2.0**-14, 65504.0
    if scale > high:
        raise InputError(f"tensor {name!r}: its values are beyond FP16 scales: scale it down")
    if 0 < scale < low:
        raise InputError(f"tensor {name!r}: its values are beneath FP16 scales: scale it up")
