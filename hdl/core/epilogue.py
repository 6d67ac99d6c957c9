"""From run results to sums: zero points, scales, accumulation."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FP16, FP32
from lutcore.hdl.core.run_product import product_kind
from lutcore.hdl.floats.add import FloatAdder
from lutcore.hdl.floats.convert import FloatConverter
from lutcore.hdl.floats.multiply import FloatMultiplier
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import ADDED, SCALED, epilogue_cycles, product_cycles
from lutcore.hdl.parts.pieces import delayed
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.blocks import scale_layout
from lutcore.hdl.tile.drain import lanes, results_layout

#: How an ``lmma`` adds: fields and their bits.
OPTIONS = {
    "integer": 1,
    "half": 1,
    "fixed_zero": 1,
    "zero": 16,
    "accumulate": 1,
    "signal_load": 1,
    "signal_store": 1,
}


class EpilogueLane(wiring.Component):
    """The sum of one row and column.

    ``half``, ``fixed_zero``, ``zero``, ``integer`` and ``accumulate`` stay as they are while an
    ``lmma`` is under way.

    Members
    -------
    dot : In
        D, the sum of a run.
    row_sum : In
        R, the sum of the run's activations.
    record : In
        The column's scale record.
    power : In, only where block-scaled
        D and R count ``2^power``.
    invalid : In, only where block-scaled
        The result is NaN.
    old : In
        The old sum, in time for the addition, whose cycles are the last ones.
    half : In
        The record's scale is FP16 rather than FP32.
    fixed_zero : In
        All columns have the zero point ``zero``, rather than that of the record's upper half.
    zero : In
        Zero point z'' of all columns, signed.
    integer : In
        P is added as it is, without a scale, to an integer.
    accumulate : In
        P is added to ``old`` rather than to nothing.
    sum : Out, ``epilogue_cycles(config) - 1`` cycles after ``dot``
        The new sum, FP32 or an integer.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = {
            "dot": In(config.accumulator_bits),
            "row_sum": In(config.row_sum_bits),
            "record": In(32),
            "zero": In(16),
            "half": In(1),
            "fixed_zero": In(1),
            "integer": In(1),  # P is added as it is, without a scale, to an integer
            "accumulate": In(1),
            "old": In(32),
            "sum": Out(32),  # the new sum, FP32 or an integer
        }
        if config.block_scaled:
            low, high = config.power_range
            members |= {"power": In(range(low, high + 1)), "invalid": In(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """P, to float, times the scale, plus the old sum."""
        m = Module()
        config = self._config
        kind = product_kind(config)
        m.submodules.run_product = run_product = kind(config)
        scale = Signal(32, reset_less=True)  # scale s' as FP32; FP16 records hold 2 s'
        m.submodules.half = half = FloatConverter(FP16, FP32)
        m.d.comb += half.a.eq(self.record)
        whole = half.result
        usual = whole[23:31].any() & ~whole[23:31].all()
        halved = Cat(whole[:23], (whole[23:31] - usual)[:8], whole[31])
        m.d.sync += scale.eq(Mux(self.half, halved, self.record))
        powers = config.power_range if config.block_scaled else None
        m.submodules.multiplier = multiplier = FloatMultiplier(FP32, pipeline=SCALED, powers=powers)
        m.submodules.adder = adder = FloatAdder(FP32, pipeline=ADDED)
        # Adding -0 changes nothing.
        empty = Const(FP32.sign_mask, 32)
        m.d.comb += [
            run_product.dot.eq(self.dot),
            run_product.row_sum.eq(self.row_sum),
            run_product.zero.eq(Mux(self.fixed_zero, self.zero, self.record[16:])),
            multiplier.b.eq(delayed(m, scale, product_cycles(config) - 1, "scale")),
            adder.a.eq(multiplier.result),
            adder.b.eq(Mux(self.accumulate, self.old, empty)),
        ]
        product: Value = run_product.product
        if config.block_scaled:
            invalid = delayed(m, self.invalid, product_cycles(config), "invalid")
            product = Mux(invalid, FP32.quiet_nan, product)
            m.d.comb += multiplier.power.eq(delayed(m, self.power, product_cycles(config), "power"))
        m.d.comb += [multiplier.a.eq(product), self.sum.eq(adder.result)]
        if config.integer_results:
            late = delayed(m, run_product.low, product_cycles(config) - 1 + SCALED, "low")
            total = Signal(32)  # the new sum of integers
            m.d.comb += total.eq(late + Mux(self.accumulate, self.old, 0))
            whole_sum = delayed(m, total, ADDED, "total")
            m.d.comb += self.sum.eq(Mux(self.integer, whole_sum, adder.result))
        return m


def task_layout() -> data.StructLayout:
    """What the epilogue must know of an ``lmma``; ``blocks`` of rows, ``tiles`` of columns."""
    sizes = {"blocks": 12, "tiles": 16, "scale": ADDRESS_BITS, "acc": ADDRESS_BITS}
    return data.StructLayout(sizes | OPTIONS)


def sum_members(config: CoreConfig) -> dict[str, wiring.Member]:
    """Ports of :class:`Epilogue` to its buffers, and what it signals."""
    bits = config.m * config.drain_columns * 32
    return {
        "scale_enable": Out(1),  # a result beat is taken: read its scale records
        "scale_address": Out(ADDRESS_BITS),  # byte address of the scale records
        "records": In(config.drain_columns * 32),  # scale records of a beat's columns
        "read_address": Out(ADDRESS_BITS),  # byte address in the output buffer of the old sums
        "read_data": In(bits),  # old sums of a beat, those of row 0 lowest
        "write_enable": Out(1),  # write the new sums of a beat
        "write_address": Out(ADDRESS_BITS),  # byte address in the output buffer of the new sums
        "write_data": Out(bits),  # new sums of a beat, those of row 0 lowest
        "signal_load": Out(1),  # a product is done that gives load a token
        "signal_store": Out(1),  # a product is done that gives store a token
    }


class _BeatWalk:
    """Where the walk over the result beats of an ``lmma`` is."""

    def __init__(self) -> None:
        self.task = Signal(task_layout())  # sizes, places and options of the product that is added
        self.active = Signal()  # result beats of a product are still to come
        self.last = Signal()  # the last beat of the product is taken
        self.taken = Signal()  # a result beat is taken
        self.scale = Signal(ADDRESS_BITS)  # byte address of the beat's scale records
        self.acc = Signal(ADDRESS_BITS)  # byte address in the output buffer of the beat's sums
        self.narrow = Signal()  # scale records have two bytes rather than four


class Epilogue(wiring.Component):
    """Takes a result beat a cycle, adds it to the sums.

    An ``lmma`` begins when all sums of the last one are written, so that none is read too early.

    Members
    -------
    tasks : In stream, :func:`task_layout`
        Sizes of an ``lmma``, where its scales and sums lie, how they are added.
    results : In stream, :func:`~lutcore.hdl.tile.drain.results_layout` of ``accumulator_bits``
        Result beats of the tile: D, R, and the run's scales where block-scaled.
    scale_enable : Out
        A result beat is taken: read its scale records.
    scale_address : Out
        Byte address of the records in the scale buffer.
    records : In
        Records of the beat's columns, one cycle later.
    read_address : Out
        Byte address in the output buffer of the old sums.
    read_data : In
        Old sums of a beat, one cycle later.
    write_enable : Out
        Write new sums into the output buffer.
    write_address : Out
        Byte address in the output buffer of the new sums.
    write_data : Out
        New sums of a beat.
    signal_load : Out
        An ``lmma`` is done that gives load a token.
    signal_store : Out
        An ``lmma`` is done that gives store a token.
    idle : Out
        No product is under way, and all sums are written.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "tasks": In(stream.Signature(task_layout())),
                "results": In(stream.Signature(results_layout(config, config.dot_bits))),
                "idle": Out(1),
            }
            | sum_members(config)
        )

    def elaborate(self, platform: object) -> Module:
        """Addresses run ahead of a pipeline that never stops."""
        m = Module()
        cycles = epilogue_cycles(self._config)
        at = self._walk(m)
        valid = [at.taken]
        for cycle in range(cycles):
            held = Signal(name=f"valid_{cycle}")  # a beat is in this stage
            m.d.sync += held.eq(valid[-1])
            valid.append(held)
        done = delayed(m, at.last, cycles, "done", reset=True)
        m.d.comb += [
            self.idle.eq(~at.active & ~Cat(*valid[1:]).any()),
            self.read_address.eq(delayed(m, at.acc, cycles - ADDED - 1, "old_address")),
            self.write_address.eq(delayed(m, at.acc, cycles, "address")),
            self.write_enable.eq(valid[cycles]),
            self.signal_load.eq(done & at.task.signal_load),
            self.signal_store.eq(done & at.task.signal_store),
        ]
        self._lanes(m, platform, at.task, self._records(m, at.narrow, at.scale))
        return m

    def _walk(self, m: Module) -> _BeatWalk:
        """Beats in runs, runs in tiles of columns, those in blocks of rows."""
        units = Units.of(self._config)
        at = _BeatWalk()
        blocks = Signal(12)  # blocks of rows that are not done, this one included
        tiles = Signal(16)  # tiles of columns that are not done, this one included
        scale_step = Signal(range(units.scale + 1))  # bytes of scale records that a beat has
        ends_run = Signal()  # the beat is the last one of its run
        ends_block = Signal()  # the beat is the last one of its block of rows
        m.d.comb += [
            self.tasks.ready.eq(self.idle),
            self.results.ready.eq(at.active),
            at.taken.eq(at.active & self.results.valid),
            ends_run.eq(self.results.payload.last),
            ends_block.eq(ends_run & (tiles == 1)),
            at.last.eq(at.taken & ends_block & (blocks == 1)),
            self.scale_enable.eq(at.taken),
            self.scale_address.eq(at.scale),
            # Records of two bytes: two beats of them lie in one word of the buffer.
            at.narrow.eq(at.task.half & at.task.fixed_zero),
            scale_step.eq(Mux(at.narrow, units.scale // 2, units.scale)),
        ]
        with m.If(self.tasks.valid & self.tasks.ready):
            head = self.tasks.payload
            m.d.sync += [
                at.active.eq(1),
                at.task.eq(head),
                blocks.eq(head.blocks),
                tiles.eq(head.tiles),
                at.scale.eq(head.scale),
                at.acc.eq(head.acc),
            ]
        with m.Elif(at.taken):
            m.d.sync += [at.acc.eq(at.acc + units.acc), at.scale.eq(at.scale + scale_step)]
            with m.If(ends_run):
                m.d.sync += tiles.eq(tiles - 1)
            with m.If(ends_block):
                m.d.sync += [
                    at.scale.eq(at.task.scale),
                    tiles.eq(at.task.tiles),
                    blocks.eq(blocks - 1),
                    at.active.eq(~at.last),
                ]
        return at

    def _records(self, m: Module, narrow: Signal, scale: Signal) -> list[Value]:
        """The record of each column, out of the word that was read at ``scale``."""
        wide = lanes(m, self.records, 32, "record")
        odd = delayed(m, scale[Units.of(self._config).scale.bit_length() - 2], 1, "odd")
        # the beat's records of two bytes: half of what was read
        beat = Signal(len(self.records) // 2, name="narrow_records")
        m.d.comb += beat.eq(self.records.word_select(odd, len(beat)))
        halves = (beat.word_select(column, 16) for column in range(len(wide)))
        return [Mux(narrow, half, whole) for half, whole in zip(halves, wide, strict=True)]

    def _lanes(self, m: Module, platform: object, task, records: list[Value]) -> None:
        """A lane for each row and column of a beat."""
        config = self._config
        payload = self.results.payload
        dot = delayed(m, payload.dot.as_value(), 1, "dot")
        row_sum = delayed(m, payload.row_sum.as_value(), 1, "row_sum")
        dots = lanes(m, dot, config.accumulator_bits, "dots")
        sums = lanes(m, row_sum, config.row_sum_bits, "sums")
        olds = lanes(m, self.read_data, 32, "old")
        scales = []
        if config.block_scaled:
            held = delayed(m, payload.scale.as_value(), 1, "run_scales")
            scales = data.View(data.ArrayLayout(scale_layout(config), config.m), held)
        results = []
        for place, value in enumerate(dots):
            row, column = divmod(place, config.drain_columns)
            name = f"lane_{row}_{column}"
            lane = add_shared(m, platform, name, "lane", lambda: EpilogueLane(config))
            m.d.comb += [
                lane.dot.eq(value),
                lane.row_sum.eq(sums[row]),
                lane.record.eq(records[column]),
                lane.zero.eq(task.zero),
                lane.half.eq(task.half),
                lane.fixed_zero.eq(task.fixed_zero),
                lane.integer.eq(task.integer),
                lane.accumulate.eq(task.accumulate),
                lane.old.eq(olds[place]),
            ]
            if config.block_scaled:
                scale = scales[row]
                m.d.comb += [
                    lane.power.eq(scale.exponent - config.scale_offset),
                    lane.invalid.eq(scale.invalid),
                ]
            results.append(lane.sum)
        m.d.comb += self.write_data.eq(Cat(*results))
