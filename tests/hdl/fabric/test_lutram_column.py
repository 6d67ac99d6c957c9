"""A column with tables in memory, against plain sums; what its memories become."""

import json
import random

import pytest
from amaranth.hdl import Module

from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.lutram_column import LutRamColumn
from lutcore.hdl.fabric.parities import Parities, entry_bits
from lutcore.hdl.parts.sharing import SharedModules
from lutcore.verif.bench.contexts import simulate

LUTRAM = CoreConfig(
    **{"table_storage": "lutram", "passes": 39, "n": 2, "lookups": 2, "max_weight_bits": 1},
    **{"group_size": 64, "zero_points": "external"},
)


def reference(group, entry):
    """The last activation counts positively, the others as the entry's bits say."""
    *low, top = group
    return sum(-a if entry >> t & 1 else a for t, a in enumerate(low)) + top


@pytest.mark.parametrize("lookups", [1, 2, 3])
def test_dots(lookups):
    """Both banks are written; slices read them in turn into passes' accumulators, with halts."""
    core = LUTRAM.replace(m=1, n=1, k=2, lookups=lookups, passes=5, group_size=2 * lookups * 8)
    column, bits, m, chance = LutRamColumn(core), Parities(core), Module(), random.Random(lookups)
    m.submodules.column, m.submodules.parities = column, bits
    m.d.comb += [bits.go.eq(column.go), column.parities.eq(bits.sums)]
    pick = lambda: chance.choice([-128, 127, chance.randrange(-128, 128)])  # noqa: E731
    banks = [[[pick(), pick()] for _ in range(lookups)] for _ in range(2)]
    slices = []  # bank, indices, accumulator, whether it starts a run
    for number in range(60):
        slices.append((chance.randrange(2), [chance.randrange(4) for _ in range(lookups)]))
        slices[-1] += number % 5, number < 5 or chance.random() < 0.1
    late, wanted, found = core.stages, [], []

    async def bench(ctx):
        ctx.set(column.go, 1)
        ctx.set(column.write.enable, 1)
        offset = 1 << entry_bits(core) - 2
        for address in range(4):
            entries = [reference(g, address & 1) // 2 + offset for g in banks[address >> 1]]
            ctx.set(column.write.address, address)
            ctx.set(column.write.entries, [entries])
            await ctx.tick()
        ctx.set(column.write.enable, 0)
        totals = {}
        at = lambda cycle, late: slices[cycle - late] if 0 <= cycle - late < 60 else None  # noqa: E731
        for cycle in range(60 + late):
            now, after, before, ends = (at(cycle, n) for n in (0, 1, late - 1, late))
            if now:
                ctx.set(column.index, sum(x << 2 * i for i, x in enumerate(now[1])))
            if after:
                ctx.set(column.bank, after[0])
                odd = [sum(group) & 1 for group in banks[after[0]]]
                ctx.set(bits.entries, [sum(o << i for i, o in enumerate(odd))])
            if before:
                ctx.set(column.read, before[2])
                ctx.set(column.first, before[3])
            ctx.set(column.store, ends is not None)
            ctx.set(column.stored, ends[2] if ends else 0)
            while chance.random() < 0.3:
                ctx.set(column.go, 0)
                await ctx.tick()
            ctx.set(column.go, 1)
            if ends:
                bank, index, place, first = ends
                terms = zip(banks[bank], index, strict=True)
                value = sum((1 if x & 2 else -1) * reference(g, x & 1) for g, x in terms)
                totals[place] = value + (0 if first else totals[place])
                wanted.append(totals[place])
                found.append(ctx.get(column.dots)[0])
            await ctx.tick()

    simulate(m, bench)
    wide = core.accumulator_bits
    wrap = lambda v: (v + (1 << wide - 1)) % (1 << wide) - (1 << wide - 1)  # noqa: E731
    assert found == [wrap(value) for value in wanted] and len(set(found)) > 10


#: Family -> its option to keep pads away, and the cell that its memories must become, its widths.
MEMORIES = {
    "ecp5": ("", "TRELLIS_DPR16X4", 4, 4),
    "gowin": ("-noiopads", "RAM16SDP4", 4, 4),
    "nexus": ("-noiopad", "DPR16X4", 4, 4),
    "xilinx": ("-flatten -noiopad -noclkbuf", "RAM32M", 5, 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", MEMORIES)
def test_tables_become_distributed_ram(family):
    """Plain synthesis puts each table, of all rows, into cells of the family and nothing else."""
    option, cell, k, width = MEMORIES[family]
    config = LUTRAM.replace(k=k, passes=1 << k)
    modules = SharedModules(config.name)
    modules.instance("column", "column", lambda: LutRamColumn(config), {})
    script = f"""read_rtlil design.il
rename -hide w:*[[]*
synth_{family} {option} -top {config.name}__column
tee -q -o stat.json stat -json
"""
    text = "\n".join(modules.rtlil.values())
    outputs = run_yosys(script, {"design.il": text.encode()}, ("stat.json",))
    found = json.loads(outputs["stat.json"])["design"]["num_cells_by_type"]
    stored = config.m * (entry_bits(config) - 1)
    tables = config.tables * -(-stored // width)
    accumulators = -(-config.m * config.accumulator_bits // width)
    assert found[cell] == tables + accumulators
    kinds = ("DFF", "_FF", "FDRE", "FD1P3")
    flip_flops = sum(n for name, n in found.items() if any(kind in name for kind in kinds))
    assert flip_flops < 2 * stored * (1 << k)
