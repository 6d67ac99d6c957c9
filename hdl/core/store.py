"""The store engine: sums from the output buffer to memory."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from lutcore.hdl.bus.axi import RowBursts, write_members
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import BF16, FP16, FP32
from lutcore.hdl.core.load import fault_signature
from lutcore.hdl.floats.convert import FloatConverter
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS, OUTPUTS, Cause
from lutcore.hdl.isa.pace import OUTSTANDING, PAGE_BITS, WORDS
from lutcore.hdl.parts.pieces import parts

_HALVES = {OUTPUTS.index("fp16"): FP16, OUTPUTS.index("bf16"): BF16}


def store_layout() -> data.StructLayout:
    """A store as decoded (:mod:`lutcore.hdl.isa.lmma`)."""
    return data.StructLayout(
        {
            "mem": ADDRESS_BITS,
            "local": ADDRESS_BITS,
            "rows": 16,
            "columns": 16,
            "pitch": 32,
            "type": 2,
            "signal": 1,
        }
    )


class SumReader(wiring.Component):
    """Reads rows of sums, converts them and packs them into bus words.

    Members
    -------
    stores : In stream, :func:`store_layout`
    read_enable, read_address, read_data : Out, Out, In
        Output buffer; data one cycle later.
    words : Out stream
        ``data``, and ``strb`` with a bit for each byte that counts.
    done : Out
        A store's last sum was read.
    busy : Out
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._bits = config.m * config.drain_columns * 32
        bus = config.bus_bits
        super().__init__(
            {
                "stores": In(stream.Signature(store_layout())),
                "read_enable": Out(1),
                "read_address": Out(ADDRESS_BITS),
                "read_data": In(self._bits),
                "words": Out(stream.Signature(data.StructLayout({"data": bus, "strb": bus // 8}))),
                "done": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Chunks of columns: read, select and convert, gather."""
        m = Module()
        config, units = self._config, Units.of(self._config)
        columns = config.drain_columns
        lanes = min(columns, config.bus_bits // 32)
        chunks = columns // lanes  # of a beat
        head = Signal(store_layout())
        active = Signal()
        free = Signal()
        # Where the next chunk is: row of a block, chunk of a beat, address of the beat.
        row = Signal(range(config.m))
        chunk = Signal(range(max(chunks, 2)))
        block = Signal(ADDRESS_BITS)
        place = Signal(ADDRESS_BITS)
        rows = Signal(16)
        left = Signal(16)
        beats = Signal(range(config.drain_beats + 1))  # of the tile, still to come
        ends_beat = Signal()
        ends_row = Signal()
        ends = Signal()
        stage = Signal(data.StructLayout({"row": 8, "chunk": 8, "count": 8, "last": 1, "type": 2}))
        valid = Signal()
        after = Signal(ADDRESS_BITS)
        next_block = Signal(ADDRESS_BITS)
        m.d.comb += [
            self.stores.ready.eq(~active),
            self.busy.eq(active | valid),
            self.read_enable.eq(free),
            self.read_address.eq(place),
            ends_beat.eq(chunk == chunks - 1),
            ends_row.eq(left <= lanes),
            ends.eq(ends_row & (rows == 1)),
            self.done.eq(free & active & ends & head.signal),
            after.eq(place + units.acc),
            # A block's sums are whole tiles.
            next_block.eq(place + units.acc * beats),
        ]
        with m.If(~active):
            store = self.stores.payload
            m.d.sync += [
                active.eq(self.stores.valid),
                head.eq(store),
                block.eq(store.local),
                place.eq(store.local),
                rows.eq(store.rows),
                left.eq(store.columns),
                row.eq(0),
                chunk.eq(0),
                beats.eq(config.drain_beats),
            ]
        with m.Elif(free):
            m.d.sync += [left.eq(left - lanes), chunk.eq(chunk + 1)]
            with m.If(ends_beat):
                m.d.sync += [
                    chunk.eq(0),
                    place.eq(after),
                    beats.eq(Mux(beats == 1, config.drain_beats, beats - 1)),
                ]
            with m.If(ends_row):
                m.d.sync += [
                    chunk.eq(0),
                    beats.eq(config.drain_beats),
                    left.eq(head.columns),
                    rows.eq(rows - 1),
                    row.eq(row + 1),
                    place.eq(block),
                    active.eq(~ends),
                ]
                with m.If(row == config.m - 1):
                    m.d.sync += [row.eq(0), block.eq(next_block), place.eq(next_block)]
        with m.If(free):
            m.d.sync += [
                valid.eq(active),
                stage.row.eq(row),
                stage.chunk.eq(chunk),
                stage.count.eq(Mux(ends_row, left, lanes)),
                stage.last.eq(ends_row),
                stage.type.eq(head.type),
            ]
        self._gather(m, stage, valid, free, lanes)
        return m

    def _gather(self, m: Module, stage, valid, free, lanes: int) -> None:
        """Selected columns, converted, side by side until a bus word is full."""
        config = self._config
        bus = config.bus_bits
        size = lanes * 32
        rows = Signal(config.drain_columns * 32)
        sums = Signal(size)
        m.d.comb += [
            rows.eq(self.read_data.word_select(stage.row, len(rows))),
            sums.eq(rows.word_select(stage.chunk, size)),
        ]
        half = Signal()
        m.d.comb += half.eq((stage.type == min(_HALVES)) | (stage.type == max(_HALVES)))
        halves = {}
        for code, format in _HALVES.items():
            parts = []
            for lane in range(lanes):
                converter = FloatConverter(FP32, format)
                m.submodules[f"to_{format.name}_{lane}"] = converter
                m.d.comb += converter.a.eq(sums.word_select(lane, 32))
                parts.append(converter.result)
            halves[code] = Cat(*parts)
        present = Cat(stage.count > lane for lane in range(lanes))
        chunk = Signal(size)
        mask = Signal(size // 8)
        with m.If(half):
            m.d.comb += [
                chunk.eq(Mux(stage.type == min(halves), halves[min(halves)], halves[max(halves)])),
                mask.eq(Cat(bit.replicate(2) for bit in present)),
            ]
        with m.Else():
            m.d.comb += [chunk.eq(sums), mask.eq(Cat(bit.replicate(4) for bit in present))]
        # Chunks come in halves of `size`: four-byte types fill two places.
        places = 2 * bus // size
        filled = Signal(range(places))
        word = Signal(bus)
        strobes = Signal(bus // 8)
        merged = Signal(bus)
        merged_strobes = Signal(bus // 8)
        full = Signal()
        shifted = [chunk << place * size // 2 for place in range(places)]
        shifted_mask = [mask << place * size // 16 for place in range(places)]
        m.d.comb += [
            merged.eq(word | Array(shifted)[filled]),
            merged_strobes.eq(strobes | Array(shifted_mask)[filled]),
            full.eq(stage.last | (filled + Mux(half, 1, 2) == places)),
            self.words.valid.eq(valid & full),
            self.words.payload.data.eq(merged),
            self.words.payload.strb.eq(merged_strobes),
            free.eq(~valid | ~full | self.words.ready),
        ]
        with m.If(valid & free):
            m.d.sync += [
                word.eq(Mux(full, 0, merged)),
                strobes.eq(Mux(full, 0, merged_strobes)),
                filled.eq(Mux(full, 0, filled + Mux(half, 1, 2))),
            ]


class StoreEngine(wiring.Component):
    """Writes rows of sums to memory; bytes that are no sums are not strobed.

    Members
    -------
    stores : In stream, :func:`store_layout`
    writes, written, answers : Out, Out, In stream
        Memory (:func:`~lutcore.hdl.bus.axi.write_members`).
    read_enable, read_address, read_data : Out, Out, In
        Output buffer.
    window_low, window_high, stop : In
        As :class:`~lutcore.hdl.bus.axi.RowBursts`.
    done : Out
        The sums of a store that signals are read: their place is free.
    fault : Out, :func:`~lutcore.hdl.core.load.fault_signature`
    idle : Out
        Nothing is under way, and all is answered.
    beat : Out
        A word left.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        pages = ADDRESS_BITS - PAGE_BITS
        super().__init__(
            {
                "stores": In(stream.Signature(store_layout())),
                "read_enable": Out(1),
                "read_address": Out(ADDRESS_BITS),
                "read_data": In(config.m * config.drain_columns * 32),
                "window_low": In(pages),
                "window_high": In(pages + 1),
                "stop": In(1),
                "done": Out(1),
                "fault": Out(fault_signature()),
                "idle": Out(1),
                "beat": Out(1),
            }
            | write_members(config.bus_bits)
        )

    def elaborate(self, platform: object) -> Module:
        """Addresses and data part ways and meet at the bus."""
        m = Module()
        config = self._config
        bus_bytes = config.bus_bits // 8
        store = self.stores.payload
        m.submodules.bursts = bursts = RowBursts(bus_bytes)
        m.submodules.reader = reader = SumReader(config)
        word_bits = config.bus_bits + bus_bytes
        m.submodules.words = words = SyncFIFO(width=word_bits, depth=WORDS)
        m.submodules.lengths = lengths = SyncFIFO(width=8, depth=OUTSTANDING)
        m.submodules.places = places = SyncFIFO(width=ADDRESS_BITS, depth=OUTSTANDING)
        size = Signal(18)
        halves = Cat(store.type == code for code in _HALVES).any()
        m.d.comb += size.eq(Mux(halves, store.columns << 1, store.columns << 2))
        begins = Signal()
        m.d.comb += [
            begins.eq(reader.stores.ready & bursts.transfers.ready & ~self.stop),
            self.stores.ready.eq(begins),
            reader.stores.valid.eq(self.stores.valid & begins),
            bursts.transfers.valid.eq(self.stores.valid & begins),
            reader.stores.payload.eq(store),
            bursts.transfers.payload.mem.eq(store.mem),
            bursts.transfers.payload.rows.eq(store.rows),
            bursts.transfers.payload.words.eq(parts(size, bus_bytes)),
            bursts.transfers.payload.pitch.eq(store.pitch),
            bursts.window_low.eq(self.window_low),
            bursts.window_high.eq(self.window_high),
            bursts.checked.eq(1),
            bursts.stop.eq(self.stop),
            self.read_enable.eq(reader.read_enable),
            self.read_address.eq(reader.read_address),
            reader.read_data.eq(self.read_data),
            self.done.eq(reader.done),
        ]
        room = lengths.w_rdy & places.w_rdy
        sent = Signal()
        offered = Signal()  # an address that is offered stays so; room does not go away
        m.d.comb += [
            offered.eq(bursts.bursts.valid & room),
            self.writes.valid.eq(offered),
            self.writes.payload.eq(bursts.bursts.payload),
            bursts.bursts.ready.eq(self.writes.ready & room),
            sent.eq(offered & self.writes.ready),
            lengths.w_en.eq(sent),
            lengths.w_data.eq(bursts.bursts.payload.len),
            places.w_en.eq(sent),
            places.w_data.eq(bursts.bursts.payload.addr),
            words.w_en.eq(reader.words.valid),
            words.w_data.eq(reader.words.payload),
            reader.words.ready.eq(words.w_rdy),
        ]
        index = Signal(8)
        last = Signal()
        m.d.comb += [
            last.eq(index == lengths.r_data),
            self.written.valid.eq(words.r_rdy & lengths.r_rdy),
            self.written.payload.eq(Cat(words.r_data, last)),
            self.beat.eq(self.written.valid & self.written.ready),
            words.r_en.eq(self.beat),
            lengths.r_en.eq(self.beat & last),
            self.answers.ready.eq(1),
            places.r_en.eq(self.answers.valid),
        ]
        with m.If(self.beat):
            m.d.sync += index.eq(Mux(last, 0, index + 1))
        outside = bursts.outside & ~self.stop
        bad = self.answers.valid & self.answers.payload.error & ~self.stop
        m.d.comb += [
            self.fault.valid.eq(outside | bad),
            self.fault.cause.eq(Mux(outside, Cause.RANGE, Cause.WRITE)),
            self.fault.address.eq(Mux(outside, bursts.address, places.r_data)),
            self.idle.eq(
                ~places.r_rdy
                & ~bursts.bursts.valid
                & (self.stop | (~bursts.busy & ~reader.busy & ~words.r_rdy))
            ),
        ]
        return m
