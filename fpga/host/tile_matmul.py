"""An mpGEMM on a board that has a tile alone: the host feeds its streams and adds its results."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import ToolError
from lutcore.fpga.gateware.beats import WORD_BITS, beat_words
from lutcore.fpga.link.protocol import (
    ACTIVATIONS_BASE,
    RESULTS_BASE,
    STEP_WORDS,
    WEIGHTS_BASE,
    WORD_BYTES,
)
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.drain import results_layout
from lutcore.verif.sim.fields import unpack_fields
from lutcore.verif.sim.job import TileStreams, tile_streams


class TileLink(Protocol):
    """What :func:`tile_matmul` needs of a device."""

    config: CoreConfig
    memory: int

    def write_all(self, parts: Sequence[tuple[int, bytes]]) -> None:
        """Write several pieces."""

    def read(self, address: int, size: int) -> bytes:
        """Read words."""
        ...


def _as_words(beats: np.ndarray) -> np.ndarray:
    """Payload bits [beats, bits] as uint8 [beats, bytes of whole words]."""
    padding = beat_words(beats.shape[1]) * WORD_BITS - beats.shape[1]
    return np.packbits(np.pad(beats, ((0, 0), (0, padding))), axis=1, bitorder="little")


def _batches(device: TileLink, steps: Sequence[int], beat: int, result: int) -> Iterator[slice]:
    """Neighbouring runs whose activations and results (bytes of a run) find room on the board."""
    first, words = 0, 0
    most = device.memory // result
    for run, count in enumerate(steps):
        if words + count * beat > STEP_WORDS or run - first == most:
            yield slice(first, run)
            first, words = run, 0
        words += count * beat
    yield slice(first, len(steps))


def tile_matmul(device: TileLink, tensor: QuantTensor, activations: np.ndarray) -> np.ndarray:
    """Activations [M, K] times a tensor [N, K], transposed; float32 [M, N].

    The tile gives the integers of each run, and the host adds ``s' (scale D - z'' R)`` in FP32,
    groups ascending.

    Raises
    ------
    InputError
        They do not fit the tile.
    ToolError
        The board is gone, or its results do not come.
    """
    config = device.config
    streams = tile_streams(config, activations, tensor)
    inputs = {name: _as_words(beats) for name, beats in streams.inputs.items()}
    width = beat_words(results_layout(config, config.dot_bits).size) * WORD_BYTES
    beat = inputs["activations"].shape[1] // WORD_BYTES
    ends = {
        "activations": np.cumsum([0, *streams.steps]),
        "weights": np.cumsum([0, *streams.slices]),
    }
    bases = {"activations": ACTIVATIONS_BASE, "weights": WEIGHTS_BASE}
    found = []
    for runs in _batches(device, streams.steps, beat, width * config.drain_beats):
        parts = [(RESULTS_BASE, bytes(WORD_BYTES))]
        for name, base in bases.items():
            low, high = ends[name][[runs.start, runs.stop]]
            parts.append((base, inputs[name][low:high].tobytes()))
        device.write_all(parts)
        size = (runs.stop - runs.start) * config.drain_beats * width
        found.append(np.frombuffer(device.read(RESULTS_BASE, size), np.uint8))
    beats = np.unpackbits(np.concatenate(found).reshape(-1, width), axis=1, bitorder="little")
    return _outputs(config, tensor, streams, beats, len(activations))


def _outputs(
    config: CoreConfig, tensor: QuantTensor, streams: TileStreams, beats: np.ndarray, rows: int
) -> np.ndarray:
    """float32 [M, N] from the payload bits of result beats."""
    m, lanes, columns = config.m, config.drain_columns, config.columns
    dots_end = m * lanes * config.dot_bits
    dots = unpack_fields(beats[:, :dots_end], config.dot_bits, True)
    sums_end = dots_end + m * config.row_sum_bits
    sums = unpack_fields(beats[:, dots_end:sums_end], config.row_sum_bits, True)
    last = beats[:, sums_end].reshape(-1, config.drain_beats)
    if (last != (np.arange(config.drain_beats) == config.drain_beats - 1)).any():
        raise ToolError("the board's results are not in order: load its bitstream again")
    # [results, m, columns]
    dots = dots.reshape(-1, config.drain_beats, m, lanes).swapaxes(1, 2).reshape(-1, m, columns)
    sums = sums.reshape(-1, config.drain_beats, m)[:, 0]
    packed, n = streams.packed, len(tensor.codes)
    padded = -(-n // columns) * columns
    found = np.zeros((-(-rows // m) * m, padded), np.float32)
    zero_points = np.zeros((padded, packed.zero_points.shape[1]), np.int64)
    scales = np.zeros(zero_points.shape, np.float32)
    minimums = np.zeros(zero_points.shape, np.float32)
    zero_points[:n], scales[:n] = packed.zero_points, packed.scales
    if tensor.minimums is not None:
        minimums[:n] = tensor.minimums
    for (tile, block, run), dot, row_sum in zip(streams.order, dots, sums, strict=True):
        place = slice(tile * m, tile * m + m), slice(block * columns, (block + 1) * columns)
        group = packed.steps.group[run]
        of = place[1], group
        whole = config.form.scale * dot - zero_points[of] * row_sum[:, None]
        found[place] += scales[of] * whole.astype(np.float32)
        found[place] += minimums[of] * row_sum[:, None].astype(np.float32)
    return found[:rows, :n]
