"""Quantised tensors from safetensors checkpoints (layouts: docs, page "formats")."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.importers import awq, bitnet, gptq, mxfp4
from lutcore.compiler.importers.base import Checkpoint, Facts
from lutcore.compiler.importers.folder import read_json, shards
from lutcore.compiler.importers.layout import Layout, Parts, Settings
from lutcore.compiler.importers.safetensors_header import FLOATS, Part, read_parts
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

_LAYOUTS = (gptq.LAYOUT, awq.LAYOUT, bitnet.LAYOUT, mxfp4.LAYOUT)
#: Quantisation methods that can be read, as config.json names them.
SUPPORTED = tuple(layout.method for layout in _LAYOUTS)


@dataclass(frozen=True)
class _Matrix:
    """A quantised matrix: its parts, and the layouts that may be theirs."""

    parts: Parts
    layouts: tuple[Layout, ...]


class SafetensorsFile(Checkpoint):
    """A safetensors file, or a folder of them with config.json; tensors are decoded one at a time.

    GPTQ and AWQ matrices are named as the module with ``.weight``, MXFP4 ones without ``_blocks``.

    Parameters
    ----------
    gptq_version : 1, 2 or None
        How zero points of GPTQ are stored, where config.json does not say it or is wrong.

    Raises
    ------
    InputError
        A file is missing, damaged, or no safetensors file.
    """

    def __init__(self, path: str | Path, gptq_version: int | None = None):
        self.path = Path(path)
        folder = self.path if self.path.is_dir() else self.path.parent
        parts: dict[str, Part] = {}
        headers: dict[str, Any] = {}
        for file in shards(self.path) if self.path.is_dir() else [self.path]:
            stored, header = read_parts(file)
            headers |= header
            twice = sorted(parts.keys() & stored.keys())
            if twice:
                raise InputError(f"{file}: tensor {twice[0]!r} is in {parts[twice[0]].path} too")
            parts |= stored
        config = folder / "config.json"
        self.metadata = read_json(config) if config.is_file() else headers
        self.settings = Settings(_quantisation(config, self.metadata), gptq_version)
        self._tensors = _matrices(parts)

    def names(self) -> list[str]:
        """Names of all tensors in file order."""
        return list(self._tensors)

    def _known(self) -> dict:
        return self._tensors

    def _facts(self, name: str) -> Facts:
        stored = self._tensors[name]
        if isinstance(stored, Part):
            facts = Facts(stored.dtype, stored.shape, stored.nbytes)
            return replace(facts, problem=self._refusal(stored))
        main = next(iter(stored.parts.values()))
        try:
            return self._layout(stored).measure(stored.parts, self.settings)
        except InputError as error:
            nbytes = sum(part.nbytes for part in stored.parts.values())
            return Facts(main.dtype, main.shape, nbytes, problem=str(error))

    def _refusal(self, part: Part) -> str:
        """Why a plain tensor is none for a core."""
        if part.dtype in FLOATS:
            return f"is {part.dtype}, holds plain numbers: read it with array(), or quantise it"
        method = self.settings.config.get("quant_method")
        if method is None or method in SUPPORTED:
            return f"is {part.dtype}, and no part of a matrix of {', '.join(SUPPORTED)}"
        return (
            f"is {part.dtype} of quantisation method {str(method)[:40]!r}, which is not read; "
            f"read: {', '.join(SUPPORTED)}"
        )

    def _layout(self, stored: _Matrix) -> Layout:
        """The layout of a matrix, by its shapes, which config.json must not contradict."""
        absent: list[str] = []
        for layout in stored.layouts:
            absent = [name for name in layout.parts if name not in stored.parts]
            if absent or not layout.accepts(stored.parts):
                continue
            method = self.settings.config.get("quant_method")
            if method is not None and method != layout.method:
                raise InputError(
                    f"has the shapes of {layout.method}, where config.json says "
                    f"{str(method)[:40]!r}"
                )
            return layout
        if absent:
            raise InputError(f"has no {absent[0].strip('._')}: the checkpoint is incomplete")
        shapes = ", ".join(
            f"{name.strip('._')} {list(part.shape)}" for name, part in stored.parts.items()
        )
        named = " or ".join(layout.method for layout in stored.layouts)
        raise InputError(f"has shapes of no {named}: {shapes}")

    def _decode(self, name: str, index: int | None) -> QuantTensor:
        stored = self._tensors[name]
        assert isinstance(stored, _Matrix)  # others have a problem
        full = name if index is None else f"{name}[{index}]"
        facts = self.facts(full)
        try:
            layout = self._layout(stored)
            return layout.decode(full, stored.parts, facts, self.settings, index)
        except InputError as error:
            text = str(error)
            raise InputError(
                text if text.startswith("tensor ") else f"tensor {full!r} {text}"
            ) from None

    def _floats(self, name: str, index: int | None) -> np.ndarray:
        stored = self._tensors[name]
        if isinstance(stored, Part) and stored.dtype in FLOATS:
            return stored.floats()
        facts = self._facts(name)
        if facts.problem is None and index is None and len(facts.shape) == 3:  # a whole stack
            return np.stack([self.array(f"{name}[{i}]") for i in range(facts.shape[0])])
        raise InputError(f"{self.where(name)} {facts.problem}")


def _quantisation(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """``quantization_config`` of a config.json."""
    found = config.get("quantization_config")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"{path}: quantization_config must be an object: download it again")
    return found


def _matrices(parts: dict[str, Part]) -> dict[str, Part | _Matrix]:
    """Tensors by their names, in file order, parts of quantised matrices put together."""
    matrices: dict[str, tuple[str, _Matrix]] = {}
    taken: set[str] = set()
    for name in parts:
        layouts = tuple(layout for layout in _LAYOUTS if name.endswith(layout.codes))
        if not layouts:
            continue
        codes, stem = layouts[0].codes, name.removesuffix(layouts[0].codes)
        ends = [codes, *(end for layout in layouts for end in (*layout.parts, *layout.optional))]
        own = {end: parts[stem + end] for end in ends if stem + end in parts}
        # Other names than qweight have other meanings too.
        if codes != ".qweight" and not (
            own.keys() >= {*layouts[0].parts} and layouts[0].accepts(own)
        ):
            continue
        taken.update(stem + end for end in own)
        matrices[name] = (stem + layouts[0].named, _Matrix(own, layouts))
    found: dict[str, Part | _Matrix] = {}
    for name, part in parts.items():
        if name in taken and name not in matrices:
            continue
        named, stored = matrices.get(name, (name, part))
        if named in found:
            raise InputError(f"{part.path}: tensor {named!r} is there both plain and quantised")
        found[named] = stored
    return found
