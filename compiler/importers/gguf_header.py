"""The header of a GGUF file: key-values and places of tensors.

Read by hand and bounded: the ``gguf`` package makes several objects of every array element,
trusts counts, and refuses the whole file for one type that it does not know (I2_S).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np

from lutcore.errors import InputError

#: Headers of real files are a few MiB, most of it the vocabulary.
HEADER_LIMIT = 64 << 20
_DEPTH_LIMIT = 4
_DIMENSIONS_LIMIT = 4
_ALIGNMENT_LIMIT = 1 << 20
_VERSIONS = (2, 3)

#: Type of bitnet.cpp: two bits an element, and 32 bytes that start with the tensor's scale.
I2_S = "I2_S"
_I2_S_ID = 36

_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9


class _DamagedError(Exception):
    """What is wrong with a header."""


@dataclass(frozen=True)
class Stored:
    """A tensor's type and place; ``nbytes`` is None where the type is unknown."""

    kind: str
    shape: tuple[int, ...]
    start: int
    nbytes: int | None


@dataclass(frozen=True)
class Header:
    """Key-values and tensors, by name in file order."""

    metadata: dict[str, Any]
    tensors: dict[str, Stored]


class _Reader:
    """Reads a header from its file, never past its end or the limit."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size, self.place = file, size, 0

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self.need(count)
        self.place += count
        return self.file.read(count)

    def need(self, count: int) -> None:
        """Refuse a count of bytes that cannot follow, before anything is allocated."""
        if self.place + count > self.size:
            raise _DamagedError(f"{count} bytes at byte {self.place} of {self.size}")
        if self.place + count > HEADER_LIMIT:
            raise _DamagedError(f"a header of over {HEADER_LIMIT >> 20} MiB")

    def number(self, code: str) -> Any:
        """One number."""
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def name(self) -> str:
        """A key or a tensor's name."""
        raw = self.take(self.number("Q"))
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = ""
        if not text.isprintable() or not text:
            raise _DamagedError(f"the name {raw[:40]!r}")
        return text

    def value(self, kind: int, depth: int = 0) -> Any:
        """A value of a type, as plain Python."""
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind == _STRING:
            return self.take(self.number("Q")).decode(errors="backslashreplace")
        if kind != _ARRAY:
            raise _DamagedError(f"a value of unknown type {kind}")
        if depth == _DEPTH_LIMIT:
            raise _DamagedError(f"arrays nested over {_DEPTH_LIMIT} deep")
        of, count = self.number("I"), self.number("Q")
        if of in _NUMBERS:
            dtype = np.dtype("<" + _NUMBERS[of])
            self.need(count * dtype.itemsize)
            return np.frombuffer(self.take(count * dtype.itemsize), dtype).tolist()
        self.need(count * 8)  # a string or an array takes that much at least
        return [self.value(of, depth + 1) for _ in range(count)]

    def entries(self, read: Callable[[], Any], count: int, least: int) -> dict[str, Any]:
        """Named entries of at least ``least`` bytes each."""
        self.need(count * least)
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self.name()
            if name in found:
                raise _DamagedError(f"{name!r} twice")
            found[name] = read()
        return found


def _kind(number: int) -> tuple[str, tuple[int, int] | None]:
    """Name of a type, and elements and bytes of its blocks where they are known."""
    if number == _I2_S_ID:
        return I2_S, (128, 32)
    try:
        kind = gguf.GGMLQuantizationType(number)
    except ValueError:
        return f"type {number}", None
    return kind.name, gguf.GGML_QUANT_SIZES[kind]


def _stored(reader: _Reader) -> Stored:
    """The entry of a tensor; ``start`` counts from the first tensor."""
    count = reader.number("I")
    if not 1 <= count <= _DIMENSIONS_LIMIT:
        raise _DamagedError(f"a tensor of {count} dimensions")
    sizes = [reader.number("Q") for _ in range(count)]
    kind, block = _kind(reader.number("I"))
    start = reader.number("Q")
    nbytes = None
    if 0 in sizes:
        raise _DamagedError(f"a tensor of shape {sizes[::-1]}")
    if block is not None:
        across = prod(sizes) if kind == I2_S else sizes[0]
        if across % block[0]:
            raise _DamagedError(f"rows of {across} elements in blocks of {block[0]} ({kind})")
        nbytes = prod(sizes) // block[0] * block[1] + 32 * (kind == I2_S)
    return Stored(kind, tuple(reversed(sizes)), start, nbytes)


def _place(tensors: dict[str, Stored], base: int, size: int, alignment: int) -> dict[str, Stored]:
    """Tensors at their place in the file: aligned, inside it, and no two in the same bytes."""
    end, before = base, ""
    for name, stored in sorted(tensors.items(), key=lambda item: item[1].start):
        if stored.start % alignment:
            raise _DamagedError(
                f"tensor {name!r} at offset {stored.start}, no multiple of {alignment} (alignment)"
            )
        start = base + stored.start
        if start < end:
            raise _DamagedError(f"tensors {before!r} and {name!r} overlap")
        end, before = start + (stored.nbytes or 0), name
        if end > size:
            raise _DamagedError(f"tensor {name!r} ends at byte {end} of {size}")
    return {
        name: Stored(stored.kind, stored.shape, base + stored.start, stored.nbytes)
        for name, stored in tensors.items()
    }


def read_header(path: Path) -> Header:
    """Read the header of a GGUF file.

    Raises
    ------
    InputError
        The file is missing, no GGUF, of another version or byte order, truncated or damaged.
    """
    try:
        with path.open("rb") as file:
            reader = _Reader(file, path.stat().st_size)
            return _header(reader)
    except _DamagedError as error:
        raise InputError(
            f"{path}: truncated or damaged GGUF ({error}): download or convert it again"
        ) from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        reason = "no such file" if not path.exists() else error.strerror or str(error)
        raise InputError(f"{path}: {reason}: give the path of a GGUF checkpoint") from None


def _header(reader: _Reader) -> Header:
    if reader.size < 4 or reader.take(4) != b"GGUF":
        raise InputError(
            "not a GGUF file (its first bytes are not 'GGUF'): give one, or a safetensors file"
        )
    version = reader.number("I")
    if version not in _VERSIONS:
        big = int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS
        what = "a big-endian GGUF" if big else f"GGUF version {version}"
        raise InputError(f"{what} is not supported: convert it to little-endian version 3")
    tensors, pairs = reader.number("Q"), reader.number("Q")
    metadata = reader.entries(lambda: reader.value(reader.number("I")), pairs, 13)
    stored = reader.entries(lambda: _stored(reader), tensors, 32)
    alignment = metadata.get("general.alignment", gguf.GGUF_DEFAULT_ALIGNMENT)
    if (
        not isinstance(alignment, int)
        or not 1 <= alignment <= _ALIGNMENT_LIMIT
        or alignment & (alignment - 1)
    ):
        raise _DamagedError(f"general.alignment = {str(alignment)[:40]}")
    base = -(-reader.place // alignment) * alignment
    return Header(metadata, _place(stored, base, reader.size, alignment))
