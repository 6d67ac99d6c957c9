"""What a product makes of arrays: activations in a core's format, weights as codes."""

import math
import operator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from lutcore.compiler.weights.quantise import Rounding
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.gen.run.operators import quantise_rows
from lutcore.gen.run.tile import as_format
from lutcore.hdl.config.core import CoreConfig

#: Scale group of float weights along K, where none is given: that of :class:`Rounding`.
_GROUP = Rounding(bits=8).group_size


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights as codes: ``w = 2^power`` times what the tensor says.

    Whole ones are ``factor * (q - z) + least``, exactly; ``factor`` is None for others.
    """

    tensor: QuantTensor
    power: int = 0
    factor: int | None = None
    least: int = 0


def _matrix(name: str, values: Any) -> np.ndarray:
    """A matrix of int64, uint64 or float64, whatever number type it came in."""
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{name} has a mask, which a product would ignore: fill it")
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must be a matrix: its rows differ in length") from None
    kind = array.dtype.kind
    if kind == "V" and hasattr(ml_dtypes, array.dtype.name):
        kind = "i" if "int" in array.dtype.name else "f"
    if array.ndim != 2:
        raise InputError(f"{name} must be a matrix of two dimensions, not {array.ndim}: reshape it")
    if 0 in array.shape:
        raise InputError(f"{name} must be a matrix that is not empty, not {list(array.shape)}")
    if kind not in "iuf":
        raise InputError(f"{name} must hold integers or floats, not {array.dtype}: convert it")
    if kind != "f":
        return array if array.dtype == np.uint64 else array.astype(np.int64)
    wide = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(wide))
    if len(bad):
        row, column = map(int, bad[0])
        raise InputError(
            f"{name} must be finite, not {wide[row, column]} at row {row}, column {column}: "
            "replace such values"
        )
    return wide


def _narrow(name: str, values: np.ndarray) -> np.ndarray:
    """Finite floats as float32."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise InputError(f"{name} has values beyond float32: scale it down")
    return narrow


def activations_of(config: CoreConfig, A: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Activations in the configuration's format, and the step of each row if they were rounded."""
    values = _matrix("A", A)
    if config.is_float:
        rounded = as_format(values, config)
        beyond = np.argwhere(~np.isfinite(rounded.astype(np.float64)))
        if len(beyond):
            row, column = map(int, beyond[0])
            raise InputError(
                f"A is {values[row, column]:g} at row {row}, column {column}, beyond "
                f"{config.activation}: scale A down, or take a configuration of another activation"
            )
        return rounded, None
    low, high = config.activation_range
    if values.dtype.kind == "f":
        return quantise_rows(_narrow("A", values), high)
    if int(values.min()) < low or int(values.max()) > high:
        raise InputError(
            f"A has integers from {values.min()} to {values.max()}, {config.name} takes "
            f"{config.activation} ({low}..{high}): give floats to have them rounded row by row, or "
            "a configuration of another activation"
        )
    return values.astype(np.int64), None


def _whole_number(name: str, value: Any) -> int | None:
    """An option that is a whole number of at least 1, or None."""
    if value is None:
        return None
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
    return number


def weights_of(config: CoreConfig, W: Any, k: int, bits: int | None, group: int | None) -> Weights:
    """Weights for activations of ``k`` elements: codes, and what makes numbers of them."""
    most = config.max_weight_bits
    if isinstance(W, QuantTensor):
        if bits is not None or group is not None:
            raise InputError("W is quantised already: leave out bits and group")
        made = Weights(W)
    else:
        values = _matrix("W", W)
        bits, group = _whole_number("bits", bits), _whole_number("group", group)
        if bits is not None and bits > most:
            other = f", or a configuration with max_weight_bits={bits}" if bits <= 8 else ""
            raise InputError(f"bits={bits}: {config.name} takes {most} at most: give fewer{other}")
        group = group and min(group, values.shape[1])
        made = (_rounded if values.dtype.kind == "f" else _coded)(config, values, bits, group)
    if made.tensor.shape[1] != k:
        raise InputError(
            f"A is [M, {k}] and W is [N, {made.tensor.shape[1]}]: both need the same K; W is "
            "[N, K], as checkpoints store it"
        )
    return made


def _rounded(
    config: CoreConfig, values: np.ndarray, bits: int | None, group: int | None
) -> Weights:
    """Float weights by the rules of the compiler, where FP16 scales are at their best."""
    ternary = config.weight_coding == "ternary"
    rounding = Rounding(
        bits=config.max_weight_bits if bits is None else bits,
        group_size=_GROUP if group is None else group,
        ternary=ternary,
    )
    narrow = _narrow("W", values)
    power = math.frexp(float(np.abs(narrow).max()))[1]
    tensor = rounding.apply("W", np.ldexp(narrow, -power))
    if config.zero_points == "shared":
        tensor = _without_zero_points(tensor)
    return Weights(tensor, power)


def _without_zero_points(tensor: QuantTensor) -> QuantTensor:
    """The same weights for a drain that takes one zero point for all: ``-s z`` as minimums."""
    if tensor.minimums is not None:  # its zero points are 0
        return tensor
    return QuantTensor(
        name=tensor.name,
        kind=tensor.kind,
        bits=tensor.bits,
        codes=tensor.codes,
        scales=tensor.scales,
        zero_points=np.zeros_like(tensor.zero_points),
        minimums=-tensor.scales * tensor.zero_points,
        group_size=tensor.group_size,
    )


def _coded(config: CoreConfig, values: np.ndarray, bits: int | None, group: int | None) -> Weights:
    """Whole weights, exactly: ``w = factor * (q - z) + least`` with one z for all."""
    distinct, places = np.unique(values, return_inverse=True)
    levels = [int(level) for level in distinct]
    low = levels[0]
    factor = math.gcd(*(level - low for level in levels)) or 1
    span = (levels[-1] - low) // factor
    ternary = config.weight_coding == "ternary"
    needed = max(1, span.bit_length())
    if ternary:
        needed = 2 if span <= 2 else needed
    limit = config.max_weight_bits if bits is None else bits
    if needed > limit or (ternary and span > 2):
        takes = "weights of three levels" if ternary else f"{limit} bits"
        if ternary:
            other = "a configuration with binary weight_coding"
        elif needed <= config.max_weight_bits:
            other = f"bits={needed}"
        elif needed <= 8:
            other = f"a configuration with max_weight_bits={needed}"
        else:
            other = "weights of 8 bits at most"
        raise InputError(
            f"W has integers from {low} to {levels[-1]} in steps of {factor}, which take {needed} "
            f"bits; {'bits=' + str(bits) if bits is not None else config.name} gives {takes}: give "
            f"{other}, or floats to have W rounded"
        )
    width = 2 if ternary else needed if bits is None else bits
    zero, rest = divmod(-low, factor)
    if rest or not 0 <= zero <= 1 << width:
        zero = 0
    least = low + factor * zero
    n, k = values.shape
    codes = np.array([(level - low) // factor for level in levels], np.uint8)
    size = group or k
    grid = (n, -(-k // size))
    tensor = QuantTensor(
        name="W",
        kind=f"INT{width}",
        bits=width,
        codes=codes[places.reshape(n, k)],
        scales=np.full(grid, factor, np.float32),
        zero_points=np.full(grid, zero, np.int16),
        minimums=np.full(grid, least, np.float32) if least else None,
        group_size=size,
    )
    return Weights(tensor, 0, factor, least)
