"""The host's registers on AXI4-Lite, against a table of numbers."""

from types import SimpleNamespace

import pytest
from amaranth.hdl import Cat, Signal

from lutcore.hdl.core import control
from lutcore.hdl.core.control import Control
from lutcore.hdl.isa.lmma import Cause
from lutcore.hdl.isa.registers import COUNTERS, REGISTERS, Register
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, get, put
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

    async def word(self, ctx, offset):
        await put(self._ar, [offset])(ctx)
        (found,) = await get(self._r, 1)(ctx)
        assert found >> 32 == OKAY
        return found


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


#: Counters before and after all their bits: each bit is high in one, and low in another.
FIRSTS = [(1 << 32) - 12, 0xAAAAAAAAFFFFFFF4, 0x55555555FFFFFFF4, (1 << 64) - 12]


def wide_reads(first):
    """All counters while they count, with pauses between their halves; raises what is wrong."""
    dut = Control(SMALL_CORES["w4a8"], first)
    # what counters hold as each address is taken
    taken, done = {}, []

    async def watch(ctx):
        held = first
        while not done:
            *_, start, valid, ready, offset = await ctx.tick().sample(
                dut.start, dut.host.arvalid, dut.host.arready, dut.host.araddr
            )
            if valid and ready:
                taken[offset] = held
            held = first if start else (held + 1) % (1 << 64)

    async def bench(ctx):
        host = Host(dut)
        ctx.set(dut.counts, (1 << len(COUNTERS)) - 1)
        for name in COUNTERS:
            await host.write(ctx, 8, 1)
            carried = 0
            for pause in (1, 1, 5, 1, 3):
                low, high = REGISTERS[name][0], REGISTERS[name][0] + 4
                found = await host.word(ctx, low)
                await ctx.tick().repeat(pause)
                found |= await host.word(ctx, high) << 32
                assert found == taken[low], f"{name} is {found:#x}"
                carried += taken[low] >> 32 != taken[high] >> 32
            assert carried == 1, "no carry came between two halves"
        done.append(True)

    simulate(dut, bench, watch)


@pytest.mark.parametrize("first", FIRSTS)
def test_counters_are_read_whole_while_they_count(first):
    wide_reads(first)


def test_torn_counters_and_short_ones_are_noticed(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Register, "held", False)
        with pytest.raises(AssertionError, match="cycles is"):
            wide_reads(FIRSTS[0])

    def short(*shape, init=0, **options):
        """No bit 63 of counters."""
        shape, init = ((63,), init % (1 << 63)) if shape == (64,) else (shape, init)
        return Signal(*shape, init=init, **options)

    monkeypatch.setattr(control, "Signal", short)
    with pytest.raises(AssertionError, match="cycles is"):
        wide_reads(FIRSTS[1])


def test_the_address_of_a_fault_is_read_whole(dut):
    async def bench(ctx):
        host = Host(dut)
        ctx.set(dut.address, 0x123489ABCDEF)
        await host.read(ctx, 0x34, 0x89ABCDEF)
        ctx.set(dut.address, 0)
        await host.read(ctx, 0x38, 0x1234)
        await host.read(ctx, 0x34, 0)
        await host.read(ctx, 0x38, 0)

    simulate(dut, bench)
