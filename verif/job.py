"""A tile job: what one mpGEMM sends into the tile, and what must come out."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compiler.pack import PackedWeights, pack
from compiler.tensor import QuantTensor
from hdl.config import CoreConfig
from hdl.errors import InputError
from verif import golden
from verif.fields import pack_fields

#: Orders in which the planes of a step may come; results do not depend on it.
PLANE_ORDERS = ("ascending", "descending", "shuffled", "plane-major")


@dataclass(frozen=True)
class Stalls:
    """Probability per cycle that a stream pauses."""

    activations: float = 0.0
    weights: float = 0.0
    zero_points: float = 0.0
    results: float = 0.0


@dataclass(eq=False)
class TileJob:
    """One mpGEMM on a tile.

    Attributes
    ----------
    activations, weights, zero_points : uint8 [beats, payload bits]
        Payload bits of every beat of the input streams, low bit first.
    dot : int64 [beats, m, drain_columns]
        Expected results.
    used : bool [beats, drain_columns]
        Whether a column carries weights: what padding columns give is not checked.
    row_sum : int64 [beats, m]
        Expected row sums.
    last : bool [beats]
        Expected ``last``.
    """

    activations: np.ndarray
    weights: np.ndarray
    zero_points: np.ndarray
    dot: np.ndarray
    used: np.ndarray
    row_sum: np.ndarray
    last: np.ndarray
    stalls: Stalls = field(default_factory=Stalls)
    seed: int = 0

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        np.savez(
            path,
            activations=np.packbits(self.activations, axis=1, bitorder="little"),
            weights=np.packbits(self.weights, axis=1, bitorder="little"),
            zero_points=np.packbits(self.zero_points, axis=1, bitorder="little"),
            dot=self.dot,
            used=self.used,
            row_sum=self.row_sum,
            last=self.last,
            options=json.dumps({"stalls": vars(self.stalls), "seed": self.seed}),
        )


def check_activations(config: CoreConfig, activations: np.ndarray, k: int) -> None:
    """Refuse activations that the configuration cannot hold or that do not fit ``k``."""
    low, high = config.activation_range
    if activations.ndim != 2 or not len(activations) or activations.dtype.kind not in "iu":
        raise InputError(
            f"activations must be a non-empty integer matrix [M, K], "
            f"not {activations.dtype} {list(activations.shape)}"
        )
    if activations.shape[1] != k:
        raise InputError(f"activations have K = {activations.shape[1]}, the weights K = {k}")
    bad = np.argwhere((activations < low) | (activations > high))
    if len(bad):
        m, column = bad[0]
        raise InputError(
            f"activations must be {config.activation} ({low}..{high}), "
            f"not {activations[m, column]} at row {m}, column {column}"
        )


def _slices(
    config: CoreConfig, packed: PackedWeights, order: str, rng: np.random.Generator
) -> list[tuple[int, int, bool, bool, bool]]:
    """(step, plane, first, last, advance) of every slice of one N tile, in order."""
    steps, bits = packed.steps, packed.bits
    planes = list(range(bits))
    if order == "descending":
        planes.reverse()
    slices = []
    if order == "plane-major":
        for run in range(len(steps.group)):
            members = [(p, int(s)) for p in planes for s in np.flatnonzero(steps.run == run)]
            slices += [
                (step, plane, i == 0, i == len(members) - 1, True)
                for i, (plane, step) in enumerate(members)
            ]
        return slices
    for step in range(steps.count):
        if order == "shuffled":
            planes = [int(p) for p in rng.permutation(bits)]
        for i, plane in enumerate(planes):
            starts, ends = i == 0, i == bits - 1
            first, last = starts and steps.is_first(step), ends and steps.is_last(step)
            slices.append((step, plane, first, last, ends))
    return slices


def _rows(matrix: np.ndarray, rows: int) -> np.ndarray:
    """Pad the first axis to a multiple of ``rows`` and split it: [tiles, rows, ...]."""
    padding = -len(matrix) % rows
    padded = np.pad(matrix, [(0, padding)] + [(0, 0)] * (matrix.ndim - 1))
    return padded.reshape(-1, rows, *matrix.shape[1:])


def tile_job(
    config: CoreConfig,
    activations: np.ndarray,
    tensor: QuantTensor,
    *,
    order: str = "ascending",
    stalls: Stalls | None = None,
    seed: int = 0,
) -> TileJob:
    """Lay out one mpGEMM for the tile: M tiles outermost, then N tiles, steps, planes.

    Parameters
    ----------
    activations : integer [M, K]
    tensor : QuantTensor
        N x K weights.
    order : str
        One of :data:`PLANE_ORDERS`.

    Raises
    ------
    InputError
        The activations or the tensor do not fit the configuration.
    """
    k = tensor.shape[1]
    if order not in PLANE_ORDERS:
        raise InputError(f"plane order must be one of {', '.join(PLANE_ORDERS)}, not {order!r}")
    check_activations(config, activations, k)
    packed = pack(config, tensor)
    steps, rng = packed.steps, np.random.default_rng(seed)
    columns, m = config.drain_columns, config.m
    runs = len(steps.group)
    n_tiles = len(packed.slices)

    slices = _slices(config, packed, order, rng)
    step, plane, first, last, advance = (np.array(part) for part in zip(*slices, strict=True))
    control = np.stack([first, last, advance], axis=1).astype(np.uint8)
    control = np.concatenate([pack_fields(plane[:, None], max(1, config.plane_bits)), control], 1)
    index = np.unpackbits(packed.slices[:, step, plane], axis=-1, bitorder="little")
    index = index[..., : config.slice_bits]
    control = np.broadcast_to(control, (n_tiles, *control.shape))
    weights = np.concatenate([index, control], axis=-1).reshape(n_tiles * len(slices), -1)

    consumed = step[advance]
    beats = []
    for block in _rows(activations, m):
        by_step = steps.gather(block)[consumed].reshape(len(consumed), -1)
        beats.append(np.tile(pack_fields(by_step, config.activation_bits), (n_tiles, 1)))
    m_tiles = len(beats)

    # [n_tiles, runs, blocks, columns] in the order in which results drain
    z_runs = _rows(packed.zero_points[:, steps.group], config.n)
    z_beats = z_runs.transpose(0, 2, 1).reshape(-1, columns)[:, : config.zero_point_lanes]
    zero_points = pack_fields(z_beats, config.zero_point_bits)

    spans = [
        (int(used.min()), int(used.max()) + 1)
        for used in (
            steps.columns[steps.run == run][steps.columns[steps.run == run] < k]
            for run in range(runs)
        )
    ]
    products = golden.integer_products(activations, tensor, spans)
    sums = golden.row_sums(activations, spans)
    if config.zero_points == "external":  # the reader subtracts z' R: D' = P + z' R
        products = products + packed.zero_points[None, :, steps.group] * sums[:, None, :]
    padded = _rows(_rows(products, m).transpose(2, 0, 1, 3), config.n)
    # [n_tiles, n, m_tiles, m, runs] -> [m_tiles, n_tiles, runs, blocks, m, columns]
    dot = padded.transpose(2, 0, 4, 1, 3).reshape(-1, columns, m).transpose(0, 2, 1)
    row_sum = np.repeat(_rows(sums, m).transpose(0, 2, 1)[:, None], n_tiles, axis=1)
    row_sum = np.repeat(row_sum[:, :, :, None], config.drain_beats, axis=3).reshape(-1, m)
    exists = np.arange(n_tiles * config.n).reshape(n_tiles, 1, -1, columns) < len(tensor.codes)
    used = np.broadcast_to(exists, (m_tiles, n_tiles, runs, config.drain_beats, columns))
    ends = np.arange(len(dot)) % config.drain_beats == config.drain_beats - 1
    return TileJob(
        activations=np.concatenate(beats),
        weights=np.tile(weights, (m_tiles, 1)),
        zero_points=np.tile(zero_points, (m_tiles, 1)),
        dot=dot,
        used=used.reshape(-1, columns),
        row_sum=row_sum,
        last=ends,
        stalls=stalls or Stalls(),
        seed=seed,
    )
