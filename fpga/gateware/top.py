"""What goes into an FPGA: clock, reset, and the board's own logic."""

from amaranth.hdl import ClockDomain, ClockSignal, Const, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.fpga.boards.pll import Pll
from lutcore.fpga.gateware.sdram_pads import sdram_members, sdram_pads

#: Cycles of reset after power comes on: block RAM of iCE40 needs 3 us.
RESET_CYCLES = 256


class Top(wiring.Component):
    """A board with its clock made of the oscillator's, and a reset when power comes on.

    Parameters
    ----------
    board : Component
        With ``rx`` and ``tx``.
    pll : Pll or None
        Makes the clock; without one it is the oscillator's.

    Members
    -------
    oscillator, rx : In
    tx : Out
    sdram_* : Out
        Of a board with SDRAM, as the chip's pins are named; ``sdram_dq`` is a port both ways.
    """

    oscillator: Signal
    rx: Signal
    tx: Signal

    def __init__(self, board: wiring.Component, pll: Pll | None):
        self._board, self._pll = board, pll
        members = {"oscillator": In(1), "rx": In(1), "tx": Out(1)}
        super().__init__(members | sdram_members(board))

    def elaborate(self, platform: object) -> Module:
        """The reset counter starts at its initial value, which configuration loads."""
        m = Module()
        m.domains.sync = ClockDomain()
        m.domains.power = ClockDomain(reset_less=True, local=True)
        m.submodules.board = board = self._board
        sdram_pads(m, self, board)
        locked = Const(1, 1)
        if self._pll is None:
            m.d.comb += ClockSignal().eq(self.oscillator)
        else:
            locked = Signal()
            clock = Signal()
            m.submodules.pll = self._pll.instance(self.oscillator, clock, locked)
            m.d.comb += ClockSignal().eq(clock)
        count = Signal(range(RESET_CYCLES + 1))
        done = count[-1]
        m.d.comb += [
            ClockSignal("power").eq(ClockSignal()),
            ResetSignal().eq(~done),
            board.rx.eq(self.rx),
            self.tx.eq(board.tx),
        ]
        with m.If(locked & ~done):
            m.d.power += count.eq(count + 1)
        return m
