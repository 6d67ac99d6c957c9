"""Fields of stream payloads: arrays of integers to packed little-endian bits and back."""

import numpy as np

from lutcore.hdl.config.core import CoreConfig


def pack_fields(values: np.ndarray, bits: int) -> np.ndarray:
    """Integers [..., fields] to two's-complement bits uint8 [..., fields * bits], low bit first."""
    spread = values.astype(np.int64)[..., None] >> np.arange(bits)
    return (spread & 1).astype(np.uint8).reshape(*values.shape[:-1], -1)


def unpack_fields(flat: np.ndarray, bits: int, signed: bool) -> np.ndarray:
    """Inverse of :func:`pack_fields`: bits [..., fields * bits] to int64 [..., fields]."""
    spread = flat.reshape(*flat.shape[:-1], -1, bits).astype(np.int64)
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return (spread * weights).sum(axis=-1)


def to_words(flat: np.ndarray) -> list[int]:
    """Bits [words, width] to one integer a word."""
    packed = np.packbits(flat, axis=-1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def from_words(words: list[int], width: int) -> np.ndarray:
    """Inverse of :func:`to_words`: uint8 [words, width]."""
    size = -(-width // 8)
    raw = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in words), np.uint8)
    return np.unpackbits(raw.reshape(len(words), size), axis=-1, bitorder="little")[:, :width]


def _of_results(config: CoreConfig) -> list[tuple[str, int, int]]:
    """Name, count and bits of the fields of a result beat, lowest first."""
    fields = [
        ("dot", config.m * config.drain_columns, config.dot_bits),
        ("row_sum", config.m, config.row_sum_bits),
    ]
    if config.block_scaled:
        fields.append(("scale", config.m, config.exponent_bits + 1))
    return [*fields, ("last", 1, 1)]


def result_bits(config: CoreConfig) -> int:
    """Bits of the payload of a result beat."""
    return sum(count * bits for _, count, bits in _of_results(config))


def result_fields(config: CoreConfig, beats: np.ndarray) -> dict[str, np.ndarray]:
    """Fields of a tile's result beats: payload bits [beats, bits] to int64 [beats, ...].

    ``dot`` [m, drain_columns], ``row_sum`` [m], where results are block-scaled ``exponent`` and
    ``invalid`` [m], and ``last``; floats as bit patterns.
    """
    parts, low = {}, 0
    for name, count, bits in _of_results(config):
        signed = name in ("dot", "row_sum") and not config.exact_floats
        parts[name] = unpack_fields(beats[:, low : low + count * bits], bits, signed)
        low += count * bits
    parts["dot"] = parts["dot"].reshape(-1, config.m, config.drain_columns)
    parts["last"] = parts["last"][:, 0]
    if config.block_scaled:
        scale = parts.pop("scale")
        parts["invalid"] = scale >> config.exponent_bits
        parts["exponent"] = scale & (1 << config.exponent_bits) - 1
    return parts


def result_beats(config: CoreConfig, parts: dict[str, np.ndarray]) -> np.ndarray:
    """Inverse of :func:`result_fields`: uint8 [beats, bits]; of -1 everywhere, all bits."""
    count = len(parts["last"])
    fields = dict(parts)
    if config.block_scaled:
        low = (1 << config.exponent_bits) - 1
        fields["scale"] = (fields["invalid"] << config.exponent_bits) | fields["exponent"] & low
    packed = [
        pack_fields(fields[name].reshape(count, -1), bits) for name, _, bits in _of_results(config)
    ]
    return np.concatenate(packed, axis=1)
