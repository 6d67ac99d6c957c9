"""A quantised weight tensor in the one form that everything downstream reads."""

from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from lutcore.errors import InputError


@dataclass(frozen=True, eq=False)
class QuantTensor:
    """Weights ``w[n,k] = scales[n,g] * (codes[n,k] - zero_points[n,g]) + minimums[n,g]``.

    A core computes what ``scales``, ``codes`` and ``zero_points`` say. Minimums are left to the
    host, which adds ``minimums[n,g] * sum_{k in g} A[m,k]``.

    Parameters
    ----------
    name : str
        Name in the checkpoint.
    kind : str
        Quantisation type in the checkpoint's terms, e.g. ``TQ2_0``.
    bits : int
        Width b of the codes, 1..8.
    codes : uint8 [N, K]
        Unsigned codes, 0 .. 2^b - 1, K contiguous.
    scales : float32 [N, G]
        Scale of each group of ``group_size`` along K.
    zero_points : int16 [N, G]
        Integer zero points, 0 .. 2^b.
    minimums : float32 [N, G] or None
        Offset of formats whose zero point is no integer (Q1_0, Q4_1, Q5_1, Q2_K, Q4_K, Q5_K); their
        ``zero_points`` are 0.
    group_size : int
        Scale group along K; the last group of a row may be shorter.
    column_order : int32 [K] or None
        Input that each column of ``codes`` belongs to, a permutation: ``codes[:, j]`` meets
        activation ``column_order[j]`` (GPTQ with act-order). None is the identity.

    Raises
    ------
    InputError
        Shapes disagree, codes or zero points are out of range, scales are not finite, or the order
        of columns is no permutation.
    """

    name: str
    kind: str
    bits: int
    codes: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    minimums: np.ndarray | None
    group_size: int
    column_order: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._check_types()
        self._check_codes()
        self._check_groups()
        self._check_order()

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"tensor {self.name!r}: {what}")

    def _check_types(self) -> None:
        types = {"codes": np.uint8, "scales": np.float32, "zero_points": np.int16}
        if self.minimums is not None:
            types["minimums"] = np.float32
        for field, wanted in types.items():
            values = getattr(self, field)
            if not isinstance(values, np.ndarray) or values.dtype != wanted:
                found = getattr(values, "dtype", type(values).__name__)
                self._refuse(f"{field} must be {wanted.__name__} arrays, not {found}")
        for field in ("bits", "group_size"):
            number = getattr(self, field)
            if isinstance(number, bool) or not isinstance(number, int):
                self._refuse(f"{field} must be an integer, not {number!r}")

    def _check_codes(self) -> None:
        if not 1 <= self.bits <= 8:
            self._refuse(f"codes must have 1..8 bits, not {self.bits!r}")
        if self.codes.ndim != 2 or 0 in self.codes.shape:
            shape = list(self.codes.shape)
            self._refuse(f"codes must be a non-empty uint8 matrix, not {self.codes.dtype} {shape}")
        if int(self.codes.max()) >> self.bits:
            self._refuse(f"codes must fit {self.bits} bits, not {self.codes.max()}")

    def _check_groups(self) -> None:
        if not 1 <= self.group_size:
            self._refuse(f"group_size must be positive, not {self.group_size!r}")
        n, k = self.codes.shape
        grid = (n, -(-k // self.group_size))
        fields = {"scales": self.scales, "zero_points": self.zero_points}
        if self.minimums is not None:
            fields["minimums"] = self.minimums
        for field, values in fields.items():
            if values.shape != grid:
                self._refuse(f"{field} must have shape {list(grid)}, not {list(values.shape)}")
            bad = np.argwhere(~np.isfinite(values))
            if len(bad):
                row, group = bad[0]
                self._refuse(
                    f"{field} must be finite, not {values[row, group]} "
                    f"at row {row}, group {group}: the checkpoint is damaged"
                )
        low, high = int(self.zero_points.min()), int(self.zero_points.max())
        if low < 0 or high > 1 << self.bits:
            self._refuse(f"zero points must be in 0..{1 << self.bits}, not {low}..{high}")

    def _check_order(self) -> None:
        order, k = self.column_order, self.codes.shape[1]
        if order is not None and (
            order.dtype != np.int32 or not np.array_equal(np.sort(order), np.arange(k))
        ):
            self._refuse(
                f"column_order must be an int32 permutation of 0..{k - 1}: "
                "the checkpoint is damaged"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """N, K."""
        return self.codes.shape[0], self.codes.shape[1]

    def dequantise(self) -> np.ndarray:
        """Weights as float64 [N, K] in the order of the inputs, computed from the definition."""

        def spread(values: np.ndarray) -> np.ndarray:
            wide = np.repeat(values.astype(np.float64), self.group_size, axis=1)
            return wide[:, : self.codes.shape[1]]

        weights = spread(self.scales) * (self.codes - spread(self.zero_points))
        if self.minimums is not None:
            weights += spread(self.minimums)
        if self.column_order is None:
            return weights
        ordered = np.empty_like(weights)
        ordered[:, self.column_order] = weights
        return ordered

    def without_order(self, activations: np.ndarray) -> tuple["QuantTensor", np.ndarray]:
        """The same product without ``column_order``: activations [M, K] stand as the codes do."""
        if self.column_order is None:
            return self, activations
        return replace(self, column_order=None), activations[:, self.column_order]

    def rows(self, part: slice) -> "QuantTensor":
        """Some of the N rows."""
        minimums = None if self.minimums is None else self.minimums[part]
        return replace(
            self,
            codes=self.codes[part],
            scales=self.scales[part],
            zero_points=self.zero_points[part],
            minimums=minimums,
        )
