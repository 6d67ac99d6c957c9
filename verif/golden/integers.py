"""Golden model: plain integer matrix products of activations and dequantised codes.

It shares nothing with packing or hardware: no planes, no tables, no remap, no reinterpretation.
"""

from collections.abc import Sequence

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor


def integer_products(
    activations: np.ndarray, tensor: QuantTensor, spans: Sequence[tuple[int, int]] | None = None
) -> np.ndarray:
    """``P[m,n,s] = 2 sum_{k in span s} A[m,k] (q[n,k] - z[n,g(k)])``, exact.

    Parameters
    ----------
    activations : integer [M, K]
    tensor : QuantTensor
        N x K weights; ``q - z`` are the dequantised integer codes.
    spans : sequence of (start, stop), optional
        Parts of the codes' columns to sum, default the tensor's scale groups.

    Returns
    -------
    int64 [M, N, spans]
    """
    tensor, activations = tensor.without_order(activations)
    k = tensor.shape[1]
    if spans is None:
        size = tensor.group_size
        spans = [(start, min(start + size, k)) for start in range(0, k, size)]
    group = np.arange(k) // tensor.group_size
    weights = tensor.codes.astype(np.int64) - tensor.zero_points.astype(np.int64)[:, group]
    wide = activations.astype(np.int64)
    parts = [2 * (wide[:, start:stop] @ weights[:, start:stop].T) for start, stop in spans]
    return np.stack(parts, axis=-1)


def row_sums(activations: np.ndarray, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """``R[m,s] = sum_{k in span s} A[m,k]`` as int64 [M, spans]."""
    wide = activations.astype(np.int64)
    return np.stack([wide[:, start:stop].sum(axis=1) for start, stop in spans], axis=-1)


def mpgemm(activations: np.ndarray, tensor: QuantTensor) -> np.ndarray:
    """``O = A W^T`` with dequantised weights, float64 [M, N]."""
    return activations.astype(np.float64) @ tensor.dequantise().T
