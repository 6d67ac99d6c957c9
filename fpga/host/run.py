"""Programs and compiled networks on a board."""

from lutcore.compiler.lowering.container import Container
from lutcore.compiler.program.program import Program
from lutcore.errors import InputError
from lutcore.fpga.host.driver import BAUD, BoardMachine, Device
from lutcore.gen.run.backends import CoreBackend
from lutcore.gen.run.program import Run, against_model


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
        check_memory(container, device)
        return CoreBackend(container, BoardMachine(device))
    except BaseException:
        device.close()
        raise


def check_memory(container: Container, device: Device) -> None:
    """Refuse a network that a board's memory does not hold, before anything is sent.

    Raises
    ------
    InputError
    """
    if container.memory > device.memory:
        raise InputError(
            f"the network takes {container.memory} bytes of memory, the board has "
            f"{device.memory}: compile it with a smaller --batch, or run it on a board with "
            f"more memory"
        )
