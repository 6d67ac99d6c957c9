"""Bytes of a file, memory-mapped."""

from pathlib import Path

import numpy as np

from lutcore.errors import InputError


def map_bytes(path: Path, start: int, count: int) -> np.ndarray:
    """Bytes ``start .. start + count`` of a file as uint8, mapped as long as they are referenced.

    A map of its own for every tensor, so that pages of earlier ones do not stay resident.

    Raises
    ------
    InputError
        The file cannot be read, or has become shorter.
    """
    if not count:
        return np.empty(0, np.uint8)
    try:
        return np.memmap(path, np.uint8, "r", start, (count,)).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: bytes {start}..{start + count} cannot be read ({error})"
        ) from None
