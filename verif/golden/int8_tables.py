"""Products with eight-bit tables at the speed of a matrix product.

:mod:`lutcore.verif.golden.blocks` has the arithmetic of a table. Here the tables of a row become
one long vector of entries, and the weights a matrix that counts how often each entry is read, with
its sign and its plane's power of two. One product of the two is the same sum (tests hold it to
that).
"""

import itertools

import numpy as np

from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.blocks import rounded, table_shift


def entries(codes: np.ndarray, k: int, block: int) -> np.ndarray:
    """Rounded tables in the activations' units, float32 [M, K / k * 2^(k-1)].

    Parameters
    ----------
    codes : int8 [M, K], K a multiple of ``block``, that of ``k``
    block : int
        Activations that share one shift: the least one for which all their tables fit 127.
    """
    values = codes.astype(np.int64).reshape(-1, block)
    shifts = table_shift(values, k)
    sums = values.reshape(len(values), -1, k) @ _signs(k).T
    tables = rounded(sums, shifts) << shifts[:, None, None]
    return tables.reshape(len(codes), -1).astype(np.float32)


def reads(tensor: QuantTensor, k: int) -> np.ndarray:
    """How often each entry is read, float32 [N, K / k * 2^(k-1)]: sums of +-2^plane.

    The row sum, an entry like the others, comes in with the zero point.
    """
    n, width = tensor.shape
    columns = np.arange(width // k)
    rows = np.arange(n)[:, None]
    counts = np.zeros((n, width // k, 1 << (k - 1)), np.float32)
    for plane in range(tensor.bits):
        bits = (tensor.codes >> plane & 1).reshape(n, -1, k)
        top = bits[..., -1:]
        index = np.where(top == 1, bits, 1 - bits)[..., :-1] @ (1 << np.arange(k - 1))
        counts[rows, columns, index] += np.where(top[..., 0] == 1, 1, -1) << plane
    zero = np.repeat(tensor.zero_points, tensor.group_size, axis=1)[:, ::k]
    counts[..., -1] -= 2 * zero + 1 - (1 << tensor.bits)
    return counts.reshape(n, -1)


def _signs(k: int) -> np.ndarray:
    """[2^(k-1), k] of -1, 1: bit t of the row's number is activation t's sign, the last is +1."""
    numbers = [bits[::-1] for bits in itertools.product((-1, 1), repeat=k - 1)]
    return np.array([(*bits, 1) for bits in numbers], np.int8)


class Int8TableLinear:
    """Products as a core with eight-bit tables computes them, for matrices of one scale.

    Raises
    ------
    InputError
        The configuration's tables are exact.
    """

    def __init__(self, checkpoint: Checkpoint, config: CoreConfig):
        if config.table != "int8":
            raise InputError(f"{config.name}: table must be int8, not {config.table!r}")
        self._checkpoint, self._config = checkpoint, config
        self._made: dict[str, tuple[np.ndarray, float]] = {}

    def __call__(self, name: str, codes: np.ndarray) -> np.ndarray:
        """``codes [M, K]`` times the matrix, float64 [M, N].

        Raises
        ------
        InputError
            The matrix has several scales, or the configuration's groups do not divide it.
        """
        k, block = self._config.k, self._config.group_size
        if name not in self._made:
            tensor = self._checkpoint.tensor(name)
            scale = float(tensor.scales.flat[0])
            if (tensor.scales != scale).any() or tensor.minimums is not None:
                raise InputError(f"tensor {name!r}: must have one scale and an integer zero point")
            if block % k or tensor.group_size % block or tensor.shape[1] % block:
                raise InputError(
                    f"tensor {name!r}: {self._config.name}'s group_size must be a multiple of "
                    f"{k} that divides {tensor.group_size} and {tensor.shape[1]}, not {block}"
                )
            self._made[name] = np.ascontiguousarray(reads(tensor, k).T), scale
        counts, scale = self._made[name]
        return scale / 2 * (entries(codes, k, block) @ counts).astype(np.float64)
