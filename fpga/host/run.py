"""Programs and compiled networks on a board."""

import numpy as np

from lutcore.compiler.lowering.container import Container
from lutcore.compiler.program.program import Program
from lutcore.errors import InputError
from lutcore.fpga.host.driver import BAUD, Device
from lutcore.fpga.link.protocol import WORD_BYTES
from lutcore.gen.run.backends import CoreBackend
from lutcore.gen.run.program import Run, against_model
from lutcore.verif.isa.model import State


def run_on_board(program: Program, port: str, baud: int = BAUD) -> Run:
    """Run a program on the board at ``port`` (:meth:`~lutcore.fpga.host.driver.Device.open`).

    Its result and state are held against the ISA model; other memory is not read back.

    Raises
    ------
    InputError
        There is no such board, or it has another core or too little memory.
    ToolError
        It does not answer.
    """
    with Device.open(port, program.config, baud=baud) as device:
        return against_model(program, device.run(program))


class BoardMachine:
    """A board as the core with memory that networks run on
    (:class:`lutcore.gen.run.backends.Machine`).

    Raises
    ------
    InputError
        Its memory is too small; nothing was sent then.
    """

    def __init__(self, container: Container, device: Device):
        if container.memory > device.memory:
            raise InputError(
                f"the network takes {container.memory} bytes of memory, the board has "
                f"{device.memory}: compile it with a smaller --batch, or run it on a board with "
                f"more memory"
            )
        self._device = device

    def write(self, address: int, content: np.ndarray) -> None:
        """Write bytes; what follows them in their last word becomes 0."""
        self._device.write(address, np.pad(content, (0, -content.size % WORD_BYTES)).tobytes())

    def read(self, address: int, size: int) -> np.ndarray:
        """Read bytes, uint8."""
        words = self._device.read(address, size + -size % WORD_BYTES)
        return np.frombuffer(words, np.uint8)[:size]

    def execute(self, address: int, length: int) -> tuple[State, dict[str, int]]:
        """Run the program there; its state and performance counters."""
        return self._device.execute(address, length)

    def close(self) -> None:
        """Close the port."""
        self._device.close()


def board_backend(
    container: Container,
    port: str,
    baud: int = BAUD,
    timeout: float | None = None,
    retry: float | None = None,
) -> CoreBackend:
    """A network's matrices on the board at ``port``, in whose memory all of them are.

    ``timeout`` and ``retry`` are those of :meth:`~lutcore.fpga.host.driver.Device.open`.

    Raises
    ------
    InputError
        There is no such board, or it has another core or too little memory.
    ToolError
        It does not answer.
    """
    device = Device.open(port, container.config, baud=baud, timeout=timeout, retry=retry)
    try:
        return CoreBackend(container, BoardMachine(container, device))
    except BaseException:
        device.close()
        raise
