"""Programs on a board."""

from compiler.program import Program
from fpga.driver import BAUD, Device
from gen.run import Run, against_model


def run_on_board(program: Program, port: str, baud: int = BAUD) -> Run:
    """Run a program on the board at ``port`` (:meth:`~fpga.driver.Device.open`).

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
