"""Golden model of a network's matrix products: from the checkpoint's codes to FP32 results.

Written from the numeric contract: exact integers P of each run, ``O += s' * P`` in FP32, groups
ascending, each operation rounded once to nearest even. It knows no tables, planes or packing.
"""

import functools
from dataclasses import dataclass

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.blocks import int8_tensor_products


@dataclass(frozen=True, eq=False)
class _Run:
    """A part of K that shares a scale: start, stop, weights 2 (q - z) and s' of each column."""

    start: int
    stop: int
    weights: np.ndarray
    scales: np.ndarray


def spans(config: CoreConfig, k: int, group_size: int) -> list[tuple[int, int, int]]:
    """Runs as (start, stop, group): scale groups, cut into what one run of the core may sum."""
    longest = config.run_length // config.depth * config.depth
    cuts = []
    for group, start in enumerate(range(0, k, group_size)):
        stop = min(start + group_size, k)
        cuts += [(low, min(low + longest, stop), group) for low in range(start, stop, longest)]
    return cuts


class GoldenLinear:
    """``O = A W^T`` of one matrix, without its minimums.

    Parameters
    ----------
    config : CoreConfig
        Of it, the runs and the kind of tables count.
    tensor : QuantTensor
    """

    def __init__(self, config: CoreConfig, tensor: QuantTensor):
        self.config, self.tensor = config, tensor
        self._runs = []
        # Sums stay below 2^24 where float32 is exact; float64 is exact always here.
        bound = 128 * (2 << tensor.bits) * min(tensor.group_size, config.run_length)
        exact = np.float32 if bound < 1 << 24 else np.float64
        for start, stop, group in spans(config, tensor.shape[1], tensor.group_size):
            codes = tensor.codes[:, start:stop].astype(np.int64)
            weights = 2 * (codes - tensor.zero_points[:, group, None])
            scales = tensor.scales[:, group] / np.float32(2)
            self._runs.append(_Run(start, stop, weights.T.astype(exact), scales))

    def __call__(self, activations: np.ndarray) -> np.ndarray:
        """int8 [M, K] -> float32 [M, N]."""
        if self.tensor.column_order is not None:
            activations = activations[:, self.tensor.column_order]
        parts = self._rounded if self.config.table == "int8" else self._exact
        return functools.reduce(np.add, parts(activations))

    def _exact(self, activations: np.ndarray):
        for run in self._runs:
            part = activations[:, run.start : run.stop].astype(run.weights.dtype)
            products = (part @ run.weights).astype(np.float32)
            yield products * run.scales

    def _rounded(self, activations: np.ndarray):
        """Tables rounded to eight bits: P counts 2^h, which the product with s' takes along."""
        values = activations.astype(np.int64)
        bits = self.tensor.bits
        for run in self._runs:
            span = (run.start, run.stop)
            group = run.start // self.tensor.group_size
            raw, sums, shifts = int8_tensor_products(
                self.config, values[:, run.start : run.stop], self.tensor, span
            )
            zero = 2 * self.tensor.zero_points[:, group].astype(np.int64) + 1 - (1 << bits)
            products = (raw - zero * sums[:, None]).astype(np.float32).astype(np.float64)
            wide = products * run.scales.astype(np.float64)
            yield np.ldexp(wide, shifts[:, None]).astype(np.float32)
