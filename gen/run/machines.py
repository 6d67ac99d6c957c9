"""Machines: a core with a memory that stays, whatever stands behind it."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from lutcore.errors import InputError
from lutcore.gen.emit.registers import c_header
from lutcore.gen.emit.rtl import verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.isa.model import IsaModel, State
from lutcore.verif.sim.core import Conditions, CoreSimulation


class Machine(Protocol):
    """A core with a memory that stays from program to program."""

    def write(self, address: int, content: np.ndarray) -> None:
        """Write bytes."""
        ...

    def read(self, address: int, size: int) -> np.ndarray:
        """Read bytes, uint8."""
        ...

    def execute(self, address: int, length: int) -> tuple[State, dict[str, int]]:
        """Run the program there; its state and performance counters."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class IsaMachine:
    """The ISA model, which has no time and so no counters."""

    def __init__(self, config: CoreConfig, size: int):
        self._memory = np.zeros(size, np.uint8)
        self._model = IsaModel(config, self._memory)

    def write(self, address: int, content: np.ndarray) -> None:
        """Write bytes."""
        self._memory[address : address + content.size] = content

    def read(self, address: int, size: int) -> np.ndarray:
        """Read bytes."""
        return self._memory[address : address + size].copy()

    def execute(self, address: int, length: int) -> tuple[State, dict[str, int]]:
        """Run a program."""
        return self._model.run(address, length), {}

    def close(self) -> None:
        """Nothing."""


def simulation(config: CoreConfig) -> CoreSimulation:
    """A core's RTL, compiled."""
    return CoreSimulation(config, verilog(config.replace(name="core"), "axi"), c_header())


class RtlMachine:
    """The generated Verilog, simulated.

    Parameters
    ----------
    conditions : Conditions, optional
        How memory and host behave.
    """

    def __init__(self, config: CoreConfig, size: int, conditions: Conditions | None = None):
        self._conditions = conditions
        self._core = simulation(config)
        self._core.resize(size)

    def write(self, address: int, content: np.ndarray) -> None:
        """Write bytes."""
        self._core.write(address, content)

    def read(self, address: int, size: int) -> np.ndarray:
        """Read bytes."""
        return self._core.read(address, size)

    def execute(self, address: int, length: int) -> tuple[State, dict[str, int]]:
        """Run a program.

        Raises
        ------
        ToolError
            It hung, or broke a rule of the bus.
        """
        outcome = self._core.execute(address, length, self._conditions)
        outcome.check()
        return outcome.state, outcome.counters

    def close(self) -> None:
        """End the simulation."""
        self._core.close()


#: Machines by name; boards join them where the driver is (:mod:`lutcore.fpga.host.run`).
MACHINES: dict[str, Callable[[CoreConfig, int], Machine]] = {
    "isa": IsaMachine,
    "rtl": RtlMachine,
}


def open_machine(
    on: str, config: CoreConfig, size: int, conditions: Conditions | None = None
) -> Machine:
    """A machine by name, with ``size`` bytes of memory.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if on not in MACHINES:
        raise InputError(f"--on must be one of {', '.join(MACHINES)}, not {on!r}")
    return RtlMachine(config, size, conditions) if on == "rtl" else MACHINES[on](config, size)
