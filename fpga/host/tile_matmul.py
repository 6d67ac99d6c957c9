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
from lutcore.verif.golden.outputs import combine
from lutcore.verif.sim.fields import result_fields
from lutcore.verif.sim.layout import Layout


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
    layout = Layout(config, activations, tensor)
    inputs = {name: _as_words(beats) for name, beats in layout.inputs().items()}
    width = beat_words(results_layout(config, config.dot_bits).size) * WORD_BYTES
    beat = inputs["activations"].shape[1] // WORD_BYTES
    steps, slices = zip(*layout.turns, strict=True)
    ends = {"activations": np.cumsum([0, *steps]), "weights": np.cumsum([0, *slices])}
    bases = {"activations": ACTIVATIONS_BASE, "weights": WEIGHTS_BASE}
    found = []
    for runs in _batches(device, steps, beat, width * config.drain_beats):
        parts = [(RESULTS_BASE, bytes(WORD_BYTES))]
        for name, base in bases.items():
            low, high = ends[name][[runs.start, runs.stop]]
            parts.append((base, inputs[name][low:high].tobytes()))
        device.write_all(parts)
        size = (runs.stop - runs.start) * config.drain_beats * width
        found.append(np.frombuffer(device.read(RESULTS_BASE, size), np.uint8))
    beats = np.unpackbits(np.concatenate(found).reshape(-1, width), axis=1, bitorder="little")
    fields = result_fields(config, beats)
    last = fields["last"].reshape(-1, config.drain_beats)
    if (last != (np.arange(config.drain_beats) == config.drain_beats - 1)).any():
        raise ToolError("the board's results are not in order: load its bitstream again")
    results = layout.collect(fields)
    return combine(config, results, layout.packed, layout.tensor, np.float32)
