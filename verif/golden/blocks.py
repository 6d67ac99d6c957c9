"""Golden models of block-scaled arithmetic: aligned floats and eight-bit tables.

Written from the numeric contract with NumPy's own arithmetic; nothing here knows of tables that are
stored, remapped indices or hardware shifters.
"""

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig


def align(activations: np.ndarray, config: CoreConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Floats of one run to integers that share a row's exponent, rounded to nearest even.

    ``activation ~ value * 2^(exponent - config.scale_offset)``; the error of each is at most half
    of that unit, which is ``2^(1 - align_bits)`` of the row's greatest magnitude's power of two.

    Parameters
    ----------
    activations : float [M, K of the run], dtype of the format

    Returns
    -------
    values : int64 [M, K]
    exponents : int64 [M]
        Biased exponent of the greatest magnitude; 1 for a row of zeros and subnormals.
    invalid : bool [M]
        The row holds an infinity or NaN; its values mean nothing then.
    """
    format = config.float_format
    with np.errstate(invalid="ignore"):  # NaN may signal
        wide = activations.astype(np.float64)
    invalid = np.asarray(~np.isfinite(wide).all(axis=1))
    wide = np.where(np.isfinite(wide), wide, 0.0)
    _, power = np.frexp(np.abs(wide).max(axis=1))
    exponents = np.maximum(power - 1 + format.bias, 1)
    exponents[np.abs(wide).max(axis=1) == 0] = 1
    unit = exponents - config.scale_offset
    values = np.rint(np.ldexp(wide, -unit[:, None])).astype(np.int64)
    return values, exponents.astype(np.int64), invalid


def table_shift(values: np.ndarray, k: int) -> np.ndarray:
    """h of each row [M]: the least shift for which the greatest ``sum |a|`` of a table fits 127.

    ``values`` are the integers of one run, [M, multiple of k], of any type.
    """
    wide = values.astype(np.int64)  # int8 has no magnitude of -128
    sums = np.abs(wide).reshape(len(values), -1, k).sum(axis=2).max(axis=1)
    shifts = np.zeros(len(values), np.int64)
    while (too_large := sums > 127 << shifts).any():
        shifts += too_large
    return shifts


def rounded(sums: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """``saturate(round_half_even(sums / 2^h))``, h of the first axis."""
    scaled = np.ldexp(sums.astype(np.float64), -shifts.reshape(-1, *[1] * (sums.ndim - 1)))
    return np.clip(np.rint(scaled), -127, 127).astype(np.int64)


def int8_products(
    values: np.ndarray, codes: np.ndarray, bits: int, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One run with eight-bit tables.

    Parameters
    ----------
    values : int64 [M, multiple of k]
    codes : uint8 [N, multiple of k]

    Returns
    -------
    products : int64 [M, N]
        ``sum_i 2^i sum_j round(sum_t +-a_t / 2^h)``: D' in units of 2^h.
    sums : int64 [M]
        Row sums in the same units, each table's sum rounded.
    shifts : int64 [M]
    """
    shifts = table_shift(values, k)
    grouped = values.reshape(len(values), -1, k)
    products = np.zeros((len(values), len(codes)), np.int64)
    for plane in range(bits):
        signs = 2 * (codes.astype(np.int64) >> plane & 1) - 1
        dots = np.einsum("mjk,njk->mnj", grouped, signs.reshape(len(codes), -1, k))
        products += rounded(dots, shifts).sum(axis=2) << plane
    return products, rounded(grouped.sum(axis=2), shifts).sum(axis=1), shifts


def int8_tensor_products(
    config: CoreConfig, values: np.ndarray, tensor: QuantTensor, span: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`int8_products` of a part of K, padded with zeros to whole tables."""
    start, stop = span
    pad = -(stop - start) % config.k
    codes = np.pad(tensor.codes[:, start:stop], ((0, 0), (0, pad)))
    return int8_products(np.pad(values, ((0, 0), (0, pad))), codes, tensor.bits, config.k)
