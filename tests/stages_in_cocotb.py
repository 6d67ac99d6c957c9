"""cocotb test of the words for streams: what the sound stage and each broken one make of them."""

import cocotb
from broken_stages import FAULTS, WORDS
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from lutcore.verif.bench.contexts import CocotbContext, handles
from lutcore.verif.bench.streams import ProtocolError, expect, put


async def problems(dut, number, stall=0.5):
    """What the benches at both ends of a stage say, once they have ended."""
    ctx = CocotbContext(dut.clk)

    async def ended(bench):
        try:
            await bench(ctx)
        except ProtocolError as error:
            return str(error)

    ends = (
        put(handles(dut, f"i{number}"), WORDS, stall, limit=100),
        expect(handles(dut, f"o{number}"), WORDS, stall, limit=100),
    )
    tasks = [cocotb.start_soon(ended(bench)) for bench in ends]
    return [await task for task in tasks]


@cocotb.test()
async def words(dut):
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.rst.value = 1
    for n in range(1 + len(FAULTS)):
        handles(dut, f"i{n}").valid.value = handles(dut, f"o{n}").ready.value = 0
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    assert await problems(dut, 0) == [None, None]
    for n, (fault, problem) in enumerate(FAULTS.items(), 1):
        assert problem in str(await problems(dut, n)), fault
