"""UART, eight data bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from lutcore.errors import InputError

#: Fewest clock cycles of a bit: the receiver samples in its middle.
SHORTEST_BIT = 4


def check_divisor(divisor: int) -> None:
    """Raise an :class:`InputError` where a bit is too short to be sampled."""
    if divisor < SHORTEST_BIT:
        raise InputError(f"a bit must take {SHORTEST_BIT} clock cycles or more, not {divisor}")


class UartReceiver(wiring.Component):
    """Bytes from a line.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit, 4 or more.

    Members
    -------
    line : In
        Asynchronous.
    data, valid : Out
        A byte, for one cycle. One without a stop bit is dropped.
    """

    def __init__(self, divisor: int):
        check_divisor(divisor)
        self._divisor = divisor
        super().__init__({"line": In(1, init=1), "data": Out(8), "valid": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Wait for a start bit, then sample in the middle of each bit."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.line, line, init=1)
        wait = Signal(range(self._divisor * 3 // 2))
        bits = Signal(range(10))  # yet to come, the stop bit included
        m.d.sync += self.valid.eq(0)
        with m.If(bits == 0):
            m.d.sync += wait.eq(self._divisor * 3 // 2 - 1)
            with m.If(~line):
                m.d.sync += bits.eq(9)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [wait.eq(self._divisor - 1), bits.eq(bits - 1)]
            with m.If(bits == 1):
                m.d.sync += self.valid.eq(line)
            with m.Else():
                m.d.sync += self.data.eq(Cat(self.data[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """A line from bytes.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Members
    -------
    bytes : In stream, 8 bits
    line : Out
    """

    def __init__(self, divisor: int):
        check_divisor(divisor)
        self._divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        """Shift start bit, data and stop bit out."""
        m = Module()
        wait = Signal(range(self._divisor))
        bits = Signal(range(11))
        shift = Signal(9)
        m.d.comb += self.bytes.ready.eq(bits == 0)
        with m.If(bits == 0):
            with m.If(self.bytes.valid):
                m.d.sync += [
                    self.line.eq(0),
                    shift.eq(Cat(self.bytes.payload, Const(1, 1))),
                    bits.eq(10),
                    wait.eq(self._divisor - 1),
                ]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [
                self.line.eq(shift[0]),
                shift.eq(Cat(shift[1:], Const(1, 1))),
                bits.eq(bits - 1),
                wait.eq(self._divisor - 1),
            ]
        return m
