"""The tile: M rows of tables, N weight columns, M x N units (paper, figure 9); or several."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from amaranth.hdl import Cat, Module, Signal, Value, ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.column import Column, RowSums
from lutcore.hdl.tile.drain import Drain, DrainLane, ZeroPoints, results_layout, zero_points_layout
from lutcore.hdl.tile.frontend import Frontend, TableBuffer, activations_layout, step_layout
from lutcore.hdl.tile.tables import TableStage

_Component = TypeVar("_Component", bound=wiring.Component)


def weights_layout(config: CoreConfig) -> data.StructLayout:
    """One weight slice of all columns, and what to do with it.

    ``index``
        ``[columns][tables]`` weight indices of ``index_bits``, first lowest, as packed.
    ``plane``
        The slice counts 2^plane. Integer planes may come in any order; exact floats take all steps
        of a plane before the next, highest plane first.
    ``negative``
        The slice counts negatively: the top plane of two's-complement weights (only there).
    ``first``, ``last``
        The slice starts, ends a run: one result for every column and row.
    ``advance``
        The step's last slice: its activations (or tables) are taken from their stream with it.
    ``accumulator``
        With several passes: number of the pass, of the N tile that the slice belongs to. Passes
        are innermost; of consecutive slices with the same number, the second waits for a cycle.
    ``step``, ``release``
        Instead of ``advance`` with buffered tables: the step of the run, and the run's last use.
    """
    index = data.ArrayLayout(data.ArrayLayout(config.index_bits, config.tables), config.columns)
    fields: dict = {"index": index, "plane": max(1, config.plane_bits)}
    if config.negates_tables:
        fields["negative"] = 1
    fields |= {"first": 1, "last": 1}
    if config.precompute == "buffered":
        fields |= {"step": max(1, (config.run_steps - 1).bit_length()), "release": 1}
    else:
        fields["advance"] = 1
    if config.passes > 1:
        fields["accumulator"] = range(config.passes)
    return data.StructLayout(fields)


def tile_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`Tile`."""
    if config.precompute == "external":
        members = {"tables": In(stream.Signature(step_layout(config)))}
    else:
        members = {"activations": In(stream.Signature(activations_layout(config)))}
    members |= {
        "weights": In(stream.Signature(weights_layout(config))),
        "results": Out(stream.Signature(results_layout(config, config.dot_bits))),
    }
    if config.zero_points != "external":
        members["zero_points"] = In(stream.Signature(zero_points_layout(config)))
    return wiring.Signature(members)


class _Parts(NamedTuple):
    """What a tile is made of."""

    stages: list[TableStage]
    columns: list[Column]
    row_sums: RowSums
    drain: Drain
    lanes: list[DrainLane]


class Tile(wiring.Component):
    """Tiles of any engine: mpGEMM ``P[m,n] = 2 sum_k A[m,k] (q[n,k] - z[n])`` over one run of K.

    Every cycle in which a slice and its tables are there, one slice is taken: no bubble at plane,
    step, run or result boundaries as long as runs have ``config.full_rate_slices`` slices. All
    streams may stall at any time; payloads hold until taken.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    activations : In stream, :func:`~lutcore.hdl.tile.frontend.activations_layout`
        One step: ``depth`` activations of each of M rows.
    tables : In stream, :func:`~lutcore.hdl.tile.frontend.step_layout`
        Tables of one step, instead of activations, with external precompute.
    weights : In stream, :func:`weights_layout`
        Weight slices.
    zero_points : In stream, :func:`~lutcore.hdl.tile.drain.zero_points_layout`, unless external
        z'' = 2z + 1 - 2^b + offset (:class:`~lutcore.hdl.config.forms.Form`) of one result beat: of
        each column, or one for all.
    results : Out stream, :func:`~lutcore.hdl.tile.drain.results_layout` of ``dot_bits``
        P, or D as the form accumulates it where zero points are external; and the row sums R of the
        run. Exact integers, or FP32 numbers of exact floats.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(tile_signature(config))

    def _steps(self, m: Module, add: Callable) -> tuple[Value, Value | None, Value, Signal]:
        """Where tables come from: tables, scales, whether they are there, and that they are used.

        The last is for the caller to drive: a slice that has all it needs but tables is there.
        """
        config, slice_ = self.config, self.weights.payload
        take = Signal(name="take")  # a slice is there that has all it needs but tables
        if config.precompute == "external":
            source = self.tables
        else:
            frontend = add("frontend", Frontend)
            connect(m, flipped(self.activations), frontend.activations)
            source = frontend.steps
        if config.precompute == "buffered":
            buffer = add("table_buffer", TableBuffer)
            connect(m, source, buffer.steps)
            m.d.comb += [
                buffer.address.eq(slice_.step),
                buffer.release.eq(take & buffer.valid & slice_.release),
            ]
            payload, valid = buffer.tables, buffer.valid
        else:
            m.d.comb += source.ready.eq(take & slice_.advance)
            payload, valid = source.payload, source.valid
        scales = payload.scales if config.block_scaled else None
        return payload.tables, scales, valid, take

    def elaborate(self, platform: object) -> Module:
        """Issue control, and the stages of the datapath in order."""
        m = Module()
        config = self.config

        def add(
            instance: str, make: type[_Component], name: str | None = None, **inputs: ValueLike
        ) -> _Component:
            return add_shared(m, platform, instance, name or instance, lambda: make(config), inputs)

        steps, scales, available, take = self._steps(m, add)
        parts = self._parts(m, add)
        fire, ends = self._issue(m, available, take, parts.drain)
        self._register_tables(m, parts, steps, scales, fire)
        done = ends
        for cycle in range(2 + config.pipeline):
            held = Signal(name=f"done_{cycle}")  # a run's last slice is in this stage
            m.d.sync += held.eq(done)
            done = held
        m.d.comb += parts.drain.done.eq(done)
        self._look_up(m, parts, fire)
        self._results(m, add, parts.drain, parts.lanes, parts.row_sums)
        return m

    def _parts(self, m: Module, add: Callable) -> _Parts:
        """Tiles' tables, columns that read them, and the drain, which reads the columns."""
        config = self.config
        # Every tile has its own copy of the operands, so that a table's fan-out is one tile.
        numbers = [f"_{tile}" for tile in range(config.tiles)] if config.tiles > 1 else [""]
        stages = [add(f"table_stage{number}", TableStage, "table_stage") for number in numbers]
        operands = [self._operands(m, *stage) for stage in enumerate(stages)]
        index = Signal(config.slice_bits)  # weight indices of all columns, column 0 lowest
        m.d.comb += index.eq(self.weights.payload.index.as_value())
        width = config.slice_bits // config.columns
        columns = [
            add(
                f"column_{n}",
                Column,
                "column",
                operands=operands[n // config.n],
                index=index[n * width : (n + 1) * width],
            )
            for n in range(config.columns)
        ]
        row_sums = add("row_sums", RowSums)
        drain = add("drain", Drain)
        beat = config.drain_columns
        lanes = [
            add(
                f"drain_lane_{lane}",
                DrainLane,
                "drain_lane",
                accumulators=Cat(column.dots for column in columns[lane::beat]),
                capture=drain.capture,
                select=drain.select,
            )
            for lane in range(beat)
        ]
        return _Parts(stages, columns, row_sums, drain, lanes)

    def _operands(self, m: Module, tile: int, stage: TableStage) -> Signal:
        """The operands of a tile, in the one signal that all of its columns read."""
        n = self.config.n
        column = min(f"column_{n}" for n in range(tile * n, tile * n + n))  # as Yosys would choose
        # entries of the tile's tables, which all of its columns read
        operands = Signal(len(Value.cast(stage.operands)), name=f"{column}__operands")
        m.d.comb += operands.eq(stage.operands)
        return operands

    def _issue(
        self, m: Module, available: Value, take: Signal, drain: Drain
    ) -> tuple[Signal, Signal]:
        """Whether a slice enters, and whether it ends a run.

        A run's first slice overwrites the accumulators one stage later, so it must not enter
        before the run that stands there can be captured.
        """
        slice_ = self.weights.payload
        uncaptured = Signal(range(3))  # runs that are taken but not captured
        blocked = Signal()  # the slice would overwrite a run that is not captured yet
        fire = Signal()  # the slice enters
        ends = Signal()  # the slice enters and ends a run
        m.d.comb += [
            blocked.eq(slice_.first & (uncaptured > 0) & ((uncaptured > 1) | ~drain.free)),
            fire.eq(self.weights.valid & available & ~blocked),
            self.weights.ready.eq(available & ~blocked),
            take.eq(self.weights.valid & ~blocked),
            ends.eq(fire & slice_.last),
        ]
        m.d.sync += uncaptured.eq(uncaptured + ends - drain.capture)
        return fire, ends

    def _register_tables(
        self, m: Module, parts: _Parts, steps: Value, scales: Value | None, fire: Signal
    ) -> None:
        """Tables into the registers of each tile, as the slice's plane wants them."""
        config, slice_ = self.config, self.weights.payload
        for stage in parts.stages:
            m.d.comb += [stage.tables.eq(steps), stage.fire.eq(fire)]
            if config.table_shift:
                m.d.comb += stage.plane.eq(slice_.plane)
        if config.negates_tables:
            for consumer in (*parts.stages, parts.row_sums):
                m.d.comb += consumer.negative.eq(slice_.negative)
        if config.block_scaled:
            m.d.comb += parts.row_sums.run_scales.eq(scales)

    def _look_up(self, m: Module, parts: _Parts, fire: Signal) -> None:
        """Each column's indices meet its tile's tables; beside them, the row sums."""
        config, slice_, row_sums = self.config, self.weights.payload, parts.row_sums
        # the slice enters and starts a plane: accumulators double before it
        starts_plane = Signal()
        # plane of the slice that entered last
        plane = Signal(max(1, config.plane_bits), reset_less=True)
        if config.doubles:
            with m.If(fire):
                m.d.sync += plane.eq(slice_.plane)
            m.d.comb += starts_plane.eq(fire & (slice_.plane != plane))
        first = Signal()  # the slice enters and starts a run
        m.d.comb += [
            first.eq(fire & slice_.first),
            row_sums.first.eq(first),
            row_sums.operands.eq(parts.stages[0].operands),
            row_sums.capture.eq(parts.drain.capture),
            row_sums.counts.eq(slice_.plane == 0),
        ]
        for column in parts.columns:
            m.d.comb += column.first.eq(first)
            if config.shifts_in_unit:
                m.d.comb += column.weight.eq(slice_.plane)
            if config.doubles:
                m.d.comb += column.weight.eq(starts_plane)

    def _results(self, m: Module, add: Callable, drain: Drain, lanes: list, row_sums: RowSums):
        """Result beats, through the zero points or as they are."""
        config = self.config
        raw: Any = flipped(self.results)
        if config.zero_points != "external":
            zero_points = add("zero_points", ZeroPoints)
            connect(m, flipped(self.zero_points), zero_points.zero_points)
            connect(m, zero_points.results, raw)
            raw = zero_points.raw
        m.d.comb += [
            raw.valid.eq(drain.valid),
            drain.ready.eq(raw.ready),
            raw.payload.row_sum.eq(row_sums.sums),
            raw.payload.last.eq(drain.last),
        ]
        # One statement: Amaranth's time for many of parts of a wide signal grows with their square.
        dots = [[lane.dots[r] for r in range(config.m)] for lane in lanes]
        rows = [Cat(*(column[r] for column in dots)) for r in range(config.m)]
        m.d.comb += raw.payload.dot.as_value().eq(Cat(*rows))
        if config.block_scaled:
            m.d.comb += raw.payload.scale.eq(row_sums.scales)
