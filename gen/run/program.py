"""Programs on machines."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lutcore.compiler.program.program import Program
from lutcore.gen.run.machines import IsaMachine, Machine, open_machine
from lutcore.verif.isa.model import State
from lutcore.verif.sim.core import Conditions


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
    numbers : float32, float16 or int32 [rows, columns]
        The result; of bf16 as float32, which holds it exactly.
    seconds : float
        Of the run itself, without building.
    mismatches : int
        Bytes of memory and values of state that differ from the ISA model (:func:`against_model`).
    """

    state: State
    counters: dict[str, int]
    output: np.ndarray
    numbers: np.ndarray
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


def run(program: Program, machine: Machine, *, whole: bool = True) -> Run:
    """Run a program on a machine whose memory it has for itself.

    Parameters
    ----------
    whole : bool
        Read all memory back; otherwise only the result, the rest is as it was written.

    Raises
    ------
    ToolError
        The machine failed, or did not come to an end.
    """
    memory = program.image()
    machine.write(0, memory)
    began = time.perf_counter()
    state, counters = machine.execute(program.address, len(program.words))
    seconds = time.perf_counter() - began
    output = program.output
    low, size = (0, memory.size) if whole else (output.address, output.rows * output.pitch)
    size = min(size, memory.size - low)
    memory[low : low + size] = machine.read(low, size)
    patterns = output.read(memory)
    return Run(state, counters, patterns, output.numbers(patterns), seconds, memory)


def compare(program: Program, on: str, conditions: Conditions | None = None) -> Run:
    """Run a program on a machine by name; not the ISA model, it is held against that.

    Raises
    ------
    InputError
        There is no such machine.
    ToolError
        The machine failed, or did not come to an end.
    """
    machine = open_machine(on, program.config, program.image().size, conditions)
    try:
        found = run(program, machine)
    finally:
        machine.close()
    return found if on == "isa" else against_model(program, found)


def against_model(program: Program, found: Run) -> Run:
    """``found`` with the number of its mismatches: memory and state against the ISA model."""
    model = run(program, IsaMachine(program.config, program.image().size))
    differs = int((found.memory != model.memory).sum())
    differs += sum(vars(found.state)[k] != v for k, v in vars(model.state).items())
    return replace(found, mismatches=differs)
