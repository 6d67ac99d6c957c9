"""Accesses to an AXI4-Lite slave that stalls each channel at random."""

import pytest
from plain_lite import access, noted, slave, transfers

from lutcore.hdl.bus.lite import LiteAccess
from lutcore.verif.bench.contexts import simulate


@pytest.mark.parametrize("stall", [0, 0.3, 0.8])
def test_accesses(stall):
    dut, log, ended, words = LiteAccess(8), [], [], {}
    todo = transfers(60, seed=4)

    async def bench(ctx):
        for write, address, data, strobes in todo:
            ports = (dut.write, dut.address, dut.data, dut.strobes, dut.begin)
            for port, value in zip(ports, (write, address, data, strobes, 1), strict=True):
                ctx.set(port, value)
            *_, busy = await ctx.tick().sample(dut.busy)
            assert not busy
            for port in ports[:-1]:  # what is asked for while it is busy counts for nothing
                ctx.set(port, -1)
            done = 0
            while not done:
                sampled = await ctx.tick().sample(dut.done, dut.busy, dut.found, dut.error)
                *_, done, busy, found, error = sampled
                assert busy and not (error and not done)
            data, refused = access(words, write, address, data, strobes)
            assert error == refused and data in (None, found)
            ctx.set(dut.begin, 0)
            assert not ctx.get(dut.busy)
        ended.append(True)

    simulate(dut, bench, slave(dut.lite, log, ended, stall))
    assert log == noted(todo)
