"""The load engine: every word of every row, from its address in memory to its place in a buffer."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.load import LoadEngine, load_layout
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.hdl.isa.pace import PENDING
from lutcore.verif.formal.bursts import PAGES, Walk, follow, governed
from lutcore.verif.formal.harness import Harness, opened, wait_in_line

#: Targets, by their numbers.
_ACTIVATIONS, _PROGRAM = 0, 3


class _LoadHarness(Harness):
    """A load engine between free loads and a memory that answers what was asked."""

    def __init__(self, config: CoreConfig):
        self._config = config
        self._bytes = config.bus_bits // 8
        super().__init__(
            {
                "load": In(load_layout()),
                "begin": In(1),
                "ready": In(1),
                "word_valid": In(1),
                "word": In(config.bus_bits),
                "error": In(1),
                "window_low": In(PAGES),
                "window_high": In(PAGES + 1),
                "stop": In(1),
            }
        )

    def describe(self, m: Module) -> None:
        """The engine and its environment."""
        shift = self._bytes.bit_length() - 1
        block = LoadEngine(self._config)
        inside = opened(m, block)
        load = self.load
        governed(self, m, block)
        low = Cat(load.mem[:shift], load.local[:shift], load.pitch[:shift])
        self.assume(m, "loads are of whole words of the bus", low == 0)
        self.assume(m, "there are rows, and they have bytes", (load.rows > 0) & (load.bytes > 0))
        m.d.comb += [
            block.loads.payload.eq(load),
            block.loads.valid.eq(self.begin),
            block.reads.ready.eq(self.ready),
            block.words.valid.eq(self.word_valid),
            block.words.payload.data.eq(self.word),
            block.words.payload.error.eq(self.error),
        ]
        self.taken, self.sent, self.beats = Signal(), Signal(), Signal(9)
        m.d.comb += [
            self.taken.eq(block.loads.valid & block.loads.ready),
            self.sent.eq(block.reads.valid & self.ready),
            self.beats.eq(block.reads.payload.len + 1),
        ]
        self.claim(m, block, inside)

    def claim(self, m: Module, block: LoadEngine, inside: dict[str, Any]) -> None:
        """What a derived harness says of the engine."""
        raise NotImplementedError

    def words_of(self, load: Any) -> Value:
        """Words of the bus that a row takes."""
        return ((load.bytes + (self._bytes - 1)) // self._bytes)[:24]


class LoadAddressProperties(_LoadHarness):
    """Bursts of the loads, in their order, and those that lie outside of the window: unbounded."""

    def claim(self, m: Module, block: LoadEngine, inside: dict[str, Any]) -> None:
        """Bursts are where the shadow is."""
        load, walk = self.load, Walk(self._bytes)
        checked, within, outside = Signal(), Signal(), Signal()
        with m.If(self.taken):
            m.d.sync += checked.eq(load.target != _PROGRAM)
        walk.begin(m, self.taken, load, self.words_of(load))
        walk.step(m, self.sent, self.beats)
        burst, reads = block.reads.payload, block.reads
        begun = self.stays(m, "read", reads.valid, self.ready, burst.as_value())
        m.d.comb += [
            within.eq(~checked | walk.within(self.window_low, self.window_high)),
            outside.eq(walk.active & ~within & ~self.stop),
        ]
        right = (burst.addr == walk.at) & (self.beats == walk.longest) & walk.active & within
        sentence = "bursts are those of the loads, in their order, within the window"
        self.hold(m, sentence, right, when=reads.valid)
        offered = walk.active & within & (~self.stop | begun)
        self.hold(m, "a burst is offered where there is one", reads.valid == offered)
        fault = block.fault
        told = fault.valid & (fault.cause == Cause.RANGE) & (fault.address == walk.at)
        self.hold(m, "a burst outside of the window is told, with its address", told, when=outside)
        sentence = "a load is taken only when the addresses of the last are out"
        self.hold(m, sentence, ~walk.active & ~self.stop, when=self.taken)
        follow(self, m, walk, inside, self._bytes, "bursts.")
        self.hold(m, "invariant: begun", inside["bursts.begun"] == begun)
        self.hold(m, "invariant: checked", inside["checked"] == checked, when=walk.active)
        below = walk.at[12:] < self.window_low
        for sentence, happens in {
            "a burst of a second load": self.sent & self.happened(m, self.taken, 2),
            "the program is loaded from outside of the window": self.sent & ~checked & below,
            "a burst lies outside": outside,
            "a burst waits while all is stopped": begun & self.stop & ~self.ready,
        }.items():
            self.happen(m, sentence, happens)


class _Received:
    """The shadow of loads whose words are to come, and where the first of them is."""

    def __init__(self) -> None:
        self.active = Signal(name="received_active")
        self.load = Signal(load_layout(), name="received")
        self.waiting = Signal(range(PENDING + 1), name="loads_waiting")
        self.entries = [Signal(load_layout(), name=f"waiting_{i}") for i in range(PENDING)]
        self.next = Signal(name="received_next")  # the load that waits longest begins
        self.ends = Signal(name="received_ends")  # the last word of the load arrives
        self.last = Signal(name="received_last")  # the next word ends its row
        self.words = Signal(24, name="received_words")
        self.row = Signal(16, name="received_row")
        self.word = Signal(24, name="received_word")
        self.first = Signal(ADDRESS_BITS, name="received_first")  # of the row in memory
        self.memory = Signal(ADDRESS_BITS, name="received_from")  # of the next word in memory
        self.place = Signal(ADDRESS_BITS, name="received_to")  # of the next word in its buffer
        self.bank = Signal(8, name="received_bank")

    def queue(self, m: Module, load: Any, taken: Value) -> None:
        """Loads wait in their order."""
        m.d.comb += self.next.eq((~self.active | self.ends) & (self.waiting > 0))
        with m.If(self.next):
            m.d.sync += [self.load.eq(self.entries[0]), self.active.eq(1)]
        with m.Elif(self.ends):
            m.d.sync += self.active.eq(0)
        m.d.sync += self.waiting.eq(self.waiting + taken - self.next)
        wait_in_line(m, self.entries, self.waiting, load, taken, self.next)

    def step(self, m: Module, beat: Value, rows: int, bus_bytes: int) -> None:
        """A word arrives: rows of activations go to banks in turn, others side by side."""
        taken = beat & self.active
        shift = bus_bytes.bit_length() - 1
        m.d.comb += [
            self.last.eq(self.word + 1 == self.words),
            self.ends.eq(taken & self.last & (self.row + 1 == self.load.rows)),
        ]
        with m.If(taken):
            m.d.sync += [
                self.word.eq(self.word + 1),
                self.memory.eq(self.memory + bus_bytes),
                self.place.eq(self.place + bus_bytes),
            ]
            with m.If(self.last):
                following = self.first + self.load.pitch
                m.d.sync += [self.row.eq(self.row + 1), self.word.eq(0), self.bank.eq(0)]
                m.d.sync += [self.memory.eq(following), self.first.eq(following)]
                with m.If((self.load.target == _ACTIVATIONS) & (self.bank + 1 != rows)):
                    back = (self.words - 1) << shift
                    m.d.sync += [self.bank.eq(self.bank + 1), self.place.eq(self.place - back)]
        with m.If(self.next):
            for register in (self.row, self.word, self.bank):
                m.d.sync += register.eq(0)
            entry = self.entries[0]
            m.d.sync += [self.memory.eq(entry.mem), self.first.eq(entry.mem)]
            m.d.sync += self.place.eq(entry.local)


class LoadWordProperties(_LoadHarness):
    """Words come in the order of their addresses, and go to their places: unbounded."""

    def claim(self, m: Module, block: LoadEngine, inside: dict[str, Any]) -> None:
        """Every word is where the shadow says."""
        self.assume(
            m, "the window takes all", ~self.window_low.any() & (self.window_high == 1 << PAGES)
        )
        at, owed, beat = _Received(), Signal(32), Signal()
        self.assume(m, "memory sends no word that was not asked for", owed > 0, self.word_valid)
        self.assume(m, "fewer than 2^31 words are under way", ~owed[31])
        m.d.comb += [
            beat.eq(self.word_valid & (at.active | self.stop)),
            at.words.eq(self.words_of(at.load)),
        ]
        m.d.sync += owed.eq(owed + Mux(self.sent, self.beats, 0) - beat)
        at.queue(m, self.load, self.taken)
        at.step(m, beat, self._config.m, self._bytes)
        writes = beat & at.active & ~self.stop
        self._writes(m, block, at, writes)
        self._ends(m, block, inside, at, owed, beat)
        self._invariants(m, inside, at, owed)
        is_act = at.load.target == _ACTIVATIONS
        full = at.load.bytes % self._bytes == 0
        for sentence, happens in {
            "the second row of a load": writes & (at.row == 1),
            "a second word of a row": writes & (at.word == 1),
            "the last word of a row of activations is not full": writes & at.last & ~full & is_act,
            "a load is done": block.done,
            "a second load is received": writes & self.happened(m, at.next, 2),
            "as many loads wait as can": at.waiting == PENDING,
            "words are dropped after a stop": beat & self.stop,
        }.items():
            self.happen(m, sentence, happens)
        if self._config.m <= 8:  # of more rows it takes longer than covers are looked for
            behind = writes & is_act & (at.row == self._config.m)
            self.happen(m, "a row of activations behind those of all banks", behind)

    def _writes(self, m: Module, block: LoadEngine, at: _Received, writes: Value) -> None:
        """Into the right buffer, at the right place, without what is behind the row."""
        rest = at.load.bytes % self._bytes
        beyond = [at.last & (rest != 0) & (rest <= i) for i in range(self._bytes)]
        kept = Cat((~byte)[0].replicate(8) for byte in beyond)
        is_act = at.load.target == _ACTIVATIONS
        sentence = "a word goes into the buffer of its load, and no other"
        self.hold(m, sentence, block.write_enable == (writes << at.load.target))
        sentence = "a word goes to its place in the buffer"
        self.hold(m, sentence, block.write_address == at.place, when=writes)
        sentence = "a row of activations goes to its bank"
        self.hold(m, sentence, block.write_bank == at.bank, when=writes & is_act)
        sentence = "bytes behind the end of a row are 0, all others as they came"
        self.hold(m, sentence, block.write_data == (self.word & kept), when=writes)

    def _ends(
        self, m: Module, block: LoadEngine, inside: dict, at: _Received, owed: Value, beat: Value
    ) -> None:
        """What is told, and when."""
        fault, failed = block.fault, Signal()
        m.d.comb += failed.eq(beat & self.error & ~self.stop)
        cause = Mux(at.load.target == _PROGRAM, Cause.FETCH, Cause.READ)
        done = ~inside["bursts.busy"] & ~at.active & (at.waiting == 0)
        idle = (owed == 0) & ~block.reads.valid & (self.stop | done)
        room = at.waiting != PENDING
        told = (fault.cause == cause) & (fault.address == at.memory)
        for sentence, holds in {
            "words are taken while a load is received, or all is stopped": (
                block.words.ready == (at.active | self.stop)
            ),
            "beat is a word that arrives": block.beat == beat,
            "a load that signals is done with its last word": (
                block.done == (at.ends & at.load.signal)
            ),
            "a word that failed is a fault, and nothing else is": fault.valid == failed,
            "a word that failed is told, with its address": ~failed | told,
            "idle is when nothing is owed, and nothing left to do unless all is stopped": (
                block.idle == idle
            ),
            "a load is taken when one can wait, and the addresses of the last are out": (
                block.loads.ready == (~inside["bursts.busy"] & room & ~self.stop)
            ),
        }.items():
            self.hold(m, sentence, holds)
        self.happen(m, "a word fails", failed)

    def _invariants(self, m: Module, inside: dict, at: _Received, owed: Value) -> None:
        """The engine's registers, and what the shadow's have of loads that were taken."""
        shift = self._bytes.bit_length() - 1
        load, active = at.load, at.active
        start = (at.place - (at.word << shift))[:ADDRESS_BITS]
        for name, mine in {
            "target": load.target,
            "pitch": load.pitch,
            "words": at.words,
            "signal": load.signal,
            "tail": load.bytes[:shift],
            "rows": (load.rows - at.row)[:16],
            "left": (at.words - at.word)[:24],
            "row": at.first,
            "where": at.memory,
            "place": at.place,
            "bank": at.bank,
        }.items():
            if name in inside:  # one row has no bank
                self.hold(m, f"invariant: {name}", inside[name] == mine, when=active)
        is_act = active & (load.target == _ACTIVATIONS)
        self.hold(m, "invariant: block", inside["block"] == start, when=is_act)
        self.hold(m, "invariant: banks are of activations", at.bank == 0, when=active & ~is_act)
        self.hold(m, "invariant: there is such a bank", at.bank < self._config.m)
        self.hold(m, "invariant: active", inside["active"] == active)
        self.hold(m, "invariant: expected", inside["expected"] == owed)
        self.hold(m, "invariant: rows are to come", at.row < load.rows, when=active)
        self.hold(m, "invariant: words are to come", at.word < at.words, when=active)
        self.hold(m, "no more loads wait than can be kept", at.waiting <= PENDING)
        self.hold(m, "invariant: waiting", inside["pending_model.level"] == at.waiting)
        for index, mine in enumerate(at.entries):
            theirs = inside[f"pending_model.entry_{index}"]
            right = (theirs == mine.as_value()) & (mine.rows > 0) & (mine.bytes > 0)
            self.hold(m, f"invariant: waiting load {index}", right, when=at.waiting > index)
