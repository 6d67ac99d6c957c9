"""The store engine: where its bursts go, and which of them failed."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from collections.abc import Callable, Mapping

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.store import StoreEngine, store_layout
from lutcore.hdl.isa.lmma import ADDRESS_BITS, OUTPUTS, Cause
from lutcore.hdl.isa.pace import OUTSTANDING
from lutcore.verif.formal.bursts import PAGES, Walk, follow, governed
from lutcore.verif.formal.harness import Harness, opened


def row_bytes(kind: Value, columns: Value) -> Value:
    """Bytes that so many sums become: two of each, or four."""
    halves = (kind == OUTPUTS.index("fp16")) | (kind == OUTPUTS.index("bf16"))
    return Mux(halves, columns << 1, columns << 2)


class StoreHarness(Harness):
    """A store engine between free stores, an output buffer and a memory that answers."""

    models: Mapping[str, Callable] = {}

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "store": In(store_layout()),
                "begin": In(1),
                "address_ready": In(1),
                "data_ready": In(1),
                "answer": In(1),
                "error": In(1),
                "sums": In(config.m * config.drain_columns * 32),
                "window_low": In(PAGES),
                "window_high": In(PAGES + 1),
                "stop": In(1),
                "watch": In(1),
                "watched_row": In(16),
                "watched_column": In(16),
                "watched_sum": In(32),
                "crowded": In(1),
            }
        )

    def describe(self, m: Module) -> None:
        """The engine, its environment, and what is said of it."""
        block = StoreEngine(self._config)
        inside = opened(m, block, models=self.models)
        bus_bytes = self._config.bus_bits // 8
        shift = bus_bytes.bit_length() - 1
        store = self.store
        governed(self, m, block)
        low = Cat(store.mem[:shift], store.pitch[:shift])
        self.assume(m, "stores are of whole words of the bus", low == 0)
        acc = self._config.m * self._config.drain_columns * 4
        self.assume(
            m, "sums begin at a word of the output buffer", store.local[: acc.bit_length() - 1] == 0
        )
        self.assume(m, "there are rows and columns", (store.rows > 0) & (store.columns > 0))
        m.d.comb += [
            block.stores.payload.eq(store),
            block.stores.valid.eq(self.begin),
            block.writes.ready.eq(self.address_ready),
            block.written.ready.eq(self.data_ready),
            block.answers.valid.eq(self.answer),
            block.answers.payload.error.eq(self.error),
            block.read_data.eq(self.sums),
        ]
        self.taken = Signal()
        m.d.comb += self.taken.eq(block.stores.valid & block.stores.ready)
        self.claim(m, block, inside)

    def claim(self, m: Module, block: StoreEngine, inside: dict) -> None:
        """What a derived harness says of the engine."""
        raise NotImplementedError


class StoreAddressProperties(StoreHarness):
    """Bursts of the stores, in their order, and the answers to them: unbounded."""

    def claim(self, m: Module, block: StoreEngine, inside: dict) -> None:
        """Bursts are where the shadow is."""
        bus_bytes = self._config.bus_bits // 8
        store, walk = self.store, Walk(bus_bytes)
        words = (row_bytes(store.type, store.columns) + (bus_bytes - 1)) // bus_bytes
        burst = block.writes.payload
        beats, sent = Signal(9), Signal()
        m.d.comb += [beats.eq(burst.len + 1), sent.eq(block.writes.valid & self.address_ready)]
        walk.begin(m, self.taken, store, words)
        walk.step(m, sent, beats)
        # What is offered while there is no room stays in RowBursts, too.
        begun, offered = Signal(), Signal()
        waited = self.stays(m, "write", block.writes.valid, self.address_ready, burst.as_value())
        within = walk.within(self.window_low, self.window_high)
        right = (burst.addr == walk.at) & (beats == walk.longest) & walk.active & within
        self.hold(
            m,
            "bursts are those of the stores, in order, within the window",
            right,
            when=block.writes.valid,
        )
        follow(self, m, walk, inside, bus_bytes, "bursts.")
        open_ = Signal(range(OUTSTANDING + 1))  # bursts that are not answered
        lengths = Signal(range(OUTSTANDING + 1))  # bursts whose words have not all left
        ends = block.written.valid & self.data_ready & block.written.payload.last
        m.d.sync += [open_.eq(open_ + sent - self.answer), lengths.eq(lengths + sent - ends)]
        self.assume(m, "memory answers no burst that it was not given", open_ > 0, when=self.answer)
        self.hold(m, "invariant: bursts without an answer", inside["places_model.level"] == open_)
        self.hold(
            m, "invariant: bursts with words to come", inside["lengths_model.level"] == lengths
        )
        self.hold(
            m,
            "no more bursts are open than can be kept",
            (open_ <= OUTSTANDING) & (lengths <= OUTSTANDING),
        )
        room = (open_ != OUTSTANDING) & (lengths != OUTSTANDING)
        self.hold(
            m,
            "a burst is offered where there is one, and room for what is kept of it",
            block.writes.valid == (offered & room),
        )
        m.d.comb += offered.eq(walk.active & within & (~self.stop | begun))
        m.d.sync += begun.eq(offered & ~sent)
        self.hold(m, "invariant: begun", inside["bursts.begun"] == begun)
        self.hold(m, "invariant: what has begun is there", walk.active & within, when=begun)
        self.hold(m, "invariant: what waits has begun", begun & room, when=waited)
        outside = Signal()
        m.d.comb += outside.eq(walk.active & ~within & ~self.stop)
        self._faults(m, block, inside, walk, sent, open_, outside)

    def _faults(
        self,
        m: Module,
        block: StoreEngine,
        inside: dict,
        walk: Walk,
        sent: Value,
        open_: Value,
        outside: Value,
    ) -> None:
        """Which burst failed: any one is watched, with those before it that are not answered."""
        watched, ahead, place = Signal(), Signal(range(OUTSTANDING + 1)), Signal(ADDRESS_BITS)
        with m.If(sent & self.watch & ~watched):
            m.d.sync += [watched.eq(1), place.eq(walk.at), ahead.eq(open_ - self.answer)]
        with m.Elif(watched & self.answer):
            m.d.sync += [ahead.eq(ahead - 1), watched.eq(ahead != 0)]
        failed = self.answer & self.error & ~self.stop
        fault = block.fault
        self.hold(
            m,
            "a fault is a burst outside of the window, or one that failed",
            fault.valid == (outside | failed),
        )
        self.hold(
            m,
            "a burst outside is told, with its address",
            (fault.cause == Cause.RANGE) & (fault.address == walk.at),
            when=outside,
        )
        self.hold(
            m, "a burst that failed is told", fault.cause == Cause.WRITE, when=failed & ~outside
        )
        mine = failed & ~outside & watched & (ahead == 0)
        self.hold(
            m, "the address of a burst that failed is told", fault.address == place, when=mine
        )
        self.hold(m, "answers are always taken", block.answers.ready)
        for place_, waiting in ((i, inside[f"places_model.entry_{i}"]) for i in range(OUTSTANDING)):
            now = watched & (ahead == place_)
            self.hold(
                m,
                f"invariant: burst {place_} is kept",
                (waiting == place) & (open_ > place_),
                when=now,
            )
        self.hold(m, "invariant: a burst that is watched is kept", ahead < open_, when=watched)
        self.happen(m, "a burst fails behind another", mine & (place[:12] != 0))
        self.happen(m, "a burst lies outside", outside)
        self.happen(m, "as many bursts are open as can be", open_ == OUTSTANDING)
