"""Programs on the ISA model or on RTL."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lutcore.compiler.program.program import Program
from lutcore.errors import InputError
from lutcore.gen.emit.registers import c_header
from lutcore.gen.emit.rtl import verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.isa.model import IsaModel, State
from lutcore.verif.sim.core import Conditions, CoreSimulation

#: What a program can run on.
TARGETS = ("isa", "rtl")


@dataclass(frozen=True)
class Run:
    """What a program did.

    Attributes
    ----------
    state : State
    counters : dict of str to int
        Performance counters; empty on the ISA model, which has no time.
    output : uint16 or uint32 [rows, columns]
        Bit patterns of the result.
    seconds : float
        Of the run itself, without building.
    mismatches : int
        Bytes of memory and values of state that differ from the ISA model (:func:`against_model`).
    """

    state: State
    counters: dict[str, int]
    output: np.ndarray
    seconds: float
    memory: np.ndarray
    mismatches: int = 0

    def facts(self) -> dict[str, Any]:
        """What a reader wants to know, as plain values."""
        state = vars(self.state) | {"cause": self.state.cause.name}
        facts: dict[str, Any] = state | self.counters | {"seconds": round(self.seconds, 3)}
        if self.counters:
            cycles = self.counters["cycles"]
            facts["slices a cycle"] = round(self.counters["slices"] / cycles, 4)
            facts["bus words read a cycle"] = round(self.counters["read_beats"] / cycles, 4)
            facts["cycles a second"] = round(cycles / self.seconds)
            facts["mismatches"] = self.mismatches
        return facts


def simulation(config: CoreConfig) -> CoreSimulation:
    """A core's RTL, compiled."""
    return CoreSimulation(config, verilog(config.replace(name="core"), "axi"), c_header())


def run(program: Program, on: str, conditions: Conditions | None = None) -> Run:
    """Run a program.

    Raises
    ------
    InputError
        ``on`` is none of :data:`TARGETS`.
    ToolError
        The RTL broke a rule of the bus, or did not come to an end.
    """
    if on not in TARGETS:
        raise InputError(f"--on must be one of {', '.join(TARGETS)}, not {on!r}")
    memory = program.image()
    length = len(program.words)
    if on == "isa":
        began = time.perf_counter()
        state = IsaModel(program.config, memory).run(program.address, length)
        counters: dict[str, int] = {}
    else:
        core = simulation(program.config)
        began = time.perf_counter()
        outcome = core.run(memory, program.address, length, conditions)
        core.close()
        outcome.check()
        state, counters = outcome.state, outcome.counters
    seconds = time.perf_counter() - began
    return Run(state, counters, program.output.read(memory), seconds, memory)


def compare(program: Program, on: str, conditions: Conditions | None = None) -> Run:
    """As :func:`run`, and on RTL with all memory and state held against the ISA model."""
    found = run(program, on, conditions)
    return found if on == "isa" else against_model(program, found)


def against_model(program: Program, found: Run) -> Run:
    """``found`` with the number of its mismatches: memory and state against the ISA model."""
    model = run(program, "isa")
    differs = int((found.memory != model.memory).sum())
    differs += sum(vars(found.state)[k] != v for k, v in vars(model.state).items())
    return replace(found, mismatches=differs)
