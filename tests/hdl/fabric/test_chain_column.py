"""Small tables in registers and their column, slice by slice with halts, against plain sums."""

import random

import pytest
from amaranth.hdl import Module

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.chain_column import ChainColumn, ChainTables
from lutcore.hdl.fabric.parities import Parities
from lutcore.verif.bench.contexts import simulate

COLUMNS = {
    "one bit": {"max_weight_bits": 1},
    "weighed": {"max_weight_bits": 3},
    "doubling": {"max_weight_bits": 3, "plane_order": "descending"},
    "three tables": {"max_weight_bits": 1, "lookups": 3},
}


def config(name="one bit"):
    fields = {"table_storage": "chain", "group_size": 24, "zero_points": "external", "lookups": 4}
    return CoreConfig(**({"m": 1, "n": 1, "k": 2} | fields | COLUMNS[name]))


def reference(group, entry):
    """The last activation counts positively, the others as the entry's bits say."""
    *low, top = group
    return sum(-a if entry >> t & 1 else a for t, a in enumerate(low)) + top


def numbers(chance, count):
    return [chance.choice([-128, 127, chance.randrange(-128, 128)]) for _ in range(count)]


def test_tables():
    dut, chance = ChainTables(config()), random.Random(0)

    async def bench(ctx):
        held = []
        for _ in range(60):
            row, go = numbers(chance, 8), chance.random() < 0.7
            ctx.set(dut.activations, [row])
            ctx.set(dut.go, go)
            await ctx.tick()
            held = row if go else held
            assert ctx.get(dut.sums)[0] == sum(row)
            for table in range(4 * bool(held)):
                parity = ctx.get(dut.parities)[0] >> table & 1
                entries = [2 * e + parity for e in ctx.get(dut.tables)[0][table]]
                group = held[2 * table : 2 * table + 2]
                assert entries == [reference(group, x) for x in range(2)]

    simulate(dut, bench)


@pytest.mark.parametrize("name", COLUMNS)
def test_dots(name):
    """Runs of a few slices, cleared in between; each slice's sum as it is added."""
    core, chance, wanted, found = config(name), random.Random(name), [], []
    column, bits = ChainColumn(core), Parities(core)
    m = Module()
    m.submodules.column, m.submodules.parities = column, bits
    m.d.comb += [bits.go.eq(column.go), column.parities.eq(bits.sums)]
    late, length = core.stages, core.run_steps

    async def bench(ctx):
        total, slices = 0, []
        for _ in range(60):
            groups = [numbers(chance, 2) for _ in range(core.tables)]
            index = [chance.randrange(4) for _ in groups]
            weight = chance.randrange(3) if core.shifts_in_unit else 0
            weight = int(chance.random() < 0.2) if core.doubles else weight
            slices.append((groups, index, weight))
        at = lambda cycle, late: slices[cycle - late] if 0 <= cycle - late < 60 else None  # noqa: E731
        for cycle in range(60 + late + 1):
            now, before, ends = at(cycle, 0), at(cycle, 1), at(cycle, late)
            last = ends is not None and (cycle - late) % length == length - 1
            ctx.set(column.index, sum(x << 2 * i for i, x in enumerate(now[1])) if now else 0)
            entries = [[reference(g, x) for x in range(2)] for g in before[0]] if before else None
            if entries:
                ctx.set(column.tables, [[[e >> 1 for e in table] for table in entries]])
            second = at(cycle, 2)
            if second:
                odd = [sum(group) & 1 for group in second[0]]
                ctx.set(bits.entries, [sum(o << i for i, o in enumerate(odd))])
            ctx.set(column.valid, ends is not None)
            ctx.set(column.clear, cycle == 0 or last)
            if core.shifts_in_unit:
                weigh = at(cycle, late - 1)
                ctx.set(column.weight, weigh[2] if weigh else 0)
            if core.doubles:
                ctx.set(column.weight, ends[2] if ends else 0)
            while chance.random() < 0.3:
                ctx.set(column.go, 0)
                await ctx.tick()
            ctx.set(column.go, 1)
            if ends:
                groups, index, weight = ends
                terms = zip(groups, index, strict=True)
                value = sum((1 if x & 2 else -1) * reference(g, x & 1) for g, x in terms)
                total = (total << weight if core.doubles else total) + (
                    value << weight if core.shifts_in_unit else value
                )
                wanted.append(total)
                found.append(ctx.get(column.dots)[0])
                total = 0 if last else total
            await ctx.tick()

    simulate(m, bench)
    wide = core.accumulator_bits
    wrap = lambda v: (v + (1 << wide - 1)) % (1 << wide) - (1 << wide - 1)  # noqa: E731
    assert found == [wrap(value) for value in wanted] and len(set(found)) > 40
