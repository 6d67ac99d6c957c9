"""Between tables and results: runs of tables that are kept, and results that leave beat by beat."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.drain import Drain, DrainLane, ZeroPoints, results_layout, zero_points_layout
from lutcore.hdl.tile.frontend import TableBuffer
from lutcore.verif.formal.engines import of_one_table
from lutcore.verif.formal.harness import BLOCK, Harness, opened


class _Drained(wiring.Component):
    """A drain and one of its lanes, as a tile joins them."""

    def __init__(self, config: CoreConfig):
        self.drain, self.lane = Drain(config), DrainLane(config)
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        """Join them."""
        m = Module()
        m.submodules.drain, m.submodules.lane = self.drain, self.lane
        m.d.comb += [
            self.lane.capture.eq(self.drain.capture),
            self.lane.select.eq(self.drain.select),
        ]
        return m


class DrainProperties(Harness):
    """Runs end whenever the one before is captured; their beats leave at any pace."""

    reduced = ("of one row and one of a beat's columns",)

    def __init__(self, config: CoreConfig):
        self._config = config.replace(m=1)
        self._both = _Drained(self._config)
        lane = self._both.lane.signature.members["accumulators"]
        super().__init__({"done": In(1), "ready": In(1), "accumulators": lane})

    def describe(self, m: Module) -> None:
        """The drain, a run that waits, and the beats of the one that leaves."""
        beats, block, lane = self._config.drain_beats, self._both.drain, self._both.lane
        inside = opened(m, self._both)
        m.d.comb += [
            block.done.eq(self.done),
            block.ready.eq(self.ready),
            lane.accumulators.eq(self.accumulators),
        ]
        waits, sending = Signal(name="run_waits"), Signal(name="run_leaves")
        beat = Signal(range(beats), name="beat")
        self.assume(m, "a run ends when the one before is captured", ~waits, when=self.done)
        there = self.done | waits
        sent = sending & self.ready
        over = sent & (beat == beats - 1)
        capture = there & (~sending | over)
        m.d.sync += [waits.eq(there & ~capture), sending.eq(capture | (sending & ~over))]
        m.d.sync += beat.eq(Mux(capture | over, 0, beat + sent))
        self.hold(m, "a run is captured when the one before has left", block.capture == capture)
        self.hold(m, "a run that waits is known", inside["drain.waiting"] == waits)
        self.hold(m, "beats are offered until all have left", block.valid == sending)
        shown = Mux(sending, Const(1) << beat, 0)
        self.hold(m, "each in its turn", (block.select == shown) & (beat < beats))
        self.hold(m, "the last is told", block.last == (beat == beats - 1), when=block.valid)
        self.hold(m, "room is told", block.free == (~sending | over))
        sums = [each.as_value() for each in self.accumulators]
        copies = [Signal(len(each), name=f"copy_{i}") for i, each in enumerate(sums)]
        with m.If(capture):
            m.d.sync += Cat(*copies).eq(Cat(*sums))
        for i, copy in enumerate(copies):
            same = inside[f"lane.held_{i}"] == copy
            self.hold(m, f"sums of beat {i} are those of when the run ended", same, when=sending)
        shown = lane.dots.as_value() == Array(copies)[beat]
        self.hold(m, "a beat shows its sums", shown, when=block.valid)
        self.stays(m, "beats", block.valid, self.ready, Cat(lane.dots.as_value(), block.last))
        self.happen(m, "a run waits, and a beat leaves", waits & sent)
        if beats <= 8:  # more take longer than covers are looked for
            self.happen(m, "a run is captured as the one before leaves", capture & over)
            self.happen(m, "a run waits, then it is captured", capture & waits)


class ZeroPointProperties(Harness):
    """Result beats and zero points come and go at any pace."""

    def __init__(self, config: CoreConfig):
        self._config = config
        raw = results_layout(config, config.accumulator_bits)
        super().__init__(
            {
                "beat": In(raw),
                "beat_valid": In(1),
                "zeros": In(zero_points_layout(config)),
                "zeros_valid": In(1),
                "ready": In(1),
            },
        )

    def describe(self, m: Module) -> None:
        """Each pair gives one result, in the next cycle."""
        config, block = self._config, ZeroPoints(self._config)
        opened(m, block)
        m.d.comb += [
            block.raw.payload.eq(self.beat),
            block.raw.valid.eq(self.beat_valid),
            block.zero_points.payload.eq(self.zeros),
            block.zero_points.valid.eq(self.zeros_valid),
            block.results.ready.eq(self.ready),
        ]
        result = block.results
        whole = result.payload.as_value()
        both = self.beat_valid & self.zeros_valid
        free = ~result.valid | self.ready
        taken = both & free
        self.hold(
            m, "a beat is taken with its zero points", block.raw.ready == (self.zeros_valid & free)
        )
        same = block.zero_points.ready == (self.beat_valid & free)
        self.hold(m, "zero points are taken with their beat", same)
        held = Signal(name="held")
        m.d.sync += held.eq(taken | (held & ~self.ready))
        self.hold(m, "one result is offered for both", result.valid == held)
        self.stays(m, "results", result.valid, self.ready, whole)
        rest = Signal(len(self.beat.as_value()) - len(self.beat.dot.as_value()), name="rest")
        with m.If(taken):
            m.d.sync += rest.eq(self.beat.as_value()[len(self.beat.dot.as_value()) :])
        passed = whole[len(result.payload.dot.as_value()) :] == rest
        self.hold(m, "row sums pass, and all else", passed, when=held)
        share = config.drain_columns // config.zero_point_lanes
        for row in range(config.m):
            for column in range(config.drain_columns):
                zero = self.zeros[column // share]
                value = config.form.scale * self.beat.dot[row][column]
                value = value - self.beat.row_sum[row] * zero
                right = Signal.like(result.payload.dot[row][column], name=f"right_{row}_{column}")
                with m.If(taken):
                    m.d.sync += right.eq(value)
                sentence = f"row {row}, column {column} is its sum without its zero point's share"
                self.hold(m, sentence, result.payload.dot[row][column] == right, when=held)
        self.happen(m, "one waits", held & ~self.ready & self.happened(m, taken, 2))


class TableBufferProperties(Harness):
    """Short runs, whose tables are read in any order, as often as one likes."""

    _STEPS = 3
    reduced = (f"of one table of few activations, and runs of at most {_STEPS} steps",)

    def __init__(self, config: CoreConfig):
        one = of_one_table(config)
        run = self._STEPS * one.k
        self._block = TableBuffer(one.replace(max_k=run, group_size=run))
        step = self._block.signature.members["steps"].signature.members["payload"].shape
        places = range(self._STEPS)
        super().__init__({"step": In(step), "put": In(1), "place": In(places), "ends": In(1)})

    def describe(self, m: Module) -> None:
        """The buffer, and what it was given: two runs, a word for each step."""
        block = self._block
        setattr(m.submodules, BLOCK, block)
        m.d.comb += [
            block.steps.payload.eq(self.step),
            block.steps.valid.eq(self.put),
            block.address.eq(self.place),
            block.release.eq(self.ends & block.valid),
        ]
        bits, runs = len(self.step.as_value()), Signal(range(3), name="runs")  # whole ones there
        steps, counts = range(self._STEPS), range(self._STEPS + 1)
        words = [[Signal(bits, name=f"given_{r}_{s}") for s in steps] for r in range(2)]
        lengths = Array(Signal(counts, name=f"length_{r}") for r in range(2))
        last, first, index = Signal(name="run_in"), Signal(name="run_out"), Signal(steps)
        taken, leaves = self.put & block.steps.ready, self.ends & block.valid
        whole = taken & (self.step.last | (index == self._STEPS - 1))
        m.d.sync += [runs.eq(runs + whole - leaves), first.eq(first ^ leaves)]
        with m.If(taken):
            m.d.sync += [
                index.eq(Mux(whole, 0, index + 1)),
                last.eq(last ^ whole),
                Array(map(Array, words))[last][index].eq(self.step),
                lengths[last].eq(index + 1),
            ]
        self.hold(m, "steps are taken while a run is free", block.steps.ready == (runs != 2))
        self.hold(m, "whole runs alone are shown", block.valid == (runs != 0))
        exists = block.valid & (self.place < lengths[first])
        same = block.tables.as_value() == Array(map(Array, words))[first][self.place]
        self.hold(m, "each of their steps as it was given", same, when=exists)
        self.happen(m, "two runs are there", runs == 2)
        third = self.happened(m, leaves, 2) & exists & (self.place == 1)
        self.happen(m, "a third is read", third)
