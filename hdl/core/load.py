"""The load engine: rows from memory into the buffers."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from lutcore.hdl.bus.axi import RowBursts, read_members
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.hdl.isa.pace import PAGE_BITS, PENDING
from lutcore.hdl.parts.pieces import parts


class Target(enum.Enum, shape=2):
    """Buffer that a load fills."""

    ACTIVATIONS = 0
    WEIGHTS = 1
    SCALES = 2
    PROGRAM = 3


def load_layout() -> data.StructLayout:
    """A load as decoded (:mod:`lutcore.hdl.isa.lmma`), and its target."""
    return data.StructLayout(
        {
            "target": 2,
            "mem": ADDRESS_BITS,
            "local": ADDRESS_BITS,
            "rows": 16,
            "bytes": 24,
            "pitch": 32,
            "signal": 1,
        }
    )


def fault_signature() -> wiring.Signature:
    """A fault of a transfer: ``valid`` for a cycle, ``cause``, ``address``."""
    return wiring.Signature({"valid": Out(1), "cause": Out(Cause), "address": Out(ADDRESS_BITS)})


class _Receipt:
    """The load whose words arrive, and where the next one goes."""

    def __init__(self, config: CoreConfig) -> None:
        self.active = Signal()  # a load is under way: words that arrive are its own
        self.where = Signal(ADDRESS_BITS)  # byte address in memory of the next word
        # buffer that is filled: 0 activations, 1 weights, 2 scales, 3 program
        self.target = Signal(2)
        self.row = Signal(ADDRESS_BITS)  # byte address in memory where the row starts
        self.place = Signal(ADDRESS_BITS)  # byte address in the buffer of the next word
        # byte address in all banks of this block of rows of activations
        self.block = Signal(ADDRESS_BITS)
        self.pitch = Signal(32)  # bytes in memory from row to row
        self.words = Signal(24)  # words of a row
        self.left = Signal(24)  # words of the row that are still to come
        self.rows = Signal(16)  # rows that are not complete, this one included
        # bytes of a row's last word; 0: all
        self.tail = Signal((config.bus_bits // 8 - 1).bit_length())
        self.signal = Signal()  # compute gets a token when the load is complete
        self.bank = Signal(range(config.m))  # bank of activations that the row goes to


class LoadEngine(wiring.Component):
    """Reads rows and writes them into buffers, the addresses of one load ahead of another's data.

    Members
    -------
    loads : In stream, :func:`load_layout`
        Rows to be read: where they lie in memory, and where they go in which buffer.
    reads, words : of :func:`~lutcore.hdl.bus.axi.read_members`
    window_low : In
        First page of 4 KiB that loads may touch; the program is not held to it.
    window_high : In
        First page above those that loads may touch.
    stop : In
        Begin no more bursts, and drop the words that still arrive.
    write_enable : Out, one bit of each :class:`Target`
        A word is written: bit 0 into activations, 1 weights, 2 scales, 3 the program.
    write_bank : Out
        Bank of activations that the word goes to.
    write_address : Out
        Byte address in the buffer that the word goes to.
    write_data : Out
        Word that is written; bytes behind the end of a row are 0.
    done : Out
        A load that signals is complete.
    fault : Out, :func:`fault_signature`
        A transfer failed: why, and at which byte address.
    idle : Out
        Nothing is under way.
    beat : Out
        A word arrives from memory.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        pages = ADDRESS_BITS - PAGE_BITS
        super().__init__(
            {
                "loads": In(stream.Signature(load_layout())),
                "window_low": In(pages),
                "window_high": In(pages + 1),
                "stop": In(1),
                "write_enable": Out(len(Target)),
                "write_bank": Out(range(config.m)),
                "write_address": Out(ADDRESS_BITS),
                "write_data": Out(config.bus_bits),
                "done": Out(1),
                "fault": Out(fault_signature()),
                "idle": Out(1),
                "beat": Out(1),
            }
            | read_members(config.bus_bits)
        )

    def elaborate(self, platform: object) -> Module:
        """Addresses go out on one side, and data comes in on the other."""
        m = Module()
        bus_bytes = self._config.bus_bits // 8
        load = self.loads.payload
        m.submodules.bursts = bursts = RowBursts(bus_bytes)
        layout = load_layout()
        m.submodules.pending = pending = SyncFIFO(width=layout.size, depth=PENDING)
        words = Signal(24)  # words of a row of the load that is offered
        expected = Signal(32)  # words that were asked for and have not come
        m.d.comb += [
            words.eq(parts(load.bytes, bus_bytes)),
            bursts.transfers.payload.mem.eq(load.mem),
            bursts.transfers.payload.rows.eq(load.rows),
            bursts.transfers.payload.words.eq(words),
            bursts.transfers.payload.pitch.eq(load.pitch),
            bursts.transfers.valid.eq(self.loads.valid & pending.w_rdy & ~self.stop),
            self.loads.ready.eq(bursts.transfers.ready & pending.w_rdy & ~self.stop),
            pending.w_en.eq(self.loads.valid & self.loads.ready),
            pending.w_data.eq(load),
            bursts.window_low.eq(self.window_low),
            bursts.window_high.eq(self.window_high),
            bursts.stop.eq(self.stop),
            self.reads.valid.eq(bursts.bursts.valid),
            self.reads.payload.eq(bursts.bursts.payload),
            bursts.bursts.ready.eq(self.reads.ready),
        ]
        checked = Signal()  # bursts must lie in the window: all but those of the program
        with m.If(self.loads.valid & self.loads.ready):
            m.d.sync += checked.eq(load.target != Target.PROGRAM.value)
        m.d.comb += bursts.checked.eq(checked)
        asked = Mux(self.reads.valid & self.reads.ready, bursts.bursts.payload.len + 1, 0)
        m.d.sync += expected.eq(expected + asked - self.beat)

        at = self._receive(m, pending, data.View(layout, pending.r_data))
        outside = bursts.outside & ~self.stop
        bad = self.beat & self.words.payload.error & ~self.stop
        m.d.comb += [
            self.fault.valid.eq(outside | bad),
            self.fault.cause.eq(Mux(outside, Cause.RANGE, Cause.READ)),
            self.fault.address.eq(Mux(outside, bursts.address, at.where)),
        ]
        with m.If(~outside & (at.target == Target.PROGRAM.value)):
            m.d.comb += self.fault.cause.eq(Cause.FETCH)
        stopped = self.stop & ~bursts.bursts.valid
        nothing = (expected == 0) & ~self.reads.valid
        m.d.comb += self.idle.eq(nothing & (stopped | (~bursts.busy & ~at.active & ~pending.r_rdy)))
        return m

    def _receive(self, m: Module, pending: SyncFIFO, head) -> _Receipt:
        """Words of the load at the head of ``pending`` to their places."""
        bus_bytes = self._config.bus_bits // 8
        at = _Receipt(self._config)
        ends_row = Signal()  # the next word is the last one of its row
        ends = Signal()  # the last word of the load arrives
        keep = Signal(bus_bytes)  # bytes of the word that belong to the row
        m.d.comb += [
            bit.eq(~ends_row | (at.tail == 0) | (at.tail > i if i < bus_bytes - 1 else 0))
            for i, bit in enumerate(keep)
        ]
        mask = Cat(bit.replicate(8) for bit in keep)
        m.d.comb += [
            self.words.ready.eq(at.active | self.stop),
            self.beat.eq(self.words.valid & self.words.ready),
            ends_row.eq(at.left == 1),
            ends.eq(self.beat & at.active & ends_row & (at.rows == 1)),
            self.done.eq(ends & at.signal),
            self.write_bank.eq(at.bank),
            self.write_address.eq(at.place),
            self.write_data.eq(self.words.payload.data & mask),
            self.write_enable.eq((self.beat & at.active & ~self.stop) << at.target),
            pending.r_en.eq(~at.active | ends),
        ]
        with m.If(self.beat):
            self._advance(m, at, ends_row)
        with m.If(pending.r_en):
            m.d.sync += [
                at.active.eq(pending.r_rdy),
                at.target.eq(head.target),
                at.row.eq(head.mem),
                at.where.eq(head.mem),
                at.place.eq(head.local),
                at.block.eq(head.local),
                at.pitch.eq(head.pitch),
                at.words.eq(parts(head.bytes, bus_bytes)),
                at.left.eq(parts(head.bytes, bus_bytes)),
                at.rows.eq(head.rows),
                at.tail.eq(head.bytes),
                at.signal.eq(head.signal),
                at.bank.eq(0),
            ]
        return at

    def _advance(self, m: Module, at: _Receipt, ends_row: Signal) -> None:
        """On to the next word; rows of activations go to their banks in turn."""
        bus_bytes = self._config.bus_bits // 8
        after = Signal(ADDRESS_BITS)  # byte address in the buffer of the word after this one
        m.d.comb += after.eq(at.place + bus_bytes)
        m.d.sync += [
            at.place.eq(after),
            at.where.eq(at.where + bus_bytes),
            at.left.eq(at.left - 1),
        ]
        is_act = at.target == Target.ACTIVATIONS.value
        with m.If(ends_row):
            m.d.sync += [
                at.left.eq(at.words),
                at.rows.eq(at.rows - 1),
                at.row.eq(at.row + at.pitch),
                at.where.eq(at.row + at.pitch),
                at.bank.eq(at.bank + 1),
            ]
            with m.If(is_act & (at.bank != self._config.m - 1)):
                m.d.sync += at.place.eq(at.block)
            with m.Else():
                m.d.sync += [at.block.eq(after), at.bank.eq(0)]
