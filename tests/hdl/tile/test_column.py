"""A weight column and the row sums, slice by slice with bubbles, against plain sums."""

import random

import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.column import Column, RowSums
from lutcore.verif.bench.contexts import simulate

CORES = {
    "mac": {"engine": "mac", "k": 2, "max_weight_bits": 3},
    "mac-booth": {"engine": "mac", "k": 3, "max_weight_bits": 8, "pipeline": 2},
    "add": {"engine": "add", "k": 2, "max_weight_bits": 1},
    "weighed": {"k": 2, "lookups": 2, "max_weight_bits": 3, "pipeline": 1},
    "doubling": {"k": 2, "lookups": 2, "max_weight_bits": 3, "plane_order": "descending"},
}


def reference(config, index, operands):
    """A slice's dot product of one row, from the indices as packed."""
    total = 0
    for i, table in enumerate(operands):
        field = index >> i * config.index_bits & (1 << config.index_bits) - 1
        if config.engine == "mac":
            top = 1 << config.index_bits - 1
            total += table[0] * (field - 2 * top * bool(field & top))
        elif config.engine == "add":
            total += table[0] * field
        else:  # symmetric, the top bit negates
            sign, x = divmod(field, config.entries)
            total += -table[x] if sign else table[x]
    return total


def slices(config, count, chance):
    """Indices, operands, whether a run starts, weight; None is a bubble."""
    low, high = config.stored_range
    for number in range(count):
        tables = [
            [chance.choice([low, high, chance.randint(low, high)]) for _ in range(config.entries)]
            for _ in range(config.tables)
        ]
        first = number == 0 or chance.random() < 0.2
        weight = chance.randrange(config.max_weight_bits) if config.shifts_in_unit else 0
        weight = chance.randrange(2) if config.doubles else weight
        if chance.random() < 0.3:
            yield None
        yield chance.getrandbits(config.tables * config.index_bits), tables, first, weight


def drive(ctx, dut, config, given, operands):
    """One cycle's inputs: a slice's index, and the operands of the one before it."""
    flip = -1 if config.inverted else 0  # operands come inverted
    tables = operands or [[0] * config.entries] * config.tables
    ctx.set(dut.operands, [[[entry ^ flip for entry in table] for table in tables]])
    ctx.set(dut.first, given is not None and given[2])


@pytest.mark.parametrize("name", CORES)
def test_dots(name):
    config = CoreConfig(m=1, n=1, group_size=48, **CORES[name])
    dut, chance, wanted, found = Column(config), random.Random(name), [], []

    async def bench(ctx):
        total, before = 0, None
        stream = [*slices(config, 60, chance), *[None] * (1 + config.pipeline)]
        for given in stream:
            drive(ctx, dut, config, given, before)
            ctx.set(dut.index, given[0] if given else 0)
            if config.shifts_in_unit or config.doubles:
                ctx.set(dut.weight, given[3] if given else 0)
            before = given and given[1]
            await ctx.tick()
            if given:
                index, tables, first, weight = given
                total = 0 if first else total << (weight if config.doubles else 0)
                by = weight if config.shifts_in_unit else 0
                total += reference(config, index, tables) << by
                bits = config.accumulator_bits  # what a legal run cannot reach wraps
                total = (total + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
            wanted.append(total)
            found.append(ctx.get(dut.dots)[0])

    simulate(dut, bench)
    late = 1 + config.pipeline
    assert found[late:] == wanted[:-late] and len(set(found)) > 20


@pytest.mark.parametrize("form", ["symmetric", "subset", "ternary", "product"])
def test_row_sums(form):
    """The table of one activation a is made by hand, so that the sum of the run is known."""
    fields = {
        "symmetric": {"k": 2},
        "subset": {"k": 2, "table_form": "subset"},
        "ternary": {"k": 3, "weight_coding": "ternary"},
        "product": {"k": 1, "engine": "mac"},
    }[form]
    config, chance = CoreConfig(m=1, n=1, group_size=48, **fields), random.Random(form)
    dut, sums = RowSums(config), []

    async def bench(ctx):
        run, before = 0, None
        for number in range(40):
            sum_of_table = chance.randint(*config.stored_range)
            first, counts = number % 7 == 0, number % 2
            entries = [0] * config.entries
            place = {"symmetric": 0, "subset": 2, "ternary": 12, "product": 0}[form]
            entries[place] = -sum_of_table if form == "symmetric" else sum_of_table
            drive(ctx, dut, config, (0, 0, first), before)
            serial = form in ("symmetric", "subset")
            ctx.set(dut.counts, counts)
            before = [entries]
            await ctx.tick()
            run = (0 if first else run) + (sum_of_table if counts or not serial else 0)
            sums.append(run)
            ctx.set(dut.capture, 1)
            if number > 1:
                assert ctx.get(dut.sums)[0] == sums[-3]

    simulate(dut, bench)
    assert len(set(sums)) > 20
