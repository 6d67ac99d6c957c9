"""The streams of one mpGEMM on a tile, and its results out of the beats that come back."""

from dataclasses import dataclass

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


def _check_order(config: CoreConfig, order: str) -> None:
    if order not in PLANE_ORDERS:
        raise InputError(f"plane order must be one of {', '.join(PLANE_ORDERS)}, not {order!r}")
    if config.doubles and order != "plane-major":
        raise InputError(
            f"accumulators that double take planes in order plane-major, not {order!r}"
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


class Layout:
    """Lays out the streams of one mpGEMM: M tiles outermost, then N tiles, runs, their N tiles.

    The outer N tiles are those of one use of the tables: single ones, ``passes`` of them, or all
    with buffered tables.

    Parameters
    ----------
    activations : [M, K], integers or the float format's dtype
    tensor : QuantTensor
        N x K weights.
    order : str, optional
        One of :data:`PLANE_ORDERS`; exact floats take ``plane-major`` only, their default.
    seed : int
        Of shuffled planes.

    Attributes
    ----------
    tensor : QuantTensor
        The weights in their codes' own order.
    activations : [M', K]
        In that order too, padded to whole M tiles.
    packed : PackedWeights
    order : str
        Of planes.
    tiles : list of (int, int)
        N tile and run of the results of an M tile, in their order.

    Raises
    ------
    InputError
        The activations or the tensor do not fit the configuration.
    """

    def __init__(
        self,
        config: CoreConfig,
        activations: np.ndarray,
        tensor: QuantTensor,
        order: str | None = None,
        seed: int = 0,
    ):
        order = order or ("plane-major" if config.doubles else "ascending")
        _check_order(config, order)
        check_activations(config, activations, tensor.shape[1])
        self.config, self.rows, self.order = config, len(activations), order
        self.packed: PackedWeights = pack(config, tensor)
        self.tensor, activations = tensor.without_order(activations)
        self.activations = _rows(activations, config.m).reshape(-1, activations.shape[1])
        packed, tensor, rng = self.packed, self.tensor, np.random.default_rng(seed)
        self.runs = len(packed.steps.group)
        self.n_tiles = len(packed.slices)
        self.m_tiles = len(self.activations) // config.m
        planes = config.planes(tensor.bits)
        self.members = [np.flatnonzero(packed.steps.run == run) for run in range(self.runs)]
        self.orders = [_order(steps, planes, order, rng) for steps in self.members]
        share = self.n_tiles if config.precompute == "buffered" else config.passes
        first = range(0, self.n_tiles, share)
        #: N tiles that use the same tables, and the run, in the order in which they are computed.
        self.blocks = [
            (range(n, min(n + share, self.n_tiles)), run) for n in first for run in range(self.runs)
        ]
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

    def results(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Fields of the result beats by the golden model, and which of them count."""
        config = self.config
        golden = expected_results(config, self.activations, self.tensor, self.packed)
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
        config, shape = self.config, (self.m_tiles, len(self.tiles), self.config.drain_beats)
        dots = fields["dot"].reshape(*shape, config.m, config.drain_columns)
        dots = dots.swapaxes(2, 3).reshape(*shape[:2], config.m, config.columns)
        of_rows = {name: values.reshape(*shape, -1)[:, :, 0] for name, values in fields.items()}
        none = np.zeros((*shape[:2], config.m), np.int64)
        padded = self.m_tiles * config.m
        found = RunResults(
            dots=np.zeros((padded, self.n_tiles * config.columns, self.runs), np.int64),
            sums=np.zeros((padded, self.runs), np.int64),
            exponents=np.zeros((padded, self.runs), np.int64),
            invalid=np.zeros((padded, self.runs), bool),
        )
        for place, (tile, run) in enumerate(self.tiles):
            columns = slice(tile * config.columns, (tile + 1) * config.columns)
            found.dots[:, columns, run] = dots[:, place].reshape(padded, config.columns)
            found.sums[:, run] = of_rows["row_sum"][:, place].ravel()
            found.exponents[:, run] = of_rows.get("exponent", none)[:, place].ravel()
            found.invalid[:, run] = of_rows.get("invalid", none)[:, place].ravel() != 0
        return RunResults(
            dots=found.dots[: self.rows, : len(self.tensor.codes)],
            sums=found.sums[: self.rows],
            exponents=found.exponents[: self.rows],
            invalid=found.invalid[: self.rows],
        )

    @property
    def turns(self) -> list[tuple[int, int]]:
        """Beats of activations and of weights of each result run, M tiles outermost.

        Only with tables that are built inline, in one pass.
        """
        lengths = {
            run: (int(order.advance.sum()), len(order.step))
            for run, order in enumerate(self.orders)
        }
        return [lengths[run] for _ in range(self.m_tiles) for _, run in self.tiles]
