"""Blocks of the tiles for FPGAs in Amaranth's own simulator; what memories become."""

import itertools
import json
import random

import pytest
from amaranth.hdl import Const
from amaranth.sim import Simulator

from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.carry_chains import AddSubtract, offset_value
from lutcore.hdl.fabric.lutram_column import LutRamColumn
from lutcore.hdl.fabric.parities import entry_bits
from lutcore.hdl.fabric.table_writer import TableWriter
from lutcore.hdl.parts.sharing import SharedModules

pytestmark = pytest.mark.slow

LUTRAM = CoreConfig(
    **{"table_storage": "lutram", "passes": 39, "n": 2, "lookups": 2, "max_weight_bits": 1},
    **{"group_size": 64, "zero_points": "external"},
)


@pytest.mark.parametrize(("bits", "more"), [(2, 0), (2, 1), (5, 0), (5, 1)])
def test_add_and_subtract(bits, more):
    """Modulo 2^bits of any numbers; with one bit more, exactly, of numbers in offset binary."""
    dut = AddSubtract(bits, bits + more)
    half = 1 << bits - 1
    checked = 0

    async def bench(ctx):
        nonlocal checked
        for a, b, add in itertools.product(range(1 << bits), range(1 << bits), (0, 1)):
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            ctx.set(dut.add, add)
            result = ctx.get(dut.high) << 1 | (a ^ b) & 1
            if more:
                x, y = a - half, b - half
                assert result - 2 * half == (x + y if add else x - y)
            else:
                assert result == (a + b if add else a - b) % (1 << bits)
            checked += 1

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    assert checked == 2 << 2 * bits


def test_offset_value():
    seen = []

    async def bench(ctx):
        seen.extend(ctx.get(offset_value(Const(code, 3))) for code in range(8))

    simulator = Simulator(AddSubtract(2, 2))
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == list(range(-4, 4))


@pytest.mark.parametrize("halts", [False, True])
@pytest.mark.parametrize("k", range(2, 7))
def test_written_entries(k, halts):
    """Both banks get every entry once, each with the table's parity, in ``write_cycles``."""
    config = LUTRAM.replace(m=1, k=k)
    writer = TableWriter(config)
    rng = random.Random(k)
    groups = [[[-128] * k, [127] * k]]
    groups += [[[rng.randrange(-128, 128) for _ in range(k)] for _ in range(2)] for _ in range(4)]
    offset, done = 1 << entry_bits(config) - 2, []

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
            assert cycles == config.write_cycles
            bank = number % 2
            assert (ctx.get(writer.valid), ctx.get(writer.bank)) == (1, bank)
            assert ctx.get(writer.sums)[0] == sum(map(sum, tables))
            for entry in range(1 << k - 1):
                for table, group in enumerate(tables):
                    signs = [-1 if entry >> t & 1 else 1 for t in range(k - 1)] + [1]
                    expected = sum(s * a for s, a in zip(signs, group, strict=True))
                    parity = ctx.get(writer.parities)[0] >> table & 1
                    assert 2 * written[bank << k - 1 | entry][table] + parity == expected
            ctx.set(writer.go, 1)
            ctx.set(writer.release, 1)
            await ctx.tick()
            ctx.set(writer.release, 0)
            assert not ctx.get(writer.valid)
        done.append(True)

    simulator = Simulator(writer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert done


#: Family -> its option to keep pads away, and the cell that its memories must become, its widths.
MEMORIES = {
    "ecp5": ("", "TRELLIS_DPR16X4", 4, 4),
    "gowin": ("-noiopads", "RAM16SDP4", 4, 4),
    "nexus": ("-noiopad", "DPR16X4", 4, 4),
    "xilinx": ("-flatten -noiopad -noclkbuf", "RAM32M", 5, 6),
}


@pytest.mark.parametrize("family", MEMORIES)
def test_tables_become_distributed_ram(family):
    """Plain synthesis puts each table, of all rows, into cells of the family and nothing else."""
    option, cell, k, width = MEMORIES[family]
    config = LUTRAM.replace(k=k, passes=1 << k)
    modules = SharedModules(config.name)
    modules.instance("column", "column", lambda: LutRamColumn(config))
    script = f"""read_rtlil design.il
rename -hide w:*[[]*
synth_{family} {option} -top {config.name}_column
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
