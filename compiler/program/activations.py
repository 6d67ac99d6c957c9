"""Activations as they stand in memory."""

import ml_dtypes
import numpy as np

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import INTEGERS

#: Format of activations -> their type in memory.
TYPES: dict[str, np.dtype] = {
    "int8": np.dtype("<i1"),
    "int16": np.dtype("<i2"),
    "fp8-e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "fp8-e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "fp16": np.dtype("<f2"),
    "bf16": np.dtype(ml_dtypes.bfloat16),
}


def _values(config: CoreConfig, activations: np.ndarray) -> np.ndarray:
    """Activations in the type of their format; integers of other types must fit it."""
    target = TYPES[config.activation]
    if config.activation not in INTEGERS:
        if activations.dtype != target:
            raise InputError(f"activations must be of type {target}, not {activations.dtype}")
        return activations
    low, high = config.activation_range
    if activations.dtype.kind not in "iu":
        raise InputError(f"activations must be integers, not {activations.dtype}")
    if activations.min() < low or activations.max() > high:
        raise InputError(f"activations must be {config.activation} ({low}..{high})")
    return activations.astype(target)


def activation_image(
    config: CoreConfig, activations: np.ndarray, runs: list[tuple[int, int]]
) -> np.ndarray:
    """Activations as bytes [M, pitch], each run of (elements, bytes) filled up with 0.

    Parameters
    ----------
    activations : [M, K]
        Integers, or floats in the type of :data:`TYPES`.

    Raises
    ------
    InputError
        They are not of the configuration's format.
    """
    values = _values(config, activations)
    parts, start = [], 0
    for length, size in runs:
        rows = np.ascontiguousarray(values[:, start : start + length]).view(np.uint8)
        parts.append(np.pad(rows, ((0, 0), (0, size - rows.shape[1]))))
        start += length
    return np.concatenate(parts, axis=1)
