"""cocotb test of a core behind AXI4 and one of its control buses: hosts and memory of others.

Environment: ``LUTCORE_PLAN`` names a JSON file with the prefix of the ``bus``, a program's
``address`` and ``length``, and its memory before and after as hexadecimal digits.
"""

import json
import os
from itertools import cycle
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.apb import ApbBus, ApbMaster
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam
from cocotbext.wishbone.driver import WBOp, WishboneMaster

from lutcore.hdl.isa.registers import REGISTERS

#: Offset of a register that can be written, and the first one that there is not.
LENGTH, BEYOND = REGISTERS["length"][0], 0x84
#: Patterns of pauses, which share no period.
PAUSES = [[0, 0, 1, 1, 0], [1, 0, 0], [0, 1, 0, 0, 0, 1, 1]]


class Lite:
    """Registers on AXI4-Lite."""

    def __init__(self, dut, clock, reset, active):
        bus = AxiLiteBus.from_prefix(dut, "s_axi")
        self._host = AxiLiteMaster(bus, clock, reset, reset_active_level=active)

    async def write(self, address, value, strobes=15):
        count = strobes.bit_length()
        data = value.to_bytes(4, "little")[:count]
        answer = await self._host.write(address, data)
        return int(answer.resp) != 0

    async def read(self, address):
        answer = await self._host.read(address, 4)
        return int.from_bytes(answer.data, "little"), int(answer.resp) != 0


class Apb:
    """Registers on APB4."""

    def __init__(self, dut, clock, reset, active):
        self._host = ApbMaster(ApbBus.from_prefix(dut, "s_apb"), clock)

    async def write(self, address, value, strobes=15):
        error = strobes != 15 or address >= BEYOND
        await self._host.write(address, value, strb=strobes, error_expected=error)
        return error

    async def read(self, address):
        error = address >= BEYOND
        data = await self._host.read(address, error_expected=error)
        return int.from_bytes(bytes(data), "little"), error


class Wishbone:
    """Registers on Wishbone."""

    def __init__(self, dut, clock, reset, active):
        names = {n: n for n in ("cyc", "stb", "we", "adr", "ack")}
        names |= {"datwr": "dat_w", "datrd": "dat_r"}
        self._host = WishboneMaster(dut, "s_wb", clock, timeout=100, signals_dict=names)

    async def write(self, address, value, strobes=15):
        (result,) = await self._host.send_cycle([WBOp(address, value, sel=strobes)])
        return result.ack == 2

    async def read(self, address):
        (result,) = await self._host.send_cycle([WBOp(address)])
        return int(result.datrd), result.ack == 2


HOSTS = {"s_axi": Lite, "s_apb": Apb, "s_wb": Wishbone}


@cocotb.test()
async def gemm(dut):
    """Registers answer as they should; a program leaves the memory that it should."""
    plan = json.loads(Path(os.environ["LUTCORE_PLAN"]).read_text())
    before, after = (bytes.fromhex(plan[name]) for name in ("before", "after"))
    own = hasattr(dut, "aclk")
    clock, reset = (dut.aclk, dut.aresetn) if own else (dut.clk, dut.rst)
    active = 0 if own else 1
    reset.value = active
    cocotb.start_soon(Clock(clock, 10, unit="ns").start())
    host = HOSTS[plan["bus"]](dut, clock, reset, bool(active))
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), clock, reset, bool(active), size=len(before))
    for channel, pauses in zip(("aw", "w", "b"), PAUSES, strict=True):
        getattr(ram.write_if, f"{channel}_channel").set_pause_generator(cycle(pauses))
    for channel, pauses in zip(("ar", "r"), PAUSES, strict=False):
        getattr(ram.read_if, f"{channel}_channel").set_pause_generator(cycle(pauses))
    ram.write(0, before)
    await ClockCycles(clock, 3)
    reset.value = 1 - active
    await ClockCycles(clock, 2)
    assert await host.read(0) == (int.from_bytes(b"LUTC", "little"), False)
    values = {"program": plan["address"], "length": plan["length"], "irq_enable": 1, "control": 1}
    for name, value in values.items():
        if name == "control":
            assert await host.write(LENGTH, 0, strobes=3)
            assert await host.write(BEYOND, 1)
            assert (await host.read(BEYOND))[1]
            assert await host.read(LENGTH) == (plan["length"], False)
        for half in range(-(-REGISTERS[name][1].bits // 32)):
            word = value >> 32 * half & 0xFFFFFFFF
            assert not await host.write(REGISTERS[name][0] + 4 * half, word)
    assert not int(dut.irq.value)
    await with_timeout(RisingEdge(dut.irq), 1000, "us")
    assert await host.read(REGISTERS["status"][0]) == (0, False)
    assert await host.read(REGISTERS["irq_status"][0]) == (1, False)
    assert ram.read(0, len(after)) == after
