"""Quantised tensors from GGUF checkpoints (block layouts: docs, page "formats")."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from compiler.tensor import QuantTensor
from hdl.errors import InputError

_Decoded = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def _scale(blocks: np.ndarray, first: int) -> np.ndarray:
    """The little-endian fp16 at byte ``first`` of every block, as float32 [blocks]."""
    return blocks[:, first : first + 2].copy().view("<f2")[:, 0].astype(np.float32)


def _nibbles(packed: np.ndarray) -> np.ndarray:
    """16 bytes to 32 codes: byte j holds element j low and element j + 16 high."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _q4_0(blocks: np.ndarray) -> _Decoded:
    return _nibbles(blocks[:, 2:]), _scale(blocks, 0), None


def _q4_1(blocks: np.ndarray) -> _Decoded:
    return _nibbles(blocks[:, 4:]), _scale(blocks, 0), _scale(blocks, 2)


def _q8_0(blocks: np.ndarray) -> _Decoded:
    return blocks[:, 2:] ^ 0x80, _scale(blocks, 0), None  # two's complement to offset binary


def _tq2_0(blocks: np.ndarray) -> _Decoded:
    halves = blocks[:, :64].reshape(-1, 2, 1, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    return ((halves >> shifts) & 3).reshape(-1, 256), _scale(blocks, 64), None


def _tq1_0(blocks: np.ndarray) -> _Decoded:
    def trits(packed: np.ndarray, count: int) -> np.ndarray:
        """``count`` base-3 digits of each byte, a digit's elements together, 0..2."""
        powers = np.array([1, 3, 9, 27, 81], np.uint8)[:count].reshape(1, count, 1)
        shifted = (packed[:, None, :] * powers).astype(np.uint16)  # wraps modulo 256 by intent
        return ((shifted * 3) >> 8).astype(np.uint8).reshape(len(packed), -1)

    parts = [trits(blocks[:, :32], 5), trits(blocks[:, 32:48], 5), trits(blocks[:, 48:52], 4)]
    return np.concatenate(parts, axis=1), _scale(blocks, 52), None


#: Twice the value of each E2M1 code, from 0, 0.5 .. 6 to the same below zero.
_E2M1_TWICE = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.int8)


def _mxfp4(blocks: np.ndarray) -> _Decoded:
    """Shared scale 2^(e - 127) in byte 0, then E2M1 codes: integers -12..12 of half the scale."""
    codes = (_E2M1_TWICE[_nibbles(blocks[:, 1:])] + 16).astype(np.uint8)
    exponent = blocks[:, 0].astype(np.int32)
    scale = np.where(exponent == 255, np.nan, np.ldexp(1.0, exponent - 128)).astype(np.float32)
    return codes, scale, None


@dataclass(frozen=True)
class _Format:
    """How one GGUF type stores a block, and what its codes mean."""

    elements: int
    bytes: int
    bits: int
    zero_point: int
    decode: Callable[[np.ndarray], _Decoded]


_FORMATS = {
    gguf.GGMLQuantizationType.TQ1_0: _Format(256, 54, 2, 1, _tq1_0),
    gguf.GGMLQuantizationType.TQ2_0: _Format(256, 66, 2, 1, _tq2_0),
    gguf.GGMLQuantizationType.Q4_0: _Format(32, 18, 4, 8, _q4_0),
    gguf.GGMLQuantizationType.Q4_1: _Format(32, 20, 4, 0, _q4_1),
    gguf.GGMLQuantizationType.MXFP4: _Format(32, 17, 5, 16, _mxfp4),
    gguf.GGMLQuantizationType.Q8_0: _Format(32, 34, 8, 128, _q8_0),
}

#: GGUF types that can be read, by name.
SUPPORTED = tuple(kind.name for kind in _FORMATS)


class GgufFile:
    """A GGUF checkpoint, memory-mapped; tensors are decoded one at a time.

    Raises
    ------
    InputError
        The file is missing, is no GGUF or is truncated.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file: give the path of a GGUF checkpoint")
        with self.path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise InputError(f"{self.path}: not a GGUF file (its first bytes are not 'GGUF')")
        try:
            reader = gguf.GGUFReader(self.path)
        except Exception as error:  # the reader raises whatever its parsing stumbles on
            raise InputError(
                f"{self.path}: truncated or damaged GGUF ({type(error).__name__}): "
                "download or convert it again"
            ) from error
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}

    def names(self) -> list[str]:
        """Names of all tensors in file order."""
        return list(self._tensors)

    def kind(self, name: str) -> str:
        """GGUF type of a tensor, e.g. ``TQ2_0``."""
        return self._find(name).tensor_type.name

    def tensor(self, name: str) -> QuantTensor:
        """Decode one tensor.

        Raises
        ------
        InputError
            There is no such tensor, its type is not supported, or its scales are not finite.
        """
        stored = self._find(name)
        where = f"{self.path}: tensor {name!r}"
        layout = _FORMATS.get(stored.tensor_type)
        if layout is None:
            raise InputError(
                f"{where} is {stored.tensor_type.name}, which is not supported; "
                f"supported: {', '.join(SUPPORTED)}"
            )
        if len(stored.shape) != 2:
            raise InputError(f"{where} must be a matrix, not of shape {list(stored.shape)}")
        k, n = (int(size) for size in stored.shape)
        blocks = stored.data.reshape(-1, layout.bytes)
        codes, scales, minimums = layout.decode(blocks)
        grid = (n, k // layout.elements)
        return QuantTensor(
            name=name,
            kind=stored.tensor_type.name,
            bits=layout.bits,
            codes=codes.reshape(n, k),
            scales=scales.reshape(grid),
            zero_points=np.full(grid, layout.zero_point, np.int16),
            minimums=None if minimums is None else minimums.reshape(grid),
            group_size=layout.elements,
        )

    def _find(self, name: str) -> gguf.ReaderTensor:
        if name not in self._tensors:
            near = difflib.get_close_matches(name, self._tensors, n=3, cutoff=0.4)
            listed = ", ".join(near or list(self._tensors)[:5])
            raise InputError(f"{self.path}: no tensor {name!r}; the nearest: {listed}")
        return self._tensors[name]
