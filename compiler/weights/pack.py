"""Offline weight transformation: reinterpret, remap, and pack bit planes in tile order.

The paper's equations 1 to 3 (reinterpretation) and 6 (remap). A packed slice is what the tile
takes in one cycle: one bit plane of one step (``depth`` elements of K) of ``n`` columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig, check_config


def reinterpret_scales(scales: np.ndarray) -> np.ndarray:
    """``s' = s / 2`` (equation 2): the scale of the reinterpreted weights."""
    return scales / np.float32(2)


def reinterpret_zero_points(zero_points: np.ndarray, bits: int) -> np.ndarray:
    """``z' = 2 z + 1 - 2^b`` (equation 2) as int32: the zero point of the reinterpreted weights."""
    return 2 * zero_points.astype(np.int32) + 1 - (1 << bits)


def remap(codes: np.ndarray, k: int) -> np.ndarray:
    """Offline remap of every plane at once (equation 6).

    Where the top bit of a group's index is 1, its lower bits are inverted, so that the unit only
    negates. A group is ``k`` neighbours of the last axis, the top bit its last element; XOR
    of codes does so in all planes.

    Parameters
    ----------
    codes : uint8 [..., multiple of k]
    """
    groups = codes.reshape(*codes.shape[:-1], -1, k).copy()
    groups[..., :-1] ^= groups[..., -1:]
    return groups.reshape(codes.shape)


@dataclass(frozen=True, eq=False)
class Steps:
    """How K is cut into steps of ``depth``; scale groups, and runs in them, are whole steps.

    Attributes
    ----------
    columns : int64 [steps, depth]
        K index of each element; K itself where an element is padding.
    run : int64 [steps]
        Accumulator run that a step belongs to, ascending.
    group : int64 [runs]
        Scale group of each run, ascending.
    """

    columns: np.ndarray
    run: np.ndarray
    group: np.ndarray

    @property
    def count(self) -> int:
        """Number of steps."""
        return len(self.run)

    def is_first(self, step: int) -> bool:
        """Whether a step starts a run."""
        return step == 0 or self.run[step] != self.run[step - 1]

    def is_last(self, step: int) -> bool:
        """Whether a step ends a run."""
        return step + 1 == self.count or self.run[step] != self.run[step + 1]

    def gather(self, matrix: np.ndarray) -> np.ndarray:
        """``[rows, K]`` to ``[steps, rows, depth]``, padding with 0."""
        rows, k = matrix.shape
        columns = self.columns.ravel()
        if not np.array_equal(columns, np.arange(k)):  # padding needs a copy
            matrix = np.pad(matrix, ((0, 0), (0, 1)))[:, columns]
        return np.ascontiguousarray(matrix.reshape(rows, *self.columns.shape).transpose(1, 0, 2))


def cut_steps(config: CoreConfig, k: int, group_size: int) -> Steps:
    """Cut a row of ``k`` elements with scale groups of ``group_size`` for ``config``."""
    depth = config.depth
    longest = config.run_length // depth * depth
    columns, run, group = [], [], []
    for g, start in enumerate(range(0, k, group_size)):
        stop = min(start + group_size, k)
        for low in range(start, stop, longest):
            high = min(low + longest, stop)
            steps = -(-(high - low) // depth)
            index = low + np.arange(steps * depth)
            columns.append(np.where(index < high, index, k).reshape(steps, depth))
            run.append(np.full(steps, len(group)))
            group.append(g)
    return Steps(np.concatenate(columns), np.concatenate(run), np.array(group))


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A weight tensor as the tile reads it.

    Attributes
    ----------
    bits : int
        Bit planes of every step.
    shape : tuple of int
        N, K of the tensor.
    steps : Steps
        How K was cut.
    slices : uint8 [n_tiles, steps, planes, slice_bytes]
        Bit planes, plane 0 first. Bit ``(n * tables + l) * index_bits + t`` of a slice (bit 0 is
        the lowest of byte 0) belongs to column n of the tile, table l, index bit t, which in
        bit-serial forms is activation t; bits past ``config.slice_bits`` are 0. Forms that are not
        bit-serial have one plane: ternary numbers (sign on top), or whole codes (engine mac).
    scales : float32 [N, groups]
        s' = s / 2.
    zero_points : int32 [N, groups]
        z'' = 2 z + 1 - 2^b + offset(b): the zero point as the core's form reads weights
        (:class:`~lutcore.hdl.config.forms.Form`); a run's result is ``scale * D - z'' R``.
    """

    bits: int
    shape: tuple[int, int]
    steps: Steps
    slices: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray

    @property
    def nbytes(self) -> int:
        """Size of the packed planes."""
        return self.slices.nbytes


def _planes(codes: np.ndarray, bits: int) -> Iterator[np.ndarray]:
    """Bit planes of codes, lowest first."""
    for plane in range(bits):
        yield (codes >> np.uint8(plane)) & np.uint8(1)


def _ternary_bits(config: CoreConfig, codes: np.ndarray, bits: int) -> Iterator[np.ndarray]:
    """A table's trits as sign and magnitude of their balanced ternary number."""
    trits = codes.astype(np.int8).reshape(*codes.shape[:-1], -1, config.k) - 1
    number = trits @ (3 ** np.arange(config.k, dtype=np.int8))
    index = np.abs(number) | (number < 0).astype(np.int8) << config.index_bits - 1
    yield (index[..., None] >> np.arange(config.index_bits) & 1).astype(np.uint8)


def _product_bits(config: CoreConfig, codes: np.ndarray, bits: int) -> Iterator[np.ndarray]:
    """Whole codes in two's complement, 0 the least weight, sign-extended to the widest."""
    least, _ = config.form.weights(bits)
    weights = codes.astype(np.int16) + least
    yield (weights[..., None] >> np.arange(config.index_bits) & 1).astype(np.uint8)


#: Form -> the slices of codes [..., depth] of b bits, each as bits in index order.
_INDEX_BITS: dict[str, Callable[[CoreConfig, np.ndarray, int], Iterator[np.ndarray]]] = {
    "symmetric": lambda config, codes, bits: _planes(remap(codes, config.k), bits),
    "subset": lambda config, codes, bits: _planes(codes, bits),
    "twos-complement": lambda config, codes, bits: _planes(codes ^ np.uint8(1 << bits - 1), bits),
    "ternary": _ternary_bits,
    "product": _product_bits,
    "trit": _product_bits,
}


def _tiles(codes: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Blocks of ``n`` rows, the last padded with zeros."""
    for first in range(0, len(codes), n):
        block = codes[first : first + n]
        yield np.pad(block, ((0, n - len(block)), (0, 0)))


def check_size(config: CoreConfig, name: str, bits: int, k: int) -> None:
    """See that ``config`` was built for b-bit codes and rows of K.

    Raises
    ------
    InputError
        It was not; the text says which field to set.
    """
    where = f"tensor {name!r}"
    if bits > config.max_weight_bits:
        raise InputError(
            f"{where} has {bits}-bit codes, {config.name} takes {config.max_weight_bits} "
            f"at most: set max_weight_bits={bits}"
        )
    if k > config.max_k:
        raise InputError(
            f"{where} has K = {k}, {config.name} holds {config.max_k}: set max_k={k} or more"
        )


def pack(config: CoreConfig, tensor: QuantTensor) -> PackedWeights:
    """Pack a tensor for ``config``: all planes of all steps of all N tiles.

    Raises
    ------
    InputError
        The tensor has more bits or a longer K than the configuration was built for.
    """
    check_config(config)
    if not isinstance(tensor, QuantTensor):
        raise InputError(f"tensor must be a QuantTensor, not {type(tensor).__name__}")
    n, k = tensor.shape
    where = f"tensor {tensor.name!r}"
    check_size(config, tensor.name, tensor.bits, k)
    if config.zero_points == "shared" and (tensor.zero_points != tensor.zero_points[:1]).any():
        raise InputError(
            f"{where} has zero points that differ between columns: set zero_points=column"
        )
    if config.weight_coding == "ternary" and (tensor.bits != 2 or int(tensor.codes.max()) > 2):
        raise InputError(f"{where} is not ternary: set weight_coding=binary")
    steps = cut_steps(config, k, tensor.group_size)
    slice_bytes = -(-config.slice_bits // 8)
    tiles = -(-n // config.columns)
    planes = config.planes(tensor.bits)
    slices = np.empty((tiles, steps.count, planes, slice_bytes), np.uint8)
    for tile, block in enumerate(_tiles(tensor.codes, config.columns)):
        codes = steps.gather(block)
        for plane, bits in enumerate(_INDEX_BITS[config.form.name](config, codes, tensor.bits)):
            flat = bits.reshape(steps.count, config.slice_bits)
            slices[tile, :, plane] = np.packbits(flat, axis=1, bitorder="little")
    return PackedWeights(
        bits=tensor.bits,
        shape=(n, k),
        steps=steps,
        slices=slices,
        scales=reinterpret_scales(tensor.scales),
        zero_points=reinterpret_zero_points(tensor.zero_points, tensor.bits)
        + config.form.offset(tensor.bits),
    )
