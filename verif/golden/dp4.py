"""Reference of the units of :mod:`lutcore.hdl.baselines.discrete` and
:mod:`lutcore.hdl.baselines.fused`, vectorised, to the bit.

Everything takes and gives bit patterns: ``a`` and ``b`` ``[n][4]`` (fused: of any number of
products) of ``uint16`` (FP16), ``c`` and results ``[n]`` of ``uint32`` (FP32). The discrete unit is
NumPy's own float32 arithmetic; the fused one is computed with integers and rounded once, from
float64, which holds its sums exactly.
"""

import numpy as np
from numpy.typing import NDArray

from lutcore.hdl.config.formats import FP16, FP32
from lutcore.verif.golden.formats import decode, encode

Halves = NDArray[np.uint16]
Singles = NDArray[np.uint32]


def discrete(a: Halves, b: Halves, c: Singles) -> Singles:
    """``((a0 b0 + a1 b1) + (a2 b2 + a3 b3)) + c``, each addition rounded to float32."""
    with np.errstate(all="ignore"):
        p = a.view(np.float16).astype(np.float32) * b.view(np.float16).astype(np.float32)
        total = ((p[:, 0] + p[:, 1]) + (p[:, 2] + p[:, 3])) + c.view(np.float32)
        return np.where(np.isnan(total), np.uint32(FP32.quiet_nan), total.view(np.uint32))


def fused(a: Halves, b: Halves, c: Singles, guard: int = 3) -> Singles:
    """All terms cut to a window below the largest exponent, added, rounded once.

    See :class:`lutcore.hdl.baselines.fused.FusedDotProduct` for the rules.
    """
    ea, sa = _fields(a, 5, 10)
    eb, sb = _fields(b, 5, 10)
    ec, sc = _fields(c, 8, 23)
    negative = np.concatenate([(a ^ b) >> 15 != 0, (c >> 31 != 0)[:, None]], axis=1)
    # Each term as magnitude * 2^(exponent - window), in [0, 2^(exponent + 1)).
    window = 23 + guard
    exponent = np.concatenate([ea + eb - 30 + 1, (ec - 127)[:, None]], axis=1)
    magnitude = np.concatenate([(sa * sb) << window - 21, (sc << window - 23)[:, None]], axis=1)
    present = np.where(magnitude[:, :-1] != 0, exponent[:, :-1], -1000)
    largest = np.maximum(present.max(axis=1), exponent[:, -1])
    cut = magnitude >> np.clip(largest[:, None] - exponent, 0, 63)
    total = np.where(negative, -cut, cut).sum(axis=1)
    value = np.ldexp(total.astype(np.float64), largest - window)
    value = np.where((total == 0) & negative.all(axis=1), -0.0, value)
    with np.errstate(all="ignore"):
        wide = (decode(a, FP16) * decode(b, FP16)).sum(axis=1) + decode(c, FP32)
        return encode(np.where(np.isfinite(wide), value, wide), FP32)


def _fields(bits: NDArray, exponent_bits: int, fraction_bits: int) -> tuple[NDArray, NDArray]:
    """Biased exponent, 1 for subnormals, and significand, as int64."""
    bits = bits.astype(np.int64)
    field = bits >> fraction_bits & (1 << exponent_bits) - 1
    hidden = (field != 0).astype(np.int64) << fraction_bits
    return np.maximum(field, 1), bits & (1 << fraction_bits) - 1 | hidden
