"""Requests that arrived whole, in a queue of bytes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from lutcore.fpga.gateware.framing import FrameReceiver
from lutcore.fpga.link.protocol import CRC_BYTES, HEADER_BYTES, WORD_BYTES, Kind

#: Bytes of the queue: three of the longest writes.
_DEPTH = 1024


class PacketFifo(wiring.Component):
    """A queue of bytes, which leave when their packet is complete.

    Bytes that find no room are lost, as ``length`` shows.

    Members
    -------
    data, valid : In
        A byte of a packet.
    commit, drop : In
        End of a packet: keep it without the last ``trimmed`` bytes, or forget it.
    length : Out
        Bytes of the packet so far.
    bytes : Out stream, 8 bits
    """

    def __init__(self, depth: int, trimmed: int):
        self._depth, self._trimmed = depth, trimmed
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "commit": In(1),
                "drop": In(1),
                "length": Out(range(depth + 1)),
                "bytes": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A ring with three places: read, committed, written."""
        m = Module()
        depth = self._depth
        m.submodules.ram = ram = Memory(shape=8, depth=depth, init=[])
        write, read = ram.write_port(), ram.read_port()
        tail, committed, head = (
            Signal(range(2 * depth), name=name) for name in ("tail", "committed", "head")
        )
        used = Signal(range(depth + 1))
        m.d.comb += [
            used.eq((tail - head)[: len(tail)]),
            self.length.eq((tail - committed)[: len(tail)]),
            write.addr.eq(tail),
            write.data.eq(self.data),
            write.en.eq(self.valid & (used != depth)),
            read.addr.eq(head),
            read.en.eq((head != committed) & (~self.bytes.valid | self.bytes.ready)),
            self.bytes.payload.eq(read.data),
        ]
        with m.If(self.commit):
            end = (tail - self._trimmed)[: len(tail)]
            m.d.sync += [tail.eq(end), committed.eq(end)]
        with m.Elif(self.drop):
            m.d.sync += tail.eq(committed)
        with m.Elif(write.en):
            m.d.sync += tail.eq(tail + 1)
        with m.If(read.en):
            m.d.sync += [head.eq(head + 1), self.bytes.valid.eq(1)]
        with m.Elif(self.bytes.ready):
            m.d.sync += self.bytes.valid.eq(0)
        return m


class RequestQueue(wiring.Component):
    """Requests with a right CRC and the length that their header says.

    Members
    -------
    raw, raw_valid : In
        A byte of the line.
    bytes : Out stream, 8 bits
        Headers and data of requests, without CRC.
    """

    raw: In(8)
    raw_valid: In(1)
    bytes: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        """Note kind and words of a frame, to judge its length when it ends."""
        m = Module()
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.fifo = fifo = PacketFifo(_DEPTH, trimmed=CRC_BYTES)
        kind = Signal(Kind)
        words = Signal(8)
        payload = Mux(kind == Kind.WRITE, words * WORD_BYTES, 0)
        right = fifo.length == HEADER_BYTES + CRC_BYTES + payload
        m.d.comb += [
            receiver.raw.eq(self.raw),
            receiver.raw_valid.eq(self.raw_valid),
            fifo.data.eq(receiver.data),
            fifo.valid.eq(receiver.valid),
            fifo.commit.eq(receiver.end & receiver.good & right),
            fifo.drop.eq(receiver.end),
        ]
        wiring.connect(m, fifo.bytes, wiring.flipped(self.bytes))
        with m.If(receiver.valid & (fifo.length == 0)):
            m.d.sync += kind.eq(receiver.data)
        with m.If(receiver.valid & (fifo.length == 2)):
            m.d.sync += words.eq(receiver.data)
        return m
