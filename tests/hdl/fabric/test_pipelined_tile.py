"""Small tiles for FPGAs between their streams, and their row sums, against sums written out."""

import random

import pytest
from plain_tile import play

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.pipelined_tile import PipelinedTile, StepRowSums
from lutcore.verif.bench.contexts import simulate

COMMON = {"m": 2, "n": 2, "k": 2, "lookups": 2, "group_size": 16, "zero_points": "column"}
TILES = {
    "chain": {"table_storage": "chain", "result_columns": 1},
    "chain, one table": {"table_storage": "chain", "lookups": 1, "result_columns": 2},
    "lutram": {"table_storage": "lutram", "passes": 5},
}


def reference(slices):
    """R after each slice: the steps of the run so far that count, from plane 0 of pass 0."""
    run, found = 0, []
    for step, valid, first, counts in slices:
        run = (0 if first else run) + (step if counts else 0) if valid else run
        found.append(run)
    return found


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize("name", TILES)
def test_runs(name, stall):
    play(PipelinedTile(CoreConfig(**(COMMON | TILES[name]))), stall)


def test_row_sums():
    config = CoreConfig(**(COMMON | TILES["chain"] | {"m": 1}))
    dut, chance = StepRowSums(config), random.Random(0)
    slices = [
        (chance.randint(-512, 508), chance.random() < 0.7, n % 6 == 0, chance.randrange(2))
        for n in range(60)
    ]
    slices = [(step, valid or first, first, counts) for step, valid, first, counts in slices]
    wanted, late = reference(slices), config.stages

    async def bench(ctx):
        ctx.set(dut.capture, 1)
        for cycle, (step, valid, first, counts) in enumerate(slices):
            ctx.set(dut.steps, [step])
            for port, value in ((dut.valid, valid), (dut.first, first), (dut.counts, counts)):
                ctx.set(port, value)
            while chance.random() < 0.3:
                ctx.set(dut.go, 0)
                await ctx.tick()
            ctx.set(dut.go, 1)
            await ctx.tick()
            if cycle >= late:
                assert ctx.get(dut.sums)[0] == wanted[cycle - late]

    simulate(dut, bench)
