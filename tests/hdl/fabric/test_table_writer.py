"""Tables written entry by entry, against their definition."""

import random

import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.parities import entry_bits
from lutcore.hdl.fabric.table_writer import EntryAdder, TableWriter
from lutcore.verif.bench.contexts import simulate


def config(k):
    fields = {"table_storage": "lutram", "passes": 39, "group_size": 64, "max_weight_bits": 1}
    return CoreConfig(m=1, n=2, k=k, lookups=2, zero_points="external", **fields)


def reference(group, entry):
    """The last activation counts positively, the others as the entry's bits say."""
    *low, top = group
    return sum(-a if entry >> t & 1 else a for t, a in enumerate(low)) + top


@pytest.mark.parametrize("halts", [False, True])
@pytest.mark.parametrize("k", range(2, 7))
def test_written_entries(k, halts):
    """Both banks get every entry once, each with the table's parity, in ``write_cycles``."""
    writer, rng = TableWriter(config(k)), random.Random(k)
    groups = [[[-128] * k, [127] * k]]
    groups += [[[rng.randrange(-128, 128) for _ in range(k)] for _ in range(2)] for _ in range(3)]
    offset = 1 << entry_bits(config(k)) - 2

    async def bench(ctx):
        for number, tables in enumerate(groups):
            ctx.set(writer.activations.payload, [tables[0] + tables[1]])
            ctx.set(writer.activations.valid, 1)
            written, cycles = {}, 0
            while len(written) < 1 << k - 1:
                go = not halts or rng.random() < 0.6
                ctx.set(writer.go, go)
                _, _, write, ready = await ctx.tick().sample(writer.write, writer.activations.ready)
                cycles += go
                if ready:
                    ctx.set(writer.activations.valid, 0)
                if write.enable and go:
                    assert write.address not in written
                    written[write.address] = [entry - offset for entry in write.entries[0]]
            assert cycles == config(k).write_cycles
            bank = number % 2
            assert (ctx.get(writer.valid), ctx.get(writer.bank)) == (1, bank)
            assert ctx.get(writer.sums)[0] == sum(map(sum, tables))
            for entry in range(1 << k - 1):
                for table, group in enumerate(tables):
                    parity = ctx.get(writer.parities)[0] >> table & 1
                    half = written[bank << k - 1 | entry][table]
                    assert 2 * half + parity == reference(group, entry)
            ctx.set(writer.go, 1)
            ctx.set(writer.release, 1)
            await ctx.tick()
            ctx.set(writer.release, 0)
            assert not ctx.get(writer.valid)

    simulate(writer, bench)


def test_one_adder():
    """Choose, add or subtract a cycle later; halved, the lowest bit stays apart."""
    dut, group = EntryAdder(config(3)), [-128, 127, -5]
    # Activation of the next cycle, step, add, halve: 0 + a0 + a1 + a2, then two a1 less.
    program = [(0, 0, 1, 0), (1, 1, 1, 0), (2, 1, 1, 0), (1, 1, 1, 1), (0, 1, 0, 0)]

    async def bench(ctx):
        ctx.set(dut.go, 1)
        ctx.set(dut.activations, group)
        for values in program:
            for port, value in zip((dut.select, dut.step, dut.add, dut.halve), values, strict=True):
                ctx.set(port, value)
            await ctx.tick()
        offset = 1 << entry_bits(config(3)) - 2
        assert 2 * (ctx.get(dut.entry) - offset) + ctx.get(dut.parity) == reference(group, 2)

    simulate(dut, bench)
