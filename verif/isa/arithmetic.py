"""Arithmetic of one ``lmma`` and of a store, as matrices: what the instructions define."""

from collections import OrderedDict
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.isa.numbers import TYPES, aligned, byte_shifts, entry_sum, pair_sum, to_bytes

_QUIET_NAN = 0x7FC00000


@dataclass(frozen=True)
class RunProducts:
    """Results of a run: ``P 2^power``.

    Attributes
    ----------
    values : int64, or float32 for exact floats, [rows, columns]
        P.
    powers : int64 [rows]
    invalid : bool [rows]
        All results of the row are NaN.
    """

    values: np.ndarray
    powers: np.ndarray
    invalid: np.ndarray


def _indices(config: CoreConfig, slices: np.ndarray) -> np.ndarray:
    """Bits of weight indices, int8 [columns, steps, tables, planes, index bits].

    Parameters
    ----------
    slices : uint8 [tiles, steps, planes, bytes]
        Packed as :class:`~lutcore.compiler.weights.pack.PackedWeights` says.
    """
    tiles, steps, planes, _ = slices.shape
    bits = np.unpackbits(slices, axis=-1, bitorder="little").astype(np.int8)
    shape = (tiles, steps, planes, config.columns, config.tables, config.index_bits)
    index = bits.reshape(shape).transpose(0, 3, 1, 4, 2, 5)
    return index.reshape(tiles * config.columns, steps, config.tables, planes, config.index_bits)


def _signs(index: np.ndarray) -> np.ndarray:
    """Symmetric digits -1 and 1 of index bits; where the top bit is 1 the others stand inverted."""
    top = index[..., -1:]
    return np.concatenate([index[..., :-1] ^ top, top], axis=-1) * 2 - 1


#: Bits of a ternary index -> its trits, and the magnitude of the number whose digits are all 1.
_TRITS = {4: (2, 4), 5: (3, 13)}


def _trits(index: np.ndarray) -> np.ndarray:
    """Balanced ternary digits of sign and magnitude; one above all digits 1 is nothing, as 0 is."""
    k, most = _TRITS[index.shape[-1]]
    powers = np.array([1, 2, 4, 8], np.int8)[: index.shape[-1] - 1]
    number = (index[..., :-1] * powers).sum(axis=-1, dtype=np.int8)
    number = np.where(number > most, 0, number) * (1 - 2 * index[..., -1])
    trits = []
    for _ in range(k):
        trits.append((number + 1) % 3 - 1)
        number = (number - trits[-1]) // 3
    return np.stack(trits, axis=-1)


#: Form -> factors of a table's activations, of the bits of an index.
_DIGITS = {"symmetric": _signs, "subset": lambda index: index, "ternary": _trits}


class Decoded:
    """Weights that were decoded, by their packed bits: a network's are read again for each token.

    What was used longest ago goes first, when there is more than ``limit`` bytes.
    """

    def __init__(self, limit: int = 1 << 28):
        self._limit, self._size = limit, 0
        self._made: OrderedDict[tuple[tuple[int, ...], bytes], np.ndarray] = OrderedDict()

    def weights(self, config: CoreConfig, slices: np.ndarray) -> np.ndarray:
        """Weights of packed slices, float32 or float64 [K, columns], in the units of D.

        float32 where it is exact for all activations: where no sum can reach 2^24.
        """
        key = slices.shape, slices.tobytes()
        found = self._made.get(key)
        if found is not None:
            self._made.move_to_end(key)
            return found
        index = _indices(config, slices)
        digits = _DIGITS[config.form.name](index).astype(np.int16)
        weighed = digits << np.arange(index.shape[3], dtype=np.int16)[:, None]
        weights = weighed.sum(axis=3, dtype=np.int16).reshape(len(index), -1)
        bits = config.align_bits if config.is_float else config.activation_bits
        most = int(np.abs(weights).sum(axis=1, dtype=np.int64).max()) << bits - 1
        exact = np.float32 if most < 1 << 24 else np.float64
        found = self._made[key] = np.ascontiguousarray(weights.T, exact)
        self._size += found.nbytes
        while self._size > self._limit and len(self._made) > 1:
            self._size -= self._made.popitem(last=False)[1].nbytes
        return found


def _exact_sums(
    config: CoreConfig, values: np.ndarray, slices: np.ndarray, decoded: Decoded
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D, R and the power of two that they count; floats are exact here: no sum reaches 2^53."""
    weights = decoded.weights(config, slices)
    dots = (values.astype(weights.dtype) @ weights).astype(np.int64)
    return dots, values.sum(axis=1), np.zeros(len(values), np.int64)


def _entries(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sign, and number of the entry, of symmetric indices; entry x adds a_t where bit t is 1."""
    digits = _signs(index)
    top = digits[..., -1]
    return top, (digits[..., :-1] == top[..., None]) @ (1 << np.arange(index.shape[-1] - 1))


def _factors(k: int) -> np.ndarray:
    """Factors of the activations in each entry of a table [entries, k]."""
    factors = 2 * (np.arange(1 << k)[:, None] >> np.arange(k) & 1) - 1
    return factors[factors[:, -1] == 1]


def _float_products(
    config: CoreConfig, rows: np.ndarray, index: np.ndarray, zeros: np.ndarray
) -> np.ndarray:
    """P in FP32, each operation rounded, planes from the highest and steps ascending."""
    steps, planes = index.shape[1], index.shape[3]
    target = TYPES[config.table_format.name]
    table = rows.view(TYPES[config.activation]).astype(target)
    grouped = table.reshape(len(rows), steps, config.tables, 1, config.k)
    entries = entry_sum(grouped * _factors(config.k).astype(target)).astype(np.float32)
    signs, places = _entries(index)
    dots = np.zeros((len(rows), len(index)), np.float32)
    sums = np.zeros((len(rows), 1), np.float32)
    every = np.arange(config.tables)
    for plane in reversed(range(planes)):
        dots = dots + dots
        for step in range(steps):
            found = entries[:, step][:, every, places[:, step, :, plane]]
            dots = dots + pair_sum(found * signs[:, step, :, plane].astype(np.float32))
    for step in range(steps):
        sums[:, 0] = sums[:, 0] + pair_sum(entries[:, step, :, -1])
    return np.where(zeros == 0, dots, dots - zeros.astype(np.float32) * sums)


def _rounded_sums(
    config: CoreConfig, values: np.ndarray, slices: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As :func:`_exact_sums`, of tables rounded to eight bits.

    How often a column counts each entry is a matrix; half of all entries are the others' negatives.
    """
    index = _indices(config, slices)
    k, planes = config.k, index.shape[3]
    shifts = byte_shifts(values, k)
    grouped = values.reshape(len(values), -1, k)
    entries = to_bytes(grouped @ _factors(k).T, shifts)
    top, entry = (part.reshape(len(index), -1, planes) for part in _entries(index))
    counts = np.zeros((*entry.shape[:2], 1 << k - 1))
    for plane in range(planes):
        where = entry[:, :, plane, None]
        weight = (top[:, :, plane, None].astype(np.int64) << plane) + np.take_along_axis(
            counts, where, axis=2
        )
        np.put_along_axis(counts, where, weight, axis=2)
    dots = entries.reshape(len(values), -1).astype(np.float64) @ counts.reshape(len(index), -1).T
    return dots.astype(np.int64), to_bytes(grouped.sum(axis=2), shifts).sum(axis=1), shifts


def run_products(
    config: CoreConfig,
    rows: np.ndarray,
    slices: np.ndarray,
    zero: int | None,
    records: np.ndarray,
    decoded: Decoded,
) -> RunProducts:
    """``P = scale * D - z'' R`` of one run.

    Parameters
    ----------
    rows : uint8 [rows, bytes]
        Activations.
    slices : uint8 [tiles, steps, planes, bytes]
        Packed weights.
    zero : int or None
        z'' of all columns; None takes it from the records.
    records : uint [columns]
    decoded : Decoded
        Weights of one configuration's programs.
    """
    powers, invalid = np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    width = config.zero_point_bits
    found = (records >> 16).astype(np.int64) if zero is None else np.array([zero % (1 << 16)])
    zeros = (found & (1 << width) - 1 ^ 1 << width - 1) - (1 << width - 1)
    if config.exact_floats:
        index = _indices(config, slices)
        with np.errstate(all="ignore"):
            return RunProducts(_float_products(config, rows, index, zeros), powers, invalid)
    if config.is_float:
        patterns = rows.view(f"<u{config.activation_bits // 8}")
        values, powers, invalid = aligned(patterns, config)
    else:
        values = rows.view(f"<i{config.activation_bits // 8}").astype(np.int64)
    if config.table == "int8":
        dots, sums, shifts = _rounded_sums(config, values, slices)
    else:
        dots, sums, shifts = _exact_sums(config, values, slices, decoded)
    products = config.form.scale * dots - zeros * sums[:, None]
    return RunProducts(products, powers + shifts - config.scale_offset, invalid)


def scaled(products: RunProducts, scales: np.ndarray) -> np.ndarray:
    """``P`` as FP32, times scale and power of two, rounded once more: float32 [rows, columns]."""
    values = products.values.astype(np.float32)
    if not products.powers.any():
        total = values * scales
    else:
        wide = values.astype(np.float64) * scales.astype(np.float64)
        total = np.ldexp(wide, products.powers[:, None]).astype(np.float32)
    if not products.invalid.any():
        return total
    return np.where(products.invalid[:, None], np.float32(np.nan), total)


def accumulate(
    before: np.ndarray | None, products: RunProducts, records: np.ndarray, half: bool, integer: bool
) -> np.ndarray:
    """Sums after one run, uint32 [rows, columns]; ``before`` None replaces what was there."""
    if integer:
        total = products.values if before is None else products.values + before
        return (total & 0xFFFFFFFF).astype(np.uint32)
    with np.errstate(all="ignore"):
        if half:
            scales = (records & 0xFFFF).astype(np.uint16).view(np.float16).astype(np.float32)
            scales = scales * np.float32(0.5)
        else:
            scales = records.view(np.float32)
        total = scaled(products, scales)
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
