"""Result beats in the epilogue: each is added to its own sums once, and a product comes to its end.

Lanes are cut, and give anything: what they compute is verified against others' arithmetic. What
they are given, and where their sums go, is claimed.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.epilogue import Epilogue, EpilogueLane, task_layout
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import ADDED, epilogue_cycles
from lutcore.hdl.tile.drain import results_layout
from lutcore.verif.formal.harness import Cut, Harness, opened
from lutcore.verif.formal.walks import Nest

#: What lanes are told of a product.
_OPTIONS = ("half", "fixed_zero", "zero", "integer", "accumulate")


class BeatProperties(Harness):
    """An epilogue between a queue of products, the tile and its buffers."""

    def __init__(self, config: CoreConfig):
        self._config = config
        bits = config.m * config.drain_columns * 32
        super().__init__(
            {
                "task": In(task_layout()),
                "asked": In(1),
                "beat": In(1),
                "result": In(results_layout(config, config.dot_bits)),
                "records": In(config.drain_columns * 32),
                "old": In(bits),
                "sums": In(bits),
            }
        )

    def describe(self, m: Module) -> None:
        """The epilogue, and a shadow that counts runs up from 0."""
        self._block = block = Epilogue(self._config)
        lanes: list[EpilogueLane] = []

        def cut(lane: EpilogueLane) -> Cut:
            lanes.append(lane)
            return Cut(lane, self.sums.word_select(len(lanes) - 1, 32))

        self._inside = opened(m, block, models={"EpilogueLane": cut})
        m.d.comb += [
            block.tasks.payload.eq(self.task),
            block.tasks.valid.eq(self.asked),
            block.results.valid.eq(self.beat),
            block.results.payload.eq(self.result),
            block.records.eq(self.records),
            block.read_data.eq(self.old),
        ]
        self.stays(m, "products", self.asked, block.tasks.ready, self.task.as_value(), assumed=True)
        payload = self.result.as_value()
        self.stays(m, "results", self.beat, block.results.ready, payload, assumed=True)
        sizes = self.task.blocks.any() & self.task.tiles.any()
        self.assume(m, "products have rows and columns", sizes, when=self.asked)
        self._shadow(m)
        self._flow(m)
        self._ends(m)
        self._lanes(m, lanes)

    def _shadow(self, m: Module) -> None:
        """Where the product is; scale records start anew in each block of rows, sums go on."""
        block, units = self._block, Units.of(self._config)
        self._held = held = Signal.like(self.task, name="task_held")
        self._active = active = Signal(name="beats_active")
        self._acc = acc = Signal(ADDRESS_BITS, name="acc_here")
        self._scale = scale = Signal(ADDRESS_BITS, name="scale_here")
        self._runs = Nest({"tile": held.tiles, "block": held.blocks})
        begins, self._taken = self.asked & block.tasks.ready, self.beat & block.results.ready
        ends = self._taken & self.result.last
        self._runs.describe(m, begins, ends)
        self._last = ends & self._runs.last("block")
        record = Mux(held.half & held.fixed_zero, 2, 4)
        with m.If(begins):
            m.d.sync += [held.eq(self.task), active.eq(1)]
            m.d.sync += [acc.eq(self.task.acc), scale.eq(self.task.scale)]
        with m.Elif(self._taken):
            following = scale + record * self._config.drain_columns
            again = self.result.last & self._runs.last("tile")
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

    def _lanes(self, m: Module, lanes: list[EpilogueLane]) -> None:
        """A cycle after a beat its sums meet its records; old sums come when they are read."""
        config, task, columns = self._config, self._held, self._config.drain_columns
        result = Signal.like(self.result, name="result_before", reset_less=True)
        odd = Signal(name="second_half", reset_less=True)
        narrow = task.half & task.fixed_zero
        m.d.sync += [result.eq(self.result), odd.eq((self._scale // (columns * 2)) % 2)]
        given: dict[str, list[Value]] = {}
        for place, lane in enumerate(lanes):
            row, column = divmod(place, columns)
            short = self.records.word_select(odd * columns + column, 16)
            record = Mux(narrow, short, self.records.word_select(column, 32))
            wanted = {
                "sum of the run": (lane.dot, result.dot[row][column]),
                "row sum": (lane.row_sum, result.row_sum[row]),
                "scale record": (lane.record, record),
                **{name: (getattr(lane, name), getattr(task, name)) for name in _OPTIONS},
            }
            if config.block_scaled:
                scale = result.scale[row]
                power = scale.exponent - config.scale_offset
                wanted |= {"power": (lane.power, power), "invalid": (lane.invalid, scale.invalid)}
            for name, (theirs, right) in wanted.items():
                same = Value.cast(theirs).as_unsigned() == Value.cast(right)[: len(theirs)]
                given.setdefault(name, []).append(same)
        came = Signal(name="beat_came")
        m.d.sync += came.eq(self._taken)
        for name, same in given.items():
            self.hold(m, f"each lane has its {name}", Cat(*same).all(), when=came)
        olds = Cat(*(lane.old for lane in lanes))
        self.hold(m, "old sums go to lanes as they are read", olds == self.old)
        written = self._block.write_data == self.sums
        self.hold(m, "what lanes give is written, in their order", written)
