"""Programs through the sequencer, with engines that only say yes, against an interpreter."""

import itertools

import pytest

from lutcore.compiler.program.assembler import assemble
from lutcore.hdl.core.sequencer import Sequencer
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.samples.cores import SMALL_CORES

LOAD = "load.act mem=r{0} local=r1 rows={1} bytes=16 pitch=0"
#: Lines, and what must come of them: loads as (address, rows), the cause and the word of the end.
PROGRAMS = {
    "nothing": (["halt"], [], Cause.NONE, 0),
    "registers": (
        [
            "set reg=r2 value=32",
            LOAD.format(2, 1),
            "add reg=r2 value=-16",
            LOAD.format(2, 2),
            "halt",
        ],
        [(32, 1), (16, 2)],
        Cause.NONE,
        0,
    ),
    "loops": (
        *(["loop count=3", LOAD.format(2, 1), "loop count=2", "add reg=r2 value=16"],),
        *([(0, 1), (32, 1), (64, 1)], Cause.NONE, 0),
    ),
    "an end without a loop": (["barrier", "end", "halt"], [], Cause.LOOP, 1),
    "loops too deep": (["loop count=1"] * 5, [], Cause.LOOP, 4),
    "no halt": (["set reg=r2 value=1"], [], Cause.LOOP, 1),
    "an odd address": (["set reg=r2 value=8", LOAD.format(2, 1)], [], Cause.MISALIGNED, 1),
    "a wait for ever": ([LOAD.format(2, 9)], [], Cause.DEADLOCK, 0),
}
PROGRAMS["loops"][0].extend(["end", "end", "halt"])
START = 1 << 16


async def _play(ctx, dut, name):
    """Run a program to its end; returns its loads, its cause and the address of that."""
    words = assemble("\n".join(PROGRAMS[name][0]))
    for port, value in ((dut.program, START), (dut.length, len(words)), (dut.start, 1)):
        ctx.set(port, value)
    for port in (dut.still, dut.empty):
        ctx.set(port, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    found, ready = [], 1
    for _ in range(400):
        ctx.set(dut.loads.ready, ready)
        names = (
            *(dut.loads.valid, dut.loads.payload),
            *(dut.fetch_enable, dut.fetch_address, dut.busy),
        )
        *_, valid, load, fetch, address, busy = await ctx.tick().sample(*names)
        if valid and ready:
            found.append((load.operands.target, load.operands.mem, load.operands.rows))
            ready = name != "a wait for ever"
        if fetch:
            ctx.set(dut.fetch_data, words[address // 16] if address // 16 < len(words) else 0)
        if not busy:
            return found, (ctx.get(dut.cause), ctx.get(dut.address))
    raise AssertionError(f"{name} does not end")


def _check(name, found, end):
    _, loads, cause, place = PROGRAMS[name]
    assert found == [(3, START, 1), *((0, *load) for load in loads)], name
    assert end == (cause, START + 16 * place if cause else 0), name


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    dut, results = Sequencer(SMALL_CORES["w4a8"]), []

    async def run(ctx):
        results.append(await _play(ctx, dut, name))

    simulate(dut, run)
    _check(name, *results[0])


def test_a_program_leaves_nothing_to_the_next():
    """Whatever ended before, in a loop or not, each program does what it does after a reset."""
    dut, played = Sequencer(SMALL_CORES["w4a8"]), []

    async def run(ctx):
        for before, name in itertools.product(PROGRAMS, PROGRAMS):
            await _play(ctx, dut, before)
            played.append((name, *await _play(ctx, dut, name)))

    simulate(dut, run)
    assert len(played) == len(PROGRAMS) ** 2
    for result in played:
        _check(*result)


@pytest.mark.parametrize("kind", ["fault", "abort"])
def test_a_fault_or_the_host_ends_all(kind):
    dut = Sequencer(SMALL_CORES["w4a8"])

    async def run(ctx):
        for port, value in ((dut.program, START), (dut.length, 1), (dut.start, 1)):
            ctx.set(port, value)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(20)  # engines are busy: the program is not there yet
        assert ctx.get(dut.busy)
        for port, value in ((dut.fault_cause, Cause.READ), (dut.fault_address, 77)):
            ctx.set(port, value)
        ctx.set(getattr(dut, kind), 1)
        await ctx.tick()
        ctx.set(getattr(dut, kind), 0)
        assert ctx.get(dut.stop) and ctx.get(dut.busy)
        ctx.set(dut.still, 1)
        await ctx.tick().repeat(12)
        assert not ctx.get(dut.stop) and not ctx.get(dut.busy)
        wanted = (Cause.READ, 77) if kind == "fault" else (Cause.ABORT, 0)
        assert (ctx.get(dut.cause), ctx.get(dut.address)) == wanted

    simulate(dut, run)
