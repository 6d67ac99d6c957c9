"""Walks over activations and weight slices: each is read once, in order, and stays until taken.

A shadow counts every loop of a product up from 0 by its own account; reads are held against it.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.compute import ActivationFeeder, SliceFeeder
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.verif.formal.harness import Harness, opened


class Nest:
    """Loops within loops, the innermost first: each counts from 0 to below its size."""

    def __init__(self, sizes: dict[str, Value]) -> None:
        self._sizes = sizes
        self.at = {name: Signal(len(size), name=f"nest_{name}") for name, size in sizes.items()}
        # a loop and all within it end
        self._last = {name: Signal(name=f"nest_last_{name}") for name in sizes}

    def describe(self, m: Module, begin: Value, step: Value) -> None:
        """All start anew at ``begin``, and go on by one at ``step``."""
        ends: Value = Const(1)
        for name, size in self._sizes.items():
            here = self.at[name]
            m.d.comb += self._last[name].eq(ends & (here + 1 == size))
            with m.If(begin):
                m.d.sync += here.eq(0)
            with m.Elif(step & ends):
                m.d.sync += here.eq(Mux(self._last[name], 0, here + 1))
            ends = self._last[name]

    def last(self, name: str) -> Signal:
        """Whether a loop and all within it are at their ends."""
        return self._last[name]

    @property
    def within(self) -> Value:
        """Whether every loop is within its size."""
        return Cat(self.at[name] < size for name, size in self._sizes.items()).all()


class _WalkProperties(Harness):
    """A feeder between a queue of products, a memory and the tile.

    A derived class names the block's stream to the tile, its loops, and what is offered with each
    read.
    """

    _NEXT: str  # the stream to the tile
    _DATA: str  # what of its payload memory gives
    _bytes: int  # of a read

    def __init__(self, config: CoreConfig, block: wiring.Component):
        self._config, self._block = config, block
        # least and most planes of a step
        self._planes = config.weight_bits_range if config.form.bit_serial else (1, 1)
        walk = block.signature.members["walks"].signature.members["payload"]
        super().__init__(
            {
                "walk": In(walk.shape),
                "asked": In(1),
                "data": block.signature.members["read_data"],
                "ready": In(1),
            }
        )

    def describe(self, m: Module) -> None:
        """The feeder, the shadow of its product, and what it offers."""
        block, bus = self._block, self._config.bus_bits // 8
        self.inside = opened(m, block)
        queue, tile = block.walks, getattr(block, self._NEXT)
        m.d.comb += [
            queue.payload.eq(self.walk),
            queue.valid.eq(self.asked),
            block.read_data.eq(self.data),
            tile.ready.eq(self.ready),
        ]
        self.stays(m, "products", self.asked, queue.ready, self.walk.as_value(), assumed=True)
        sizes = Cat(getattr(self.walk, name).any() for name in ("blocks", "tiles", "steps"))
        self.assume(m, "products have rows, columns and steps", sizes.all(), when=self.asked)
        sentence = "their planes and steps are those that the decoder lets pass"
        self.assume(m, sentence, self._legal(self.walk), when=self.asked)
        self.held = Signal.like(self.walk, name="walk_held")
        self.active = Signal(name="walk_active")
        self.here = Signal(ADDRESS_BITS, name="walk_here")
        self.nest = Nest(self._loops(self.held))
        begins, reads = queue.ready & self.asked, block.read_enable
        self.nest.describe(m, begins, reads)
        last = self.nest.last([*self.nest.at][-1])
        following = Signal(ADDRESS_BITS, name="walk_following")
        beyond = Signal(ADDRESS_BITS, name="walk_beyond")
        m.d.comb += beyond.eq(self.here + self._bytes)
        word = Cat(Const(0, bus.bit_length() - 1), (beyond + bus - 1)[bus.bit_length() - 1 :])
        m.d.comb += following.eq(self._following(beyond, word))
        with m.If(begins):
            m.d.sync += [self.held.eq(self.walk), self.active.eq(1), self.here.eq(self.walk.base)]
        with m.Elif(reads):
            m.d.sync += [self.here.eq(following), self.active.eq(~last)]
        self._reads(m, begins, reads, last)
        self._offers(m, reads, tile)
        self._invariants(m)

    def _legal(self, walk: Any) -> Value:
        least, most = self._planes
        built = (walk.planes >= least) & (walk.planes <= most)
        return built & (walk.steps <= self._config.run_steps)

    def _reads(self, m: Module, begins: Value, reads: Value, last: Value) -> None:
        """What is read, and when."""
        block, right = self._block, self._block.read_address == self.here
        self.hold(m, "each read is of the next place of the product", right, when=reads)
        self.hold(m, "only a product is read", self.active, when=reads)
        ends = ~self.active | (reads & last)
        self.hold(m, "a product begins when the one before is all read", ends, when=begins)
        self.hold(m, "then it begins at once", block.walks.ready == ends)
        within = self.nest.within & self._legal(self.held)
        self.hold(m, "no loop goes beyond its size", within, when=self.active)
        self.happen(m, "a product is all read, another begins", begins & self.active)
        most = {"plane": self._planes[1], "step": self._config.run_steps}
        for name, counter in self.nest.at.items():
            if most.get(name, 2) > 1:
                self.happen(m, f"a second {name} is read", reads & (counter == 1))

    def _offers(self, m: Module, reads: Value, tile: Any) -> None:
        """What was read is in front of the tile in the next cycle, and stays until it is taken."""
        self.offered, before = Signal(name="offered"), Signal(len(self.data), name="data_before")
        kept = Signal(name="memory_kept")
        m.d.sync += [
            self.offered.eq(reads | (self.offered & ~self.ready)),
            kept.eq(~reads),
            before.eq(self.data),
        ]
        self.assume(m, "memory gives what it gave until it is read", self.data == before, when=kept)
        self.hold(m, "what was read is offered", tile.valid == self.offered)
        going = self.active & (~self.offered | self.ready)
        self.hold(m, "the next is read when the one before is taken", reads == going)
        self.stays(m, self._NEXT, tile.valid, self.ready, tile.payload.as_value())
        self.happen(m, "one waits", self.offered & ~self.ready & self.happened(m, reads, 3))
        for name, value in self._expected().items():
            was = Signal.like(Value.cast(value), name=f"was_{name}")
            with m.If(reads):
                m.d.sync += was.eq(value)
            same = getattr(tile.payload, name) == was
            self.hold(m, f"its {name} is that of its place", same, when=tile.valid)
        values = getattr(tile.payload, self._DATA).as_value()
        self.hold(m, "it is what memory gives", values == self.data, when=tile.valid)

    def _invariants(self, m: Module) -> None:
        """Registers of the block beside the shadow's."""
        if "idle" in self._block.signature.members:
            still = self._block.idle == (~self.active & ~self.offered)
            self.hold(m, "idle is when nothing is to be read, and nothing waits", still)
        same = {"active": self.active, "valid": self.offered}
        for name, value in same.items():
            self.hold(m, f"{name} is what the shadow has", self.inside[name] == value)
        known = {"head": self.held.as_value(), "place": self.here} | self._counters()
        for name, value in known.items():
            register = Value.cast(self.inside[name])
            self.hold(m, f"{name} is that of the product", register == value, when=self.active)


class ActivationWalkProperties(_WalkProperties):
    """Steps of activations: all of a block of rows, then the next, each block from a bus word."""

    _NEXT, _DATA = "steps", "values"

    def __init__(self, config: CoreConfig):
        super().__init__(config, ActivationFeeder(config))
        self._bytes = Units.of(config).step

    def _loops(self, held: Any) -> dict[str, Value]:
        return {"step": held.steps, "block": held.blocks}

    def _following(self, beyond: Value, word: Value) -> Value:
        return Mux(self.nest.last("step"), word, beyond)

    def _expected(self) -> dict[str, Value]:
        return {"last": self.nest.last("step")} if self._config.marks_runs else {}

    def _counters(self) -> dict[str, Value]:
        at, held = self.nest.at, self.held
        return {"step": held.steps - at["step"], "blocks": held.blocks - at["block"]}


class SliceWalkProperties(_WalkProperties):
    """Weight slices: of each tile of columns from a bus word; anew for every block of rows."""

    _NEXT, _DATA = "slices", "index"

    def __init__(self, config: CoreConfig):
        super().__init__(config, SliceFeeder(config))
        self._bytes = Units.of(config).slice

    def _loops(self, held: Any) -> dict[str, Value]:
        """Planes of a step, or steps of a plane where accumulators double."""
        inner = {"plane": held.planes, "step": held.steps}
        order = reversed(inner.items()) if self._config.doubles else inner.items()
        return dict(order) | {"tile": held.tiles, "block": held.blocks}

    def _following(self, beyond: Value, word: Value) -> Value:
        run = [*self.nest.at][1]
        new_tile = Mux(self.nest.last(run), word, beyond)
        return Mux(self.nest.last("tile"), self.held.base, new_tile)

    def _expected(self) -> dict[str, Value]:
        at, held = self.nest.at, self.held
        inner, outer = [*at][:2]
        top = held.planes - 1 - at["plane"]
        return {
            "plane": top[: len(at["plane"])] if self._config.doubles else at["plane"],
            "step": at["step"],
            "first": (at[inner] == 0) & (at[outer] == 0),
            "last": self.nest.last(outer),
            "release": self.nest.last("tile"),
        }

    def _counters(self) -> dict[str, Value]:
        at, held = self.nest.at, self.held
        inner, outer = [*at][:2]
        return {
            **{"inner": at[inner], "outer": at[outer]},
            **{"tiles": held.tiles - at["tile"], "blocks": held.blocks - at["block"]},
        }
