"""The LUT tile: M tables a step, N weight columns, M x N lookup units (paper, figure 9)."""

import functools
import operator
from typing import TypeVar

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hdl.column import ColumnBlock, RowSums
from hdl.config import CoreConfig
from hdl.drain import Drain, ZeroPoints, results_layout, zero_points_layout
from hdl.sharing import add_shared
from hdl.tables import TableBuilder, TableStage, activations_layout

_Component = TypeVar("_Component", bound=wiring.Component)


def weights_layout(config: CoreConfig) -> data.StructLayout:
    """One weight slice: a bit plane of one step of all N columns, and what to do with it.

    ``index``
        ``[n][lookups]`` indices of k bits, first lowest; index bit t belongs to activation t of the
        lookup. Symmetric form: remapped offline, top bit is the sign.
    ``plane``
        The slice counts 2^plane; planes may come in any order.
    ``first``, ``last``
        The slice starts, ends a run: one result for every column and row.
    ``advance``
        The step's last slice: its activations are taken from their stream with it.
    """
    return data.StructLayout(
        {
            "index": data.ArrayLayout(data.ArrayLayout(config.k, config.lookups), config.n),
            "plane": max(1, config.plane_bits),
            "first": 1,
            "last": 1,
            "advance": 1,
        }
    )


def tile_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`Tile`."""
    members = {
        "activations": In(stream.Signature(activations_layout(config))),
        "weights": In(stream.Signature(weights_layout(config))),
        "results": Out(stream.Signature(results_layout(config, config.dot_bits))),
    }
    if config.zero_points != "external":
        members["zero_points"] = In(stream.Signature(zero_points_layout(config)))
    return wiring.Signature(members)


class Tile(wiring.Component):
    """LUT tile: bit-serial mpGEMM ``P[m,n] = 2 sum_k A[m,k] (q[n,k] - z[n])`` over one run of K.

    Every cycle in which a slice and its activations are there, one slice is taken: no bubble at
    plane, step, run or result boundaries as long as runs have ``config.full_rate_slices`` slices.
    All streams may stall at any time; payloads hold until taken.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    activations : In stream, :func:`~hdl.tables.activations_layout`
        One step: ``depth`` activations of each of M rows. Stays until a slice's ``advance``.
    weights : In stream, :func:`weights_layout`
        Weight slices.
    zero_points : In stream, :func:`~hdl.drain.zero_points_layout`, unless they are external
        z' = 2z + 1 - 2^b of one result beat: of each column, or one for all.
    results : Out stream, :func:`~hdl.drain.results_layout` of ``dot_bits``
        Exact integers: D' = sum A q' (equation 3) with external zero points, else P; and the
        row sums R of the run.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(tile_signature(config))

    def elaborate(self, platform: object) -> Module:
        """Issue control, and the stages of the datapath in order."""
        m = Module()
        config = self.config
        slice_ = self.weights.payload

        def add(instance: str, make: type[_Component], name: str | None = None) -> _Component:
            return add_shared(m, platform, instance, name or instance, lambda: make(config))

        builder = add("table_builder", TableBuilder)
        stage = add("table_stage", TableStage)
        blocks = [add(f"block_{b}", ColumnBlock, "column_block") for b in range(config.drain_beats)]
        row_sums = add("row_sums", RowSums)
        drain = add("drain", Drain)

        # A run's first slice overwrites the accumulators one stage later, so it must not enter
        # before the run that stands there can be captured. Runs that are taken but not captured:
        uncaptured = Signal(range(3))
        blocked = Signal()
        fire = Signal()
        ends = Signal()
        m.d.comb += [
            blocked.eq(slice_.first & (uncaptured > 0) & ((uncaptured > 1) | ~drain.free)),
            fire.eq(self.weights.valid & self.activations.valid & ~blocked),
            self.weights.ready.eq(self.activations.valid & ~blocked),
            self.activations.ready.eq(self.weights.valid & ~blocked & slice_.advance),
            ends.eq(fire & slice_.last),
        ]
        m.d.sync += uncaptured.eq(uncaptured + ends - drain.capture)

        m.d.comb += [
            builder.activations.eq(self.activations.payload),
            stage.tables.eq(builder.tables),
            stage.fire.eq(fire),
        ]
        if config.table_shift:
            m.d.comb += stage.plane.eq(slice_.plane)

        done = ends
        for cycle in range(2 + config.pipeline):
            held = Signal(name=f"done_{cycle}")
            m.d.sync += held.eq(done)
            done = held
        m.d.comb += drain.done.eq(done)

        first = Signal()
        m.d.comb += [first.eq(fire & slice_.first), row_sums.counts.eq(slice_.plane == 0)]
        for consumer in (*blocks, row_sums):
            m.d.comb += [
                consumer.first.eq(first),
                consumer.operands.eq(stage.operands),
                consumer.capture.eq(drain.capture),
            ]
            if config.shifts_in_unit:
                m.d.comb += consumer.plane.eq(slice_.plane)
        index, block_bits = slice_.index.as_value(), config.drain_columns * config.depth
        for b, block in enumerate(blocks):
            m.d.comb += [
                block.index.eq(index.word_select(b, block_bits)),
                block.select.eq(drain.select[b]),
            ]
        selected = functools.reduce(operator.or_, (block.dots.as_value() for block in blocks))
        m.d.comb += [drain.dots.as_value().eq(selected), drain.sums.eq(row_sums.sums)]
        if config.table_form == "subset":
            m.d.comb += drain.plane_sums.eq(row_sums.plane_sums)
        if config.zero_points != "external":
            zero_points = add("zero_points", ZeroPoints)
            connect(m, drain.results, zero_points.raw)
            connect(m, flipped(self.zero_points), zero_points.zero_points)
            connect(m, zero_points.results, flipped(self.results))
        else:
            connect(m, drain.results, flipped(self.results))
        return m
