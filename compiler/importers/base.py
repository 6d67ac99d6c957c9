"""What all checkpoints offer, whichever file they stand in."""

import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

#: Elements that are decoded or dequantised at a time: temporaries stay a few times this.
CHUNK = 1 << 22


@dataclass(frozen=True)
class Facts:
    """What the header of a checkpoint says of a tensor.

    Attributes
    ----------
    kind : str
        Type in the checkpoint's terms, e.g. ``TQ2_0``, ``F16`` or ``GPTQ v1``.
    shape : tuple of int
        NumPy order: [N, K] of a matrix, [E, N, K] of a stack of matrices.
    nbytes : int or None
        Size in the file, with scales and zero points; None where the type is unknown.
    bits, group_size : int or None
        Width of the codes and scale group; None where the tensor is not quantised.
    problem : str or None
        Why :meth:`Checkpoint.tensor` refuses, and the remedy; None where it does not.
    minimums : bool
        Whether each group has a minimum, which the host adds.
    scales : str
        The scale records (:data:`lutcore.hdl.isa.lmma.SCALES`) that hold any tensor of the type
        exactly.
    """

    kind: str
    shape: tuple[int, ...]
    nbytes: int | None
    bits: int | None = None
    group_size: int | None = None
    problem: str | None = None
    minimums: bool = False
    scales: str = "fp16"


class Checkpoint(ABC):
    """Tensors of a checkpoint, decoded one at a time.

    The matrices of a stack (experts) are named ``name[0]``, ``name[1]`` and so on.

    Attributes
    ----------
    path : pathlib.Path
        The file or folder.
    metadata : dict
        GGUF key-values as plain Python values, or ``config.json``.
    sidecars : mapping
        Name -> contents of the JSON files beside ``config.json`` that say something of a network.
    """

    path: Path
    metadata: dict[str, Any]
    sidecars: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all tensors in file order."""

    @abstractmethod
    def _facts(self, name: str) -> Facts:
        """Facts of a tensor in :meth:`names`, a stack as a whole."""

    @abstractmethod
    def _decode(self, name: str, index: int | None) -> QuantTensor:
        """Decode a tensor without a problem; ``index`` is the matrix of a stack."""

    @abstractmethod
    def _floats(self, name: str, index: int | None) -> np.ndarray:
        """float32 values of a tensor that is not quantised, or that only :meth:`array` reads."""

    def quantisation(self) -> Mapping[str, Any]:
        """Settings of the quantisation, wherever they stand; none in GGUF."""
        return {}

    def judge_settings(self) -> dict[str, str]:
        """Name of each of these settings -> ``used``, or why it changes nothing.

        Raises
        ------
        InputError
            A setting, or its value, is not understood.
        """
        return {}

    def kind(self, name: str) -> str:
        """Type of a tensor in the checkpoint's terms, e.g. ``TQ2_0``."""
        return self.facts(name).kind

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor in NumPy order: [N, K] of a matrix."""
        return self.facts(name).shape

    def facts(self, name: str) -> Facts:
        """What the header says of a tensor, or of a matrix of a stack.

        Raises
        ------
        InputError
            There is no such tensor.
        """
        stored, index = self._split(name)
        facts = self._facts(stored)
        if len(facts.shape) == 3 and facts.bits is not None:
            if index is None:
                problem = f"is a stack of {facts.shape[0]} matrices: name one, e.g. {stored}[0]"
                return replace(facts, problem=facts.problem or problem)
            nbytes = facts.nbytes and facts.nbytes // facts.shape[0]
            return replace(facts, shape=facts.shape[1:], nbytes=nbytes)
        if facts.problem is None and len(facts.shape) != 2:
            return replace(facts, problem=f"must be a matrix, not of shape {list(facts.shape)}")
        return facts

    def tensor(self, name: str) -> QuantTensor:
        """Decode one quantised matrix.

        Raises
        ------
        InputError
            There is no such tensor, it is not supported, or its scales are damaged.
        """
        problem = self.facts(name).problem
        if problem:
            raise InputError(f"{self.where(name)} {problem}")
        try:
            tensor = self._decode(*self._split(name))
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
        if not tensor.scales.any() and tensor.codes.min() != tensor.codes.max():
            raise InputError(
                f"{self.where(name)} has scales that are all 0 and codes that are not: "
                "the checkpoint is damaged"
            )
        return tensor

    def array(self, name: str) -> np.ndarray:
        """Values as float32, of any shape; quantised ones are dequantised.

        Raises
        ------
        InputError
            There is no such tensor, its type has no float32 equivalent, or values are not finite.
        """
        facts = self.facts(name)
        if 0 in facts.shape:
            raise InputError(f"{self.where(name)} is empty: its shape is {list(facts.shape)}")
        if facts.bits is None or facts.problem:
            values = self._floats(*self._split(name))
        else:
            tensor = self.tensor(name)
            values = np.empty(tensor.shape, np.float32)
            step = max(1, CHUNK // tensor.shape[1])
            for low in range(0, len(values), step):
                part = slice(low, low + step)
                with np.errstate(over="ignore"):  # infinities are refused below
                    values[part] = tensor.rows(part).dequantise()
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(values.sum(dtype=np.float64))
        if not finite:
            raise InputError(
                f"{self.where(name)} has values that are not finite: the checkpoint is damaged"
            )
        return values

    def equal(self, one: str, other: str) -> bool:
        """Whether two tensors have one shape and the same values."""
        return np.array_equal(self.array(one), self.array(other))

    def where(self, name: str) -> str:
        """File and tensor, as errors begin."""
        return f"{self.path}: tensor {name!r}"

    def _split(self, name: str) -> tuple[str, int | None]:
        """Name in the file and matrix of a stack."""
        names = self._known()
        if name in names:
            return name, None
        matched = re.fullmatch(r"(.+)\[(\d{1,9})\]", name)
        if matched and matched[1] in names:
            shape = self._facts(matched[1]).shape
            if len(shape) == 3 and int(matched[2]) < shape[0]:
                return matched[1], int(matched[2])
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        listed = ", ".join(near or list(names)[:5]) or "none, the file has no tensors"
        raise InputError(f"{self.path}: no tensor {name!r}; the nearest: {listed}")

    def _known(self) -> Any:
        """Names, in a form that is fast to search."""
        return self.names()
