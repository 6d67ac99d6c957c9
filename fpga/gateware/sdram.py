"""A controller of single-data-rate SDRAM."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.enum import Enum
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from lutcore.fpga.boards.sdram_chip import SdramChip, SdramTiming
from lutcore.fpga.gateware.memory import SharedMemory, store_signature, tag_layout
from lutcore.hdl.parts.pieces import delayed

#: Words that were asked for and are not taken yet.
_ROOM = 8
#: Refreshes before the mode is set: no chip asks for more.
_FIRST_REFRESHES = 8
#: Bit of the address that means all banks to a precharge.
_ALL_BANKS = 10


class Command(Enum, shape=3):
    """Levels of ``we_n``, ``cas_n``, ``ras_n``, the last one lowest."""

    NONE = 0b111
    ACTIVATE = 0b110
    READ = 0b101
    WRITE = 0b001
    PRECHARGE = 0b010
    REFRESH = 0b100
    MODE = 0b000


def sdram_pins(chip: SdramChip) -> wiring.Signature:
    """Levels of the chip's pins but its clock; ``dq`` apart, driven while ``dq_oe``."""
    return wiring.Signature(
        {
            "cke": Out(1, init=1),
            "cs_n": Out(1),
            "ras_n": Out(1, init=1),
            "cas_n": Out(1, init=1),
            "we_n": Out(1, init=1),
            "ba": Out(chip.bank_bits),
            "a": Out(chip.row_bits),
            "dqm": Out(chip.data_bits // 8, init=(1 << chip.data_bits // 8) - 1),
            "dq_o": Out(chip.data_bits),
            "dq_oe": Out(1),
            "dq_i": In(chip.data_bits),
        }
    )


class _Access:
    """The word whose columns are gone through, and what the chip is told meanwhile."""

    def __init__(self, timing: SdramTiming, word: Any, columns: int) -> None:
        chip = timing.chip
        self.head = Signal(word)
        self.active = Signal()
        self.writing, self.due, self.access = Signal(), Signal(), Signal()
        self.part = Signal(range(columns))
        self.opened = Signal(chip.row_bits + chip.bank_bits)
        # Cycles until the next command; until a precharge; until a write after a read.
        self.wait = Signal(range(timing.power_up + 1), init=timing.power_up)
        self.hold = Signal(range(max(timing.activate_to_precharge, timing.write_recovery) + 1))
        self.away = Signal(range(timing.latency + 3))
        self.refreshing = Signal()
        self.command, self.address = Signal(Command), Signal(chip.row_bits)
        self.ends = Signal()
        self.row = self.head.address[chip.column_bits - (columns - 1).bit_length() :]
        self.column = Cat(self.part, self.head.address)[: chip.column_bits]

    def give(self, m: Module, what: Command, where: Value | int = 0, then: int = 1) -> None:
        """A command, and cycles from it to the next."""
        m.d.comb += [self.command.eq(what), self.address.eq(where)]
        m.d.sync += self.wait.eq(then - 1)


class Sdram(wiring.Component):
    """A store in SDRAM: a column, ``chip.data_bits``, every cycle while its row is open.

    Every column has a command of its own (burst length 1). One row is open at a time. Addresses
    count columns first, then banks, then rows. The chip's clock is this one inverted, so that
    commands, which leave registers, change half a cycle before they are sampled; data is sampled
    ``latency`` rising edges after that at which a read's command appeared, half a cycle before the
    chip may change it.

    Parameters
    ----------
    bits : int
        Of a word: two columns or more, a power of two of them.
    timing : SdramTiming

    Members
    -------
    words : In, :func:`~lutcore.fpga.gateware.memory.store_signature`
    pins : Out, :func:`sdram_pins`
    """

    def __init__(self, bits: int, timing: SdramTiming):
        self._bits, self._timing = bits, timing
        super().__init__(
            {
                "words": In(store_signature(bits, timing.size)),
                "pins": Out(sdram_pins(timing.chip)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A word is taken, its columns are gone through; refreshes come first."""
        m = Module()
        columns = self._bits // self._timing.chip.data_bits
        now = _Access(self._timing, self.words.writes.payload.shape(), columns)
        self._timer(m, now.due, now.refreshing)
        m.d.comb += [
            now.command.eq(Command.NONE),
            now.ends.eq(now.access & (now.part == columns - 1)),
        ]
        for counter in (now.wait, now.hold, now.away):
            with m.If(counter != 0):
                m.d.sync += counter.eq(counter - 1)
        step = Signal(range(_FIRST_REFRESHES + 2))
        with m.FSM() as states:
            with m.State("START"), m.If(now.wait == 0):
                self._start(m, now, step)
            with m.State("CLOSED"), m.If(now.wait == 0):
                self._open_row(m, now)
            with m.State("OPEN"), m.If(now.wait == 0):
                self._access_row(m, now)
        with m.If(now.access):
            m.d.sync += now.part.eq(now.part + 1)
        self._drive(m, now, states.ongoing("START"))
        room = self._answers(m, now.command == Command.READ, columns)
        self._take(m, now.head, now.writing, now.active, now.ends, room)
        return m

    def _start(self, m: Module, now: _Access, step: Signal) -> None:
        """After power comes on: all banks closed, refreshes, the mode."""
        timing = self._timing
        m.d.sync += step.eq(step + 1)
        with m.If(step == 0):
            now.give(m, Command.PRECHARGE, 1 << _ALL_BANKS, timing.precharge)
        with m.Elif(step <= _FIRST_REFRESHES):
            self._refresh(m, now)
        with m.Else():
            now.give(m, Command.MODE, timing.latency << 4, timing.chip.mode_cycles)
            m.next = "CLOSED"

    def _refresh(self, m: Module, now: _Access) -> None:
        now.give(m, Command.REFRESH, then=self._timing.refresh)
        m.d.comb += now.refreshing.eq(1)

    def _open_row(self, m: Module, now: _Access) -> None:
        """No row is open: a refresh, or the row of the word."""
        timing = self._timing
        with m.If(now.due):
            self._refresh(m, now)
        with m.Elif(now.active):
            row = now.row[timing.chip.bank_bits :]
            now.give(m, Command.ACTIVATE, row, timing.activate_to_access)
            m.d.sync += [now.opened.eq(now.row), now.hold.eq(timing.activate_to_precharge - 1)]
            m.next = "OPEN"

    def _access_row(self, m: Module, now: _Access) -> None:
        """A row is open: a column of it, or away from it."""
        timing = self._timing
        with m.If(now.due | (now.active & (now.row != now.opened))):
            with m.If(now.hold == 0):
                now.give(m, Command.PRECHARGE, 1 << _ALL_BANKS, timing.precharge)
                m.next = "CLOSED"
        with m.Elif(now.active & now.writing):
            with m.If(now.away == 0):
                now.give(m, Command.WRITE, now.column)
                m.d.comb += now.access.eq(1)
                with m.If(now.hold < timing.write_recovery):
                    m.d.sync += now.hold.eq(timing.write_recovery - 1)
        with m.Elif(now.active):
            now.give(m, Command.READ, now.column)
            m.d.comb += now.access.eq(1)
            # The chip lets go of the data lines before they are driven.
            m.d.sync += now.away.eq(timing.latency + 1)

    def _drive(self, m: Module, now: _Access, starting: Value) -> None:
        """Commands and data to the pins, through registers."""
        chip, pins = self._timing.chip, self.pins
        strobes = now.head.strb.word_select(now.part, chip.data_bits // 8)
        writes = now.command == Command.WRITE
        m.d.sync += [
            Cat(pins.ras_n, pins.cas_n, pins.we_n).eq(now.command),
            pins.a.eq(now.address),
            pins.ba.eq(Mux(starting, 0, now.row[: chip.bank_bits])),
            pins.dqm.eq(Mux(starting, ~0, Mux(writes, ~strobes, 0))),
            pins.dq_o.eq(now.head.data.word_select(now.part, chip.data_bits)),
            pins.dq_oe.eq(writes),
        ]
        m.d.comb += [pins.cke.eq(1), pins.cs_n.eq(0)]

    def _timer(self, m: Module, due: Signal, refreshing: Signal) -> None:
        """Say when a refresh is due."""
        period = self._timing.refresh_period
        left = Signal(range(period))
        m.d.comb += due.eq(left == 0)
        with m.If(refreshing):
            m.d.sync += left.eq(period - 1)
        with m.Elif(~due):
            m.d.sync += left.eq(left - 1)

    def _take(
        self, m: Module, head: Any, writing: Signal, active: Signal, ends: Signal, room: Value
    ) -> None:
        """Take a word when the last one is done: bursts of both sides in turn."""
        reads, writes = self.words.reads, self.words.writes
        free, readable = Signal(), Signal()
        prefers_write, takes_write = Signal(), Signal()
        m.d.comb += [
            free.eq(~active | ends),
            readable.eq(reads.valid & room),
            takes_write.eq(writes.valid & (prefers_write | ~readable)),
            writes.ready.eq(free & takes_write),
            reads.ready.eq(free & room & ~takes_write),
        ]
        with m.If(free):
            m.d.sync += [active.eq(takes_write | readable), writing.eq(takes_write)]
        with m.If(free & takes_write):
            m.d.sync += [head.eq(writes.payload), prefers_write.eq(~writes.payload.last)]
        with m.Elif(free & readable):
            m.d.sync += [
                head.address.eq(reads.payload.address),
                prefers_write.eq(reads.payload.tag.last),
            ]

    def _answers(self, m: Module, reading: Value, columns: int) -> Value:
        """Columns that were read as words; returns whether there is room for one more."""
        reads, answers, bits = self.words.reads, self.words.answers, self._timing.chip.data_bits
        m.submodules.tags = tags = SyncFIFO(width=tag_layout().size, depth=_ROOM)
        m.submodules.data = words = SyncFIFO(width=self._bits, depth=_ROOM)
        arrived = Signal(bits, reset_less=True)
        gathered = Signal(self._bits, reset_less=True)
        part = Signal(range(columns))
        full = Signal()
        # One cycle to the pins, the chip's latency, one cycle in the register behind them.
        arrives = delayed(m, reading, self._timing.latency + 1, "arrives", reset=True)
        m.d.sync += [arrived.eq(self.pins.dq_i), full.eq(arrives & (part == columns - 1))]
        with m.If(arrives):
            m.d.sync += [gathered.eq(Cat(gathered, arrived)[bits:]), part.eq(part + 1)]
        m.d.comb += [
            tags.w_en.eq(reads.valid & reads.ready),
            tags.w_data.eq(reads.payload.tag),
            words.w_en.eq(full),
            words.w_data.eq(gathered),
            answers.valid.eq(words.r_rdy),
            answers.payload.data.eq(words.r_data),
            answers.payload.tag.eq(tags.r_data),
            words.r_en.eq(answers.ready),
            tags.r_en.eq(words.r_rdy & answers.ready),
        ]
        return tags.w_rdy


def sdram_memory(bits: int, timing: SdramTiming) -> SharedMemory:
    """Memory on SDRAM behind a bus of ``bits``, a power of two of 32 or more."""
    return SharedMemory(bits, timing.size, Sdram(bits, timing))
