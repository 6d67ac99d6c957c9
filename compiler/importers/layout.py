"""What a quantisation method of safetensors checkpoints must say about itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lutcore.compiler.importers.base import Facts
from lutcore.compiler.importers.safetensors_header import FLOATS, Part
from lutcore.compiler.importers.settings import Settings
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

#: Parts of one matrix by the end of their names.
Parts = Mapping[str, Part]


@dataclass(frozen=True)
class Layout:
    """How a quantisation method stores a matrix.

    Attributes
    ----------
    method : str
        ``quant_method`` in config.json.
    codes : str
        How the name of the part that holds the codes ends; names of ``parts`` end in the same way.
    parts, optional : tuple of str
        Parts beside the codes.
    named : str
        What replaces ``codes`` in the matrix's own name.
    accepts : callable
        Whether parts may be of this method, by their types and shapes.
    measure : callable
        Facts of a matrix, or InputError with what is wrong ("has ...").
    decode : callable
        The tensor, by name, parts, facts, settings and index in a stack.
    check : callable
        Refuses settings that no matrix of this method can have ("has ...").
    keys : mapping
        Keys of the settings that it understands -> values that it accepts because they change
        nothing, or () where the other callables or the graph read the key.
    """

    method: str
    codes: str
    parts: tuple[str, ...]
    optional: tuple[str, ...]
    named: str
    accepts: Callable[[Parts], bool]
    measure: Callable[[Parts, Settings], Facts]
    decode: Callable[[str, Parts, Facts, Settings, int | None], QuantTensor]
    check: Callable[[Settings], None]
    keys: Mapping[str, tuple[Any, ...]]


def expect(parts: Parts, name: str, dtypes: tuple[str, ...], shape: tuple[int, ...]) -> None:
    """Refuse a part of another type or shape."""
    part = parts[name]
    if part.dtype not in dtypes or part.shape != shape:
        raise InputError(
            f"has {name.strip('._')} of type {part.dtype}, shape {list(part.shape)}, "
            f"not {' or '.join(dtypes)}, {list(shape)}"
        )


def size_of(parts: Parts) -> int:
    """Bytes of all parts."""
    return sum(part.nbytes for part in parts.values())


def unpack_words(words: np.ndarray, bits: int) -> np.ndarray:
    """Codes of 32-bit words: a stream of bits along the last axis, lowest first.

    Parameters
    ----------
    words : int32 [..., W]
    bits : int
        2, 3, 4 or 8; 3-bit codes straddle words, 32 of them in three words.

    Returns
    -------
    uint8 [..., W * 32 / bits]
    """
    period = bits if 32 % bits else 1
    wide = words.view(np.uint32).reshape(*words.shape[:-1], -1, period)
    codes = np.empty((*wide.shape[:-1], 32 * period // bits), np.uint8)
    for index in range(codes.shape[-1]):
        word, shift = divmod(index * bits, 32)
        value = wide[..., word] >> np.uint32(shift)
        if shift + bits > 32:
            value |= wide[..., word + 1] << np.uint32(32 - shift)
        codes[..., index] = value & np.uint32((1 << bits) - 1)
    return codes.reshape(*words.shape[:-1], -1)


#: Types that scales may have.
SCALE_TYPES = tuple(FLOATS)
