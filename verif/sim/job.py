"""A tile job: what one mpGEMM sends into the tile, and what must come out."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.weights.pack import PackedWeights, pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.expect import RunResults, expected_results
from lutcore.verif.golden.formats import bits_type, number_type
from lutcore.verif.golden.step_tables import run_tables
from lutcore.verif.sim.fields import pack_fields

#: Orders in which the planes of a step may come; integer results do not depend on it.
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
    inputs : dict of str to uint8 [beats, payload bits]
        Payload bits of every beat of each input stream, low bit first.
    expected : dict of str to int64 [beats, ...]
        Fields of the result beats (:func:`~lutcore.hdl.tile.drain.results_layout`).
    checked : dict of str to bool, shaped as ``expected``
        Which of them count: what padding columns and invalid rows give is not checked.
    """

    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    checked: dict[str, np.ndarray]
    stalls: Stalls = field(default_factory=Stalls)
    seed: int = 0

    @property
    def beats(self) -> int:
        """Result beats."""
        return len(self.expected["last"])

    @property
    def slices(self) -> int:
        """Weight slices."""
        return len(self.inputs["weights"])

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        packed = {f"in_{k}": np.packbits(v, 1, "little") for k, v in self.inputs.items()}
        expected = {f"out_{k}": v for k, v in self.expected.items()}
        checked = {f"check_{k}": v for k, v in self.checked.items()}
        options = json.dumps({"stalls": vars(self.stalls), "seed": self.seed})
        arrays: dict[str, Any] = {**packed, **expected, **checked}
        np.savez(path, options=options, **arrays)


def check_activations(config: CoreConfig, activations: np.ndarray, k: int) -> None:
    """Refuse activations that the configuration cannot hold or that do not fit ``k``."""
    kinds = f"{config.activation} " if config.is_float else "integer "
    right = activations.dtype.kind in "iu"
    if config.is_float:
        right = activations.dtype == number_type(config.float_format)
    if activations.ndim != 2 or not len(activations) or not right:
        raise InputError(
            f"activations must be a non-empty {kinds}matrix [M, K], "
            f"not {activations.dtype} {list(activations.shape)}"
        )
    if activations.shape[1] != k:
        raise InputError(f"activations have K = {activations.shape[1]}, the weights K = {k}")
    if config.is_float:
        return
    low, high = config.activation_range
    bad = np.argwhere((activations < low) | (activations > high))
    if len(bad):
        m, column = bad[0]
        raise InputError(
            f"activations must be {config.activation} ({low}..{high}), "
            f"not {activations[m, column]} at row {m}, column {column}"
        )


@dataclass(frozen=True, eq=False)
class _Order:
    """Slices of one run of one N tile, in order, each an array [slices]."""

    step: np.ndarray
    plane: np.ndarray
    first: np.ndarray
    last: np.ndarray
    advance: np.ndarray


def _order(steps: np.ndarray, planes: int, order: str, rng: np.random.Generator) -> _Order:
    """Order of the slices of a run with the given ``steps``."""
    count = len(steps)
    if order == "plane-major":
        plane = np.repeat(np.arange(planes)[::-1], count)
        step = np.tile(steps, planes)
        advance = np.ones(len(step), bool)
    else:
        rows = np.tile(np.arange(planes), (count, 1))
        if order == "descending":
            rows = rows[:, ::-1]
        elif order == "shuffled":
            rows = rng.permuted(rows, axis=1)
        plane, step = rows.ravel(), np.repeat(steps, planes)
        advance = np.tile(np.arange(planes) == planes - 1, count)
    place = np.arange(len(step))
    return _Order(step, plane, place == 0, place == len(step) - 1, advance)


def _rows(matrix: np.ndarray, rows: int) -> np.ndarray:
    """Pad the first axis to a multiple of ``rows`` and split it: [tiles, rows, ...]."""
    padding = -len(matrix) % rows
    padded = np.pad(matrix, [(0, padding)] + [(0, 0)] * (matrix.ndim - 1))
    return padded.reshape(-1, rows, *matrix.shape[1:])


class _Layout:
    """Lays out the streams of one mpGEMM: M tiles outermost, then N tiles, runs, their N tiles.

    The outer N tiles are those of one use of the tables: single ones, ``passes`` of them, or all
    with buffered tables.
    """

    def __init__(self, config, activations, tensor, packed, order, rng):
        self.config: CoreConfig = config
        self.activations: np.ndarray = activations
        self.tensor: QuantTensor = tensor
        self.packed: PackedWeights = packed
        self.runs = len(packed.steps.group)
        self.n_tiles = len(packed.slices)
        self.m_tiles = -(-len(activations) // config.m)
        planes = config.planes(tensor.bits)
        self.members = [np.flatnonzero(packed.steps.run == run) for run in range(self.runs)]
        self.orders = [_order(steps, planes, order, rng) for steps in self.members]
        share = self.n_tiles if config.precompute == "buffered" else config.passes
        first = range(0, self.n_tiles, share)
        #: N tiles that use the same tables, and the run, in the order in which they are computed.
        self.blocks = [
            (range(n, min(n + share, self.n_tiles)), run) for n in first for run in range(self.runs)
        ]
        #: (N tile, run) in the order of their results, for every M tile.
        self.tiles = [(n, run) for block, run in self.blocks for n in block]

    def weights(self) -> np.ndarray:
        """Payload bits of the weight stream."""
        config = self.config
        bits = np.unpackbits(self.packed.slices, axis=-1, bitorder="little")
        parts = []
        for block, run in self.blocks:
            slices = np.stack([self._slices(bits, n, block, self.orders[run]) for n in block])
            if config.passes > 1:  # N tiles alternate
                slices = slices.swapaxes(0, 1)
            parts.append(slices.reshape(-1, slices.shape[-1]))
        return np.tile(np.concatenate(parts), (self.m_tiles, 1))

    def _slices(self, bits: np.ndarray, n: int, block: range, order: _Order) -> np.ndarray:
        """Payload bits [slices, bits] of N tile ``n``, one of those that share tables."""
        config = self.config
        fields = [
            bits[n, order.step, order.plane, : config.slice_bits],
            pack_fields(order.plane[:, None], max(1, config.plane_bits)),
        ]
        if config.negates_tables:
            fields.append(order.plane[:, None] == self.tensor.bits - 1)
        fields += [order.first[:, None], order.last[:, None]]
        if config.precompute == "buffered":
            width = max(1, (config.run_steps - 1).bit_length())
            fields.append(pack_fields((order.step - order.step.min())[:, None], width))
            fields.append((order.last & (n == block[-1]))[:, None])
        else:
            fields.append((order.advance & (n == block[-1]))[:, None])
        if config.passes > 1:
            accumulator = np.full((len(order.step), 1), n - block[0])
            fields.append(pack_fields(accumulator, (config.passes - 1).bit_length()))
        return np.concatenate([part.astype(np.uint8) for part in fields], axis=1)

    def steps(self) -> np.ndarray:
        """Payload bits of the stream of activations, or of tables with external precompute."""
        config = self.config
        external = config.precompute == "external"
        beats = []
        for block in _rows(self.activations, config.m):
            content = self._tables(block) if external else self._values(block)
            for _, run in self.blocks:
                order = self.orders[run]
                buffered = config.precompute == "buffered"
                steps = self.members[run] if buffered else order.step[order.advance]
                part = [content[steps]]
                if config.marks_runs:
                    part.append((steps == self.members[run][-1])[:, None].astype(np.uint8))
                beats.append(np.concatenate(part, axis=1))
        return np.concatenate(beats)

    def _values(self, block: np.ndarray) -> np.ndarray:
        config = self.config
        if config.is_float:
            block = block.view(bits_type(config.float_format))
        values = self.packed.steps.gather(block)
        return pack_fields(values.reshape(len(values), -1), config.activation_bits)

    def _tables(self, block: np.ndarray) -> np.ndarray:
        config = self.config
        beats = np.zeros((self.packed.steps.count, 0), np.uint8)
        values = self.packed.steps.gather(block)
        for members in self.members:
            run = values[members].transpose(1, 0, 2).reshape(config.m, -1)
            tables, exponents, invalid = run_tables(config, run)
            by_step = tables.reshape(config.m, len(members), -1).transpose(1, 0, 2)
            part = pack_fields(by_step.reshape(len(members), -1), config.stored_bits)
            if config.block_scaled:
                scale = [pack_fields(exponents[:, None], config.exponent_bits), invalid[:, None]]
                flat = np.concatenate(scale, axis=1).astype(np.uint8).reshape(1, -1)
                part = np.concatenate([part, np.repeat(flat, len(members), axis=0)], axis=1)
            if not beats.shape[1]:
                beats = np.zeros((self.packed.steps.count, part.shape[1]), np.uint8)
            beats[members] = part
        return beats

    def inputs(self) -> dict[str, np.ndarray]:
        """Payload bits of all streams."""
        source = "tables" if self.config.precompute == "external" else "activations"
        inputs = {source: self.steps(), "weights": self.weights()}
        if self.config.zero_points != "external":
            inputs["zero_points"] = self.zero_points()
        return inputs

    def zero_points(self) -> np.ndarray:
        """Payload bits of the zero-point stream."""
        config = self.config
        # [n tiles, n, runs]
        values = _rows(self.packed.zero_points[:, self.packed.steps.group], config.columns)
        beats = [values[n, :, run].reshape(-1, config.drain_columns) for n, run in self.tiles]
        lanes = np.concatenate(beats)[:, : config.zero_point_lanes]
        return np.tile(pack_fields(lanes, config.zero_point_bits), (self.m_tiles, 1))

    def results(self, golden: RunResults) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Expected fields of the result beats, and which of them count."""
        config = self.config
        m, columns, beats = config.m, config.drain_columns, config.drain_beats
        # [m tiles, m, n tiles, n, runs]
        dots = _rows(_rows(golden.dots, m).transpose(2, 0, 1, 3), config.columns).transpose(
            2, 3, 0, 1, 4
        )
        exists = np.arange(self.n_tiles * config.columns).reshape(self.n_tiles, -1) < len(
            self.tensor.codes
        )
        rows = {
            "row_sum": _rows(golden.sums, m),
            "exponent": _rows(golden.exponents, m),
            "invalid": _rows(golden.invalid, m),
        }
        valid = ~rows["invalid"]
        if not config.block_scaled:
            del rows["exponent"], rows["invalid"]
        parts: dict[str, list[np.ndarray]] = {name: [] for name in ("dot", *rows, "last")}
        checks: dict[str, list[np.ndarray]] = {name: [] for name in parts}
        every = np.ones((beats, m), bool)
        for tile in range(self.m_tiles):
            for n, run in self.tiles:
                block = dots[tile, :, n, :, run].reshape(m, beats, columns).transpose(1, 0, 2)
                used = exists[n].reshape(beats, 1, columns) & valid[tile, :, run][None, :, None]
                parts["dot"].append(block)
                checks["dot"].append(np.broadcast_to(used, block.shape))
                for name, values in rows.items():
                    parts[name].append(np.tile(values[tile, :, run], (beats, 1)))
                    counts = every & valid[tile, :, run] if name != "invalid" else every
                    checks[name].append(counts)
                parts["last"].append(np.arange(beats) == beats - 1)
                checks["last"].append(np.ones(beats, bool))
        expected = {name: np.concatenate(part).astype(np.int64) for name, part in parts.items()}
        return expected, {name: np.concatenate(part) for name, part in checks.items()}

    def collect(self, fields: dict[str, np.ndarray]) -> RunResults:
        """Run results of received beats: the inverse of :meth:`results`."""
        config = self.config
        shape = (self.m_tiles, len(self.tiles), config.drain_beats)
        dots = fields["dot"].reshape(*shape, config.m, config.drain_columns)
        dots = dots.swapaxes(2, 3).reshape(*shape[:2], config.m, config.columns)
        rows = {name: values.reshape(*shape, -1)[:, :, 0] for name, values in fields.items()}
        none = np.zeros((*shape[:2], config.m), np.int64)
        padded = self.m_tiles * config.m
        n = len(self.tensor.codes)
        found = RunResults(
            dots=np.zeros((padded, self.n_tiles * config.columns, self.runs), np.int64),
            sums=np.zeros((padded, self.runs), np.int64),
            exponents=np.zeros((padded, self.runs), np.int64),
            invalid=np.zeros((padded, self.runs), bool),
        )
        for place, (tile, run) in enumerate(self.tiles):
            low = tile * config.columns
            part = dots[:, place].reshape(padded, config.columns)
            found.dots[:, low : low + config.columns, run] = part
            found.sums[:, run] = rows["row_sum"][:, place].ravel()
            found.exponents[:, run] = rows.get("exponent", none[:, :, None])[:, place].ravel()
            found.invalid[:, run] = rows.get("invalid", none[:, :, None])[:, place].ravel() != 0
        found.dots = found.dots[:, :n]
        return found


def tile_job(
    config: CoreConfig,
    activations: np.ndarray,
    tensor: QuantTensor,
    *,
    order: str | None = None,
    stalls: Stalls | None = None,
    seed: int = 0,
) -> TileJob:
    """Lay out one mpGEMM for the tile, with the golden models' results.

    Parameters
    ----------
    activations : [M, K], integers or the float format's dtype
    tensor : QuantTensor
        N x K weights.
    order : str
        One of :data:`PLANE_ORDERS`; exact floats take ``plane-major`` only, their default.

    Raises
    ------
    InputError
        The activations or the tensor do not fit the configuration.
    """
    layout, activations, tensor = _layout(config, activations, tensor, order, seed)
    packed = layout.packed
    expected, checked = layout.results(expected_results(config, activations, tensor, packed))
    return TileJob(layout.inputs(), expected, checked, stalls or Stalls(), seed)


def received_results(
    config: CoreConfig,
    activations: np.ndarray,
    tensor: QuantTensor,
    fields: dict[str, np.ndarray],
    order: str | None = None,
) -> tuple[RunResults, PackedWeights]:
    """What the tile sent for a job of :func:`tile_job`, run by run, and the weights that it had.

    Parameters
    ----------
    fields : dict of str to int64 [beats, ...]
        Of :func:`~lutcore.verif.sim.play.run_jobs`; all beats must have come.
    """
    layout, _, _ = _layout(config, activations, tensor, order, 0)
    found = layout.collect(fields)
    m = len(activations)
    results = RunResults(found.dots[:m], found.sums[:m], found.exponents[:m], found.invalid[:m])
    return results, layout.packed


@dataclass(frozen=True, eq=False)
class TileStreams:
    """What an mpGEMM sends into a tile, without what must come out.

    Attributes
    ----------
    inputs : dict of str to uint8 [beats, payload bits]
        As of :class:`TileJob`.
    packed : PackedWeights
    order : list of (int, int, int)
        M tile, N tile and run of the results, ``drain_beats`` beats of each.
    steps, slices : list of int
        Beats of activations and of weights of each of them; only with inline tables of one pass.
    """

    inputs: dict[str, np.ndarray]
    packed: PackedWeights
    order: list[tuple[int, int, int]]
    steps: list[int]
    slices: list[int]


def tile_streams(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor) -> TileStreams:
    """Streams of an mpGEMM; parameters and errors as of :func:`tile_job`."""
    layout, _, _ = _layout(config, activations, tensor, None, 0)
    order = [(tile, n, run) for tile in range(layout.m_tiles) for n, run in layout.tiles]
    steps = [int(layout.orders[run].advance.sum()) for _, _, run in order]
    slices = [len(layout.orders[run].step) for _, _, run in order]
    return TileStreams(layout.inputs(), layout.packed, order, steps, slices)


def _layout(
    config: CoreConfig, activations: np.ndarray, tensor: QuantTensor, order: str | None, seed: int
) -> tuple[_Layout, np.ndarray, QuantTensor]:
    """The layout of an mpGEMM, its activations padded to whole tiles, the tensor in their order."""
    order = order or ("plane-major" if config.doubles else "ascending")
    if order not in PLANE_ORDERS:
        raise InputError(f"plane order must be one of {', '.join(PLANE_ORDERS)}, not {order!r}")
    if config.doubles and order != "plane-major":
        raise InputError(
            f"accumulators that double take planes in order plane-major, not {order!r}"
        )
    check_activations(config, activations, tensor.shape[1])
    packed = pack(config, tensor)
    tensor, activations = tensor.without_order(activations)
    activations = _rows(activations, config.m).reshape(-1, activations.shape[1])
    rng = np.random.default_rng(seed)
    layout = _Layout(config, activations, tensor, packed, order, rng)
    return layout, activations, tensor
