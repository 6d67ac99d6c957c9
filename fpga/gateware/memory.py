"""The memory that a core and the link share, whatever it is stored in."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lutcore.fpga.gateware.words import WORD_BUS
from lutcore.hdl.bus.axi import axi4_signature

_DECERR = 3


def tag_layout() -> data.StructLayout:
    """What comes back with a word that was read: ``last`` of its burst, ``error``, ``host``."""
    return data.StructLayout({"last": 1, "error": 1, "host": 1})


def store_signature(bits: int, size: int) -> wiring.Signature:
    """A store of ``size`` bytes as :class:`SharedMemory` uses it, in words of ``bits``.

    ``reads`` are answered in their order as ``answers``; of ``writes`` only strobed bytes count.
    What is accepted later comes later: a read that is accepted after a write sees it. ``last``
    ends a burst, after which the other side may come. A store never waits for one side to offer
    what the other side must give first.
    """
    address = (size * 8 // bits - 1).bit_length()
    tag = tag_layout()
    write = {"address": address, "data": bits, "strb": bits // 8, "last": 1}
    return wiring.Signature(
        {
            "reads": Out(stream.Signature(data.StructLayout({"address": address, "tag": tag}))),
            "answers": In(stream.Signature(data.StructLayout({"data": bits, "tag": tag}))),
            "writes": Out(stream.Signature(data.StructLayout(write))),
        }
    )


class SharedMemory(wiring.Component):
    """A store behind AXI4 and, between bursts, behind single words.

    A burst gives or takes a word a cycle where the store does. Beyond the memory both sides are
    answered with an error.

    Parameters
    ----------
    bits : int
        Bus width.
    size : int
        Bytes, a power of two.
    store : Component
        With a port ``words``, :func:`store_signature`; it becomes a part of this.

    Members
    -------
    bus : In, :func:`~lutcore.hdl.bus.axi.axi4_signature`
    words : In, :data:`~lutcore.fpga.gateware.words.WORD_BUS`
    pins : Out
        The store's, if it has pins.
    """

    def __init__(self, bits: int, size: int, store: Any):
        self._bits, self._size, self._store = bits, size, store
        self.pins: Any
        members = {"bus": In(axi4_signature(bits)), "words": In(WORD_BUS)}
        if "pins" in store.signature.members:
            members["pins"] = store.signature.members["pins"]
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """One side reads, one writes; the host's words wait for the end of a burst."""
        m = Module()
        m.submodules.store = store = self._store
        if "pins" in self.signature.members:
            wiring.connect(m, store.pins, wiring.flipped(self.pins))
        lane = (self._bits // 8).bit_length() - 1
        outside = Signal()
        m.d.comb += outside.eq(self.words.address >> self._size.bit_length() - 1 != 0)
        read_done = self._reads(m, store.words, lane)
        write_done = self._writes(m, store.words, lane, outside)
        m.d.comb += [self.words.done.eq(read_done | write_done), self.words.error.eq(outside)]
        return m

    def _reads(self, m: Module, port: Any, lane: int) -> Value:
        """The read channels; returns when a word's read is done."""
        bus, words = self.bus, self.words
        reads, answers = port.reads, port.answers
        place = Signal(len(reads.payload.address))
        beats = Signal(9)
        refused, asked = Signal(), Signal()
        burst = beats != 0
        tag = answers.payload.tag
        done = answers.valid & tag.host
        m.d.comb += [
            bus.arready.eq(~burst & ~words.read),
            reads.valid.eq(burst | (words.read & ~asked)),
            reads.payload.address.eq(Mux(burst, place, words.address >> lane)),
            reads.payload.tag.last.eq(~burst | (beats == 1)),
            reads.payload.tag.error.eq(refused),
            reads.payload.tag.host.eq(~burst),
            answers.ready.eq(tag.host | bus.rready),
            bus.rvalid.eq(answers.valid & ~tag.host),
            bus.rdata.eq(answers.payload.data),
            bus.rlast.eq(tag.last),
            bus.rresp.eq(Mux(tag.error, _DECERR, 0)),
            words.read_data.eq(answers.payload.data.word_select(_lane(words.address, lane), 32)),
        ]
        with m.If(done):
            m.d.sync += asked.eq(0)
        with m.Elif(~burst & reads.valid & reads.ready):
            m.d.sync += asked.eq(1)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [
                beats.eq(bus.arlen + 1),
                place.eq(bus.araddr >> lane),
                refused.eq(bus.araddr >> self._size.bit_length() - 1 != 0),
            ]
        with m.Elif(burst & reads.ready):
            m.d.sync += [place.eq(place + 1), beats.eq(beats - 1)]
        return done

    def _writes(self, m: Module, port: Any, lane: int, outside: Signal) -> Value:
        """The write channels; returns when a word's write is done."""
        bus, words, writes = self.bus, self.words, port.writes
        place = Signal(len(writes.payload.address))
        refused, burst = Signal(), Signal()
        m.d.comb += [
            bus.awready.eq(~burst & ~bus.bvalid & ~words.write),
            bus.wready.eq(burst & writes.ready),
            bus.bresp.eq(Mux(refused, _DECERR, 0)),
            writes.valid.eq(Mux(burst, bus.wvalid, words.write)),
            writes.payload.address.eq(Mux(burst, place, words.address >> lane)),
            writes.payload.data.eq(
                Mux(burst, bus.wdata, words.write_data.replicate(self._bits // 32))
            ),
            writes.payload.last.eq(~burst | bus.wlast),
        ]
        with m.If(burst):
            m.d.comb += writes.payload.strb.eq(Mux(refused, 0, bus.wstrb))
        with m.Elif(~outside):
            word = writes.payload.strb.word_select(_lane(words.address, lane), 4)
            m.d.comb += word.eq(0b1111)
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [
                burst.eq(1),
                place.eq(bus.awaddr >> lane),
                refused.eq(bus.awaddr >> self._size.bit_length() - 1 != 0),
            ]
        with m.Elif(bus.wvalid & bus.wready):
            m.d.sync += [place.eq(place + 1), burst.eq(~bus.wlast), bus.bvalid.eq(bus.wlast)]
        with m.Elif(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        return words.write & ~burst & writes.ready


def _lane(address: Value, lane: int) -> Value:
    """Which 32 bits of a word of the bus an address means."""
    return address[2:lane] if lane > 2 else Const(0)
