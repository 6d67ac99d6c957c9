"""Arithmetic of one ``lmma`` and of a store, as matrices: what the instructions define."""

import ml_dtypes
import numpy as np

from hdl.config import CoreConfig

_QUIET_NAN = 0x7FC00000


def slice_weights(config: CoreConfig, slices: np.ndarray) -> np.ndarray:
    """Integer weights as the core's form reads them, float64 [columns, elements].

    Parameters
    ----------
    slices : uint8 [tiles, steps, planes, bytes]
        Packed bit planes, plane 0 first.
    """
    tiles, steps, planes, _ = slices.shape
    bits = np.unpackbits(slices, axis=-1, bitorder="little")
    index = bits.reshape(tiles, steps, planes, config.columns, config.tables, config.k)
    digits = index.astype(np.int8)
    if config.form.name == "symmetric":
        # Where the top bit is 1 the others stand inverted; bits mean -1 and +1.
        top = digits[..., -1:]
        digits = np.concatenate([digits[..., :-1] ^ top, top], axis=-1) * 2 - 1
    weighed = digits.astype(np.int16) << np.arange(planes, dtype=np.int16)[:, None, None, None]
    weights = weighed.sum(axis=2, dtype=np.int16).transpose(0, 2, 1, 3, 4)
    return weights.reshape(tiles * config.columns, -1).astype(np.float64)


def run_products(
    config: CoreConfig,
    rows: np.ndarray,
    weights: np.ndarray,
    zero: int | None,
    records: np.ndarray,
) -> np.ndarray:
    """``P = scale * D - z'' R``, int64 [rows, columns]; ``zero`` None takes z'' from the records.

    float64 is exact here: no sum reaches 2^53.
    """
    values = rows.astype(np.float64)
    dots = (values @ weights.T).astype(np.int64)
    width = config.zero_point_bits
    zeros = records >> 16 if zero is None else np.full(records.shape, zero % (1 << 16))
    zeros = (zeros.astype(np.int64) & (1 << width) - 1 ^ 1 << width - 1) - (1 << width - 1)
    sums = rows.astype(np.int64).sum(axis=1)
    return config.form.scale * dots - zeros * sums[:, None]


def accumulate(
    before: np.ndarray | None, products: np.ndarray, records: np.ndarray, half: bool, integer: bool
) -> np.ndarray:
    """Sums after one run, uint32 [rows, columns]; ``before`` None replaces what was there."""
    if integer:
        total = products if before is None else products + before
        return (total & 0xFFFFFFFF).astype(np.uint32)
    with np.errstate(all="ignore"):
        if half:
            scales = (records & 0xFFFF).astype(np.uint16).view(np.float16).astype(np.float32)
            scales = scales * np.float32(0.5)
        else:
            scales = records.view(np.float32)
        total = products.astype(np.float32) * scales
        if before is not None:
            total = before.view(np.float32) + total
    return np.where(np.isnan(total), np.uint32(_QUIET_NAN), total.view(np.uint32))


def convert_outputs(sums: np.ndarray, type: str) -> np.ndarray:
    """What a store writes: uint32 or uint16, as ``sums``."""
    if type in ("fp32", "int32"):
        return sums
    target = {"fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}[type]
    quiet = {"fp16": 0x7E00, "bf16": 0x7FC0}[type]
    with np.errstate(all="ignore"):
        values = np.ascontiguousarray(sums).view(np.float32)
        bits = values.astype(target).view(np.uint16)
    return np.where(np.isnan(values), np.uint16(quiet), bits)
