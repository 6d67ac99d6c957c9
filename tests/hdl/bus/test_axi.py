"""Transfers cut into bursts, and streams as an AXI4 master."""

import random

import pytest

from lutcore.hdl.bus.axi import AxiMaster, RowBursts
from lutcore.verif.bench.contexts import evaluate, simulate
from lutcore.verif.bench.streams import expect, put

PAGE = 4096


def reference(mem, rows, words, pitch, bus):
    """Bursts of 256 words at most that end where a page does."""
    bursts = []
    for row in range(rows):
        place, left = (mem + row * pitch) % (1 << 48), words
        while left:
            beats = min(left, 256, (PAGE - place % PAGE) // bus)
            bursts.append({"addr": place, "len": beats - 1})
            place, left = (place + beats * bus) % (1 << 48), left - beats
    return bursts


@pytest.mark.parametrize("bus", [8, 16, 64])
def test_bursts(bus):
    chance, names = random.Random(bus), ("mem", "rows", "words", "pitch")
    cases = [(0, 1, 1, 0), (PAGE - bus, 2, 2, bus), (bus, 1, 3 * PAGE // bus, 0)]
    cases += [((1 << 48) - bus, 1, 2, 0)]
    for _ in range(12):
        mem, pitch = (chance.randrange(1 << 20) * bus for _ in range(2))
        cases.append((mem, chance.randrange(1, 5), chance.randrange(1, 700), pitch))
    dut = RowBursts(bus)
    transfers = [dict(zip(names, case, strict=True)) for case in cases]
    bursts = [burst for case in cases for burst in reference(*case, bus)]
    simulate(dut, put(dut.transfers, transfers), expect(dut.bursts, bursts))


@pytest.mark.parametrize(("checked", "stop"), [(1, 0), (0, 0), (0, 1)])
def test_the_window_and_stop_hold_bursts_back(checked, stop):
    dut, transfer = RowBursts(16), {"mem": 5 * PAGE, "rows": 1, "words": 300, "pitch": 0}

    async def bench(ctx):
        ctx.set(dut.window_low, 5)
        ctx.set(dut.window_high, 6)
        ctx.set(dut.checked, checked)
        await put(dut.transfers, [transfer])(ctx)
        first, second = reference(5 * PAGE, 1, 300, 0, 16)
        ctx.set(dut.bursts.ready, 1)
        *_, valid, burst = await ctx.tick().sample(dut.bursts.valid, dut.bursts.payload)
        assert valid and burst == first
        ctx.set(dut.stop, stop)
        allowed = not checked and not stop
        state = [ctx.get(s) for s in (dut.busy, dut.bursts.valid, dut.outside, dut.address)]
        assert state == [1, allowed, checked, second["addr"]]

    simulate(dut, bench)


def test_what_is_offered_stays_when_all_stops():
    dut = RowBursts(16)

    async def bench(ctx):
        await put(dut.transfers, [{"mem": 0, "rows": 1, "words": 9, "pitch": 0}])(ctx)
        await ctx.tick()
        ctx.set(dut.stop, 1)
        await expect(dut.bursts, [{"addr": 0, "len": 8}])(ctx)

    simulate(dut, bench)


def test_the_master_says_the_same_in_axis_words():
    dut, chance = AxiMaster(64), random.Random(3)
    word, strobes = chance.getrandbits(64), chance.getrandbits(8)
    inputs = [dut.reads.payload, dut.writes.payload, dut.written.payload, dut.bus.rdata]
    inputs += [dut.bus.rresp, dut.bus.bresp, dut.reads.valid, dut.bus.awready, dut.answers.ready]
    outputs = [getattr(dut.bus, f"{c}{n}") for c in ("ar", "aw") for n in ("addr", "len", "size")]
    outputs += [dut.bus.arburst, dut.bus.wdata, dut.bus.wstrb, dut.bus.wlast]
    outputs += [dut.words.payload.data, dut.words.payload.error, dut.answers.payload.error]
    rest = ("lock", "cache", "prot")
    outputs += [getattr(dut.bus, f"{c}{n}") for c in ("ar", "aw") for n in rest]
    outputs += [dut.bus.arvalid, dut.bus.awvalid, dut.writes.ready, dut.reads.ready, dut.bus.bready]
    written = {"data": word, "strb": strobes, "last": 1}
    case = [{"addr": 64, "len": 3}, {"addr": 8, "len": 0}, written, word ^ 1, 2, 3, 1, 1, 1]
    wanted = (64, 3, 3, 8, 0, 3, 1, word, strobes, 1, word ^ 1, 1, 1)
    wanted += (0, 0b0011, 0) * 2 + (1, 0, 1, 0, 1)
    assert evaluate(dut, inputs, outputs, [case]) == [wanted]


def test_data_do_not_wait_for_their_address():
    """A slave may take the address only when data are there; the address stays as it was."""
    dut = AxiMaster(64)
    first, second = {"addr": 64, "len": 0}, {"addr": 128, "len": 1}
    seen = []

    async def requests(ctx):
        await put(dut.writes, [first, second])(ctx)
        ctx.set(dut.writes.payload, {"addr": 8, "len": 8})  # nobody asks for this

    async def data(ctx):
        await put(dut.written, [{"data": 1, "strb": 255, "last": 1}] * 3)(ctx)

    async def slave(ctx):
        for _ in range(2):
            await ctx.tick().until(dut.bus.wvalid & dut.bus.awvalid)
            for _ in range(3):
                await ctx.tick()
                assert ctx.get(dut.bus.awvalid) and ctx.get(dut.bus.wvalid)
            ctx.set(dut.bus.awready, 1)
            *_, address, length = await ctx.tick().sample(dut.bus.awaddr, dut.bus.awlen)
            ctx.set(dut.bus.awready, 0)
            seen.append((address, length))
            for _ in range(length + 1):
                ctx.set(dut.bus.wready, 1)
                await ctx.tick()
            ctx.set(dut.bus.wready, 0)

    simulate(dut, requests, data, slave)
    assert seen == [(64, 0), (128, 1)]
