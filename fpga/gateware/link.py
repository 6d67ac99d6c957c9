"""Executes the requests of the serial link."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.fpga.gateware.framing import FrameTransmitter
from lutcore.fpga.gateware.requests import RequestQueue
from lutcore.fpga.gateware.uart import UartReceiver, UartTransmitter
from lutcore.fpga.gateware.words import WORD_BUS
from lutcore.fpga.link.protocol import HEADER_BYTES, SEQUENCE, WORD_BYTES, Kind, Status


class Link(wiring.Component):
    """A UART whose requests (:mod:`lutcore.fpga.link.protocol`) read and write words.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    rx : In
    tx : Out
    words : Out, :data:`~lutcore.fpga.gateware.words.WORD_BUS`
    """

    rx: In(1, init=1)
    tx: Out(1, init=1)
    words: Out(WORD_BUS)

    def __init__(self, divisor: int):
        self._receiver = UartReceiver(divisor)
        self._transmitter = UartTransmitter(divisor)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        """Take a header, decide whether it is its turn, execute, answer."""
        m = Module()
        m.submodules.receiver = receiver = self._receiver
        m.submodules.transmitter = transmitter = self._transmitter
        m.submodules.queue = queue = RequestQueue()
        m.submodules.framer = framer = FrameTransmitter()
        wiring.connect(m, framer.raw, transmitter.bytes)
        m.d.comb += [
            receiver.line.eq(self.rx),
            self.tx.eq(transmitter.line),
            queue.raw.eq(receiver.data),
            queue.raw_valid.eq(receiver.valid),
        ]
        requests, replies = queue.bytes, framer.contents
        header = Signal(8 * HEADER_BYTES)
        first, sequence, words, address = (
            header[0:8], header[8:16], header[16:24], header[24:56],
        )  # fmt: skip
        kind = first[:2]
        due = Signal(range(SEQUENCE))
        behind = Signal(range(SEQUENCE))
        executes, ahead, failed = Signal(), Signal(), Signal()
        answered = Signal(range(SEQUENCE))
        count = Signal(range(max(HEADER_BYTES, WORD_BYTES)))
        left = Signal(8)
        data = Signal(32)
        taken = requests.valid & requests.ready
        sent = replies.valid & replies.ready
        m.d.comb += [
            behind.eq(due - sequence),
            self.words.write_data.eq(data),
        ]

        def next_word(m: Module, more: str, end: str) -> None:
            m.d.sync += [self.words.address.eq(self.words.address + WORD_BYTES), left.eq(left - 1)]
            with m.If(left == 1):
                m.next = end
            with m.Else():
                m.next = more

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += requests.ready.eq(1)
                with m.If(taken):
                    m.d.sync += [header.eq(Cat(header[8:], requests.payload)), count.eq(count + 1)]
                    with m.If(count == HEADER_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "DECIDE"
            with m.State("DECIDE"):
                hello = kind == Kind.HELLO
                turn = hello | (behind == 0)
                early = ~turn & (behind > SEQUENCE // 2)
                m.d.sync += [
                    executes.eq(turn),
                    ahead.eq(early),
                    answered.eq(Mux(early, due, sequence)),
                    self.words.address.eq(address),
                    left.eq(words),
                ]
                with m.If(turn):
                    m.d.sync += due.eq(sequence + 1)
                with m.If(hello):
                    m.d.sync += failed.eq(0)
                with m.If((kind == Kind.WRITE) & (words != 0)):
                    m.next = "DATA"
                with m.Else():
                    m.next = "FIRST"
            with m.State("DATA"):
                m.d.comb += requests.ready.eq(1)
                with m.If(taken):
                    m.d.sync += [data.eq(Cat(data[8:], requests.payload)), count.eq(count + 1)]
                    with m.If(count == WORD_BYTES - 1):
                        m.d.sync += count.eq(0)
                        m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.words.write.eq(executes)
                with m.If(self.words.done | ~executes):
                    m.d.sync += failed.eq(failed | (executes & self.words.error))
                    next_word(m, "DATA", "FIRST")
            with m.State("FIRST"):
                m.d.comb += [replies.valid.eq(1), replies.payload.data.eq(first)]
                with m.If(sent):
                    m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                m.d.comb += [replies.valid.eq(1), replies.payload.data.eq(answered)]
                with m.If(sent):
                    m.next = "STATUS"
                    with m.If((kind == Kind.READ) & ~ahead & (words != 0)):
                        m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.words.read.eq(1)
                with m.If(self.words.done):
                    m.d.sync += [
                        data.eq(self.words.read_data),
                        failed.eq(failed | self.words.error),
                    ]
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += [replies.valid.eq(1), replies.payload.data.eq(data)]
                with m.If(sent):
                    m.d.sync += [data.eq(data >> 8), count.eq(count + 1)]
                    with m.If(count == WORD_BYTES - 1):
                        m.d.sync += count.eq(0)
                        next_word(m, "READ", "STATUS")
            with m.State("STATUS"):
                status = Mux(failed, Status.ERROR, Mux(ahead, Status.GAP, Status.OK))
                m.d.comb += [
                    replies.valid.eq(1),
                    replies.payload.data.eq(status),
                    replies.payload.last.eq(1),
                ]
                with m.If(sent):
                    m.next = "HEADER"
        return m
