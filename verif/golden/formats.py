"""Reference arithmetic on bit patterns of floating-point formats, vectorised and right to the bit.

Every function takes and gives bit patterns: ``uint8``, ``uint16`` or ``uint32`` arrays, as wide as
the format. Results are rounded to nearest, ties to even; NaN results are the format's
``quiet_nan``.

Why computing in float64 is right
---------------------------------
* float64 holds every number of every format here, products of two (at most 48 bits, exponents far
  from its limits), and integers of 53 bits: there the one rounding is that of :func:`encode`.
* Sums of FP16 and FP8 numbers are exact too. A sum of two BF16 or FP32 numbers may be rounded to 53
  bits first, but rounding to p bits and then to q gives what rounding to q gives if p >= 2q + 2
  (Figueroa, "When is double rounding innocuous?", 1995): 53 >= 50. That theorem needs a normal
  result; a subnormal sum is a multiple of the least subnormal number, so nothing is rounded.
* :func:`encode` rounds by itself, because ``ml_dtypes`` converts float64 to BF16 and FP8 by way of
  float32 and so rounds twice. Only exact values go through a cast.
"""

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from lutcore.hdl.config.formats import BF16, FP8_E4M3, FP8_E5M2, FP16, FP32, FloatFormat

Bits = NDArray[np.unsignedinteger]

_TYPES: dict[FloatFormat, np.dtype] = {
    FP8_E4M3: np.dtype(ml_dtypes.float8_e4m3fn),
    FP8_E5M2: np.dtype(ml_dtypes.float8_e5m2),
    FP16: np.dtype(np.float16),
    BF16: np.dtype(ml_dtypes.bfloat16),
    FP32: np.dtype(np.float32),
}


def bits_type(format: FloatFormat) -> np.dtype:
    """Unsigned integer type as wide as ``format``."""
    return np.dtype(f"u{format.bits // 8}")


def number_type(format: FloatFormat) -> np.dtype:
    """NumPy type of numbers of ``format``."""
    return _TYPES[format]


def decode(bits: Bits, format: FloatFormat) -> NDArray[np.float64]:
    """Values of bit patterns, exactly."""
    with np.errstate(invalid="ignore"):  # signalling NaN
        return np.asarray(bits, bits_type(format)).view(_TYPES[format]).astype(np.float64)


def encode(values: NDArray[np.float64], format: FloatFormat) -> Bits:
    """Bit patterns of values, rounded once."""
    values = np.asarray(values, np.float64)
    largest = decode(np.array(format.max_finite), format)
    with np.errstate(invalid="ignore"):
        _, exponent = np.frexp(values)
        last = np.maximum(exponent - 1, 1 - format.bias) - format.fraction_bits
        rounded = np.ldexp(np.rint(np.ldexp(values, -last)), last)
        rounded = np.where(np.abs(rounded) > largest, np.copysign(np.inf, rounded), rounded)
        bits = rounded.astype(_TYPES[format]).view(bits_type(format))
    nan = np.isnan(rounded) if format.infinity else ~np.isfinite(rounded)
    return np.where(nan, bits_type(format).type(format.quiet_nan), bits)


def add(a: Bits, b: Bits, format: FloatFormat) -> Bits:
    """``a + b``."""
    with np.errstate(invalid="ignore"):
        return encode(decode(a, format) + decode(b, format), format)


def multiply(a: Bits, b: Bits, format: FloatFormat, result: FloatFormat | None = None) -> Bits:
    """``a * b``, rounded to ``result`` (None: ``format``)."""
    with np.errstate(invalid="ignore"):
        return encode(decode(a, format) * decode(b, format), result or format)


def convert(a: Bits, source: FloatFormat, target: FloatFormat) -> Bits:
    """``a`` in another format."""
    return encode(decode(a, source), target)


def from_integer(values: NDArray[np.int64], target: FloatFormat) -> Bits:
    """Signed integers of up to 64 bits as floats."""
    values = np.asarray(values, np.int64)
    # Beyond 53 bits, all that is lost to float64 is kept in the last bit that stays (rounding to
    # odd), so that no tie arises or vanishes.
    odd = (values >> 11 << 11) | ((values & 0x7FF != 0).astype(np.int64) << 11)
    exact = (values >= -(1 << 53)) & (values <= 1 << 53)
    return encode(np.where(exact, values, odd).astype(np.float64), target)


def double(a: Bits, format: FloatFormat) -> Bits:
    """``2 a``; NaN as it is, where the format has more than one."""
    values = decode(a, format)
    with np.errstate(invalid="ignore"):
        doubled = encode(values + values, format)
    return np.where(np.isnan(values), a, doubled) if format.infinity else doubled
