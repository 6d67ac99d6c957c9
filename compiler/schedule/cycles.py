"""The cycles of a program on a core, without its data: sequencer, queues, tokens, engines."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from lutcore.compiler.schedule.engine_times import ComputeTimes, LoadTimes, Memory, StoreTimes
from lutcore.compiler.schedule.timeline import Timeline
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BY_OPCODE,
    BYTES,
    EDGES,
    OPCODE_BITS,
    QUEUE_DEPTH,
    REGISTERS,
    SIGNALS,
    WAITS,
    Queue,
)
from lutcore.hdl.isa.pace import PAGE_BITS, QUIET

#: Cycles of an instruction in the sequencer: read, execute.
_PACE = 2
_WRAP = (1 << ADDRESS_BITS) - 1


@dataclass(frozen=True)
class Cycles:
    """What a program will do: the counters of :data:`lutcore.hdl.isa.registers.COUNTERS`.

    ``wait_load`` and ``wait_store`` are cycles in which an ``lmma`` is next but lacks a token,
    ``wait_tile`` those in which a weight slice waits.
    """

    cycles: int
    slices: int
    instructions: int
    read_beats: int
    write_beats: int
    wait_load: int
    wait_store: int
    wait_tile: int


@dataclass(frozen=True)
class _Loop:
    count: int
    body: list["_Loop | tuple[str, Queue, dict[str, int]]"]


def _parse(words: Iterator[int]) -> list[Any]:
    """Instructions up to the end of a loop, loops as trees."""
    found: list[Any] = []
    for word in words:
        instruction = BY_OPCODE[word & (1 << OPCODE_BITS) - 1]
        values = instruction.decode(word)
        if instruction.name == "end":
            break
        if instruction.name == "loop":
            found.append(_Loop(values["count"], _parse(words)))
        else:
            found.append((instruction.name, instruction.queue, values))
    return found


def _flat(program: list[Any]) -> Iterator[tuple[str, dict[str, int]]]:
    for item in program:
        if isinstance(item, _Loop):
            yield from _flat(item.body)
        else:
            yield item[0], item[2]


def _cut_registers(program: list[Any], bus: int) -> list[int]:
    """Registers from which transfers start that pages cut now here, now there.

    Where a register only takes multiples of a power of two, and rows are no longer than that and
    start at such multiples too, no row ever crosses a page.
    """
    grains = [1 << PAGE_BITS] * REGISTERS
    longest = [0] * REGISTERS
    for name, values in _flat(program):
        if name in ("set", "add"):
            grains[values["reg"]] = gcd(grains[values["reg"]], values["value"])
        elif "mem" in values:
            mem = values["mem"]
            if "columns" in values:  # of four bytes at most
                size = 4 * values["columns"]
            else:
                size = values["bytes"]
            longest[mem] = max(longest[mem], -(-size // bus) * bus)
            if values["rows"] > 1:
                grains[mem] = gcd(grains[mem], values["pitch"])
    return [
        register
        for register, (grain, length) in enumerate(zip(grains, longest, strict=True))
        if length > grain and grain < 1 << PAGE_BITS
    ]


class _Sequencer:
    """Runs through a program."""

    def __init__(self, config: CoreConfig, memory: Memory, free_tables: bool):
        own = Timeline()
        self._now = own.last()
        counts = own.counts
        self.load = LoadTimes(config, memory, counts)
        self.compute = ComputeTimes(config, counts, free_tables)
        self.store = StoreTimes(config, memory, counts)
        self.engines = {
            Queue.LOAD: self.load,
            Queue.COMPUTE: self.compute,
            Queue.STORE: self.store,
        }
        #: When an instruction left its queue.
        self.left = {queue: own.last(QUEUE_DEPTH) for queue in self.engines}
        #: When tokens were given that nobody has taken.
        self.tokens: list[deque[int]] = [deque() for _ in EDGES]
        self.all = Timeline(own.histories + self.tokens, counts)
        for engine in self.engines.values():
            self.all.histories += engine.histories
        self.registers = [0] * REGISTERS

    @property
    def now(self) -> int:
        """When the next instruction can be executed."""
        return self._now[-1]

    @now.setter
    def now(self, time: int) -> None:
        self._now.append(time)

    def wait(self, idle: int) -> int:
        """When standstill is noticed that began at ``idle``, or after the last instruction."""
        return max(idle, self.now - 1) + QUIET

    @property
    def idle(self) -> int:
        """First cycle in which no engine has anything to do."""
        return max(engine.idle for engine in self.engines.values())

    def run(self, program: list[Any], mems: Sequence[int]) -> None:
        """Execute instructions one after the other."""
        for item in program:
            if isinstance(item, _Loop):
                self.loop(item, mems)
                continue
            name, queue, values = item
            self.all.counts["instructions"] += 1
            if queue is not Queue.CONTROL:
                self.send(name, queue, values)
            elif name == "set":
                self.registers[values["reg"]] = values["value"]
            elif name == "add":
                sum_ = self.registers[values["reg"]] + values["value"]
                self.registers[values["reg"]] = sum_ & _WRAP
            elif name == "credit":
                self.tokens[values["edge"]].extend([self.now] * values["count"])
            else:
                self.now = self.wait(self.idle)
            self.now += _PACE

    def loop(self, loop: _Loop, mems: Sequence[int]) -> None:
        """Turns of a loop, which soon take the same time; registers move as far in each."""
        self.all.counts["instructions"] += 1
        self.now += _PACE
        moved: list[int] = [0] * REGISTERS

        def turn() -> None:
            before = list(self.registers)
            self.run(loop.body, mems)
            moved[:] = [a - b for a, b in zip(self.registers, before, strict=True)]
            self.all.counts["instructions"] += 1
            self.now += _PACE

        def skipped(turns: int) -> None:
            for register, step in enumerate(moved):
                self.registers[register] = (self.registers[register] + turns * step) & _WRAP

        self.all.repeat(
            loop.count,
            turn,
            lambda: self.now,
            lambda: tuple(self.registers[mem] & (1 << PAGE_BITS) - 1 for mem in mems),
            skipped,
        )

    def send(self, name: str, queue: Queue, values: dict[str, int]) -> None:
        """An instruction through its queue to its engine."""
        left, engine = self.left[queue], self.engines[queue]
        self.now = max(self.now, left[0] + 1)
        head = max(self.now, left[-1]) + 1
        earliest = head
        for field, edge in WAITS[queue]:
            if values[field]:
                if not self.tokens[edge]:
                    raise InputError(
                        f"{name} waits for a token ({EDGES[edge]}) that no earlier instruction "
                        "gives: the cycle model cannot order it"
                    )
                given = self.tokens[edge].popleft() + 1
                if queue is Queue.COMPUTE:
                    self.all.counts[field] += max(0, given - head)
                earliest = max(earliest, given)
        mem = self.registers[values["mem"]] if "mem" in values else None
        arguments = (earliest, values) if mem is None else (earliest, values, mem)
        began, done = engine.run(*arguments)
        left.append(began)
        for field, edge in SIGNALS[queue]:
            if values[field]:
                self.tokens[edge].append(done)


def cycles(
    config: CoreConfig,
    words: Sequence[int],
    memory: Memory | None = None,
    address: int = 0,
    free_tables: bool = False,
) -> Cycles:
    """Cycles of a program, exactly as far as instructions wait for tokens of earlier ones only.

    Parameters
    ----------
    words : sequence of int
        Instructions of a program that is legal on the core
        (:func:`~lutcore.hdl.isa.limits.examine`).
    memory : Memory
        Default a memory like that of :class:`~lutcore.verif.sim.core.Conditions`.
    address : int
        Where the program stands in memory.
    free_tables : bool
        A run's tables are built in one cycle: what remains is what their building costs.

    Raises
    ------
    InputError
        An instruction waits for a token that only a later one gives.
    """
    state = _Sequencer(config, memory or Memory(), free_tables)
    fetch = {"rows": 1, "bytes": len(words) * BYTES, "pitch": 0}
    state.load.run(1, fetch, address)
    # Standstill, then the first instruction is read and executed.
    state.now = state.wait(state.load.idle) + _PACE
    program = _parse(iter(words))
    state.run(program, _cut_registers(program, config.bus_bits // 8))
    counts = state.all.counts
    return Cycles(
        cycles=state.now - _PACE + 1,
        slices=counts["slices"],
        instructions=counts["instructions"],
        read_beats=counts["read_beats"],
        write_beats=counts["write_beats"],
        wait_load=counts["wait_load"],
        wait_store=counts["wait_store"],
        wait_tile=counts["wait_tile"],
    )
