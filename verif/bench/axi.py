"""cocotb test of a whole core: a host on AXI4-Lite and a memory on AXI4, of ``cocotbext-axi``.

Environment: as :mod:`lutcore.verif.bench.tile`; a job is an ``.npz`` file of
:class:`~lutcore.verif.sim.axi_jobs.HostJob`. The core stays as a job leaves it for the next one.
"""

import json
import os
import random
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, First, RisingEdge, SimTimeoutError, with_timeout
from cocotbext.axi import (
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiSlaveRead,
    AxiSlaveWrite,
    MemoryRegion,
)

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.registers import REGISTERS, constants
from lutcore.verif.bench.known import unknown

#: Clock period.
_PERIOD_NS = 10
_DONE, _FAULT, _REFUSED = 1, 2, 4


class _Memory(MemoryRegion):
    """Bytes from address ``first`` on; what is not whole inside is answered with an error."""

    first = 0

    def _place(self, address: int, length: int) -> slice:
        start = (address - self.first) % (1 << ADDRESS_BITS)
        if start + length > len(self.mem):
            raise IndexError(address)
        return slice(start, start + length)

    async def _read(self, address: int, length: int, **options: Any) -> bytes:
        return bytes(self.mem[self._place(address, length)])

    async def _write(self, address: int, data: bytes, **options: Any) -> None:
        self.mem[self._place(address, len(data))] = data


def _pauses(stall: float, seed: str) -> Iterator[bool]:
    chance = random.Random(seed)
    while True:
        yield chance.random() < stall


class _Bench:
    """The core between host and memory."""

    def __init__(self, dut: Any, config: CoreConfig):
        self.dut, self.config = dut, config
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        memory = AxiBus.from_prefix(dut, "m_axi")
        self.memory_write = AxiSlaveWrite(memory.write, dut.clk, dut.rst)
        self.memory_read = AxiSlaveRead(memory.read, dut.clk, dut.rst)
        self.problems: list[str] = []

    def check(self, found: int, wanted: int, what: str) -> None:
        """Note a difference."""
        if found != wanted:
            self.problems.append(f"{what} is {found:#x}, expected {wanted:#x}")

    async def write(self, name: str, value: int) -> None:
        """Write a register, both halves of a wide one."""
        offset, register = REGISTERS[name]
        for half in range(-(-register.bits // 32)):
            word = (value >> 32 * half & 0xFFFFFFFF).to_bytes(4, "little")
            answer = await self.host.write(offset + 4 * half, word)
            self.check(answer.resp, AxiResp.OKAY, f"answer to a write of {name}")

    async def read(self, name: str) -> int:
        """Read a register, both halves of a wide one."""
        offset, register = REGISTERS[name]
        answer = await self.host.read(offset, 4 * -(-register.bits // 32))
        self.check(answer.resp, AxiResp.OKAY, f"answer to a read of {name}")
        return int.from_bytes(answer.data, "little")

    def stall(self, stall: float, seed: int) -> None:
        """Random pauses on all ten channels."""
        writers, readers = (
            (self.host.write_if, self.memory_write),
            (self.host.read_if, self.memory_read),
        )
        for names, sides in ((("aw", "w", "b"), writers), (("ar", "r"), readers)):
            for name, (place, side) in product(names, enumerate(sides)):
                channel = getattr(side, f"{name}_channel")
                channel.set_pause_generator(_pauses(stall, f"{name}{place}{seed}"))

    async def refusals(self) -> None:
        """Accesses that must be answered with an error, and change nothing."""
        outside = max(offset for offset, _ in REGISTERS.values()) + 8
        answers = {
            "a read outside of the table": await self.host.read(outside, 4),
            "a write outside of the table": await self.host.write(outside, bytes(4)),
            "a write of half a word": await self.host.write(REGISTERS["length"][0], bytes(2)),
        }
        for what, answer in answers.items():
            self.check(answer.resp, AxiResp.SLVERR, f"answer to {what}")

    async def play(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job; returns its verdict."""
        self.problems = []
        await FallingEdge(self.dut.clk)
        options = json.loads(str(job["options"]))
        state = options["state"]
        region = _Memory(1 << ADDRESS_BITS, bytearray(job["memory"].tobytes()))
        region.first = options["base"]
        self.memory_write.target = self.memory_read.target = region
        self.stall(options["stall"], options["seed"])
        for name, value in constants(self.config).items():
            self.check(await self.read(name), value, name)
        places = dict(zip(("window_low", "window_high"), options["window"], strict=True))
        places |= {"program": options["address"], "length": options["length"]}
        for name, value in places.items():
            await self.write(name, value)
        await self.refusals()
        for name, value in places.items():
            self.check(await self.read(name), value, name)
        await self.write("irq_enable", _DONE)
        self.check(int(self.dut.irq.value), 0, "the interrupt before the doorbell")
        ended = cocotb.start_soon(self._interrupt())
        await self.write("control", 1)
        if options["ring_again"]:
            await self.write("control", 1)
        try:
            await with_timeout(ended, options["patience"] * _PERIOD_NS, "ns")
        except SimTimeoutError:
            return _failed(f"no interrupt in {options['patience']} cycles")
        status = await self.read("status")
        self.check(status & 1, 0, "busy after the interrupt")
        self.check(status >> 8, state["cause"], "cause")
        fault = _FAULT if state["cause"] else 0
        again = _REFUSED if options["ring_again"] else 0
        self.check(await self.read("irq_status"), _DONE | fault | again, "irq_status")
        self.check(await self.read("error_address"), state["address"], "error_address")
        for name in options["counters"]:
            self.check(await self.read(name), state[name], name)
        await self.write("irq_status", _DONE | _FAULT | _REFUSED)
        await FallingEdge(self.dut.clk)
        self.check(int(self.dut.irq.value), 0, "the interrupt after it was cleared")
        after = np.frombuffer(bytes(region.mem), np.uint8)
        wrong = np.flatnonzero(after != job["expected"])
        self.problems += [f"memory at {place:#x} differs" for place in wrong[:3]]
        return {
            "cycles": await self.read("cycles"),
            "mismatches": max(len(wrong), len(self.problems)),
            "problems": self.problems,
        }

    async def _interrupt(self) -> None:
        while not int(self.dut.irq.value):
            await RisingEdge(self.dut.clk)


def _failed(problem: str) -> dict[str, Any]:
    return {"cycles": 0, "mismatches": 1, "problems": [problem]}


async def _played(bench: _Bench, paths: list[str]) -> list[dict[str, Any]]:
    """Verdicts of jobs, one after the other; an X ends them all."""
    verdicts: list[dict[str, Any]] = []
    # Verilator has no X, and goes faster unwatched.
    known = cocotb.SIM_NAME.startswith("Verilator")
    watch = None if known else cocotb.start_soon(unknown(bench.dut, bench.config))
    for path in paths:
        playing = cocotb.start_soon(bench.play(dict(np.load(path))))
        await (First(playing, watch) if watch else playing)
        if watch and watch.done():
            left = len(paths) - len(verdicts)
            return verdicts + [_failed(watch.result()) for _ in range(left)]
        verdicts.append(playing.result())
    return verdicts


@cocotb.test()
async def programs(dut: Any) -> None:
    """Every job's memory, state and interrupts are those of the ISA model, and nothing is X."""
    plan = json.loads(Path(os.environ["LUTCORE_JOBS"]).read_text())
    dut.clk.value = 0
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, _PERIOD_NS, unit="ns").start())
    bench = _Bench(dut, CoreConfig.from_dict(plan["config"]))
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    verdicts = await _played(bench, plan["jobs"])
    Path(os.environ["LUTCORE_VERDICTS"]).write_text(json.dumps(verdicts))
    assert verdicts, "no job was run"
    wrong = {i: v["problems"] for i, v in enumerate(verdicts) if v["mismatches"]}
    assert not wrong, f"jobs with mismatches: {wrong}"
