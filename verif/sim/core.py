"""Runs programs on the RTL of a core, with memory and host in C++: no Python in a cycle."""

import contextlib
import enum
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.errors import ToolError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.hdl.isa.registers import COUNTERS
from lutcore.processes import Process
from lutcore.verif.isa.model import State
from lutcore.verif.sim.native import ANYTHING, MUTATED, RANDOM, build_native

_HARNESS = Path(__file__).with_name("core_harness.cpp")
_COMMAND = struct.Struct("=3Q")
_JOB = struct.Struct("=14Qd")
_RESULT = struct.Struct(f"={5 + len(COUNTERS)}Q64s")
#: No address.
NEVER = (1 << 64) - 1
#: Memories are 0 at power-on in an FPGA only; here they must serve with anything in them.
POWER_ON = re.compile(r"^ +initial begin\n +for .*\n +\w+\[.*\] = \d+'d0;\n +end\n", re.MULTILINE)
#: Seconds in which a build with coverage must have written what it counted.
_LAST = 600


def without_power_on(verilog: str) -> str:
    """Verilog whose memories hold anything at power-on, as SRAM does; its lines stay in place."""
    return POWER_ON.sub(lambda found: "\n" * found[0].count("\n"), verilog)


class _Command(enum.IntEnum):
    """Kinds of commands that the harness takes."""

    RESIZE, WRITE, READ, RUN, FOLD = range(5)


@dataclass(frozen=True)
class Conditions:
    """What a program meets on the bus and from its host.

    Attributes
    ----------
    stall : float
        Probability that a channel pauses in a cycle.
    latency : int
        Cycles from an address to its first word, and from a burst's last word to its answer.
    seed : int
        Of all that is random: pauses, and what registers and memories hold at power-on.
    most_cycles : int
        Watchdog.
    error_address : int
        The bus answers this word with an error.
    ring_again, abort_at, reset_at, meddle_at : int
        Cycle in which the host rings while the program runs, ends it, resets the core and starts
        again, or writes registers that the program keeps; 0 is never.
    window : (int, int)
        Addresses that transfers may touch.
    keep : bool
        The core stays as the program before left it; otherwise it is a new one, which is reset.
    mutant : int
        Which one is chosen of a design with mutants; 0 for none.
    """

    stall: float = 0.0
    latency: int = 20
    seed: int = 0
    most_cycles: int = 1 << 32
    error_address: int = NEVER
    ring_again: int = 0
    abort_at: int = 0
    reset_at: int = 0
    meddle_at: int = 0
    window: tuple[int, int] = (0, 1 << ADDRESS_BITS)
    keep: bool = False
    mutant: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes
    ----------
    finished : bool
        Before the watchdog.
    state : State
        What the ISA model gives too.
    counters : dict of str to int
        All performance counters (:data:`~lutcore.hdl.isa.registers.COUNTERS`).
    irq_status, ran : int
        Events, and cycles from the last doorbell to the interrupt.
    violation : str
        Rule of the bus or the registers that was broken; empty if none.
    """

    finished: bool
    state: State
    counters: dict[str, int]
    irq_status: int
    ran: int
    violation: str

    def check(self) -> None:
        """Raise a :class:`ToolError` if the program hung or broke a rule of the bus."""
        if self.violation:
            raise ToolError(f"the core broke a rule of the bus: {self.violation}")
        if not self.finished:
            raise ToolError(f"the core did not come to an end in {self.ran} cycles")


class CoreSimulation:
    """A core in a process of its own; its memory stays from program to program.

    Parameters
    ----------
    config : CoreConfig
    verilog : str
        The core, with the top module ``core_axi``.
    header : str
        The registers in C.
    arguments : sequence of str
        Of the simulator: ``+name=value`` sets what the Verilog asks for with ``$value$plusargs``.
    coverage_to : Path, optional
        Where :meth:`close` leaves what was counted
        (:func:`lutcore.verif.coverage.code.read_coverage`).
    mutants : bool
        It has an input ``mutant``.
    """

    def __init__(
        self,
        config: CoreConfig,
        verilog: str,
        header: str,
        arguments: Sequence[str] = (),
        coverage_to: Path | None = None,
        mutants: bool = False,
    ):
        program = build_native(
            without_power_on(verilog),
            "core_axi",
            _HARNESS,
            definitions=[f"BUS_BYTES={config.bus_bits // 8}", f"MUTANTS={int(mutants)}"],
            headers={"lutcore_registers.h": header, **RANDOM},
            options=(*ANYTHING, *(MUTATED if mutants else ())),
            coverage=coverage_to is not None,
        )
        self._coverage_to = coverage_to
        self._process = Process(
            "the simulated core",
            [str(program), *arguments],
            environment=os.environ | {"LUTCORE_COVERAGE": str(coverage_to)},
            text=False,
            errors="ours",
        )

    def run(
        self,
        memory: np.ndarray,
        address: int,
        length: int,
        conditions: Conditions | None = None,
        base: int = 0,
        folded: bool = False,
    ) -> Outcome:
        """Run the program of ``length`` instructions at ``address``.

        ``memory`` from address ``base`` on changes in place.

        Raises
        ------
        ToolError
            The simulation itself failed.
        """
        self.resize(memory.size, base, folded)
        self.write(base, memory)
        outcome = self.execute(address, length, conditions)
        memory[:] = self.read(base, memory.size)
        return outcome

    def resize(self, size: int, base: int = 0, folded: bool = False) -> None:
        """Give the core a memory of ``size`` bytes from ``base`` on, all 0, that stays.

        Both are multiples of 4096. The bus answers with an error outside of it, unless it is
        ``folded`` (:class:`~lutcore.verif.isa.memory.Memory`); it may wrap at the end of the
        address space.
        """
        self._send(_COMMAND.pack(_Command.FOLD if folded else _Command.RESIZE, base, size))

    def write(self, address: int, content: np.ndarray) -> None:
        """Write uint8 ``content`` to memory, inside of it."""
        head = _COMMAND.pack(_Command.WRITE, address, content.size)
        self._send(head, np.ascontiguousarray(content).data)

    def read(self, address: int, size: int) -> np.ndarray:
        """Read uint8 [size] from memory, inside of it."""
        self._send(_COMMAND.pack(_Command.READ, address, size))
        return np.frombuffer(self._take(size), np.uint8)

    def execute(self, address: int, length: int, conditions: Conditions | None = None) -> Outcome:
        """Run the program of ``length`` instructions at ``address`` on the memory as it is.

        Raises
        ------
        ToolError
            The simulation itself failed.
        """
        c = conditions or Conditions()
        job = _JOB.pack(
            address, length, *c.window, c.seed, c.latency, c.most_cycles,
            c.error_address, c.ring_again, c.abort_at, c.reset_at, c.meddle_at,
            c.keep, c.mutant, c.stall,
        )  # fmt: skip
        self._send(_COMMAND.pack(_Command.RUN, 0, 0), job)
        head = self._take(_RESULT.size)
        finished, cause, error_address, irq_status, ran, *counts = _RESULT.unpack(head)
        violation = counts.pop().rstrip(b"\0").decode()
        if cause not in list(Cause):
            cause, violation = Cause.NONE, violation or f"the registers name a cause {cause}"
        counters = dict(zip(COUNTERS, counts, strict=True))
        shared = ("instructions", "slices", "read_beats", "write_beats")
        state = State(Cause(cause), error_address, **{name: counters[name] for name in shared})
        return Outcome(bool(finished), state, counters, irq_status, ran, violation)

    def _send(self, *parts: bytes | memoryview) -> None:
        sink = self._process.running.stdin
        assert sink is not None
        try:
            for part in parts:
                sink.write(part)
            sink.flush()
        except OSError as error:
            raise ToolError(f"the simulated core ended: {error}") from error

    def _take(self, size: int) -> bytes:
        source = self._process.running.stdout
        assert source is not None
        content = source.read(size)
        if len(content) < size:
            status = self._process.running.wait()
            raise ToolError(f"the simulated core ended with status {status}")
        return content

    def close(self) -> None:
        """End the process."""
        if self._coverage_to is not None and (sink := self._process.running.stdin):
            with contextlib.suppress(OSError):
                sink.close()  # it writes what it has counted, and ends
            with self._process.within(_LAST):
                self._process.running.wait()
        self._process.close()
