"""The tile for FPGAs: every sum a carry chain with registers behind it."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import (
    Cat,
    Const,
    Elaboratable,
    EnableInserter,
    Module,
    Mux,
    Signal,
    Value,
    signed,
)
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.chain_column import ChainColumn, ChainTables
from lutcore.hdl.fabric.lutram_column import LutRamColumn
from lutcore.hdl.fabric.parities import Parities
from lutcore.hdl.fabric.table_writer import TableWriter
from lutcore.hdl.parts.pieces import captured, delayed
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.drain import Drain, DrainLane
from lutcore.hdl.tile.tile import Tile


class StepRowSums(wiring.Component):
    """Row sums R of the activations of a run, from those of its steps.

    Members
    -------
    go : In
        The pipeline moves.
    steps : In, ``[m]``
        Sums of the activations of the slice's step.
    valid : In
        There is a slice, of the first pass.
    first : In
        The slice starts a run.
    counts : In
        The slice is of plane 0.
    capture : In
        Copy the sums as they are with the slice in the last stage.
    sums : Out, ``[m]`` signed of ``row_sum_bits``
        R as last captured.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        step = signed_bits(*(config.depth * end for end in config.activation_range))
        super().__init__(
            {
                "go": In(1),
                "steps": In(data.ArrayLayout(signed(step), config.m)),
                "valid": In(1),
                "first": In(1),
                "counts": In(1),  # the slice is of plane 0: its activations count
                "capture": In(1),  # copy the row sums as they are with the slice in the last stage
                "sums": Out(data.ArrayLayout(signed(config.row_sum_bits), config.m)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """One adder a row; its sums keep step with the columns."""
        m = Module()
        config = self._config
        for row in range(config.m):
            # sum of the row's activations, over the run so far
            run = Signal(signed(config.row_sum_bits), name=f"run_{row}", reset_less=True)
            before = Mux(self.first, 0, run).as_signed()
            with m.If(self.valid):
                m.d.sync += run.eq(before + Mux(self.counts, self.steps[row], 0).as_signed())
            current = delayed(m, run, config.stages - 1, f"run_{row}")
            m.d.comb += self.sums[row].eq(captured(m, current, self.capture, f"row_{row}"))
        return EnableInserter(self.go)(m)


class _Pipeline:
    """Stages that move or halt together, and the slice in front of them."""

    def __init__(self, m: Module, config: CoreConfig, slice_: Any):
        self._m, self.config, self.slice = m, config, slice_
        self.go = Signal()  # all stages move on
        self.fire = Signal()  # the slice enters
        self.ready = Signal()  # the slice may enter

    def later(self, value: Value, cycles: int, name: str) -> Value:
        """``value`` as many stages on."""
        with self._m.If(self.go):
            return delayed(self._m, value, cycles, name)

    def events(self) -> Value:
        """In the last stage: there is a slice; it ends a run. Bubbles are reset ones."""
        event: Value = Cat(self.fire, self.fire & self.slice.last)
        for stage in range(self.config.stages):
            # in this stage: bit 0, there is a slice; bit 1, it ends a run
            held = Signal(2, name=f"events_{stage}")
            with self._m.If(self.go):
                self._m.d.sync += held.eq(event)
            event = held
        return event


class _RamTables:
    """Tables in RAM: one bank is filled while slices of several passes read the other."""

    column = LutRamColumn
    #: Stages between the cycle in which a column doubles and that of its last sum.
    doubling = 1

    def __init__(self, add: Callable):
        self.tables: Any = add("table_writer", TableWriter)

    def first_pass(self, slice_: Any) -> Value:
        """Whether the slice is of the first pass."""
        return slice_.accumulator == 0

    def issue(self, m: Module, pipe: _Pipeline, activations: Any, event: Value) -> dict:
        """Take activations, say when a slice may enter; returns what goes to all columns."""
        tables, slice_, stages = self.tables, pipe.slice, pipe.config.stages
        # An accumulator is written two cycles after it is read.
        fired = Signal()  # a slice entered in the cycle before
        accumulator = Signal(range(pipe.config.passes), reset_less=True)  # pass of the slice before
        with m.If(pipe.go):
            m.d.sync += [fired.eq(pipe.fire), accumulator.eq(slice_.accumulator)]
        conflict = fired & (slice_.accumulator == accumulator)
        m.d.comb += [
            tables.activations.payload.eq(activations.payload.values),
            tables.activations.valid.eq(activations.valid),
            activations.ready.eq(tables.activations.ready),
            tables.release.eq(pipe.fire & slice_.advance),
            pipe.ready.eq(tables.valid & ~conflict & pipe.go),
        ]
        return {
            "bank": pipe.later(tables.bank, 1, "bank"),
            "read": pipe.later(slice_.accumulator, stages - 1, "read"),
            "first": pipe.later(slice_.first, stages - 1, "first"),
            "store": event[0],
            "stored": pipe.later(accumulator, stages - 1, "stored"),
            "write": tables.write,
        }


class _RegisterTables:
    """Tables in registers: built as their slice enters, looked up in the next cycle."""

    column = ChainColumn
    doubling = 0

    def __init__(self, add: Callable):
        self.tables: Any = add("table_builder", ChainTables)

    def first_pass(self, slice_: Any) -> Value:
        """It always is."""
        return Const(1)

    def issue(self, m: Module, pipe: _Pipeline, activations: Any, event: Value) -> dict:
        """As of :class:`_RamTables`; activations come together with their slices."""
        valid, done = event
        restarted = Signal(init=1)  # after a reset, until the accumulators are cleared
        with m.If(pipe.go):
            m.d.sync += restarted.eq(0)
        m.d.comb += [
            self.tables.activations.eq(activations.payload.values),
            activations.ready.eq(pipe.fire & pipe.slice.advance),
            pipe.ready.eq(activations.valid & pipe.go),
        ]
        return {"tables": self.tables.tables, "valid": valid, "clear": done | restarted}


class PipelinedTile(Tile):
    """Tile whose tables are in distributed RAM, or in registers with narrow multiplexers.

    The whole pipeline halts while a finished run waits for the results of the one before to leave,
    which costs a clock enable and no logic.

    With tables in RAM this is a tile of ``passes * n`` columns, of which n take a slice at a time:
    ``passes`` consecutive tiles that share their activations. Their results leave in the order of
    their last slices.

    Parameters and members as of :class:`~lutcore.hdl.tile.tile.Tile`.
    """

    def elaborate(self, platform: object) -> Module:
        """Issue control, and the stages of the datapath in order."""
        m = Module()
        config = self.config
        slice_ = self.weights.payload
        pipe = _Pipeline(m, config, slice_)

        def add(instance, make, name=None):
            return add_shared(m, platform, instance, name or instance, lambda: make(config))

        store = (_RamTables if config.table_storage == "lutram" else _RegisterTables)(add)
        tables = store.tables
        parities = add("parities", Parities)
        columns = [add(f"column_{n}", store.column, "column") for n in range(config.n)]
        row_sums = add("row_sums", StepRowSums)
        drain = add("drain", Drain)
        lanes = [
            add(f"drain_lane_{lane}", DrainLane, "drain_lane")
            for lane in range(config.drain_columns)
        ]
        event = pipe.events()
        done = event[1]
        first_pass = store.first_pass(slice_)
        m.d.comb += [
            drain.done.eq(done),
            pipe.go.eq(~done | drain.free),
            row_sums.steps.eq(tables.sums),
            row_sums.valid.eq(pipe.fire & first_pass),
            row_sums.first.eq(slice_.first),
            row_sums.counts.eq(slice_.plane == 0 if config.plane_bits else 1),
            row_sums.capture.eq(drain.capture),
        ]
        shared = {"go": pipe.go, "parities": parities.sums}
        shared |= self._weight(m, pipe, first_pass, store.doubling)
        m.d.comb += [
            self.weights.ready.eq(pipe.ready),
            pipe.fire.eq(pipe.ready & self.weights.valid),
        ]
        shared |= store.issue(m, pipe, self.activations, event)
        entries = pipe.later(tables.parities.as_value(), 1, "parities")
        m.d.comb += parities.entries.as_value().eq(entries)
        for part in (tables, parities, row_sums):
            m.d.comb += part.go.eq(pipe.go)
        self._give(m, columns, lanes, shared)
        for lane in lanes:
            m.d.comb += [lane.capture.eq(drain.capture), lane.select.eq(drain.select)]
        self._results(m, add, drain, lanes, row_sums)
        return m

    def _weight(self, m: Module, pipe: _Pipeline, first_pass: Value, doubling: int) -> dict:
        """What a slice counts, where columns weigh it: its plane, or that it starts one."""
        config, slice_ = self.config, pipe.slice
        if config.shifts_in_unit:
            return {"weight": pipe.later(slice_.plane, config.stages - 1, "weight")}
        if not config.doubles:
            return {}
        plane = Signal(config.plane_bits, reset_less=True)  # plane of the slice that entered last
        held = Signal(reset_less=True)  # accumulators double before the slice that entered last
        # All passes double in the first step of a plane.
        doubles = Mux(first_pass, slice_.plane != plane, held)
        with m.If(pipe.fire):
            m.d.sync += [plane.eq(slice_.plane), held.eq(doubles)]
        return {"weight": pipe.later(doubles, config.stages - doubling, "weight")}

    def _give(self, m: Module, columns: list, lanes: list, shared: dict) -> None:
        """To each column its indices and what all share; its sums to its lane of the drain."""
        config = self.config
        width = config.tables * config.k
        index = Signal(config.slice_bits)  # weight indices of all columns, column 0 lowest
        m.d.comb += index.eq(self.weights.payload.index.as_value())
        for n, column in enumerate(columns):
            beat, lane = divmod(n, config.drain_columns)
            m.d.comb += [
                column.index.eq(index[n * width : (n + 1) * width]),
                *(getattr(column, name).eq(value) for name, value in shared.items()),
                lanes[lane].accumulators[beat].eq(column.dots),
            ]
