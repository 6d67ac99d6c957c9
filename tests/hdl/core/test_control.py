"""The host's registers on AXI4-Lite, against a table of numbers."""

from types import SimpleNamespace

import pytest
from amaranth.hdl import Cat

from lutcore.hdl.core.control import Control
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put
from lutcore.verif.samples.cores import SMALL_CORES

OKAY, SLVERR = 0, 2
#: Writable words: offset, what is written, what is read.
WORDS = [
    (0x14, 0xFFFFFFFF, 7),
    (0x18, 0x89ABCDEF, 0x89ABCDEF),
    (0x1C, 0xFFFF1234, 0x1234),
    (0x20, 0xDEADBEEF, 0xDEADBEEF),
    (0x24, 0xFFFFFFFF, 0xFFFFF000),
    (0x28, 0xFFFFFFFF, 0xFFFF),
    (0x2C, 0x00ABCFFF, 0x00ABC000),
    (0x30, 0x00010001, 0x00010001),
]


class Host:
    """Reads and writes, each with its answer."""

    def __init__(self, dut):
        host = dut.host
        self._aw = SimpleNamespace(valid=host.awvalid, ready=host.awready, payload=host.awaddr)
        self._ar = SimpleNamespace(valid=host.arvalid, ready=host.arready, payload=host.araddr)
        self._b = SimpleNamespace(valid=host.bvalid, ready=host.bready, payload=host.bresp)
        answer = Cat(host.rdata, host.rresp)
        self._r = SimpleNamespace(valid=host.rvalid, ready=host.rready, payload=answer)
        self._host = host

    async def write(self, ctx, offset, value, strobes=15, answer=OKAY):
        for port, data in ((self._host.wdata, value), (self._host.wstrb, strobes)):
            ctx.set(port, data)
        ctx.set(self._host.wvalid, 1)
        await put(self._aw, [offset])(ctx)
        ctx.set(self._host.wvalid, 0)
        await expect(self._b, [answer])(ctx)

    async def read(self, ctx, offset, value, answer=OKAY):
        await put(self._ar, [offset])(ctx)
        await expect(self._r, [value | answer << 32])(ctx)


@pytest.fixture
def dut():
    return Control(SMALL_CORES["w4a8"])


def test_words_keep_what_they_hold(dut):
    async def bench(ctx):
        host = Host(dut)
        await host.read(ctx, 0, int.from_bytes(b"LUTC", "little"))
        for offset, given, kept in WORDS:
            await host.write(ctx, offset, given)
            await host.write(ctx, offset, 0, strobes=7, answer=SLVERR)
            await host.read(ctx, offset, kept)
        await host.write(ctx, 0x84, 1, answer=SLVERR)
        await host.read(ctx, 0x84, 0, answer=SLVERR)
        assert ctx.get(dut.program) == 0x123489ABCDEF and ctx.get(dut.length) == 0xDEADBEEF
        assert ctx.get(dut.window_high) == 0x0001000100ABC000 >> 12 & (1 << 37) - 1
        ctx.set(dut.busy, 1)
        await host.write(ctx, 0x20, 5)  # what a program runs with stays
        assert ctx.get(dut.length) == 0xDEADBEEF

    simulate(dut, bench)


def test_a_program_begins_counts_and_ends(dut):
    starts = []

    async def watch(ctx):
        for _ in range(600):
            *_, start, abort = await ctx.tick().sample(dut.start, dut.abort)
            starts.extend(["start"] * start + ["abort"] * abort)

    async def bench(ctx):
        host = Host(dut)
        await host.write(ctx, 0x14, 5)
        await host.write(ctx, 8, 1)
        await host.read(ctx, 0x10, 0)
        ctx.set(dut.busy, 1)
        ctx.set(dut.counts, 0b10)
        await ctx.tick().repeat(7)
        ctx.set(dut.counts, 0)
        await host.read(ctx, 0x4C, 7)
        await host.read(ctx, 0x44, 0)
        await host.read(ctx, 0x0C, 1)
        await host.write(ctx, 8, 3)  # refused, but heard as an abort
        assert ctx.get(dut.irq)
        await host.read(ctx, 0x10, 4)
        await host.write(ctx, 0x10, 4)
        assert not ctx.get(dut.irq)
        ctx.set(dut.cause, Cause.ABORT)
        ctx.set(dut.address, 0x1234)
        ctx.set(dut.busy, 0)
        await ctx.tick().repeat(2)
        for offset, value in ((0x10, 3), (0x0C, 10 << 8), (0x34, 0x1234)):
            await host.read(ctx, offset, value)
        await host.write(ctx, 8, 1)
        await host.read(ctx, 0x4C, 0)

    simulate(dut, bench, watch)
    assert starts == ["start", "abort", "start"]
