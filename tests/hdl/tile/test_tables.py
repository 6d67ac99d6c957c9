"""Tables and lookup in Amaranth's own simulator, against the definition."""

import random
from itertools import product

import pytest

from lutcore.compiler.weights.pack import remap
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.column import Column
from lutcore.hdl.tile.tables import TableBuilder, TableStage
from lutcore.verif.bench.contexts import evaluate, simulate


def entry(form, group, x):
    """Entry x of the table of ``group``, from its definition."""
    *lower, top = group
    if form == "symmetric":
        return sum(a if x >> t & 1 else -a for t, a in enumerate(lower)) - top
    return sum(a for t, a in enumerate(group) if x >> t & 1)


@pytest.mark.parametrize("form", ["symmetric", "subset"])
@pytest.mark.parametrize("k", range(1, 7))
def test_every_entry(k, form):
    config = CoreConfig(m=2, n=1, k=k, lookups=2, table_form=form, max_k=64)
    builder = TableBuilder(config)
    rng = random.Random(k)

    async def bench(ctx):
        for _ in range(8):
            rows = [
                [rng.choice([-128, 127, rng.randrange(-128, 128)]) for _ in range(2 * k)]
                for _ in range(2)
            ]
            ctx.set(builder.activations, rows)
            tables = ctx.get(builder.tables)
            for row, lookup, e in product(range(2), range(2), range(config.entries)):
                group = rows[row][lookup * k : lookup * k + k]
                x = e if form == "symmetric" else e + 1
                assert tables[row][lookup][e] == entry(form, group, x)

    simulate(builder, bench)


@pytest.mark.parametrize("form", ["symmetric", "subset"])
@pytest.mark.parametrize("k", range(1, 7))
def test_every_index_gives_its_dot_product(k, form):
    """A column returns sum (+-1) a for every remapped index (symmetric), sum {0,1} a (subset)."""
    import numpy as np

    config = CoreConfig(m=1, n=1, k=k, table_form=form, max_k=64, max_weight_bits=1)
    column = Column(config)
    rng = random.Random(k)
    group = [rng.randrange(-128, 128) for _ in range(k)]
    first = 0 if form == "symmetric" else 1
    table = [entry(form, group, first + e) for e in range(config.entries)]
    bubble = [0] * config.entries
    if config.inverted:
        table, bubble = [~value for value in table], [-1] * config.entries

    async def bench(ctx):
        for bits in product((0, 1), repeat=k):
            stored = remap(np.array(bits, np.uint8), k) if form == "symmetric" else bits
            ctx.set(column.index, sum(int(b) << t for t, b in enumerate(stored)))
            ctx.set(column.first, 1)
            await ctx.tick()
            ctx.set(column.first, 0)
            ctx.set(column.operands, [[table]])
            await ctx.tick()
            ctx.set(column.operands, [[bubble]])
            signs = [2 * b - 1 for b in bits] if form == "symmetric" else bits
            expected = sum(s * a for s, a in zip(signs, group, strict=True))
            assert ctx.get(column.dots)[0] == expected

    simulate(column, bench)


@pytest.mark.parametrize("engine", ["lut", "mac", "conventional-lut"])
def test_operands_are_weighed_and_bubbles_are_zero(engine):
    """By the plane where one table is read, negated in the top plane of two's complement."""
    config = CoreConfig(m=1, n=1, k=2, engine=engine, max_weight_bits=3, max_k=64)
    stage, rng = TableStage(config), random.Random(0)
    low, high = config.stored_range
    inputs, cases, wanted = [stage.tables, stage.fire], [], []
    inputs += [stage.plane] if config.table_shift else []
    inputs += [stage.negative] if config.negates_tables else []
    for _ in range(60):
        pick = lambda: rng.choice([low, high, rng.randint(low, high)])  # noqa: E731
        tables = [[pick() for _ in range(config.entries)] for _ in range(config.tables)]
        fire, plane, negative = rng.randrange(2), rng.randrange(3), rng.randrange(2)
        used = [plane] * bool(config.table_shift) + [negative] * config.negates_tables
        cases.append(([tables], fire, *used))
        factor = fire << (plane if config.table_shift else 0)
        factor *= -1 if config.negates_tables and negative else 1
        values = [[factor * e for e in table] for table in tables]
        wanted.append([[~v if config.inverted else v for v in table] for table in values])
    for (found,), table in zip(
        evaluate(stage, inputs, [stage.operands], cases, 1), wanted, strict=True
    ):
        assert found[0] == table
