"""From activations to tables, and the buffer of a run's tables, against their definition."""

import random

import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.frontend import Frontend, TableBuffer
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put

COMMON = {"m": 2, "n": 1, "k": 2, "group_size": 8}  # runs of 4 steps at most
PLAIN = CoreConfig(**COMMON)
INT8 = CoreConfig(table="int8", **COMMON)
BUFFERED = CoreConfig(precompute="buffered", **COMMON)


def reference(steps):
    """Symmetric tables of a run; the least shifts with which its rows fit eight bits."""
    tables = [[[[-a - b, a - b]] for a, b in step] for step in steps]
    shifts = []
    for row in range(2):
        largest = max(abs(a) + abs(b) for a, b in (step[row] for step in steps))
        shifts.append(next(h for h in range(9) if largest <= 127 << h))
    return tables, shifts


def rounded(tables, shifts):
    halve = lambda value, shift: round(value / (1 << shift))  # noqa: E731 (exact in a double)
    return [
        [
            [[halve(e, h) for e in table] for table in row]
            for row, h in zip(step, shifts, strict=True)
        ]
        for step in tables
    ]


def runs(count, seed):
    chance = random.Random(seed)
    pick = lambda: chance.choice([-128, 127, chance.randint(-90, 90)])  # noqa: E731
    sizes = [chance.randint(1, 4) for _ in range(count)]
    return [[[[pick(), pick()] for _ in range(2)] for _ in range(size)] for size in sizes]


def test_tables_are_there_at_once():
    dut, steps = Frontend(PLAIN), [step for run in runs(10, 0) for step in run]
    wanted = [{"tables": table} for table in reference(steps)[0]]
    simulate(dut, put(dut.activations, [{"values": s} for s in steps]), expect(dut.steps, wanted))


def test_eight_bit_tables_share_a_scale_in_their_run():
    dut, given, wanted = Frontend(INT8), [], []
    for run in runs(12, 1):
        ends = [number == len(run) - 1 for number in range(len(run))]
        given += [{"values": step, "last": last} for step, last in zip(run, ends, strict=True)]
        tables, shifts = reference(run)
        scales = [{"exponent": shift, "invalid": 0} for shift in shifts]
        for table, last in zip(rounded(tables, shifts), ends, strict=True):
            wanted.append({"tables": table, "scales": scales, "last": last})
    simulate(dut, put(dut.activations, given), expect(dut.steps, wanted))


@pytest.mark.parametrize("stall", [0, 0.5])
def test_a_run_is_kept_until_it_is_released(stall):
    """It is read in any order, twice, while the next one arrives."""
    dut, chance, given = TableBuffer(BUFFERED), random.Random(2), []
    content = runs(10, 3)
    for run in content:
        steps = zip(reference(run)[0], range(len(run)), strict=True)
        given.append([{"tables": table, "last": n == len(run) - 1} for table, n in steps])

    async def read(ctx):
        for run in given:
            await ctx.tick().until(dut.valid)
            for place in chance.sample(range(len(run)), len(run)) * 2:
                ctx.set(dut.address, place)
                await ctx.tick()
                assert ctx.get(dut.valid) and ctx.get(dut.tables) == run[place]
            ctx.set(dut.release, 1)
            await ctx.tick()
            ctx.set(dut.release, 0)
        assert not ctx.get(dut.valid)

    simulate(dut, put(dut.steps, [step for run in given for step in run], stall), read)
