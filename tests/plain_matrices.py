"""Small matrices of scale groups, as checkpoints hold them, and the weights that they stand for."""

import numpy as np

NAME = "model.layers.0.mlp.up_proj"


def named(parts, name=NAME):
    return {f"{name}.{part}": values for part, values in parts.items()}


def grouped(n, k, groups, bits, seed):
    """Codes [N, K], zero points from 1 and fp16 scales [N, groups], and K's groups."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1 << bits, (n, k))
    zeros = rng.integers(1, 1 << bits, (n, groups))
    scales = rng.normal(size=(n, groups)).astype(np.float16)
    return codes, zeros, scales, np.arange(k) // (k // groups)


def definition(codes, zeros, scales, group):
    """``s (q - z)`` as float64."""
    return scales.astype(np.float64)[:, group] * (codes - zeros[:, group])
