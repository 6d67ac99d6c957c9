"""Accumulators: what they hold is the sum of the run's slices, and a run's sum fits in them."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

import functools
import operator

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.carry_save import Addend, Tree
from lutcore.hdl.tile.column import Accumulators
from lutcore.verif.formal.harness import Harness, opened


def _terms(config: CoreConfig) -> int:
    """Terms of a slice: one, or as many as make full adders where carries are kept."""
    return 3 if config.carry_save_levels else 1


class _Accumulator(wiring.Component):
    """One accumulator of a few terms."""

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(_slice(config) | {"sum": Out(signed(config.accumulator_bits))})

    def elaborate(self, platform: object) -> Module:
        """As a column has it."""
        m = Module()
        config = self._config
        weight = self.weight if config.shifts_in_unit or config.doubles else None
        accumulators = Accumulators(m, platform, config, self.first, weight)
        found = accumulators.add(list(self.terms), config.accumulator_bits, "sum")
        m.d.comb += self.sum.eq(found)
        return m


def _slice(config: CoreConfig) -> dict[str, wiring.Member]:
    """What an accumulator takes of a slice."""
    return {
        "first": In(1),
        "weight": In(config.plane_bits if config.shifts_in_unit else 1),
        "terms": In(data.ArrayLayout(signed(config.unit_bits), _terms(config))),
    }


class AccumulatorProperties(Harness):
    """Slices enter in any order and number; controls a cycle before their terms."""

    reduced = ("of one accumulator",)

    def __init__(self, config: CoreConfig):
        self._config = config
        step = signed(signed_bits(*config.products_range(config.depth)))
        super().__init__(_slice(config) | {"step": In(step), "begin": In(1)})

    def describe(self, m: Module) -> None:
        """The accumulator beside a sum; and beside that, whole steps of a run."""
        block = _Accumulator(self._config)
        inside = opened(m, block)
        m.d.comb += [getattr(block, port).eq(getattr(self, port)) for port in _slice(self._config)]
        self._sums(m, block, inside)
        self._room(m)

    def _sums(self, m: Module, block: _Accumulator, inside: dict[str, Signal]) -> None:
        """Sums, one for each cycle that the accumulator is behind, and the registers between."""
        config = self._config
        behind = config.pipeline
        bits = config.accumulator_bits
        controls = self._entered(m, 1 + behind)
        width = config.unit_bits + (_terms(config) > 1) * 2
        totals: list[Value] = [functools.reduce(operator.add, self.terms)]
        for i in range(behind):
            start = -self._inverted() if i + 1 == behind else 0
            late = Signal(signed(width), name=f"total_{i}", init=start, reset_less=True)
            m.d.sync += late.eq(totals[-1])
            totals.append(late)
        begins = [0] * (behind + 1)  # sums that are on their way
        if behind:
            begins[-2] = Const(-self._inverted(), signed(bits)).value
        newest = Signal(signed(bits), name="newest", init=begins[0], reset_less=True)
        m.d.sync += newest.eq(self._after(newest, *controls[0], totals[0]))
        sums = [newest]
        for i in range(behind):
            older = Signal(signed(bits), name=f"older_{i}", init=begins[i + 1], reset_less=True)
            m.d.sync += older.eq(sums[-1])
            sums.append(older)
            after = self._after(older, *controls[i + 1], totals[i + 1])
            self.hold(m, f"sums {i + 1} cycles ago lead to those after them", sums[i] == after)
        self.hold(m, "the accumulator is the sum of its run's slices", block.sum == sums[-1])
        for i, (first, weight) in enumerate(controls):
            alone = ~first & ~weight if config.doubles else ~first
            self.hold(m, f"a run starts anew, {i} cycles later", inside[f"keep_{i}"] == alone)
            if config.doubles:
                twice = inside[f"double_{i}"] == (weight & ~first)
                self.hold(m, f"a plane starts with twice the sum, {i} cycles later", twice)
            if config.shifts_in_unit:
                same = inside[f"weight_{i}"] == weight
                self.hold(m, f"planes are known {i} cycles later", same)
        self._registers(m, inside, totals[1:])
        self.happen(
            m, "a sum of more than one slice", (block.sum > 2) & self.happened(m, ~self.first, 3)
        )

    def _inverted(self) -> int:
        """What rows count more than their terms, whose sign bits are inverted; from zeros on."""
        config = self._config
        return _terms(config) << config.unit_bits - 1 if config.carry_save_levels else 0

    def _registers(self, m: Module, inside: dict[str, Signal], totals: list[Value]) -> None:
        """What registers between terms and accumulator hold, those of terms and those of sums."""
        config = self._config
        places = (
            [f"term_sum_{i}_0" for i in range(_terms(config))],
            ["sum_sum_0", "sum_sum_1_0", "sum_sum_2_0"],
        )
        terms, sums = ({name: inside[name] for name in n if name in inside} for n in places)
        if config.carry_save_levels:
            addends = [Addend(config.unit_bits, signed=True, zeros=frozenset())] * _terms(config)
            tree = Tree.of(addends, config.carry_save_levels)
            rows = enumerate(sums.items())
            sums = {name: tree.weighted(row, bits) for row, (name, bits) in rows}
        held = [(terms, 0), (sums, self._inverted())][2 - config.pipeline :]
        for (found, more), late in zip(held, totals, strict=True):
            known = functools.reduce(operator.add, found.values())
            self.hold(m, f"terms are known in {' and '.join(found)}", known == late + more)

    def _entered(self, m: Module, cycles: int) -> list[tuple[Signal, Signal]]:
        """Controls as they came a cycle ago, two, ..."""
        first, weight, found = self.first, self.weight, []
        for i in range(cycles):
            anew = Signal(name=f"first_{i}", init=1, reset_less=True)
            plane = Signal.like(weight, name=f"weight_{i}", reset_less=True)
            m.d.sync += [anew.eq(first), plane.eq(weight)]
            first, weight = anew, plane
            found.append((first, weight))
        return found

    def _after(self, before: Value, first: Value, weight: Value, total: Value) -> Value:
        config = self._config
        kept = before + Mux(weight, before, 0) if config.doubles else before
        added = total << weight if config.shifts_in_unit else total
        return (Mux(first, 0, kept) + added)[: config.accumulator_bits].as_signed()

    def _room(self, m: Module) -> None:
        """A run of as many steps as there may be, each of any sum of activations times weights."""
        config = self._config
        low, high = config.products_range(config.depth)
        legal = (self.step >= low) & (self.step <= high)
        self.assume(m, "a step is a sum of activations times weights", legal)
        count = Signal(range(config.run_steps + 1), name="count")
        total = Signal(signed(config.accumulator_bits + 8), name="whole")
        self.assume(
            m,
            f"a run has at most {config.run_steps} steps",
            count != config.run_steps,
            when=~self.begin,
        )
        with m.If(self.begin):
            m.d.sync += [count.eq(1), total.eq(self.step)]
        with m.Else():
            m.d.sync += [count.eq(count + 1), total.eq(total + self.step)]
        bounds = (total >= count * low) & (total <= count * high)
        self.hold(m, "a sum is bounded by its steps", bounds & (count <= config.run_steps))
        fits = total[: config.accumulator_bits].as_signed() == total
        self.hold(m, "the sum of a run fits the accumulator", fits)
