"""APB4 in front of an AXI4-Lite slave that stalls at random; the rules of APB are watched."""

import random

import pytest
from plain_lite import access, noted, slave, transfers

from lutcore.hdl.bus.apb import ApbSlave
from lutcore.verif.bench.contexts import simulate


def host(dut, todo, ended, idle, waits):
    """A bench: transfers one after the other, with pauses, against plain words."""
    bus, chance, words = dut.bus, random.Random(7), {}
    ports = (bus.psel, bus.penable, bus.pwrite, bus.paddr, bus.pwdata, bus.pstrb)

    async def bench(ctx):
        for transfer in todo:
            for port, value in zip(ports, (1, 0, *transfer), strict=True):
                ctx.set(port, value)
            *_, ready = await ctx.tick().sample(bus.pready)
            assert not ready, "a transfer ends before it is enabled"
            ctx.set(bus.penable, 1)
            ready, cycles = 0, -1
            while not ready:
                sampled = await ctx.tick().sample(bus.pready, bus.prdata, bus.pslverr)
                *_, ready, found, error = sampled
                cycles += 1
                assert ready or not error
            data, refused = access(words, *transfer)
            assert error == refused and data in (None, found)
            waits.append(cycles)
            ctx.set(bus.penable, 0)
            while chance.random() < idle:
                ctx.set(bus.psel, 0)
                ctx.set(bus.penable, chance.randrange(2))  # of another slave
                *_, ready = await ctx.tick().sample(bus.pready)
                assert not ready, "the end of no transfer"
        ended.append(True)

    return bench


@pytest.mark.parametrize("idle", [0, 0.4])
@pytest.mark.parametrize("stall", [0, 0.3, 0.8])
def test_transfers(stall, idle):
    dut, log, ended, waits = ApbSlave(8), [], [], []
    todo = transfers(60, seed=1)
    simulate(dut, host(dut, todo, ended, idle, waits), slave(dut.lite, log, ended, stall))
    assert log == noted(todo)
    assert stall or set(waits) == {2}
