"""Buffers whose addresses wrap."""

import numpy as np


def take(ring: np.ndarray, start: int, count: int) -> np.ndarray:
    """``count`` elements of a buffer's last axis, which wraps."""
    size = ring.shape[-1]
    start %= size
    if start + count <= size:
        return ring[..., start : start + count]
    return ring[..., (start + np.arange(count)) % size]


def put(ring: np.ndarray, start: int, content: np.ndarray) -> None:
    """Write elements into a buffer, which wraps; of more than it holds, the last stay."""
    start %= ring.size
    if start + content.size <= ring.size:
        ring[start : start + content.size] = content
    else:
        ring[(start + np.arange(content.size)) % ring.size] = content
