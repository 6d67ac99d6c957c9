"""Block RAM that a core and the link share."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from fpga.gateware.words import WORD_BUS
from hdl.axi import PAGE_BITS, axi4_signature
from hdl.errors import InputError

_DECERR = 3


def check_memory(size: int) -> None:
    """Raise an :class:`InputError` where no memory has so many bytes."""
    least = 1 << PAGE_BITS
    if size < least or size & (size - 1):
        raise InputError(f"memory must be a power of two of {least} or more, not {size}")


class BlockMemory(wiring.Component):
    """Memory behind AXI4 and, between bursts, behind single words.

    A burst gives or takes a word a cycle. Beyond the memory both sides are answered with an error.

    Parameters
    ----------
    bits : int
        Bus width.
    size : int
        Bytes: a power of two, 4096 or more.

    Members
    -------
    bus : In, :func:`~hdl.axi.axi4_signature`
    words : In, :data:`~fpga.gateware.words.WORD_BUS`

    Raises
    ------
    InputError
        The size is none of those.
    """

    def __init__(self, bits: int, size: int):
        check_memory(size)
        self._bits, self._size = bits, size
        super().__init__({"bus": In(axi4_signature(bits)), "words": In(WORD_BUS)})

    def elaborate(self, platform: object) -> Module:
        """One port reads, one writes; words wait for the end of a burst."""
        m = Module()
        lane = (self._bits // 8).bit_length() - 1
        depth = self._size >> lane
        m.submodules.ram = ram = Memory(shape=self._bits, depth=depth, init=[])
        outside = Signal()
        m.d.comb += outside.eq(self.words.address >> self._size.bit_length() - 1 != 0)
        read_done = self._reads(m, ram.read_port(), lane, outside)
        write_done = self._writes(m, ram.write_port(granularity=8), lane, outside)
        m.d.comb += [self.words.done.eq(read_done | write_done), self.words.error.eq(outside)]
        return m

    def _reads(self, m: Module, port, lane: int, outside: Signal) -> Signal:
        """The read channels; returns when a word's read is done."""
        bus, words = self.bus, self.words
        place = Signal(len(port.addr))
        beats = Signal(9)
        done = Signal()
        beat, fetch = Signal(), Signal()
        high = self._size.bit_length() - 1
        m.d.comb += [
            fetch.eq(words.read & ~done & (beats == 0) & ~bus.rvalid),
            beat.eq((beats != 0) & (~bus.rvalid | bus.rready)),
            bus.arready.eq((beats == 0) & ~words.read & (~bus.rvalid | bus.rready)),
            port.addr.eq(Mux(fetch, words.address >> lane, place)),
            port.en.eq(fetch | beat),
            bus.rdata.eq(port.data),
            words.read_data.eq(port.data.word_select(_lane(words.address, lane), 32)),
        ]
        m.d.sync += done.eq(fetch)
        with m.If(beat):
            m.d.sync += [
                bus.rvalid.eq(1),
                bus.rlast.eq(beats == 1),
                place.eq(place + 1),
                beats.eq(beats - 1),
            ]
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        refused = Signal()
        m.d.comb += bus.rresp.eq(Mux(refused, _DECERR, 0))
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [
                beats.eq(bus.arlen + 1),
                place.eq(bus.araddr >> lane),
                refused.eq(bus.araddr >> high != 0),
            ]
        return done

    def _writes(self, m: Module, port, lane: int, outside: Signal) -> Signal:
        """The write channels; returns when a word's write is done."""
        bus, words = self.bus, self.words
        place = Signal(len(port.addr))
        refused = Signal()
        lanes = self._bits // 32
        done = Signal()
        high = self._size.bit_length() - 1
        m.d.comb += [
            done.eq(words.write & ~bus.wready),
            bus.awready.eq(~bus.wready & ~bus.bvalid & ~words.write),
            bus.bresp.eq(Mux(refused, _DECERR, 0)),
            port.addr.eq(Mux(bus.wready, place, words.address >> lane)),
            port.data.eq(Mux(bus.wready, bus.wdata, words.write_data.replicate(lanes))),
        ]
        with m.If(bus.wready):
            m.d.comb += port.en.eq(Mux(bus.wvalid & ~refused, bus.wstrb, 0))
        with m.Elif(words.write & ~outside):
            m.d.comb += port.en.word_select(_lane(words.address, lane), 4).eq(0b1111)
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [
                bus.wready.eq(1),
                place.eq(bus.awaddr >> lane),
                refused.eq(bus.awaddr >> high != 0),
            ]
        with m.Elif(bus.wvalid & bus.wready):
            m.d.sync += [
                place.eq(place + 1),
                bus.wready.eq(~bus.wlast),
                bus.bvalid.eq(bus.wlast),
            ]
        with m.Elif(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        return done


def _lane(address, lane: int):
    """Which 32 bits of a word of the bus an address means."""
    return address[2:lane] if lane > 2 else Const(0)
