"""Tensors of random networks: each depends on a seed and its own name and shape alone.

Whoever judges a network makes the same ones, so that no weights need to be stored.
"""

import zlib

import numpy as np


def random_tensor(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor, float32, with which activations stay of ordinary size.

    Every tensor matters to a network's outputs, except a bias of keys where nothing turns them.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.startswith("rope_"):  # a frequency is divided by it
        values = 8.0 ** rng.random(shape)
    elif name.endswith("scale"):
        values = np.exp(0.3 * rng.normal(size=shape))
    elif name.endswith("bias"):
        values = 0.2 * rng.normal(size=shape)
    elif len(shape) == 1:
        values = 1 + 0.1 * rng.normal(size=shape)
    else:
        values = rng.normal(size=shape) * shape[-1] ** -0.5
    return values.astype(np.float32)


def random_trits(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes of four codes of two bits, each 0, 1 or 2: uint8."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    codes = rng.integers(0, 3, (4, *shape))
    return sum(part << 2 * place for place, part in enumerate(codes)).astype(np.uint8)


def random_tokens(seed: int, vocabulary: int, count: int) -> np.ndarray:
    """Tokens of a text, int64 [count]."""
    return np.random.default_rng([seed, count]).integers(0, vocabulary, count)
