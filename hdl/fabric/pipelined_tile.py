"""The tile for FPGAs: every sum a carry chain with registers behind it."""

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
        It starts a run.
    counts : In
        It is of plane 0.
    capture : In
        Copy the sums of the slice that entered ``config.stages`` cycles before.
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
                "counts": In(1),
                "capture": In(1),
                "sums": Out(data.ArrayLayout(signed(config.row_sum_bits), config.m)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """One adder a row; its sums keep step with the columns."""
        m = Module()
        config = self._config
        for row in range(config.m):
            run = Signal(signed(config.row_sum_bits), name=f"run_{row}", reset_less=True)
            before = Mux(self.first, 0, run).as_signed()
            with m.If(self.valid):
                m.d.sync += run.eq(before + Mux(self.counts, self.steps[row], 0).as_signed())
            current = delayed(m, run, config.stages - 1, f"run_{row}")
            m.d.comb += self.sums[row].eq(captured(m, current, self.capture, f"row_{row}"))
        return EnableInserter(self.go)(m)


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
        in_memory = config.table_storage == "lutram"
        go = Signal()
        fire = Signal()

        def add(instance, make, name=None):
            return add_shared(m, platform, instance, name or instance, lambda: make(config))

        def later(value: Value, cycles: int, name: str) -> Value:
            with m.If(go):
                return delayed(m, value, cycles, name)

        if in_memory:
            tables = add("table_writer", TableWriter)
        else:
            tables = add("table_builder", ChainTables)
        parities = add("parities", Parities)
        column = LutRamColumn if in_memory else ChainColumn
        columns = [add(f"column_{n}", column, "column") for n in range(config.n)]
        row_sums = add("row_sums", StepRowSums)
        drain = add("drain", Drain)
        lanes = [
            add(f"drain_lane_{lane}", DrainLane, "drain_lane")
            for lane in range(config.drain_columns)
        ]

        # Fire and the end of a run, by stage; bubbles are reset ones.
        events = [Cat(fire, fire & slice_.last)]
        for stage in range(config.stages):
            events.append(Signal(2, name=f"events_{stage}"))
            with m.If(go):
                m.d.sync += events[-1].eq(events[-2])
        valid, done = events[-1]
        first_pass = slice_.accumulator == 0 if in_memory else Const(1)
        m.d.comb += [
            drain.done.eq(done),
            go.eq(~done | drain.free),
            row_sums.steps.eq(tables.sums),
            row_sums.valid.eq(fire & first_pass),
            row_sums.first.eq(slice_.first),
            row_sums.counts.eq(slice_.plane == 0 if config.plane_bits else 1),
            row_sums.capture.eq(drain.capture),
        ]
        shared: dict[str, Value] = {"go": go, "parities": parities.sums}
        if config.shifts_in_unit:
            shared["weight"] = later(slice_.plane, config.stages - 1, "weight")
        if config.doubles:
            plane = Signal(config.plane_bits, reset_less=True)
            held = Signal(reset_less=True)
            # All passes double in the first step of a plane.
            doubles = Mux(first_pass, slice_.plane != plane, held)
            with m.If(fire):
                m.d.sync += [plane.eq(slice_.plane), held.eq(doubles)]
            shared["weight"] = later(doubles, config.stages - in_memory, "weight")
        ready = Signal()
        m.d.comb += [self.weights.ready.eq(ready), fire.eq(ready & self.weights.valid)]
        if in_memory:
            # An accumulator is written two cycles after it is read.
            fired = Signal()
            accumulator = Signal(range(config.passes), reset_less=True)
            with m.If(go):
                m.d.sync += [fired.eq(fire), accumulator.eq(slice_.accumulator)]
            conflict = fired & (slice_.accumulator == accumulator)
            m.d.comb += [
                tables.activations.payload.eq(self.activations.payload.values),
                tables.activations.valid.eq(self.activations.valid),
                self.activations.ready.eq(tables.activations.ready),
                tables.release.eq(fire & slice_.advance),
                ready.eq(tables.valid & ~conflict & go),
            ]
            shared |= {
                "bank": later(tables.bank, 1, "bank"),
                "read": later(slice_.accumulator, config.stages - 1, "read"),
                "first": later(slice_.first, config.stages - 1, "first"),
                "store": valid,
                "stored": later(accumulator, config.stages - 1, "stored"),
                "write": tables.write,
            }
        else:
            restarted = Signal(init=1)
            with m.If(go):
                m.d.sync += restarted.eq(0)
            m.d.comb += [
                tables.activations.eq(self.activations.payload.values),
                self.activations.ready.eq(fire & slice_.advance),
                ready.eq(self.activations.valid & go),
            ]
            shared |= {"tables": tables.tables, "valid": valid, "clear": done | restarted}
        m.d.comb += parities.entries.as_value().eq(later(tables.parities.as_value(), 1, "parities"))
        for part in (tables, parities, row_sums):
            m.d.comb += part.go.eq(go)

        width = config.tables * config.k
        index = Signal(config.slice_bits)
        m.d.comb += index.eq(slice_.index.as_value())
        for n, column in enumerate(columns):
            beat, lane = divmod(n, config.drain_columns)
            m.d.comb += [
                column.index.eq(index[n * width : (n + 1) * width]),
                *(getattr(column, name).eq(value) for name, value in shared.items()),
                lanes[lane].accumulators[beat].eq(column.dots),
            ]
        for lane in lanes:
            m.d.comb += [lane.capture.eq(drain.capture), lane.select.eq(drain.select)]
        self._results(m, add, drain, lanes, row_sums)
        return m
