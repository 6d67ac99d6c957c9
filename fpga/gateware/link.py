"""Executes the requests of the serial link."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.fpga.gateware.framing import FrameTransmitter
from lutcore.fpga.gateware.requests import RequestQueue
from lutcore.fpga.gateware.uart import UartReceiver, UartTransmitter
from lutcore.fpga.gateware.words import WORD_BUS
from lutcore.fpga.link.protocol import HEADER_BYTES, SEQUENCE, WORD_BYTES, Kind, Status


class _Request:
    """The request that is under way, and which is due next."""

    def __init__(self) -> None:
        self.header = Signal(8 * HEADER_BYTES)
        self.due = Signal(range(SEQUENCE))
        self.behind = Signal(range(SEQUENCE))
        self.executes, self.ahead = Signal(), Signal()
        self.failed = Signal()
        self.answered = Signal(range(SEQUENCE))
        self.count = Signal(range(max(HEADER_BYTES, WORD_BYTES)))  # bytes of header or word
        self.left = Signal(8)
        self.data = Signal(32)
        self.first, self.sequence, self.words, self.address = (
            self.header[0:8], self.header[8:16], self.header[16:24], self.header[24:56],
        )  # fmt: skip
        self.kind = self.first[:2]


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
        request = _Request()
        m.d.comb += [
            request.behind.eq(request.due - request.sequence),
            self.words.write_data.eq(request.data),
        ]
        with m.FSM():
            with m.State("HEADER"):
                self._gather(m, request, queue.bytes, request.header, "DECIDE")
            with m.State("DECIDE"):
                self._decide(m, request)
            with m.State("DATA"):
                self._gather(m, request, queue.bytes, request.data, "WRITE")
            with m.State("WRITE"):
                m.d.comb += self.words.write.eq(request.executes)
                with m.If(self.words.done | ~request.executes):
                    error = request.executes & self.words.error
                    m.d.sync += request.failed.eq(request.failed | error)
                    self._next_word(m, request, "DATA", "FIRST")
            self._answer(m, request, framer.contents)
        return m

    def _gather(
        self, m: Module, request: _Request, requests: Any, target: Signal, after: str
    ) -> None:
        """Bytes of the request into ``target`` until it is full."""
        m.d.comb += requests.ready.eq(1)
        with m.If(requests.valid & requests.ready):
            m.d.sync += [
                target.eq(Cat(target[8:], requests.payload)),
                request.count.eq(request.count + 1),
            ]
            with m.If(request.count == len(target) // 8 - 1):
                m.d.sync += request.count.eq(0)
                m.next = after

    def _decide(self, m: Module, request: _Request) -> None:
        """Whether the request is new: one that comes again is answered and not executed."""
        hello = request.kind == Kind.HELLO
        turn = hello | (request.behind == 0)
        early = ~turn & (request.behind > SEQUENCE // 2)
        m.d.sync += [
            request.executes.eq(turn),
            request.ahead.eq(early),
            request.answered.eq(Mux(early, request.due, request.sequence)),
            self.words.address.eq(request.address),
            request.left.eq(request.words),
        ]
        with m.If(turn):
            m.d.sync += request.due.eq(request.sequence + 1)
        with m.If(hello):
            m.d.sync += request.failed.eq(0)
        with m.If((request.kind == Kind.WRITE) & (request.words != 0)):
            m.next = "DATA"
        with m.Else():
            m.next = "FIRST"

    def _next_word(self, m: Module, request: _Request, more: str, end: str) -> None:
        """On to the next word, or out of the words."""
        m.d.sync += [
            self.words.address.eq(self.words.address + WORD_BYTES),
            request.left.eq(request.left - 1),
        ]
        with m.If(request.left == 1):
            m.next = end
        with m.Else():
            m.next = more

    def _answer(self, m: Module, request: _Request, replies: Any) -> None:
        """The states of an answer: kind, sequence, words that were read, status."""
        sent = replies.valid & replies.ready
        with m.State("FIRST"):
            m.d.comb += [replies.valid.eq(1), replies.payload.data.eq(request.first)]
            with m.If(sent):
                m.next = "SEQUENCE"
        with m.State("SEQUENCE"):
            m.d.comb += [replies.valid.eq(1), replies.payload.data.eq(request.answered)]
            with m.If(sent):
                m.next = "STATUS"
                with m.If((request.kind == Kind.READ) & ~request.ahead & (request.words != 0)):
                    m.next = "READ"
        with m.State("READ"):
            m.d.comb += self.words.read.eq(1)
            with m.If(self.words.done):
                m.d.sync += [
                    request.data.eq(self.words.read_data),
                    request.failed.eq(request.failed | self.words.error),
                ]
                m.next = "ANSWER"
        with m.State("ANSWER"):
            m.d.comb += [replies.valid.eq(1), replies.payload.data.eq(request.data)]
            with m.If(sent):
                m.d.sync += [
                    request.data.eq(request.data >> 8),
                    request.count.eq(request.count + 1),
                ]
                with m.If(request.count == WORD_BYTES - 1):
                    m.d.sync += request.count.eq(0)
                    self._next_word(m, request, "READ", "STATUS")
        with m.State("STATUS"):
            status = Mux(request.failed, Status.ERROR, Mux(request.ahead, Status.GAP, Status.OK))
            m.d.comb += [
                replies.valid.eq(1),
                replies.payload.data.eq(status),
                replies.payload.last.eq(1),
            ]
            with m.If(sent):
                m.next = "HEADER"
