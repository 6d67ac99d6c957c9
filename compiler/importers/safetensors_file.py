"""Quantised tensors from safetensors checkpoints (layouts: docs, page "formats")."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.importers import awq, bitnet, gptq, mxfp4
from lutcore.compiler.importers.base import Checkpoint, Facts
from lutcore.compiler.importers.folder import read_json, read_sidecars, shards, snapshot
from lutcore.compiler.importers.layout import Layout, Parts
from lutcore.compiler.importers.safetensors_header import FLOATS, Part, read_parts
from lutcore.compiler.importers.settings import read_settings, short
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
        self.path = snapshot(Path(path))
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
        self.sidecars = read_sidecars(folder)
        stated = self.metadata if config.is_file() else {}
        self.settings = read_settings(folder, stated, self.sidecars, gptq_version)
        self._tensors = _matrices(parts)

    def names(self) -> list[str]:
        """Names of all tensors in file order."""
        return list(self._tensors)

    def _known(self) -> dict:
        return self._tensors

    def equal(self, one: str, other: str) -> bool:
        """As :meth:`Checkpoint.equal`; floats of one type are compared as they are stored."""
        first, second = self._tensors[one], self._tensors[other]
        plain = isinstance(first, Part) and isinstance(second, Part)
        if not plain or first.dtype != second.dtype or first.dtype not in FLOATS:
            return super().equal(one, other)
        return np.array_equal(first.load(), second.load())

    def quantisation(self) -> Mapping[str, Any]:
        """Settings of the quantisation, by the names of AutoGPTQ."""
        return self.settings.config

    def judge_settings(self) -> dict[str, str]:
        """For every key of the quantisation settings, ``used``, or why it changes nothing.

        Raises
        ------
        InputError
            The method is not read; a key is not understood, or its value is not.
        """
        if self._unsettled:
            raise InputError(f"{self.path}: {self._unsettled}")
        return self._verdicts()

    @cached_property
    def _unsettled(self) -> str | None:
        """Why the settings are refused, or None."""
        try:
            self._verdicts()
        except InputError as error:
            return str(error)
        return None

    def _verdicts(self) -> dict[str, str]:
        settings = self.settings
        if not settings.config:
            return {}
        method = settings.config.get("quant_method")
        matrices = {n: one for n, one in self._tensors.items() if isinstance(one, _Matrix)}
        layouts = [layout for layout in _LAYOUTS if layout.method == method]
        if method is None:  # shapes say it, if anything does
            layouts = self._shown(matrices.values())
        if not layouts:
            file = settings.file("quant_method")
            raise InputError(
                f"has quant_method {short(method)} in {file}, which is not read; "
                f"read: {', '.join(SUPPORTED)}"
            )
        found = settings.judge({key: value for one in layouts for key, value in one.keys.items()})
        for layout in layouts:
            layout.check(settings)
        self._judge_head(matrices)
        return found

    def _shown(self, matrices: Iterable[_Matrix]) -> list[Layout]:
        """Layouts that matrices have by their shapes."""
        found = []
        for stored in matrices:
            with contextlib.suppress(InputError):  # of one that is damaged
                found.append(self._layout(stored))
        return found

    def _judge_head(self, matrices: dict[str, _Matrix]) -> None:
        """Whether ``lm_head`` and the tensors agree."""
        stated = self.settings.flag("lm_head")
        heads = [name for name in self._tensors if f".{name}".endswith(".lm_head.weight")]
        for name in heads:
            if stated not in (None, name in matrices):
                are = "is" if name in matrices else "is not"
                raise InputError(
                    f"has lm_head = {stated} in {self.settings.file('lm_head')}, where {name} "
                    f"{are} quantised: correct it there"
                )

    def _facts(self, name: str) -> Facts:
        stored = self._tensors[name]
        if isinstance(stored, Part):
            facts = Facts(stored.dtype, stored.shape, stored.nbytes)
            return replace(facts, problem=self._refusal(stored))
        main = next(iter(stored.parts.values()))
        try:
            facts = self._layout(stored).measure(stored.parts, self.settings)
            return replace(facts, problem=facts.problem or self._unsettled)
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
            f"is {part.dtype} of quantisation method {short(method)}, which is not read; "
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
                file = self.settings.file("quant_method")
                raise InputError(
                    f"has the shapes of {layout.method}, where {file} says {short(method)}"
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
