"""Golden model of exact float engines: the contract's order of rounding, in NumPy.

Table entries are summed in the table's format (by :mod:`lutcore.verif.golden.formats`), all else
in ``np.float32``. Arrays run over all rows and columns at once; only steps and planes are loops,
because their order is the contract.
"""

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FORMATS, FloatFormat
from lutcore.verif.golden import formats as ref

FP32 = FORMATS["fp32"]


def tree_sum(terms: np.ndarray) -> np.ndarray:
    """Sum of the last axis in FP32: neighbours, then their sums; an odd one out comes last."""
    while terms.shape[-1] > 1:
        even = terms.shape[-1] // 2 * 2
        pairs = terms[..., 0:even:2] + terms[..., 1:even:2]
        terms = np.concatenate([pairs, terms[..., even:]], axis=-1)
    return terms[..., 0]


def entry_sum(bits: np.ndarray, factors: np.ndarray, format: FloatFormat) -> np.ndarray:
    """``sum_t factors_t a_t`` in ``format``, halves split at K // 2, upper half first.

    ``bits [..., K]`` are bit patterns, ``factors [..., K]`` -1, 0 or 1; a half without any factor
    is not added at all.
    """
    if bits.shape[-1] == 1:
        sign = np.where(factors < 0, bits.dtype.type(format.sign_mask), bits.dtype.type(0))
        return np.where(factors != 0, bits ^ sign, bits.dtype.type(0))[..., 0]
    split = bits.shape[-1] // 2
    lower = entry_sum(bits[..., :split], factors[..., :split], format)
    upper = entry_sum(bits[..., split:], factors[..., split:], format)
    has_lower, has_upper = factors[..., :split].any(-1), factors[..., split:].any(-1)
    both = ref.add(upper, lower, format)
    return np.where(has_lower & has_upper, both, np.where(has_lower, lower, upper))


def widened(entry: np.ndarray, format: FloatFormat) -> np.ndarray:
    """Bit patterns as FP32 numbers, exactly."""
    return ref.decode(entry, format).astype(np.float32)


def exact_products(
    config: CoreConfig, activations: np.ndarray, codes: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """One run on an exact float engine.

    Parameters
    ----------
    activations : float [M, K of the run], dtype of the format, K a multiple of ``config.depth``
    codes : uint8 [N, K of the run]

    Returns
    -------
    products : uint32 [M, N]
        FP32 patterns of what the engine accumulates: lut ``sum A q'``; add ``sum A q``; mac and
        conventional-lut ``sum A (q - 2^(b-1))``.
    sums : uint32 [M]
        FP32 patterns of the row sums.
    """
    source, target = config.float_format, config.table_format
    patterns = activations.view(ref.bits_type(source))
    table = ref.convert(patterns, source, target)
    m, n, k = len(activations), len(codes), config.table_k
    steps = activations.shape[1] // config.depth
    rows = table.reshape(m, 1, steps, config.tables, k)
    columns = codes.astype(np.int64).reshape(1, n, steps, config.tables, k)
    total, sums = np.zeros((m, n), np.float32), np.zeros(m, np.float32)
    top = bits - 1
    with np.errstate(over="ignore", invalid="ignore"):
        for plane in range(config.planes(bits) - 1, -1, -1):
            total = total + total
            for step in range(steps):
                row, column = rows[:, :, step], columns[:, :, step]
                if config.engine == "mac":
                    weights = (column - (1 << top)).astype(np.float32)[..., 0]
                    terms = widened(row[..., 0], target) * weights
                else:
                    bit = column >> plane & 1
                    if config.engine == "conventional-lut":
                        bit = (column ^ 1 << top) >> plane & 1
                    factors = 2 * bit - 1 if config.engine == "lut" else bit
                    if config.engine == "conventional-lut" and plane == top:
                        factors = -factors
                    shape = np.broadcast_shapes(row.shape, factors.shape)
                    wide = np.broadcast_to(row, shape), np.broadcast_to(factors, shape)
                    terms = widened(entry_sum(*wide, target), target)
                total = total + tree_sum(terms)
        for step in range(steps):
            ones = entry_sum(rows[:, 0, step], np.ones_like(rows[:, 0, step], np.int64), target)
            sums = sums + tree_sum(widened(ones, target))
    return canonical(total), canonical(sums)


def canonical(values: np.ndarray) -> np.ndarray:
    """FP32 bit patterns, every NaN the documented one."""
    return np.where(np.isnan(values), np.uint32(FP32.quiet_nan), values.view(np.uint32))
