"""Quantised tensors from GGUF checkpoints (block layouts: docs, page "formats")."""

import re
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from lutcore.compiler.importers.base import CHUNK, Checkpoint, Facts
from lutcore.compiler.importers.gguf_blocks import BLOCKS, Block
from lutcore.compiler.importers.gguf_header import I2_S, Stored, read_header
from lutcore.compiler.importers.mapped import map_bytes
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

#: GGUF types that can be read, by name.
SUPPORTED = tuple(BLOCKS)

#: Types that hold plain numbers, all of which are float32 numbers.
_FLOATS = ("F32", "F16", "BF16")


class GgufFile(Checkpoint):
    """A GGUF checkpoint, memory-mapped; tensors are decoded one at a time.

    Raises
    ------
    InputError
        The file is missing, is no GGUF, truncated, or one of several that belong together.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        header = read_header(self.path)
        _refuse_split(self.path, header.metadata)
        self.metadata = header.metadata
        self._tensors = header.tensors

    def names(self) -> list[str]:
        """Names of all tensors in file order."""
        return list(self._tensors)

    def _known(self) -> dict:
        return self._tensors

    def _facts(self, name: str) -> Facts:
        stored = self._tensors[name]
        facts = Facts(stored.kind, stored.shape, stored.nbytes)
        block = BLOCKS.get(stored.kind)
        if block is None:
            return _refused(facts)
        group = stored.shape[-1] if stored.kind == I2_S else block.group_size
        problem = None
        if stored.kind == I2_S and len(stored.shape) != 2:
            problem = f"must be a matrix, not of shape {list(stored.shape)}"
        return replace(
            facts,
            bits=block.bits,
            group_size=group,
            problem=problem,
            minimums=block.minimums,
            scales=block.scales,
        )

    def _decode(self, name: str, index: int | None) -> QuantTensor:
        stored = self._tensors[name]
        block, size = BLOCKS[stored.kind], stored.shape[-1]
        group_size = size if stored.kind == I2_S else block.group_size
        raw = self._raw(stored, index, block.elements, block.bytes)
        codes, scales, minimums = _blocks(block, raw)
        if int(codes.max()) > block.largest:
            raise InputError(f"tensor {name!r} has codes over {block.largest}: it is damaged")
        if stored.kind == I2_S:
            scale = map_bytes(self.path, stored.start + raw.size, 4).copy().view("<f4")
            scales = np.full((stored.shape[0], 1), scale[0])
        grid = (-1, size // group_size)
        scales = scales.reshape(grid)
        return QuantTensor(
            name=name if index is None else f"{name}[{index}]",
            kind=stored.kind,
            bits=block.bits,
            codes=codes.reshape(-1, size),
            scales=scales,
            zero_points=np.full(scales.shape, block.zero_point, np.int16),
            minimums=None if minimums is None else minimums.reshape(grid),
            group_size=group_size,
        )

    def _raw(self, stored: Stored, index: int | None, elements: int, size: int) -> np.ndarray:
        """Blocks of a tensor, or of a matrix of a stack, as uint8 [blocks, bytes]."""
        shape = stored.shape if index is None else stored.shape[1:]
        count = prod(shape) // elements * size
        return map_bytes(self.path, stored.start + (index or 0) * count, count).reshape(-1, size)

    def _floats(self, name: str, index: int | None) -> np.ndarray:
        stored = self._tensors[name]
        kind = gguf.GGMLQuantizationType.__members__.get(stored.kind)
        elements, size = gguf.GGML_QUANT_SIZES[kind] if kind is not None else (1, 1)
        if kind is None or (elements == 1 and stored.kind not in _FLOATS):
            raise InputError(f"{self.where(name)} is {stored.kind}, which is not read as float32")
        raw = self._raw(stored, index, elements, size)
        values = np.empty((len(raw), elements), np.float32)
        step = max(1, CHUNK // elements)
        for low in range(0, len(raw), step):
            part = raw[low : low + step].reshape(1, -1)
            try:
                with np.errstate(all="ignore"):  # numbers that are not finite are refused later
                    decoded = gguf.quants.dequantize(part, kind)
            except NotImplementedError:
                raise InputError(
                    f"{self.where(name)} is {stored.kind}, which is not read as float32"
                ) from None
            values[low : low + step] = decoded.reshape(-1, elements)
        return values.reshape(stored.shape if index is None else stored.shape[1:])


def _refuse_split(path: Path, metadata: dict[str, Any]) -> None:
    """Refuse a file that is a part of a checkpoint, by what it or its name says."""
    named = re.search(r"-\d{5}-of-(\d{5})\.gguf$", path.name)
    stated = metadata.get("split.count", 0)
    count = max(int(named[1]) if named else 0, stated if isinstance(stated, int) else 2)
    if count > 1:
        raise InputError(
            f"{path}: is one of {count} files of a split checkpoint: "
            "merge it with llama-gguf-split --merge"
        )


def _refused(facts: Facts) -> Facts:
    """Facts of a type without a decoder, with the reason."""
    if facts.kind in _FLOATS:
        why = "holds plain numbers: read it with array(), or quantise it with llama-quantize"
    else:
        why = f"which is not supported; supported: {', '.join(SUPPORTED)}"
    return replace(facts, problem=f"is {facts.kind}, {why}")


def _blocks(block: Block, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Decode blocks, some at a time."""
    groups = block.elements // block.group_size
    codes = np.empty((len(raw), block.elements), np.uint8)
    scales = np.empty((len(raw), groups), np.float32)
    minimums = np.empty((len(raw), groups), np.float32) if block.minimums else None
    step = max(1, CHUNK // block.elements)
    for low in range(0, len(raw), step):
        part = slice(low, low + step)
        with np.errstate(
            invalid="ignore"
        ):  # NaN and infinities are refused later, with their place
            codes[part], scales[part], least = block.decode(raw[part])
        if minimums is not None:
            minimums[part] = least
    return codes, scales, minimums
