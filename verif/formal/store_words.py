"""Words of the stores: every sum arrives in its place, once, and no other byte is written."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFO

from lutcore.hdl.core.store import StoreEngine
from lutcore.hdl.isa.lmma import ADDRESS_BITS, OUTPUTS
from lutcore.hdl.isa.pace import OUTSTANDING, WORDS
from lutcore.verif.formal.harness import ShiftQueue, wait_in_line
from lutcore.verif.formal.stores import StoreHarness, row_bytes

#: Stores whose words may be under way at a time: more than fit the engine's queues.
_STORES = 8


class _Leaving:
    """Stores whose words have not all left, the first of them first, and where it is."""

    def __init__(self) -> None:
        layout = data.StructLayout({"rows": 16, "size": 18, "type": 2, "watched": 1})
        self.stores = [Signal(layout, name=f"store_{i}") for i in range(_STORES)]
        self.new = Signal(layout, name="new_store")
        self.level = Signal(range(_STORES + 1), name="stores_leaving")
        self.row = Signal(16, name="left_row")
        self.word = Signal(16, name="left_word")
        self.left = Signal(name="word_leaves")
        self.ends = Signal(name="row_ends")
        self.finished = Signal(name="store_finished")

    @property
    def first(self) -> Any:
        """The store whose word leaves next."""
        return self.stores[0]

    def step(self, m: Module, taken: Value, bus_bytes: int) -> None:
        """A store is taken, or a word leaves."""
        total = (self.first.size + (bus_bytes - 1)) // bus_bytes
        m.d.comb += [
            self.ends.eq(self.word + 1 == total),
            self.finished.eq(self.left & self.ends & (self.row + 1 == self.first.rows)),
        ]
        m.d.sync += self.level.eq(self.level + taken - self.finished)
        wait_in_line(m, self.stores, self.level, self.new, taken, self.finished)
        with m.If(self.finished):
            m.d.sync += [self.row.eq(0), self.word.eq(0)]
        with m.Elif(self.left):
            m.d.sync += self.word.eq(Mux(self.ends, 0, self.word + 1))
            m.d.sync += self.row.eq(self.row + self.ends)


class StoreWordProperties(StoreHarness):
    """Words of the stores, from the output buffer to the bus: bounded, whatever their size."""

    @property
    def models(self) -> dict[str, Callable]:
        """The queue of words may be full at any time: to fill it would take too long."""
        bits = self._config.bus_bits + self._config.bus_bits // 8

        def queue(of: SyncFIFO) -> ShiftQueue:
            return ShiftQueue(of, self.crowded if of.width == bits else None)

        return {"SyncFIFO": queue}

    def claim(self, m: Module, block: StoreEngine, inside: dict[str, Any]) -> None:
        """Words are those of the stores that were taken."""
        store, at, open_ = self.store, _Leaving(), Signal(range(OUTSTANDING + 1))
        all_ = ~self.window_low.any() & self.window_high[-1]
        self.assume(m, "the window takes all", all_)
        beats, sent, watching = Signal(9), Signal(), Signal()
        m.d.comb += [
            beats.eq(block.writes.payload.len + 1),
            sent.eq(block.writes.valid & self.address_ready),
            at.left.eq(block.written.valid & self.data_ready),
            at.new.rows.eq(store.rows),
            at.new.size.eq(row_bytes(store.type, store.columns)),
            at.new.type.eq(store.type),
            at.new.watched.eq(self.watch & ~watching),
        ]
        m.d.sync += open_.eq(open_ + sent - self.answer)
        with m.If(self.taken & self.watch):
            m.d.sync += watching.eq(1)
        sentence = "memory answers no burst that it was not given"
        self.assume(m, sentence, open_ > 0, when=self.answer)
        at.step(m, self.taken, self._config.bus_bits // 8)
        self._last(m, block, at, beats, sent, inside["bursts.busy"])
        self._goes_on(m, block, inside)
        self._words(m, block, at, inside)
        self._idle(m, block, at, open_, inside["bursts.busy"])
        watched = self._watched(m, block)
        self._arrives(m, block, at, watched["exists"])
        self._done(m, block, watched)

    def _goes_on(self, m: Module, block: StoreEngine, inside: dict[str, Any]) -> None:
        """Nothing waits but for the bus: so a store that is taken comes to its end."""
        room = (inside["words_model.level"] != WORDS) & ~self.crowded
        sentence = "sums are read in every cycle, where there are some and words have room"
        self.hold(m, sentence, block.read_enable, when=inside["reader.active"] & room)
        there = (inside["words_model.level"] != 0) & (inside["lengths_model.level"] != 0)
        sentence = "a word is offered where there is one whose burst was decided"
        self.hold(m, sentence, block.written.valid == there)

    def _last(
        self,
        m: Module,
        block: StoreEngine,
        at: _Leaving,
        beats: Value,
        sent: Value,
        cutting: Value,
    ) -> None:
        """The last word of each burst, and no other, is said to be: any one burst is watched."""
        watched, ahead, own = Signal(), Signal(24), Signal(9)
        words = Signal(24)  # of bursts that were sent, and that have not left
        m.d.sync += words.eq(words + Mux(sent, beats, 0) - at.left)
        with m.If(sent & self.watch & ~watched):
            m.d.sync += [watched.eq(1), ahead.eq(words - at.left), own.eq(beats)]
        with m.Elif(watched & at.left):
            with m.If(ahead != 0):
                m.d.sync += ahead.eq(ahead - 1)
            with m.Else():
                m.d.sync += [own.eq(own - 1), watched.eq(own != 1)]
        two = self.happened(m, own == 2)
        written = block.written
        sentence = "no word leaves before its burst was decided"
        self.hold(m, sentence, words > 0, when=written.valid)
        over = (at.level == 0) & ~cutting & ~block.writes.valid
        self.hold(m, "where all stores have left, their bursts are full", words == 0, when=over)
        now = written.valid & watched & (ahead == 0)
        sentence = "the last word of a burst is said to be, and no other"
        self.hold(m, sentence, written.payload.last == (own == 1), when=now)
        if self._is_quick:
            self.happen(m, "the last word of a burst of two", now & at.left & (own == 1) & two)

    def _words(self, m: Module, block: StoreEngine, at: _Leaving, inside: dict[str, Any]) -> None:
        """Whose they are, and which of their bytes count."""
        bus_bytes = self._config.bus_bits // 8
        written, bytes_ = block.written, Signal(range(bus_bytes + 1))
        rest = at.first.size - at.word * bus_bytes
        m.d.comb += bytes_.eq(Mux(at.ends, rest, bus_bytes))
        strobes = Cat(bytes_ > i for i in range(bus_bytes))
        sentence = "words are those of stores that were taken"
        self.hold(m, sentence, at.level > 0, when=written.valid)
        sentence = "as few stores are under way as are counted"
        self.hold(m, sentence, at.level != _STORES, when=self.taken)
        sentence = "the bytes of a row are written, from its first on, and no others"
        self.hold(m, sentence, written.payload.strb == strobes, when=written.valid)
        self.stays(m, "word", written.valid, self.data_ready, written.payload.as_value())
        self.hold(m, "beat is a word that leaves", block.beat == at.left)
        for sentence, happens in {
            "the second row of a store": at.left & (at.row == 1),
            "sums wait for room": inside["reader.valid"] & ~block.read_enable,
            "a third row, of the next block": at.left & (at.row == 2),
            "a row ends within a word": at.left & at.ends & (bytes_ != bus_bytes),
            "a second store leaves": at.finished & (at.level == 2),
            "a word waits": written.valid & ~self.data_ready & (at.level > 0),
        }.items():
            self.happen(m, sentence, happens)
        if self._is_quick:
            self.happen(m, "a second word of a row", at.left & (at.word == 1))

    @property
    def _is_quick(self) -> bool:
        """A word of the bus takes few beats of sums: two are gathered in the cycles of a cover."""
        words = self._config.bus_bits // 32
        return words <= 2 * min(words, self._config.drain_columns)

    def _idle(
        self, m: Module, block: StoreEngine, at: _Leaving, open_: Value, cutting: Value
    ) -> None:
        """When nothing is under way."""
        nothing = (open_ == 0) & ~block.writes.valid
        none = at.level == 0
        sentence = "idle is when all bursts are answered, and no store is left unless all stops"
        self.hold(m, sentence, nothing & (self.stop | none), when=block.idle)
        sentence = "what is answered and done is idle"
        self.hold(m, sentence, block.idle, when=nothing & ~cutting & none)

    def _watched(self, m: Module, block: StoreEngine) -> dict[str, Value]:
        """Any one sum of any one store: that it exists, is read now, and whether it signals."""
        config = self._config
        columns = config.drain_columns
        same = Cat(self.watched_row, self.watched_column, self.watched_sum)
        self.constant(m, "the sum that is watched stays the same", same)
        local, watched, signals = Signal(ADDRESS_BITS), Signal(), Signal()
        rows, count = Signal(16), Signal(16)
        begins = self.taken & self.watch & ~watched
        with m.If(begins):
            m.d.sync += [
                watched.eq(1),
                local.eq(self.store.local),
                rows.eq(self.store.rows),
                count.eq(self.store.columns),
                signals.eq(self.store.signal),
            ]
        address = Signal(ADDRESS_BITS)
        beat = self.watched_row // config.m * config.drain_beats + self.watched_column // columns
        m.d.comb += address.eq(local + beat * (config.m * columns * 4))
        last, any_ = Signal(ADDRESS_BITS), Signal()
        with m.If(block.read_enable):
            m.d.sync += [last.eq(block.read_address), any_.eq(1)]
        lane = (self.watched_row % config.m) * columns + self.watched_column % columns
        sentence = "the output buffer holds the watched sum in its place"
        found = self.sums.word_select(lane, 32) == self.watched_sum
        self.assume(m, sentence, found, when=any_ & (last == address) & watched)
        return {
            "begins": begins,
            "watched": watched,
            "exists": watched & (self.watched_row < rows) & (self.watched_column < count),
            "read": block.read_enable & (block.read_address == address),
            "signals": signals,
        }

    def _arrives(self, m: Module, block: StoreEngine, at: _Leaving, exists: Value) -> None:
        """The watched sum, as each type; converters are cut (``HalfTaker``)."""
        bus_bytes = self._config.bus_bits // 8
        kind, sum_ = at.first.type, self.watched_sum
        offset = row_bytes(kind, self.watched_column)
        here = at.first.watched & (at.row == self.watched_row) & (at.word == offset // bus_bytes)
        now = block.written.valid & here & exists
        found = (block.written.payload.data >> ((offset % bus_bytes) * 8))[:32]
        later = (self.watched_column > 0) & (self.watched_row > 0)
        becomes = {"fp32": sum_, "int32": sum_, "fp16": sum_[:16], "bf16": sum_[16:]}
        for name, value in becomes.items():
            mine = now & (kind == OUTPUTS.index(name))
            sentence = f"a sum arrives in its place as {name}"
            self.hold(m, sentence, found[: len(value)] == value, when=mine)
            self.happen(m, f"a sum arrives as {name} behind others", mine & later)

    def _done(self, m: Module, block: StoreEngine, watched: dict[str, Value]) -> None:
        """The place of a store's sums is free when all were read."""
        seen, told, owed, ahead = Signal(), Signal(), Signal(3), Signal(3)
        with m.If(watched["watched"] & watched["read"]):
            m.d.sync += seen.eq(1)
        m.d.sync += owed.eq(owed + (self.taken & self.store.signal) - block.done)
        # The first `done` after a watched store that signals may be of the one before.
        with m.If(watched["begins"]):
            m.d.sync += ahead.eq(owed - block.done)
        with m.Elif(block.done & (ahead != 0)):
            m.d.sync += ahead.eq(ahead - 1)
        mine = block.done & watched["watched"] & watched["signals"] & (ahead == 0) & ~told
        with m.If(mine):
            m.d.sync += told.eq(1)
        sentence = "done is told once for each store that signals"
        self.hold(m, sentence, owed > 0, when=block.done)
        sentence = "done is told when every sum was read"
        self.hold(m, sentence, seen | watched["read"], when=mine & watched["exists"])
        self.happen(m, "a store is done", mine)
