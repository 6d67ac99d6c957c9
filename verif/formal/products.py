"""A product in the compute engine: counted in tiles, and given to each of its walkers once.

Tile, walkers and epilogue are cut, and do anything: each has proofs of its own.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false, reportAttributeAccessIssue=false

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.compute import ComputeEngine, lmma_layout
from lutcore.hdl.core.epilogue import OPTIONS
from lutcore.hdl.isa.pace import AHEAD
from lutcore.hdl.tile.drain import results_layout
from lutcore.hdl.tile.frontend import activations_layout
from lutcore.hdl.tile.tile import weights_layout
from lutcore.verif.formal.harness import Cut, Harness, opened, wait_in_line

#: Walkers by the names of their classes: their stream of products, and the field of a product that
#: says where they begin.
_WALKERS = {
    "ActivationFeeder": ("walks", "act"),
    "SliceFeeder": ("walks", "wgt"),
    "Epilogue": ("tasks", ""),
}


#: Bits of a part's outputs besides its widest one, at most: addresses, and what says yes or no.
_OTHERS = 256


class ProductProperties(Harness):
    """Any products, and walkers that take them at any pace."""

    def __init__(self, config: CoreConfig):
        self._config = config
        widest = max(
            activations_layout(config).size,
            weights_layout(config).size,
            results_layout(config, config.dot_bits).size,
            config.m * config.drain_columns * 32,  # sums
        )
        ports = {name: In(widest + _OTHERS) for name in (*_WALKERS, "Tile")}
        super().__init__({"lmma": In(lmma_layout()), "asked": In(1)} | ports)

    def describe(self, m: Module) -> None:
        """The engine without what it joins, and what waits for each walker."""
        parts: dict[str, Any] = {}

        def cut(part: Any) -> Cut:
            name = type(part).__name__
            parts[name] = part
            return Cut(part, getattr(self, name))

        block = ComputeEngine(self._config)
        opened(m, block, models=dict.fromkeys((*_WALKERS, "Tile"), cut))
        m.d.comb += [block.lmmas.payload.eq(self.lmma), block.lmmas.valid.eq(self.asked)]
        sizes = self.lmma.m.any() & self.lmma.n.any() & self.lmma.k.any()
        self.assume(m, "products have rows, columns and steps", sizes, when=self.asked)
        taken = self.asked & block.lmmas.ready
        levels = []
        for name, (port, base) in _WALKERS.items():
            stream, level = getattr(parts[name], port), Signal(range(AHEAD + 1), name=f"at_{name}")
            gone = stream.valid & stream.ready
            m.d.sync += level.eq(level + taken - gone)
            there = stream.valid == (level != 0)
            self.hold(m, f"{name}: a product is offered while one is there", there)
            first = self._first(m, name, level, taken, gone)
            for said, right in self._fields(stream.payload, first, base).items():
                self.hold(m, f"{name}: {said}", right, when=stream.valid)
            levels.append(level)
        room = Cat(*(level != AHEAD for level in levels)).all()
        self.hold(m, "a product is taken when all walkers have room", block.lmmas.ready == room)
        still = Cat(*(level == 0 for level in levels)).all()
        idle = still & parts["SliceFeeder"].idle & parts["Epilogue"].idle
        self.hold(m, "idle is when no product waits, and no walker works", block.idle == idle)
        weights = parts["Tile"].weights
        self.hold(m, "a slice that enters is told", block.slice == (weights.valid & weights.ready))
        waits = block.stalled == (weights.valid & ~weights.ready)
        self.hold(m, "so is one that waits", waits)
        self.happen(m, "a product waits for a walker", self.asked & ~block.lmmas.ready)
        again = self.happened(m, taken, 2)
        self.happen(m, "all walkers have taken two", again & still)

    def _first(self, m: Module, name: str, level: Value, taken: Value, gone: Value) -> Any:
        """The product that waits longest for a walker."""
        entries = [Signal.like(self.lmma, name=f"{name}_{i}") for i in range(AHEAD)]
        wait_in_line(m, entries, level, self.lmma, taken, gone)
        return entries[0]

    def _fields(self, given: Any, lmma: Any, base: str) -> dict[str, Value]:
        """What a walker is told: sizes are the least numbers of tiles that hold the product."""
        config = self._config
        sizes = {"blocks": (lmma.m, config.m), "tiles": (lmma.n, config.columns)}
        if base:
            sizes["steps"] = (lmma.k, config.depth)
        found: dict[str, Value] = {}
        for name, (size, unit) in sizes.items():
            count = getattr(given, name)
            enough = count * unit >= size
            found[f"{name} hold the product"] = enough & (
                Mux(count == 0, 0, count - 1) * unit < size
            )
        if base:
            planes = lmma.bits if config.form.bit_serial else 1
            found["its planes are those of its weights"] = given.planes == planes
            found["it begins where its operands lie"] = given.base == getattr(lmma, base)
        else:
            same = [getattr(given, name) == getattr(lmma, name) for name in OPTIONS]
            found["it is told how the product adds"] = Cat(*same).all()
            places = (given.scale == lmma.scale) & (given.acc == lmma.acc)
            found["it begins where scales and sums lie"] = places
        return found
