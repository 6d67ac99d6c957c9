"""Wishbone in front of an AXI4-Lite slave that stalls at random, for masters of both kinds."""

import random

import pytest
from plain_lite import access, noted, slave, transfers

from lutcore.hdl.bus.wishbone import WishboneSlave
from lutcore.verif.bench.contexts import simulate


class Host:
    """Transfers of a classic master, which asks until it is answered, or of a pipelined one."""

    def __init__(self, dut, classic):
        self._bus, self._classic, self._words = dut.bus, classic, {}

    async def ask(self, ctx, transfer):
        """Until the transfer is taken, or answered."""
        bus = self._bus
        ports = (bus.cyc, bus.stb, bus.we, bus.adr, bus.dat_w, bus.sel)
        for port, value in zip(ports, (1, 1, *transfer), strict=True):
            ctx.set(port, value)
        stall = not self._classic
        while stall:
            *_, stall, ack, err = await ctx.tick().sample(bus.stall, bus.ack, bus.err)
            assert not (ack or err), "an answer to nothing"
        if not self._classic:
            for port in ports[1:]:
                ctx.set(port, 0)

    async def answer(self, ctx, transfer):
        """One answer, the right one."""
        bus, ack, err = self._bus, 0, 0
        while not (ack or err):
            *_, ack, err, found = await ctx.tick().sample(bus.ack, bus.err, bus.dat_r)
        data, refused = access(self._words, *transfer)
        assert (ack, err) == (not refused, refused) and data in (None, found)

    async def rest(self, ctx, cycles, cyc=0):
        """Ask for nothing, and see that nothing is answered."""
        bus = self._bus
        ctx.set(bus.cyc, cyc)
        ctx.set(bus.stb, 0)
        for _ in range(cycles):
            *_, ack, err = await ctx.tick().sample(bus.ack, bus.err)
            assert not (ack or err), "an answer to nothing"

    def forget(self, transfer):
        """A transfer is done that nobody hears of."""
        access(self._words, *transfer)


@pytest.mark.parametrize("idle", [0, 0.4])
@pytest.mark.parametrize("classic", [True, False])
@pytest.mark.parametrize("stall", [0, 0.3, 0.8])
def test_transfers(stall, classic, idle):
    dut, log, ended, chance = WishboneSlave(8), [], [], random.Random(5)
    host, todo = Host(dut, classic), transfers(60, seed=2)

    async def bench(ctx):
        for transfer in todo:
            await host.ask(ctx, transfer)
            await host.answer(ctx, transfer)
            while chance.random() < idle:
                await host.rest(ctx, 1, chance.randrange(2))
        await host.rest(ctx, 20)
        ended.append(True)

    simulate(dut, bench, slave(dut.lite, log, ended, stall))
    assert log == noted(todo)


@pytest.mark.parametrize("pause", range(1, 6))
@pytest.mark.parametrize("stall", [0, 0.8])
def test_a_cycle_that_the_master_ends_early_is_not_answered(stall, pause):
    """What was taken is done; the next transfer has an answer of its own."""
    dut, log, ended = WishboneSlave(8), [], []
    host, todo = Host(dut, classic=False), transfers(40, seed=3)

    async def bench(ctx):
        for number, transfer in enumerate(todo):
            await host.ask(ctx, transfer)
            if number % 2:
                host.forget(transfer)
                await host.rest(ctx, pause)
            else:
                await host.answer(ctx, transfer)
        await host.rest(ctx, 40)
        ended.append(True)

    simulate(dut, bench, slave(dut.lite, log, ended, stall))
    assert log == noted(todo)


def test_a_cycle_that_ends_as_its_answer_comes_is_not_answered():
    dut, log, ended = WishboneSlave(8), [], []
    bus, host, todo = dut.bus, Host(dut, classic=False), transfers(40, seed=6)

    async def bench(ctx):
        for number, transfer in enumerate(todo):
            await host.ask(ctx, transfer)
            if number % 2:
                await host.answer(ctx, transfer)
                continue
            host.forget(transfer)
            while not (ctx.get(bus.ack) or ctx.get(bus.err)):
                await ctx.tick()
            await host.rest(ctx, 2)
        ended.append(True)

    # The slave first: its answer is there when the master looks.
    simulate(dut, slave(dut.lite, log, ended), bench)
    assert log == noted(todo)
