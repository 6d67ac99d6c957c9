"""Bursts of :class:`~lutcore.hdl.bus.axi.RowBursts`, for any transfer of any legal size, unbounded.

A shadow walks along the transfer by its own account; every burst is held against it.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In

from lutcore.hdl.bus.axi import RowBursts, transfer_layout
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.verif.formal.harness import Harness, opened

#: AXI: a burst has at most so many beats, and lies within so many bytes (A3.4.1 of IHI 0022H).
_BEATS, _PAGE = 256, 4096
#: Bits of a page's number.
PAGES = ADDRESS_BITS - 12


class Walk:
    """Where the bursts of a transfer are: the shadow's own registers."""

    def __init__(self, bus_bytes: int) -> None:
        self._bytes = bus_bytes
        self.active = Signal(name="walk_active")
        self.at = Signal(ADDRESS_BITS, name="walk_at")
        self.start = Signal(ADDRESS_BITS, name="walk_start")
        self.pitch = Signal(32, name="walk_pitch")
        self.words = Signal(24, name="walk_words")
        self.cut = Signal(24, name="walk_cut")  # words of the row that are in bursts
        self.row = Signal(16, name="walk_row")  # rows that are all cut
        self.rows = Signal(16, name="walk_rows")

    def begin(self, m: Module, taken: Value, work: Any, words: Value) -> None:
        """Work is taken: rows of so many words each, at ``mem``, ``pitch`` bytes apart."""
        with m.If(taken):
            m.d.sync += [
                self.active.eq(1),
                self.at.eq(work.mem),
                self.start.eq(work.mem),
                self.pitch.eq(work.pitch),
                self.words.eq(words),
                self.rows.eq(work.rows),
                self.cut.eq(0),
                self.row.eq(0),
            ]

    def step(self, m: Module, taken: Value, beats: Value) -> None:
        """A burst of so many beats is taken."""
        done = Signal(25, name="walk_done")
        following = Signal(ADDRESS_BITS, name="walk_following")
        m.d.comb += [done.eq(self.cut + beats), following.eq(self.start + self.pitch)]
        with m.If(taken):
            with m.If(done == self.words):
                m.d.sync += [
                    self.cut.eq(0),
                    self.row.eq(self.row + 1),
                    self.start.eq(following),
                    self.at.eq(following),
                    self.active.eq(self.row + 1 != self.rows),
                ]
            with m.Else():
                m.d.sync += [self.cut.eq(done), self.at.eq(self.at + beats * self._bytes)]

    def within(self, low: Value, high: Value) -> Value:
        """Whether the next burst lies in a window of pages; ``high`` is behind its last."""
        page = self.at[12:]
        return (page >= low) & (page < high)

    @property
    def left(self) -> Value:
        """Words of the row that are in no burst yet."""
        return Value.cast((self.words - self.cut)[:24])

    @property
    def longest(self) -> Value:
        """Beats that the next burst may have: AXI's most, the page's, and the row's."""
        room = (_PAGE - self.at[:12]) // self._bytes
        bounds = Mux(room < _BEATS, room, _BEATS)
        return Mux(self.left < bounds, self.left, bounds)


class BurstProperties(Harness):
    """Bursts of any transfer."""

    def __init__(self, bus_bytes: int = 16):
        self._bus = bus_bytes
        super().__init__(
            {
                "transfer": In(transfer_layout()),
                "begin": In(1),
                "ready": In(1),
                "window_low": In(PAGES),
                "window_high": In(PAGES + 1),
                "checked": In(1),
                "stop": In(1),
            }
        )

    def describe(self, m: Module) -> None:
        """The block with free inputs, and the shadow."""
        block = RowBursts(self._bus)
        inside = opened(m, block)
        transfer = self.transfer
        fixed = Cat(self.window_low, self.window_high, self.checked)
        self.constant(m, "window and its check do not change while a program runs", fixed)
        aligned(self, m, transfer, self._bus)
        m.d.comb += [
            block.transfers.payload.eq(transfer),
            block.transfers.valid.eq(self.begin),
            block.bursts.ready.eq(self.ready),
            block.window_low.eq(self.window_low),
            block.window_high.eq(self.window_high),
            block.checked.eq(self.checked),
            block.stop.eq(self.stop),
        ]
        self._claim(m, block, inside)

    def _claim(self, m: Module, block: RowBursts, inside: dict) -> None:
        """Every burst is where the shadow is."""
        bursts, burst = block.bursts, block.bursts.payload
        walk, beats = Walk(self._bus), Signal(9)
        taken = bursts.valid & self.ready
        m.d.comb += beats.eq(burst.len + 1)
        begins = block.transfers.valid & block.transfers.ready
        walk.begin(m, begins, self.transfer, self.transfer.words)
        walk.step(m, taken, beats)
        within = Signal()
        m.d.comb += within.eq(~self.checked | walk.within(self.window_low, self.window_high))
        waited = self.stays(m, "burst", bursts.valid, self.ready, burst.as_value())
        for sentence, holds in {
            "a burst begins where the last one of its row ended, or where the next row begins": (
                burst.addr == walk.at
            ),
            "a burst has as many beats as AXI, the page of 4 KiB and its row allow": (
                beats == walk.longest
            ),
            "a burst lies in the window, where it is held to it": within,
            "bursts are of a transfer that was taken": walk.active,
        }.items():
            self.hold(m, sentence, holds, when=bursts.valid)
        offered = walk.active & within & (~self.stop | waited)
        for sentence, holds in {
            "a burst is offered where there is one, unless it lies outside or all is stopped": (
                bursts.valid == offered
            ),
            "a transfer is taken when the last one is cut": block.transfers.ready == ~walk.active,
            "busy is a transfer that is not all cut": block.busy == walk.active,
            "a burst outside of the window is told": block.outside == (walk.active & ~within),
            "invariant: begun is a burst that waits": inside["begun"] == waited,
        }.items():
            self.hold(m, sentence, holds)
        self.hold(m, "its address is told", block.address == walk.at, when=walk.active)
        follow(self, m, walk, inside, self._bus)
        self._cover(m, block, walk, beats, taken)
        self.happen(m, "a burst waits while all is stopped", waited & self.stop & ~self.ready)

    def _cover(self, m: Module, block: RowBursts, walk: Walk, beats: Value, taken: Value) -> None:
        """What the claims are about happens."""
        second = self.happened(m, taken & (walk.row == 1))
        for sentence, happens in {
            "a burst of the second row is taken": taken & (walk.row == 1),
            "a row goes on in the next page": taken & (walk.cut != 0) & ~walk.at[:12].any(),
            "a burst of the most beats": taken & (beats == min(_BEATS, _PAGE // self._bus)),
            "an address beyond 32 bits": taken & walk.at[40:].any(),
            "a burst outside of the window": block.outside,
            "a transfer begins after one of two rows": second & walk.active & (walk.row == 0),
        }.items():
            self.happen(m, sentence, happens)


def governed(harness: Any, m: Module, block: Any) -> None:
    """The window of an engine, which the host keeps, and its stop, which the sequencer keeps."""
    window, stopped = Cat(harness.window_low, harness.window_high), Signal()
    m.d.sync += stopped.eq(harness.stop)
    harness.constant(m, "the window does not change while a program runs", window)
    harness.assume(m, "what is stopped stays stopped", harness.stop, when=stopped)
    m.d.comb += [
        block.window_low.eq(harness.window_low),
        block.window_high.eq(harness.window_high),
        block.stop.eq(harness.stop),
    ]


def aligned(harness: Harness, m: Module, transfer, bus_bytes: int) -> None:
    """As the decoder lets transfers through."""
    shift = bus_bytes.bit_length() - 1
    low = Cat(transfer.mem[:shift], transfer.pitch[:shift])
    harness.assume(m, "addresses and pitches are those of whole words of the bus", low == 0)
    harness.assume(m, "there are rows", transfer.rows > 0)
    harness.assume(m, "rows have words", transfer.words > 0)


def follow(
    harness: Harness, m: Module, walk: Walk, inside: dict, bus_bytes: int, path: str = ""
) -> None:
    """Invariants: the registers of ``RowBursts`` are those of the shadow."""
    shift = bus_bytes.bit_length() - 1
    head = data.View(transfer_layout(), inside[f"{path}head"])
    for name, holds in {
        "here": inside[f"{path}here"] == walk.at,
        "row": inside[f"{path}row"] == walk.start,
        "left": inside[f"{path}left"] == walk.left,
        "rows": inside[f"{path}rows"] == (walk.rows - walk.row)[:16],
        "pitch": head.pitch == walk.pitch,
        "words": head.words == walk.words,
        "rows are left": walk.row < walk.rows,
        "words are left": walk.cut < walk.words,
        "aligned": Cat(walk.at[:shift], walk.start[:shift], walk.pitch[:shift]) == 0,
    }.items():
        harness.hold(m, f"invariant: {name}", holds, when=walk.active)
    harness.hold(m, "invariant: busy", inside[f"{path}busy"] == walk.active)
