"""Where the walkers of an ``lmma`` read, in which order, and what they say of it."""

import pytest

from lutcore.hdl.core.compute import ActivationFeeder, SliceFeeder
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put
from lutcore.verif.samples.cores import SMALL_CORES

BUS = 16
#: Blocks of rows, tiles of columns, steps, planes, base of the walks.
WALKS = [(1, 1, 1, 1, 0), (2, 3, 5, 2, 64), (3, 1, 8, 3, 16), (1, 2, 4, 1, 4096)]


def up(place):
    """To the next bus word."""
    return -(-place // BUS) * BUS


def steps(blocks, tiles, steps, planes, base, size):
    """Addresses of activations, and which ends a run: a block's start at a bus word."""
    for _ in range(blocks):
        for step in range(steps):
            yield base + step * size, step == steps - 1
        base = up(base + steps * size)


def slices(blocks, tiles, steps, planes, base, size, doubles):
    """Address, plane, step, first, last, release of slices; each tile starts at a bus word."""
    for _ in range(blocks):
        place = base
        for tile in range(tiles):
            order = [(p, s) for s in range(steps) for p in range(planes)]
            if doubles:
                order = [(p, s) for p in reversed(range(planes)) for s in range(steps)]
            for n, (plane, step) in enumerate(order):
                last = n == len(order) - 1
                yield place + n * size, plane, step, n == 0, last, last and tile == tiles - 1
            place = up(place + len(order) * size)


def walks():
    names = ("blocks", "tiles", "steps", "planes", "base")
    return [dict(zip(names, walk, strict=True)) for walk in WALKS]


def echo(dut, bits, ended):
    """A memory that holds in each place its address."""

    async def bench(ctx):
        while not ended:
            *_, enable, address = await ctx.tick().sample(dut.read_enable, dut.read_address)
            if enable:
                ctx.set(dut.read_data, address % (1 << bits))

    return bench


def run(dut, port, bits, wanted, stall):
    ended = []

    async def check(ctx):
        await expect(port, wanted, stall)(ctx)
        ended.append(True)

    simulate(dut, put(dut.walks, walks()), check, echo(dut, bits, ended))


@pytest.mark.parametrize("stall", [0, 0.4])
def test_activations(stall):
    config = SMALL_CORES["w4a8"]
    dut, bits = ActivationFeeder(config), config.m * config.depth * 8
    wanted = []
    for walk in WALKS:
        for place, last in steps(*walk, size=4):
            data = place.to_bytes(bits // 8, "little")
            values = [int.from_bytes(data[i : i + 1], "little", signed=True) for i in range(8)]
            wanted.append({"values": [values[:4], values[4:]], "last": last})
    run(dut, dut.steps, bits, wanted, stall)


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize("name", ["w4a8", "fp16-exact"])
def test_slices(name, stall):
    config = SMALL_CORES[name]
    dut, wanted = SliceFeeder(config), []
    for walk in WALKS:
        walked = slices(*walk, config.slice_bits // 8, doubles=name == "fp16-exact")
        for place, plane, step, first, last, release in walked:
            index = [[place >> 4 * n & 15] for n in range(config.columns)]
            word = {"index": index, "plane": plane, "step": step, "first": first, "last": last}
            wanted.append(word | {"release": release})
    run(dut, dut.slices, config.slice_bits, wanted, stall)
