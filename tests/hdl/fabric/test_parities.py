"""Lowest bits of sums, level by level, against sums of integers."""

import random

import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.parities import Parities, entry_bits, levels
from lutcore.verif.bench.contexts import simulate


def config(k, lookups):
    fields = {"table_storage": "chain", "group_size": 120, "zero_points": "external"}
    return CoreConfig(m=2, n=1, k=k, lookups=lookups, max_weight_bits=1, **fields)


def reference(entries):
    """Lowest bits of the entries, of the sums of neighbours, and so on to one sum."""
    found = [entries]
    while len(found[-1]) > 1:
        last = found[-1]
        found.append([sum(last[i : i + 2]) for i in range(0, len(last), 2)])
    return [[value & 1 for value in level] for level in found]


@pytest.mark.parametrize("lookups", [1, 2, 3, 5, 8])
def test_sums(lookups):
    """A level's come a cycle after those of the one before; they stand still without ``go``."""
    dut, chance, seen, wanted = Parities(config(2, lookups)), random.Random(lookups), [], []

    async def bench(ctx):
        for _ in range(60):
            rows = [[chance.randrange(2) for _ in range(lookups)] for _ in range(2)]
            go = chance.random() < 0.7
            ctx.set(dut.go, go)
            ctx.set(dut.entries, [sum(b << i for i, b in enumerate(row)) for row in rows])
            sums = [ctx.get(dut.sums)[row] for row in range(2)]
            if go:
                wanted.append([reference(row) for row in rows])
                seen.append(sums)
            await ctx.tick()

    simulate(dut, bench)
    counts = levels(config(2, lookups))
    assert counts == [len(level) for level in wanted[0][0]]
    for row in range(2):
        low = 0
        for late, count in enumerate(counts):
            found = [s[row] >> low & (1 << count) - 1 for s in seen[late:]]
            bits = [sum(b << i for i, b in enumerate(w[row][late])) for w in wanted]
            assert found == bits[: len(bits) - late]
            low += count


@pytest.mark.parametrize(("k", "bits"), [(2, 9), (3, 10), (4, 10), (5, 11), (6, 11)])
def test_entry_bits(k, bits):
    """``k`` times -128 has as many bits."""
    assert entry_bits(config(k, 1)) == bits
