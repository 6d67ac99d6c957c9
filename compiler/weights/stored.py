"""Weight tensors as they are kept in files: the checkpoint's codes, of each only its bits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

#: Types of a tensor's parts.
PARTS = {
    "codes": np.uint8,
    "scales": np.float32,
    "zero_points": np.int16,
    "minimums": np.float32,
    "column_order": np.int32,
}


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor, packed.

    Attributes
    ----------
    kind, bits, group_size, shape
        As of :class:`~lutcore.compiler.weights.tensor.QuantTensor`.
    parts : mapping of str to ndarray
        Its arrays by name; ``codes`` is uint8 with bit ``i`` of code ``j`` (of all N x K, K
        contiguous) at bit ``j * bits + i``, bit 0 being the lowest of byte 0.
    """

    kind: str
    bits: int
    group_size: int
    shape: tuple[int, int]
    parts: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, tensor: QuantTensor) -> "StoredTensor":
        """Pack a tensor."""
        codes = tensor.codes.ravel()[:, None] >> np.arange(tensor.bits, dtype=np.uint8) & 1
        parts = {name: getattr(tensor, name) for name in PARTS}
        parts["codes"] = np.packbits(codes, bitorder="little")
        parts = {
            name: np.asarray(array, PARTS[name])
            for name, array in parts.items()
            if array is not None
        }
        return cls(tensor.kind, tensor.bits, tensor.group_size, tensor.shape, parts)

    def check(self, name: str) -> None:
        """See that the parts belong together; codes of so many bits are right whatever they are.

        Raises
        ------
        InputError
            They do not.
        """
        n, k = self.shape
        good = n > 0 and k > 0 and 1 <= self.bits <= 8 and self.group_size > 0
        given = self.parts.keys()
        if not good or {"codes", "scales", "zero_points"} - given or given - PARTS.keys():
            raise InputError(f"matrix {name} is incomplete")
        codes = self.parts["codes"]
        if codes.dtype != np.uint8 or codes.shape != (-(-n * k * self.bits // 8),):
            raise InputError(f"matrix {name} must have {n} x {k} codes of {self.bits} bits")
        self._tensor(name, np.broadcast_to(np.uint8(0), self.shape))

    def unpack(self, name: str) -> QuantTensor:
        """The tensor.

        Raises
        ------
        InputError
            Its parts do not belong together.
        """
        n, k = self.shape
        bits = np.unpackbits(self.parts["codes"], count=n * k * self.bits, bitorder="little")
        codes = np.packbits(bits.reshape(n, k, self.bits), axis=-1, bitorder="little")[..., 0]
        return self._tensor(name, codes)

    def _tensor(self, name: str, codes: np.ndarray) -> QuantTensor:
        return QuantTensor(
            name=name,
            kind=self.kind,
            bits=self.bits,
            codes=codes,
            scales=self.parts["scales"],
            zero_points=self.parts["zero_points"],
            minimums=self.parts.get("minimums"),
            group_size=self.group_size,
            column_order=self.parts.get("column_order"),
        )
