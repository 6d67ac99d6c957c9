"""ggml's C code as a judge of GGUF blocks, by the wheel ``libggml-python``.

It quantises random numbers, and decodes those blocks and others: of any bytes, with each bit of a
block changed, with all bytes the same. So every code at every place, and scales that are negative,
subnormal or large, are among them. What is no finite number is left out: our reader refuses it.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from lutcore.compiler.importers.gguf_blocks import BLOCKS
from lutcore.gen.judges.tensor_cases import TensorCase
from lutcore.verif.samples.checkpoints import gguf_file

#: Rows of a matrix of blocks.
_ROWS = 4
#: Sizes of the random numbers of each row: scales of the second are subnormal in half precision.
_SIZES = (1.0, 1e-5, -30.0, 0.02)
#: Scales that are no numbers by their standards: bytes of a block, mask, pattern. ggml reads E8M0's
#: as 2^128 and E4M3's as 0.
_NO_NUMBER = {"MXFP4": (1, 0xFF, 0xFF), "NVFP4": (4, 0x7F, 0x7F)}


class _Traits(ctypes.Structure):
    """``struct ggml_type_traits`` of ggml.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("elements", ctypes.c_int64),
        ("interleaved", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.c_void_p),
        ("from_float_ref", ctypes.c_void_p),
    )


_ToFloat = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


def version() -> str:
    """The judge's name and the wheel's version."""
    return f"ggml of libggml-python {importlib.metadata.version('libggml-python')}"


@functools.cache
def _library() -> Any:
    spec = importlib.util.find_spec("libggml")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or [] for path in Path(folder).rglob("libggml-base.so")]
    library = ctypes.CDLL(str(found[0]))
    library.ggml_get_type_traits.restype = ctypes.POINTER(_Traits)
    library.ggml_quantize_requires_imatrix.restype = ctypes.c_bool
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library


class BlockType:
    """A type of blocks: its sizes by ggml, and ggml's functions for it."""

    def __init__(self, kind: gguf.GGMLQuantizationType):
        self.kind = kind
        traits = _library().ggml_get_type_traits(int(kind)).contents
        self.elements, self.bytes = traits.elements, traits.bytes
        self._to_float = _ToFloat(traits.to_float) if traits.to_float else None

    @property
    def decodes(self) -> bool:
        """Whether ggml decodes it."""
        return self._to_float is not None

    def decode(self, blocks: np.ndarray) -> np.ndarray:
        """Values [blocks, elements] of uint8 [blocks, bytes]."""
        assert self._to_float is not None
        blocks = np.ascontiguousarray(blocks)
        values = np.empty((len(blocks), self.elements), np.float32)
        self._to_float(blocks.ctypes.data, values.ctypes.data, values.size)
        return values

    def quantise(self, values: np.ndarray) -> np.ndarray:
        """Blocks [blocks, bytes] of float32 [rows, K]."""
        rows, k = values.shape
        blocks = np.zeros((values.size // self.elements, self.bytes), np.uint8)
        library = _library()
        importance = np.ones(k, np.float32)
        needed = library.ggml_quantize_requires_imatrix(int(self.kind))
        written = library.ggml_quantize_chunk(
            int(self.kind),
            ctypes.c_void_p(values.ctypes.data),
            ctypes.c_void_p(blocks.ctypes.data),
            ctypes.c_int64(0),
            ctypes.c_int64(rows),
            ctypes.c_int64(k),
            ctypes.c_void_p(importance.ctypes.data if needed else None),
        )
        assert written == blocks.size, (self.kind, written, blocks.size)
        return blocks

    def finite(self, blocks: np.ndarray) -> np.ndarray:
        """The blocks all of whose values are numbers, repeated to whole rows."""
        keep = np.isfinite(self.decode(blocks)).all(axis=1)
        count, mask, pattern = _NO_NUMBER.get(self.kind.name, (0, 0, 1))
        keep &= ((blocks[:, :count] & mask) != pattern).all(axis=1)
        kept = blocks[keep]
        return kept[np.arange(-(-len(kept) // _ROWS) * _ROWS) % len(kept)]


def block_types() -> list[BlockType]:
    """All types that ggml decodes and the package gguf knows."""
    made = [BlockType(kind) for kind in gguf.GGMLQuantizationType if kind.name != "F32"]
    return [one for one in made if one.decodes]


def _produced(one: BlockType, rng: np.random.Generator, blocks: int) -> np.ndarray:
    values = rng.normal(size=(_ROWS, blocks * one.elements)) * np.array(_SIZES)[:, None]
    values[:, :: one.elements + 3] *= 8  # outliers
    values[0, -one.elements :] = 0
    return one.quantise(values.astype(np.float32))


def _any_bytes(one: BlockType, rng: np.random.Generator, blocks: int) -> np.ndarray:
    raw = rng.integers(0, 256, (3 * blocks + 16, one.bytes), np.uint8)
    return one.finite(raw)[: -(-blocks // _ROWS) * _ROWS]


def _each_bit(one: BlockType, rng: np.random.Generator) -> np.ndarray:
    base = _any_bytes(one, rng, 1)[0]
    masks = np.zeros((8 * one.bytes, one.bytes), np.uint8)
    places = np.arange(8 * one.bytes)
    masks[places, places // 8] = 1 << places % 8
    return one.finite(np.concatenate([base[None], base ^ masks]))


def _same_bytes(one: BlockType) -> np.ndarray:
    return one.finite(np.repeat(np.arange(256, dtype=np.uint8)[:, None], one.bytes, axis=1))


def _all_numbers() -> np.ndarray:
    return np.arange(1 << 16, dtype="<u2").view(np.uint8).reshape(-1, 2)


def judge(small: bool) -> Iterator[TensorCase]:
    """All types; ``small``: few blocks of each, to be stored."""
    for one in block_types():
        rng = np.random.default_rng(int(one.kind))
        few = max(1, 64 // one.elements)
        made = {
            "quantised": _produced(one, rng, few if small else 32 * few),
            "any bytes": _any_bytes(one, rng, _ROWS * few if small else 2048),
        }
        if not small:
            made |= {"each bit": _each_bit(one, rng), "same bytes": _same_bytes(one)}
        if not small and one.elements == 1:
            made["all numbers"] = one.finite(_all_numbers())
        if small and one.kind.name not in BLOCKS:  # what no core computes with
            del made["any bytes"]
        for how, blocks in made.items():
            yield TensorCase(
                name=f"{one.kind.name}, {how}",
                judge=version(),
                files={"model.gguf": _written(one, blocks)},
                wanted={"w": one.decode(blocks).reshape(_ROWS, -1)},
            )


def _written(one: BlockType, blocks: np.ndarray) -> bytes:
    """A GGUF file of one matrix."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        return gguf_file(path, {"w": (blocks.reshape(_ROWS, -1), one.kind.name)}).read_bytes()
