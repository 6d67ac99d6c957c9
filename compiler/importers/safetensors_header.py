"""Parts of safetensors files: types, shapes and places, validated by the library.

The library reads and checks the header. It cannot give tensors of all types as NumPy arrays, but
tensors follow each other without gaps, so that their sizes say where they are.
"""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from lutcore.compiler.importers.mapped import map_bytes
from lutcore.errors import InputError

#: Headers of real files are a few MiB.
HEADER_LIMIT = 64 << 20
#: Headers that the library has refused are parsed up to this size only.
_REFUSED_LIMIT = 1 << 20

#: Types that hold plain numbers, all of which are float32 numbers.
FLOATS = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_TYPES = FLOATS | {"I32": np.dtype("<i4"), "U8": np.dtype("u1")}

#: Bits of types whose name does not end in them.
_BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BF16": 16}


@dataclass(frozen=True)
class Part:
    """A stored tensor: type in safetensors' terms, shape, and bytes of a file."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    nbytes: int

    def load(self, index: int | None = None) -> np.ndarray:
        """Values as stored, memory-mapped; ``index`` selects along the first axis."""
        shape = self.shape if index is None else self.shape[1:]
        count = self.nbytes if index is None else self.nbytes // self.shape[0]
        raw = map_bytes(self.path, self.start + (index or 0) * count, count)
        return raw.view(_TYPES[self.dtype]).reshape(shape)

    def floats(self, index: int | None = None) -> np.ndarray:
        """Values of one of :data:`FLOATS` as float32."""
        return self.load(index).astype(np.float32)


def _refuse_twice(path: Path, length: int) -> None:
    """Refuse a header with a key twice, of which the library takes the last."""

    def judge(pairs: list[tuple[str, Any]]) -> None:
        names = set()
        for name, _ in pairs:
            if name in names:
                raise InputError(
                    f"{path}: damaged safetensors file (the key {name[:40]!r} is twice in its "
                    "header): download or convert it again"
                )
            names.add(name)

    with path.open("rb") as file:
        file.seek(8)
        header = file.read(length)
    try:
        json.loads(header, object_pairs_hook=judge)
    except InputError:
        raise
    except (ValueError, RecursionError):
        return  # which the library has said, or will


def _bits(dtype: str) -> int:
    """Bits of an element."""
    return _BITS.get(dtype) or int(dtype.split("_")[0][1:])


def read_parts(path: Path) -> tuple[dict[str, Part], dict[str, str]]:
    """Tensors of a file, in the order of their bytes, and the header's metadata.

    Raises
    ------
    InputError
        The file is missing, no safetensors file, truncated or damaged.
    """
    try:
        with path.open("rb") as file:
            first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if length > HEADER_LIMIT:
            raise InputError(
                f"{path}: truncated or damaged safetensors file (a header of {length} bytes): "
                "download or convert it again"
            )
        parts: dict[str, Part] = {}
        start = 8 + length
        with safe_open(path, framework="numpy") as stored:
            for name in stored.offset_keys():
                if not name.isprintable() or not name:
                    raise InputError(f"{path}: damaged: the name {name[:40]!r} of a tensor")
                entry = stored.get_slice(name)
                dtype, shape = entry.get_dtype(), tuple(entry.get_shape())
                nbytes = prod(shape) * _bits(dtype) // 8
                parts[name] = Part(path, dtype, shape, start, nbytes)
                start += nbytes
            metadata = dict(stored.metadata() or {})
        _refuse_twice(path, length)
        return parts, metadata
    except SafetensorError as error:
        if length <= _REFUSED_LIMIT:
            _refuse_twice(path, length)  # a better reason than what the library made of it
        reason = str(error).removeprefix("Error while deserializing header: ")[:160]
        raise InputError(
            f"{path}: truncated or damaged safetensors file ({reason}): "
            "download or convert it again"
        ) from None
    except OSError as error:
        reason = "no such file" if not path.exists() else error.strerror or str(error)
        raise InputError(f"{path}: {reason}: give a safetensors file") from None
