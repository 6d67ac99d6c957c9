"""The load engine between a memory and its buffers, against rows of bytes."""

import itertools
import random

import pytest

from lutcore.hdl.core.load import LoadEngine, Target
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, get, put
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG, BUS, SIZE = SMALL_CORES["w4a8"], 16, 1 << 14
MEMORY = random.Random(0).randbytes(SIZE)


def load(target, mem, rows, count, pitch, local=0, signal=1):
    names = ("target", "mem", "local", "rows", "bytes", "pitch", "signal")
    values = (target.value, mem, local, rows, count, pitch, signal)
    return dict(zip(names, values, strict=True))


def reference(job):
    """Bank, address and word of each write; bytes beyond a row's end are 0."""
    writes, size = [], -(-job["bytes"] // BUS)
    banks = CONFIG.m if job["target"] == 0 else 1
    for row in range(job["rows"]):
        start = job["mem"] + row * job["pitch"]
        content = MEMORY[start : start + job["bytes"]].ljust(size * BUS, b"\0")
        for word in range(size):
            place = job["local"] + (row // banks * size + word) * BUS
            data = int.from_bytes(content[word * BUS : word * BUS + BUS], "little")
            writes.append((1 << job["target"], row % banks, place, data))
    return writes


def memory(dut, bursts, stall, bad=-1):
    """Requests answered word by word; the words of one of them with an error."""

    async def bench(ctx):
        for number in range(bursts):
            (burst,) = await get(dut.reads, 1, stall, seed=number)(ctx)
            places = range(burst.addr, burst.addr + (burst.len + 1) * BUS, BUS)
            words = [int.from_bytes(MEMORY[p : p + BUS], "little") for p in places]
            answers = [{"data": word, "error": number == bad} for word in words]
            await put(dut.words, answers, stall, seed=number)(ctx)

    return bench


async def opened(ctx, dut, pages=4):
    ctx.set(dut.window_high, pages)


@pytest.mark.parametrize("stall", [0, 0.4])
def test_rows(stall):
    dut = LoadEngine(CONFIG)
    jobs = [
        load(Target.ACTIVATIONS, 48, 5, 40, 96, 160),
        load(Target.WEIGHTS, 4096 - 32, 2, 64, 4096),
        load(Target.SCALES, 0, 3, 1, 16, 32, signal=0),
        load(Target.PROGRAM, 8192, 1, 320, 0),
    ]
    wanted, found, done = [write for job in jobs for write in reference(job)], [], []
    # Rows in one page are a burst each; that of weights goes across the end of a page, twice.
    bursts = 5 + 4 + 3 + 1

    async def watch(ctx):
        await opened(ctx, dut)
        names = ("write_enable", "write_bank", "write_address", "write_data", "done", "idle")
        idle = 0
        while len(found) < len(wanted) or idle < 8:
            *_, enable, bank, place, data, ends, idles = await ctx.tick().sample(
                *(getattr(dut, name) for name in names)
            )
            found.extend([(enable, bank, place, data)] if enable else [])
            done.extend([len(found)] if ends else [])
            idle = idle + 1 if idles else 0

    simulate(dut, watch, put(dut.loads, jobs, stall), memory(dut, bursts, stall))
    assert found == wanted
    ends = list(itertools.accumulate(len(reference(job)) for job in jobs))
    assert done == [ends[0], ends[1], ends[3]]


FAULTS = {
    "outside": (load(Target.WEIGHTS, 4 * 4096, 1, 16, 0), Cause.RANGE, 4 * 4096, 0),
    "answered with an error": (load(Target.SCALES, 64, 1, 16, 0), Cause.READ, 64, 1),
    "of a program": (load(Target.PROGRAM, 32, 1, 16, 0), Cause.FETCH, 32, 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name):
    job, cause, address, bursts = FAULTS[name]
    dut, found = LoadEngine(CONFIG), []

    async def watch(ctx):
        await opened(ctx, dut)
        for _ in range(40):
            *_, valid, why, where = await ctx.tick().sample(
                dut.fault.valid, dut.fault.cause, dut.fault.address
            )
            if valid:
                found.append((why, where))
                ctx.set(dut.stop, 1)
        assert ctx.get(dut.idle)

    simulate(dut, watch, put(dut.loads, [job]), memory(dut, bursts, 0.2, bad=0))
    assert found == [(cause, address)]


def test_requests_are_not_made_twice():
    dut = LoadEngine(CONFIG)
    jobs = [load(Target.WEIGHTS, 256 * n, 1, 32, 0) for n in range(4)]
    wanted = [{"addr": 256 * n, "len": 1} for n in range(4)]

    async def bench(ctx):
        await opened(ctx, dut)
        await expect(dut.reads, wanted)(ctx)

    simulate(dut, bench, put(dut.loads, jobs))
