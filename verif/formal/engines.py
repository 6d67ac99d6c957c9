"""Harnesses of whole engines with their AXI side, for :mod:`lutcore.verif.formal.properties`."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from collections.abc import Callable

from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect

from lutcore.hdl.bus.axi import AxiMaster, read_members, write_members
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.load import LoadEngine, Target, load_layout
from lutcore.hdl.core.store import StoreEngine, store_layout
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS, OUTPUTS
from lutcore.hdl.isa.pace import PAGE_BITS
from lutcore.verif.samples.cores import SMALL_CORES

#: Few columns and a narrow bus keep the solver fast.
CONFIG = SMALL_CORES["w4a8"].replace(bus_bits=64, m=1)


def stays(m: Module, name: str, valid: Value, ready: Value, payload: Value) -> None:
    """AXI: what is offered stays offered and unchanged until it is taken."""
    waited = Signal(name=f"{name}_waited")
    before = Signal(len(payload), name=f"{name}_before")
    m.d.sync += [waited.eq(valid & ~ready), before.eq(payload)]
    with m.If(waited):
        m.d.comb += [Assert(valid), Assert(payload == before)]


class _EngineProperties(wiring.Component):
    """An engine with a master, free instructions, and a memory that answers what was asked.

    Addresses stay offered, are bursts of whole words within 4 KiB and the window, and after the
    end of all work nothing is owed.
    """

    #: Layout and stream of the instructions, and the streams to memory.
    layout: Callable
    engine: type
    instructions: str
    streams: Callable
    channel: str

    def __init__(self, config: CoreConfig = CONFIG):
        self._config = config
        pages = ADDRESS_BITS - PAGE_BITS
        bits = config.bus_bits
        free = {
            "instruction": type(self).layout(),
            "begin": 1,
            "address_ready": 1,
            "data_valid": 1,
            "data_ready": 1,
            "error": 1,
            "data": bits,
            "sums": config.drain_columns * config.m * 32,
            "window_low": pages,
            "window_high": pages + 1,
            "stop": 1,
            "watch": 1,
        }
        super().__init__({name: In(shape) for name, shape in free.items()})

    def elaborate(self, platform: object) -> Module:
        """What both engines share."""
        m = Module()
        config = self._config
        shift = (config.bus_bits // 8).bit_length() - 1
        m.submodules.engine = engine = type(self).engine(config)
        m.submodules.master = master = AxiMaster(config.bus_bits)
        for name in type(self).streams(config.bus_bits):
            connect(m, getattr(engine, name), getattr(master, name))
        stream = getattr(engine, type(self).instructions)
        bus, channel, work = master.bus, type(self).channel, self.instruction
        started = Signal()
        stopped = Signal()
        window = Signal(len(self.window_low) + len(self.window_high))
        now = Cat(self.window_low, self.window_high)
        m.d.sync += [started.eq(1), window.eq(now), stopped.eq(self.stop)]
        with m.If(started):  # the window is the host's, and stays; the sequencer stops for good
            m.d.comb += [Assume(window == now), Assume(~stopped | self.stop)]
        m.d.comb += [
            # As the decoder has them: aligned, not empty. Small sizes keep the solver fast.
            Assume((work.mem[:shift] == 0) & (work.mem[15:] == 0)),
            Assume((work.pitch[:shift] == 0) & (work.pitch[14:] == 0)),
            Assume((work.rows > 0) & (work.rows <= 2)),
            stream.payload.eq(work),
            stream.valid.eq(self.begin),
            engine.window_low.eq(self.window_low),
            engine.window_high.eq(self.window_high),
            engine.stop.eq(self.stop),
        ]
        valid, length = (getattr(bus, f"{channel}{name}") for name in ("valid", "len"))
        address = getattr(bus, f"{channel}addr")
        size = Signal(PAGE_BITS + 1)
        beats = Signal(9)
        page = address[PAGE_BITS:]
        m.d.comb += [
            getattr(bus, f"{channel}ready").eq(self.address_ready),
            beats.eq(length + 1),
            size.eq(beats << shift),
        ]
        stays(m, "address", valid, self.address_ready, Cat(address, length))
        with m.If(valid):
            m.d.comb += [
                Assert(address[:shift] == 0),
                Assert(address[:PAGE_BITS] + size <= 1 << PAGE_BITS),
                Assert(self._unchecked() | (page >= self.window_low) & (page < self.window_high)),
            ]
        self._data(m, engine, bus, (valid & self.address_ready, beats))
        return m

    def _unchecked(self) -> Value:
        return Const(0, 1)

    def _data(self, m: Module, engine, bus, asked: tuple[Value, Value]) -> None:
        raise NotImplementedError


class LoadProperties(_EngineProperties):
    """The load engine: it takes each word that it asked for, and is idle when all have come."""

    layout, engine, instructions = staticmethod(load_layout), LoadEngine, "loads"
    streams, channel = staticmethod(read_members), "ar"

    def _data(self, m: Module, engine, bus, asked) -> None:
        work = self.instruction
        sent, beats = asked
        owed = Signal(12)
        taken = bus.rvalid & bus.rready
        m.d.sync += owed.eq(owed + (beats & sent.replicate(9)) - taken)
        m.d.comb += [
            Assume((work.bytes > 0) & (work.bytes <= 4096)),
            Assume(work.target != Target.PROGRAM.value),
            Assume(~self.data_valid | (owed > 0)),
            bus.rvalid.eq(self.data_valid),
            bus.rdata.eq(self.data),
            bus.rresp.eq(Cat(Const(0, 1), self.error)),
            Assert(taken == (engine.write_enable.any() | (taken & self.stop))),
            Assert(~engine.idle | (owed == 0)),
            Assert(~engine.fault.valid | ~self.stop),
        ]


class StoreProperties(_EngineProperties):
    """The store engine: strobed bytes are those of its columns, words follow their requests, and
    WLAST is the last word of its burst."""

    layout, engine, instructions = staticmethod(store_layout), StoreEngine, "stores"
    streams, channel = staticmethod(write_members), "aw"

    def _data(self, m: Module, engine, bus, asked) -> None:
        work = self.instruction
        # What the master was asked for: it may send data before it is rid of their address.
        sent, beats = engine.writes.valid & engine.writes.ready, engine.writes.payload.len + 1
        units = Units.of(self._config)
        words = Signal(12)  # asked for and not sent
        answers = Signal(6)  # bursts that are not answered
        left = Signal(12)  # bytes of the stores that began
        taken = bus.wvalid & bus.wready
        answered = bus.bvalid & bus.bready
        halves = (work.type == OUTPUTS.index("fp16")) | (work.type == OUTPUTS.index("bf16"))
        size = Signal(8)
        strobed = Signal(range(len(bus.wstrb) + 1))
        begun = engine.stores.valid & engine.stores.ready
        bytes_ = Signal(12)
        # Any one burst is watched: its words that are to come, and those of the bursts before it.
        watched, ahead, own = Signal(), Signal(12), Signal(9)
        m.d.sync += [
            watched.eq(watched | (sent & self.watch)),
            ahead.eq(Mux(watched, ahead - (taken & (ahead > 0)), words - taken)),
            own.eq(Mux(watched, own - (taken & (ahead == 0) & (own > 0)), beats)),
        ]
        m.d.sync += [
            words.eq(words + (beats & sent.replicate(9)) - taken),
            answers.eq(answers + sent - answered),
            left.eq(left + (bytes_ & begun.replicate(12)) - (strobed & taken.replicate(8))),
        ]
        m.d.comb += [
            Assume((work.columns > 0) & (work.columns <= 8)),
            Assume(work.local[: units.acc.bit_length() - 1] == 0),
            Assume(~self.data_valid | (answers > 0)),
            size.eq(work.columns << (1 + ~halves)),
            bytes_.eq(size << (work.rows == 2)),
            strobed.eq(sum(bus.wstrb)),
            engine.read_data.eq(self.sums),
            bus.wready.eq(self.data_ready),
            bus.bvalid.eq(self.data_valid),
            bus.bresp.eq(Cat(Const(0, 1), self.error)),
            Assert(~engine.idle | (answers == 0)),
            Assert(~engine.idle | self.stop | ((left == 0) & (words == 0))),
        ]
        stays(m, "word", bus.wvalid, bus.wready, Cat(bus.wdata, bus.wstrb, bus.wlast))
        with m.If(bus.wvalid & watched & (ahead == 0) & (own > 0)):
            m.d.comb += Assert(bus.wlast == (own == 1))
        with m.If(bus.wvalid):
            m.d.comb += [
                Assert(words > 0),
                Assert(left >= strobed),
                # Bytes of a row from its first on, none left out.
                Assert(bus.wstrb[0] & ((bus.wstrb & (bus.wstrb + 1)) == 0)),
            ]
