"""A whole core between streams: one program's results against dot products written out."""

from types import SimpleNamespace

from amaranth.hdl import Value
from plain_core import LENGTH, image, results, serve

from lutcore.hdl.core.core import Core
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import put
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG = SMALL_CORES["w4a8"]


def raw(stream):
    """A stream whose payload is a number."""
    payload = Value.cast(stream.payload)
    return SimpleNamespace(valid=stream.valid, ready=stream.ready, payload=payload)


#: Programs that end before they begin, without a halt, with their halt.
PROGRAMS = [(8, 1, Cause.MISALIGNED), (0, 9, Cause.LOOP), (0, LENGTH, Cause.NONE)]


def test_programs_one_after_the_other():
    dut, ended = Core(CONFIG), []
    memory, wanted = image(CONFIG)
    names = ("reads", "words", "writes", "written", "answers")

    async def host(ctx):
        ctx.set(dut.window_high, 8)
        for start, size, cause in PROGRAMS:
            await put(dut.programs, [{"address": start, "length": size}])(ctx)
            assert ctx.get(dut.busy)
            for _ in range(2000):
                await ctx.tick()
                if not ctx.get(dut.busy):
                    break
            assert (ctx.get(dut.busy), ctx.get(dut.cause)) == (0, cause)
        ended.append(True)

    simulate(dut, host, *serve(memory, ended, *(raw(getattr(dut, name)) for name in names)))
    assert results(memory) == wanted
