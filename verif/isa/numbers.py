"""Numbers as the instructions read and round them: floats to shared exponents, sums of floats.

Integer arithmetic on bit patterns, and NumPy's and ml_dtypes' own types. The golden models have
their own way to the same numbers; neither knows the other's, so that one can find the other wrong.
"""

import ml_dtypes
import numpy as np

from lutcore.hdl.config.core import CoreConfig

#: Format of float activations or table entries -> NumPy's type of it.
TYPES: dict[str, np.dtype] = {
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "fp8-e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "fp8-e5m2": np.dtype(ml_dtypes.float8_e5m2),
}


def shift_right(values: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """``values / 2^amounts`` of integers, rounded to nearest even; amounts from 0 to 62."""
    whole = values >> amounts
    rest = values - (whole << amounts)
    # Twice the rest against the unit: equal at a half.
    unit = np.left_shift(np.int64(1), amounts)
    up = (2 * rest > unit) | ((2 * rest == unit) & (whole & 1 == 1))
    return whole + (up & (amounts > 0))


def aligned(rows: np.ndarray, config: CoreConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float activations as integers that share a row's exponent.

    Parameters
    ----------
    rows : uint8 or uint16 [rows, K]
        Bit patterns.

    Returns
    -------
    values : int64 [rows, K]
        Of ``config.align_bits``; they count ``2^(exponent - config.scale_offset)``.
    exponents : int64 [rows]
        The greatest exponent field of the row, 1 at least.
    invalid : bool [rows]
        The row has an infinity or NaN.
    """
    format = config.float_format
    bits = rows.astype(np.int64)
    fraction = bits & (1 << format.fraction_bits) - 1
    field = bits >> format.fraction_bits & (1 << format.exponent_bits) - 1
    magnitude = bits & (1 << format.bits - 1) - 1
    ones = (1 << format.exponent_bits) - 1
    special = field == ones if format.infinity else magnitude == (1 << format.bits - 1) - 1
    significand = np.where(
        special, 0, fraction | (field > 0).astype(np.int64) << format.fraction_bits
    )
    exponent = np.where(special, 1, np.maximum(field, 1))
    greatest = exponent.max(axis=1)
    # The greatest significand fills all bits but the sign and one of headroom.
    right = greatest[:, None] - exponent + format.fraction_bits + 2 - config.align_bits
    shifted = significand << np.maximum(-right, 0)
    values = shift_right(shifted, np.clip(right, 0, 62))
    negative = bits >> format.bits - 1 == 1
    return np.where(negative, -values, values), greatest, special.any(axis=1)


def byte_shifts(values: np.ndarray, k: int) -> np.ndarray:
    """h of each row of integers [rows, multiple of k]: the least that fits tables to bytes."""
    wide = values.astype(np.int64)  # int8 has no magnitude of -128
    largest = np.abs(wide).reshape(len(values), -1, k).sum(axis=2).max(axis=1)
    return (largest[:, None] > np.int64(127) << np.arange(50)).sum(axis=1)


def to_bytes(sums: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Entries [rows, ...] in units of ``2^h``, at most 127 in magnitude."""
    amounts = shifts.reshape(-1, *[1] * (sums.ndim - 1))
    return np.clip(shift_right(sums, amounts), -127, 127)


def entry_sum(terms: np.ndarray) -> np.ndarray:
    """Sum of the last axis in the terms' own type: the upper half's, and to it the lower half's.

    Each sum is made in FP32 and rounded to the type. FP32 has more than twice the type's precision
    and two bits, so that the second rounding changes nothing (Figueroa, 1995).
    """
    if terms.shape[-1] == 1:
        return terms[..., 0]
    low = terms.shape[-1] // 2
    upper, lower = entry_sum(terms[..., low:]), entry_sum(terms[..., :low])
    return (upper.astype(np.float32) + lower.astype(np.float32)).astype(terms.dtype)


def pair_sum(terms: np.ndarray) -> np.ndarray:
    """FP32 sum of the last axis, pair by pair, level by level; what has no partner waits."""
    level = list(np.moveaxis(terms, -1, 0))
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]
