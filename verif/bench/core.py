"""cocotb test of a core between streams: a memory that answers requests in their order.

Environment and jobs: as :mod:`lutcore.verif.bench.axi`; a job's ``ring_again`` does not count here.
"""

import json
import os
from collections import deque
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import PAGE_BITS
from lutcore.verif.bench.streams import ProtocolError, StreamDriver, StreamMonitor

#: Cycles without an end after which a job is given up.
_PATIENCE = 100_000


class _Memory:
    """Both sides of a memory: requests taken, words and answers given."""

    def __init__(self, dut: Any, config: CoreConfig, job: dict[str, Any]):
        options = json.loads(str(job["options"]))
        stall, seed = options["stall"], str(options["seed"])
        self.content = bytearray(job["memory"].tobytes())
        self._base = options["base"]
        self._bytes = config.bus_bits // 8
        self._reads = StreamMonitor(dut, "reads", stall, seed)
        self._words = StreamDriver(dut, "words", [], stall, seed)
        self._writes = StreamMonitor(dut, "writes", stall, seed)
        self._written = StreamMonitor(dut, "written", stall, seed)
        self._answers = StreamDriver(dut, "answers", [], stall, seed)
        self.streams = [self._reads, self._words, self._writes, self._written, self._answers]
        #: Bursts whose words have not all come: address of the next one, words left, error.
        self._open: deque[list[int]] = deque()
        self.problems: list[str] = []

    def _burst(self, request: int) -> tuple[int, int]:
        address, beats = request % (1 << ADDRESS_BITS), (request >> ADDRESS_BITS) + 1
        last = address + beats * self._bytes - 1
        if address % self._bytes or address >> PAGE_BITS != last >> PAGE_BITS:
            self.problems.append(f"burst of {beats} words at {address:#x}")
        return address, beats

    def _place(self, address: int) -> int:
        return (address - self._base) % (1 << ADDRESS_BITS)

    def step(self) -> None:
        """Serve what came in this cycle."""
        size = self._bytes
        for request in self._reads.take():
            address, beats = self._burst(request)
            for place in range(address, address + beats * size, size):
                found = self._place(place)
                word = self.content[found : found + size]
                bad = len(word) < size
                data = 0 if bad else int.from_bytes(word, "little")
                self._words.put(data | bad << 8 * size)
        for request in self._writes.take():
            self._open.append([*self._burst(request), 0])
        for word in self._written.take():
            if not self._open:
                self.problems.append("a word before its request")
                return
            self._write(self._open[0], word)

    def _write(self, burst: list[int], word: int) -> None:
        size = self._bytes
        strobes, last = word >> 8 * size & (1 << size) - 1, word >> 9 * size
        address = self._place(burst[0])
        burst[2] |= address + size > len(self.content)
        for place in range(size):
            if strobes >> place & 1 and not burst[2]:
                self.content[address + place] = word >> 8 * place & 0xFF
        burst[0] += size
        burst[1] -= 1
        if last != (burst[1] == 0):
            self.problems.append(f"last is {last} with {burst[1]} words to come")
        if burst[1] == 0:
            self._answers.put(burst[2])
            self._open.popleft()

    @property
    def left(self) -> int:
        """Words, answers and bursts that nobody has taken."""
        return self._words.left + self._answers.left + len(self._open)


async def play(dut: Any, config: CoreConfig, job: dict[str, Any]) -> dict[str, Any]:
    """Run one job; returns its verdict."""
    options = json.loads(str(job["options"]))
    state, stall, seed = options["state"], options["stall"], str(options["seed"])
    memory = _Memory(dut, config, job)
    program = options["address"] | options["length"] << ADDRESS_BITS
    programs = StreamDriver(dut, "programs", [program], stall, seed)
    low, high = options["window"]
    dut.window_low.value, dut.window_high.value = low >> PAGE_BITS, high >> PAGE_BITS
    streams = [*memory.streams, programs]
    problems = memory.problems
    cycles, ran = 0, False
    while not (ran and not int(dut.busy.value)):
        await FallingEdge(dut.clk)
        for stream in streams:
            stream.drive()
        await ReadOnly()
        cycles += 1
        try:
            for stream in streams:
                stream.sample()
        except ProtocolError as error:
            problems.append(str(error))
        memory.step()
        ran = ran or bool(int(dut.busy.value))
        if problems or cycles > _PATIENCE:
            problems.append(f"not ended after {cycles} cycles")
            break
    await FallingEdge(dut.clk)
    found = {"cause": int(dut.cause.value), "address": int(dut.address.value)}
    problems += [
        f"{name} is {value:#x}, expected {state[name]:#x}"
        for name, value in found.items()
        if value != state[name]
    ]
    if memory.left or programs.left:
        problems.append(f"{memory.left} words and answers were never taken")
    after = np.frombuffer(bytes(memory.content), np.uint8)
    wrong = np.flatnonzero(after != job["expected"])
    problems += [f"memory at {place:#x} differs" for place in wrong[:3]]
    return {
        "cycles": cycles,
        "mismatches": max(len(wrong), len(problems)),
        "problems": problems,
    }


@cocotb.test()
async def programs(dut: Any) -> None:
    """Every job's memory and state are those of the ISA model."""
    plan = json.loads(Path(os.environ["LUTCORE_JOBS"]).read_text())
    config = CoreConfig.from_dict(plan["config"])
    dut.clk.value = 0
    dut.rst.value = 1
    dut.cancel.value = 0
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    verdicts = [await play(dut, config, dict(np.load(path))) for path in plan["jobs"]]
    Path(os.environ["LUTCORE_VERDICTS"]).write_text(json.dumps(verdicts))
    assert verdicts, "no job was run"
    wrong = {i: v["problems"] for i, v in enumerate(verdicts) if v["mismatches"]}
    assert not wrong, f"jobs with mismatches: {wrong}"
