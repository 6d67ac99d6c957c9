"""Buffers of two widths against an array of bytes."""

import random

import pytest

from lutcore.hdl.core.buffers import SumBuffer, make_buffer
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.samples.cores import SMALL_CORES


def reference(memory, place, count):
    """The number of so many bytes from a place on, which wraps."""
    return sum(memory[(place + i) % len(memory)] << 8 * i for i in range(count))


@pytest.mark.parametrize(
    ("write", "read"), [(64, 64), (64, 16), (16, 64), (128, 24), (64, 96), (32, 8), (64, 240)]
)
def test_what_is_written_is_read(write, read):
    """With ``read_enable`` low, what was read stays."""
    size, chance = 256, random.Random(write * read)
    dut, memory = make_buffer(write, read, size), [0] * 256
    # Words of one width lie in those of another; uneven pieces start at what divides both.
    grain = (read if read & read - 1 == 0 else min(read & -read, write)) // 8

    async def bench(ctx):
        for place in range(0, size, write // 8):  # nothing is promised of what was never written
            await word(ctx, place)
        wanted, held = reference(memory, 0, read // 8), False
        for _ in range(200):
            if chance.random() < 0.5:
                ctx.set(dut.read_enable, 0)
                await word(ctx, chance.randrange(size // (write // 8)) * write // 8)
            else:
                place, held = chance.randrange(size // grain) * grain, True
                ctx.set(dut.read_address, place)
                ctx.set(dut.read_enable, 1)
                await ctx.tick()
                wanted = reference(memory, place, read // 8)
            assert not held or ctx.get(dut.read_data) == wanted

    async def word(ctx, place):
        data = chance.getrandbits(write)
        ctx.set(dut.write_enable, 1)
        ctx.set(dut.write_address, place)
        ctx.set(dut.write_data, data)
        await ctx.tick()
        ctx.set(dut.write_enable, 0)
        memory[place : place + write // 8] = data.to_bytes(write // 8, "little")

    simulate(dut, bench)


def test_sums_are_read_by_two():
    dut, chance = SumBuffer(SMALL_CORES["w4a8"]), random.Random(0)
    step, memory = dut.bits // 8, {}

    async def bench(ctx):
        for number in range(100):
            place = chance.randrange(8) * step
            ctx.set(dut.write_enable, 1)
            ctx.set(dut.write_address, place)
            ctx.set(dut.write_data, number)
            await ctx.tick()
            memory[place] = number
            ctx.set(dut.write_enable, 0)
            mine, other = (chance.choice(list(memory)) for _ in range(2))
            for port, value in ((dut.read_address, mine), (dut.store_address, other)):
                ctx.set(port, value)
            ctx.set(dut.store_enable, 1)
            await ctx.tick()
            ctx.set(dut.store_enable, 0)
            ctx.set(dut.store_address, mine)
            assert ctx.get(dut.read_data) == memory[mine]
            assert ctx.get(dut.store_data) == memory[other]

    simulate(dut, bench)
