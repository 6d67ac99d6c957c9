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


class _SumWalk:
    """Where the walk over the sums of a store is: the next chunk of columns."""

    def __init__(self, config: CoreConfig) -> None:
        columns = config.drain_columns
        self.lanes = min(columns, config.bus_bits // 32)
        self.chunks = columns // self.lanes  # of a beat
        self.head = Signal(store_layout())  # store that is read
        self.active = Signal()  # sums of a store are still to be read
        self.row = Signal(range(config.m))  # row within its block
        self.chunk = Signal(range(max(self.chunks, 2)))  # chunk within its beat
        self.block = Signal(ADDRESS_BITS)  # byte address in the buffer of this block of rows
        self.place = Signal(ADDRESS_BITS)  # byte address in the buffer of the beat
        self.rows = Signal(16)  # rows that are not all read, this one included
        self.left = Signal(16)  # columns of the row that are still to be read
        # beats of the tile that are not all read, this one included
        self.beats = Signal(range(config.drain_beats + 1))
        self.ends_beat = Signal()  # the chunk is the last one of its beat
        self.ends_row = Signal()  # the chunk is the last one of its row
        self.ends = Signal()  # the chunk is the last one of the store

    def stage_layout(self) -> data.StructLayout:
        """Row and chunk of a beat, sums of it that count, whether the row ends, their type."""
        return data.StructLayout(
            {
                "row": self.row.shape(),
                "chunk": self.chunk.shape(),
                "count": range(self.lanes + 1),
                "last": 1,
                "type": 2,
            }
        )


class SumReader(wiring.Component):
    """Reads rows of sums, converts them and packs them into bus words.

    Members
    -------
    stores : In stream, :func:`store_layout`
        Sums to be read, and what they become.
    read_enable : Out
        Read the output buffer.
    read_address : Out
        Byte address in the output buffer of a beat of sums.
    read_data : In
        A beat of sums of a block's rows, one cycle later.
    words : Out stream
        Words for the bus: ``data``, and ``strb`` with a bit for each byte that counts.
    done : Out
        The last sums are read of a store that gives compute a token.
    busy : Out
        A store is not all read, or its last sums are not in a word yet.
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
        at = _SumWalk(config)
        free = Signal()  # the chunk out of the buffer moves on, or there is none
        # which sums of the beat out of the buffer count, and what they become
        stage = Signal(at.stage_layout())
        valid = Signal()  # a chunk comes out of the buffer
        after = Signal(ADDRESS_BITS)  # byte address in the buffer of the next beat
        next_block = Signal(ADDRESS_BITS)  # byte address in the buffer of the next block of rows
        m.d.comb += [
            self.stores.ready.eq(~at.active),
            self.busy.eq(at.active | valid),
            self.read_enable.eq(free),
            self.read_address.eq(at.place),
            at.ends_beat.eq(at.chunk == at.chunks - 1),
            at.ends_row.eq(at.left <= at.lanes),
            at.ends.eq(at.ends_row & (at.rows == 1)),
            self.done.eq(free & at.active & at.ends & at.head.signal),
            after.eq(at.place + units.acc),
            # A block's sums are whole tiles.
            next_block.eq(at.place + units.acc * at.beats),
        ]
        with m.If(~at.active):
            store = self.stores.payload
            m.d.sync += [
                at.active.eq(self.stores.valid),
                at.head.eq(store),
                at.block.eq(store.local),
                at.place.eq(store.local),
                at.rows.eq(store.rows),
                at.left.eq(store.columns),
                at.row.eq(0),
                at.chunk.eq(0),
                at.beats.eq(config.drain_beats),
            ]
        with m.Elif(free):
            self._advance(m, at, after, next_block)
        with m.If(free):
            m.d.sync += [
                valid.eq(at.active),
                stage.row.eq(at.row),
                stage.chunk.eq(at.chunk),
                stage.count.eq(Mux(at.ends_row, at.left, at.lanes)),
                stage.last.eq(at.ends_row),
                stage.type.eq(at.head.type),
            ]
        self._gather(m, stage, valid, free, at.lanes)
        return m

    def _advance(self, m: Module, at: _SumWalk, after: Signal, next_block: Signal) -> None:
        """On to the next chunk: along a row, and along the rows of a block."""
        config = self._config
        m.d.sync += [at.left.eq(at.left - at.lanes), at.chunk.eq(at.chunk + 1)]
        with m.If(at.ends_beat):
            m.d.sync += [
                at.chunk.eq(0),
                at.place.eq(after),
                at.beats.eq(Mux(at.beats == 1, config.drain_beats, at.beats - 1)),
            ]
        with m.If(at.ends_row):
            m.d.sync += [
                at.chunk.eq(0),
                at.beats.eq(config.drain_beats),
                at.left.eq(at.head.columns),
                at.rows.eq(at.rows - 1),
                at.row.eq(at.row + 1),
                at.place.eq(at.block),
                at.active.eq(~at.ends),
            ]
            with m.If(at.row == config.m - 1):
                m.d.sync += [
                    at.row.eq(0),
                    at.block.eq(next_block),
                    at.place.eq(next_block),
                ]

    def _gather(self, m: Module, stage, valid, free, lanes: int) -> None:
        """Selected columns, converted, side by side until a bus word is full."""
        config = self._config
        bus = config.bus_bits
        size = lanes * 32
        rows = Signal(config.drain_columns * 32)  # the row's sums of the beat
        sums = Signal(size)  # the chunk's sums, 32 bits each
        m.d.comb += [
            rows.eq(self.read_data.word_select(stage.row, len(rows))),
            sums.eq(rows.word_select(stage.chunk, size)),
        ]
        half = Signal()  # sums become FP16 or BF16
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
        chunk = Signal(size)  # the chunk as it is stored, first column lowest
        mask = Signal(size // 8)  # bytes of the chunk that count, a bit each
        with m.If(half):
            m.d.comb += [
                chunk.eq(Mux(stage.type == min(halves), halves[min(halves)], halves[max(halves)])),
                mask.eq(Cat(bit.replicate(2) for bit in present)),
            ]
        with m.Else():
            m.d.comb += [chunk.eq(sums), mask.eq(Cat(bit.replicate(4) for bit in present))]
        # Chunks come in halves of `size`: four-byte types fill two places.
        places = 2 * bus // size
        # places of the word that are taken, each half a chunk of 32-bit sums
        filled = Signal(range(places))
        word = Signal(bus)  # what is gathered of the next word for the bus
        strobes = Signal(bus // 8)  # bytes of the gathered word that count, a bit each
        merged = Signal(bus)  # the gathered word with the chunk in its place
        merged_strobes = Signal(bus // 8)  # bytes of the merged word that count, a bit each
        full = Signal()  # the word is complete, or the row ends with it
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
        Rows of sums: where they lie in the output buffer, where they go in memory, and as what.
    writes, written, answers : of :func:`~lutcore.hdl.bus.axi.write_members`
    read_enable, read_address, read_data : as :class:`SumReader`
    window_low : In
        First page of 4 KiB that stores may touch.
    window_high : In
        First page above those that stores may touch.
    stop : In
        Begin no more bursts.
    done : Out
        The sums of a store that signals are read: their place is free.
    fault : Out, :func:`~lutcore.hdl.core.load.fault_signature`
        A transfer failed: why, and at which byte address.
    idle : Out
        Nothing is under way, and all is answered.
    beat : Out
        A word leaves for memory.
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
        bus_bits, bus_bytes = self._config.bus_bits, self._config.bus_bits // 8
        m.submodules.bursts = bursts = RowBursts(bus_bytes)
        m.submodules.reader = reader = SumReader(self._config)
        m.submodules.words = words = SyncFIFO(width=bus_bits + bus_bytes, depth=WORDS)
        m.submodules.lengths = lengths = SyncFIFO(width=8, depth=OUTSTANDING)
        m.submodules.places = places = SyncFIFO(width=ADDRESS_BITS, depth=OUTSTANDING)
        self._begin(m, bursts, reader)
        self._address(m, bursts, lengths, places)
        m.d.comb += [
            words.w_en.eq(reader.words.valid),
            words.w_data.eq(reader.words.payload),
            reader.words.ready.eq(words.w_rdy),
        ]
        self._write(m, words, lengths)
        m.d.comb += [self.answers.ready.eq(1), places.r_en.eq(self.answers.valid)]
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

    def _begin(self, m: Module, bursts: RowBursts, reader: SumReader) -> None:
        """A store goes to both: its rows in memory, and its sums in the buffer."""
        store = self.stores.payload
        size = Signal(18)  # bytes of a row in memory
        halves = Cat(store.type == code for code in _HALVES).any()
        m.d.comb += size.eq(Mux(halves, store.columns << 1, store.columns << 2))
        begins = Signal()  # a store may begin: its sums and its bursts at once
        m.d.comb += [
            begins.eq(reader.stores.ready & bursts.transfers.ready & ~self.stop),
            self.stores.ready.eq(begins),
            reader.stores.valid.eq(self.stores.valid & begins),
            bursts.transfers.valid.eq(self.stores.valid & begins),
            reader.stores.payload.eq(store),
            bursts.transfers.payload.mem.eq(store.mem),
            bursts.transfers.payload.rows.eq(store.rows),
            bursts.transfers.payload.words.eq(parts(size, self._config.bus_bits // 8)),
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

    def _address(self, m: Module, bursts: RowBursts, lengths: SyncFIFO, places: SyncFIFO) -> None:
        """Bursts to the bus: their lengths are kept for the data, their places for a fault."""
        room = lengths.w_rdy & places.w_rdy
        sent = Signal()  # the address of a burst is taken
        offered = Signal()  # the address of a burst is offered, and stays: room does not go away
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
        ]

    def _write(self, m: Module, words: SyncFIFO, lengths: SyncFIFO) -> None:
        """Words to the bus, the last one of each burst marked."""
        index = Signal(8)  # beat within its burst
        last = Signal()  # the word is the last one of its burst
        m.d.comb += [
            last.eq(index == lengths.r_data),
            self.written.valid.eq(words.r_rdy & lengths.r_rdy),
            self.written.payload.eq(Cat(words.r_data, last)),
            self.beat.eq(self.written.valid & self.written.ready),
            words.r_en.eq(self.beat),
            lengths.r_en.eq(self.beat & last),
        ]
        with m.If(self.beat):
            m.d.sync += index.eq(Mux(last, 0, index + 1))
