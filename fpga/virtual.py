"""A board in simulation: its top on Verilator, its serial line a pseudo-terminal."""

import os
import pty
import subprocess
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fpga.emit import TOP, board_verilog
from hdl.config import CoreConfig
from verif.native import build_native

_HARNESS = Path(__file__).parent / "board_harness.cpp"
#: Clock cycles of a bit: 3 Mbaud at 12 MHz.
DIVISOR = 4
#: Bytes of memory.
MEMORY = 1 << 20


@dataclass(frozen=True)
class LineFaults:
    """Probabilities that a byte of the line is lost, comes twice, or changes; both ways."""

    drop: float = 0.0
    duplicate: float = 0.0
    flip: float = 0.0
    seed: int = 0


class VirtualBoard:
    """A board that :meth:`~fpga.driver.Device.open` finds at :attr:`port`.

    Parameters
    ----------
    config : CoreConfig
    faults : LineFaults
    memory : int
        Bytes.

    Attributes
    ----------
    port : str
        Path of the terminal.
    process : subprocess.Popen
        The simulation.

    Raises
    ------
    InputError
        No board can be built, or a tool is missing.
    """

    def __init__(self, config: CoreConfig, faults: LineFaults | None = None, memory: int = MEMORY):
        f = faults or LineFaults()
        program = build_native(
            board_verilog(config, memory, DIVISOR),
            TOP,
            _HARNESS,
            options=("--x-assign", "fast", "--x-initial", "fast"),
        )
        board, host = pty.openpty()
        tty.setraw(host)
        self._host = host  # kept open, so that the line lives on between two hosts
        self.port = os.ttyname(host)
        arguments = [board, DIVISOR, f.seed, f.drop, f.duplicate, f.flip]
        self.process = subprocess.Popen(
            [str(program), *map(str, arguments)], stdin=subprocess.PIPE, pass_fds=[board]
        )
        os.close(board)

    def close(self) -> None:
        """End the simulation."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        if self._host >= 0:
            os.close(self._host)
            self._host = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
