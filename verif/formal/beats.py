"""Result beats in the epilogue: each is added to its own sums once, and a product comes to its end.

Lanes are cut: what they compute is verified against others' arithmetic.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.epilogue import Epilogue, task_layout
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import ADDED, epilogue_cycles
from lutcore.verif.formal.harness import Harness, opened
from lutcore.verif.formal.walks import Nest


class BeatProperties(Harness):
    """An epilogue between a queue of products, the tile and its buffers."""

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({"task": In(task_layout()), "asked": In(1), "beat": In(1), "ends": In(1)})

    def describe(self, m: Module) -> None:
        """The epilogue, and a shadow that counts runs up from 0."""
        self._block = block = Epilogue(self._config)
        self._inside = opened(m, block)
        m.d.comb += [
            block.tasks.payload.eq(self.task),
            block.tasks.valid.eq(self.asked),
            block.results.valid.eq(self.beat),
            block.results.payload.last.eq(self.ends),
        ]
        self.stays(m, "products", self.asked, block.tasks.ready, self.task.as_value(), assumed=True)
        self.stays(m, "results", self.beat, block.results.ready, self.ends, assumed=True)
        sizes = self.task.blocks.any() & self.task.tiles.any()
        self.assume(m, "products have rows and columns", sizes, when=self.asked)
        self._shadow(m)
        self._flow(m)
        self._ends(m)

    def _shadow(self, m: Module) -> None:
        """Where the product is; scale records start anew in each block of rows, sums go on."""
        block, units = self._block, Units.of(self._config)
        self._held = held = Signal.like(self.task, name="task_held")
        self._active = active = Signal(name="beats_active")
        self._acc = acc = Signal(ADDRESS_BITS, name="acc_here")
        self._scale = scale = Signal(ADDRESS_BITS, name="scale_here")
        self._runs = Nest({"tile": held.tiles, "block": held.blocks})
        begins, self._taken = self.asked & block.tasks.ready, self.beat & block.results.ready
        ends = self._taken & self.ends
        self._runs.describe(m, begins, ends)
        self._last = ends & self._runs.last("block")
        record = Mux(held.half & held.fixed_zero, 2, 4)
        with m.If(begins):
            m.d.sync += [held.eq(self.task), active.eq(1)]
            m.d.sync += [acc.eq(self.task.acc), scale.eq(self.task.scale)]
        with m.Elif(self._taken):
            following = scale + record * self._config.drain_columns
            again = self.ends & self._runs.last("tile")
            m.d.sync += [
                active.eq(~self._last),
                acc.eq(acc + units.acc),
                scale.eq(Mux(again, held.scale, following)),
            ]
        self.hold(m, "a product is under way where one began", self._inside["active"] == active)
        same = Value.cast(self._inside["task"]) == held.as_value()
        self.hold(m, "it is the one that began last", same)
        self.hold(m, "no more runs are counted than there are", self._runs.within, when=active)
        counted = {
            "acc": acc,
            "scale": scale,
            "tiles": held.tiles - self._runs.at["tile"],
            "blocks": held.blocks - self._runs.at["block"],
        }
        for name, value in counted.items():
            plain = f"{name} is that of the next beat"
            self.hold(m, plain, self._inside[name] == value, when=active)

    def _flow(self, m: Module) -> None:
        """Beats on their way: old sums are read in time, new ones written, in their places."""
        block, cycles = self._block, epilogue_cycles(self._config)
        beats, places, self._done = [self._taken], [self._acc], [self._last]
        ways = {"beat": beats, "place": places, "end": self._done}
        for i in range(cycles):
            for name, way in ways.items():
                late = Signal(len(way[-1]), name=f"{name}_{i}")
                m.d.sync += late.eq(way[-1])
                way.append(late)
            known = self._inside[f"valid_{i}"] == beats[-1]
            self.hold(m, f"a beat is known {i + 1} cycles later", known)
            self.hold(m, f"so is an end, {i}", self._inside[f"done_{i}"] == self._done[-1])
            same = self._inside[f"address_{i}"] == places[-1]
            self.hold(m, f"and its place, {i}", same, when=beats[-1])
            if i < cycles - ADDED - 1:
                same = self._inside[f"old_address_{i}"] == places[-1]
                self.hold(m, f"and that of its old sums, {i}", same, when=beats[-1])
        self._under_way = Cat(*beats[1:]).any()
        self.hold(m, "each beat's scale records are read", block.scale_enable == self._taken)
        right = block.scale_address == self._scale
        self.hold(m, "where its columns have them", right, when=self._taken)
        early = cycles - ADDED - 1
        right = block.read_address == places[early]
        self.hold(m, "its old sums are read in time to be added", right, when=beats[early])
        self.hold(m, "a beat's sums are written once", block.write_enable == beats[cycles])
        right = block.write_address == places[cycles]
        self.hold(m, "where its old sums were", right, when=beats[cycles])
        self.happen(m, "sums are written, others are on their way", beats[cycles] & beats[1])

    def _ends(self, m: Module) -> None:
        """A product takes as many runs as it has, ends, and only then the next begins."""
        block, active = self._block, self._active
        ready = block.results.ready == active
        self.hold(m, "beats are taken while a product is under way, all at once", ready)
        still = ~active & ~self._under_way
        self.hold(m, "a product begins when all sums are written", block.tasks.ready == still)
        self.hold(m, "idle is when none is under way", block.idle == still)
        held, done = self._held, self._done[-1]
        for name in ("load", "store"):
            wanted = done & getattr(held, f"signal_{name}")
            given = getattr(block, f"signal_{name}")
            self.hold(m, f"its end gives {name} a token if it is to", given == wanted)
        two = (held.blocks == 2) & (held.tiles == 2)
        self.happen(m, "a product of two blocks of two tiles ends", done & two)
        again = self.happened(m, done) & self.asked & block.tasks.ready
        self.happen(m, "another begins", again)
