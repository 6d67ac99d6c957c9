"""A board in simulation: its top on Verilator, its serial line a pseudo-terminal."""

import mmap
import os
import pty
import struct
import tempfile
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lutcore.fpga.boards.sdram_chip import Memory, SdramTiming
from lutcore.fpga.flow.emit import TOP, board_verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.processes import Process
from lutcore.verif.sim.native import build_native

_HARNESS = Path(__file__).with_name("board_harness.cpp")
_MODEL = Path(__file__).with_name("sdram_model.h")
_TIMES = struct.Struct("<4Q")
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


@dataclass(frozen=True)
class LineTimes:
    """Clock cycles of a board: those so far, and at the end of the last byte on the line; those
    during which a byte was on the line to the board, and to the host.
    """

    now: int
    last: int
    to_board: int
    to_host: int


def model_headers() -> dict[str, str]:
    """The model of SDRAM, for harnesses that include it."""
    return {_MODEL.name: _MODEL.read_text()}


def model_rules(timing: SdramTiming) -> list[int]:
    """What the model of SDRAM holds a controller to: its ``SdramRules``, times in ps."""
    chip = timing.chip
    shortest = dict(chip.periods)
    times = (
        *(chip.power_up, chip.activate_to_access, chip.precharge, chip.activate_to_activate),
        *(chip.activate_to_precharge, chip.write_recovery, chip.refresh, chip.refresh_interval),
    )
    ps = [round(1000 * time) for time in times]
    shape = [chip.bank_bits, chip.row_bits, chip.column_bits, chip.data_bits]
    limits = [round(1000 * shortest[latency]) for latency in (2, 3)]
    return [round(1e6 / timing.mhz), *shape, *ps, chip.mode_cycles, *limits]


class VirtualBoard:
    """A board that :meth:`~lutcore.fpga.host.driver.Device.open` finds at :attr:`port`.

    Parameters
    ----------
    config : CoreConfig
    faults : LineFaults
    memory : Memory
        Bytes of block RAM, or SDRAM, whose model ends the simulation where its rules are broken.
    latency : int
        Clock cycles that a byte takes longer, each way, as through a USB bridge.

    Attributes
    ----------
    port : str
        Path of the terminal.
    process : subprocess.Popen
        The simulation, bytes.

    Raises
    ------
    InputError
        No board can be built, or a tool is missing.
    """

    def __init__(
        self,
        config: CoreConfig,
        faults: LineFaults | None = None,
        memory: Memory = MEMORY,
        latency: int = 0,
    ):
        f = faults or LineFaults()
        sdram = not isinstance(memory, int)
        rules = model_rules(memory) if sdram else []
        program = build_native(
            board_verilog(config, memory, DIVISOR),
            TOP,
            _HARNESS,
            definitions=("SDRAM",) if sdram else (),
            headers=model_headers() if sdram else None,
            options=("--x-assign", "fast", "--x-initial", "fast"),
        )
        board, host = pty.openpty()
        tty.setraw(host)
        self._host = host  # kept open, so that the line lives on between two hosts
        self.port = os.ttyname(host)
        with tempfile.TemporaryFile() as file:
            file.truncate(_TIMES.size)
            self._times = mmap.mmap(file.fileno(), _TIMES.size)
            times = file.fileno()
            faulty = [f.seed, f.drop, f.duplicate, f.flip]
            arguments = [board, times, DIVISOR, latency, *faulty, *rules]
            command = [str(program), *map(str, arguments)]
            handles = [board, times]
            self._board = Process("the simulated board", command, errors="ours", handles=handles)
        self.process = self._board.running
        os.close(board)

    def times(self) -> LineTimes:
        """What the simulation has counted so far; it runs on by itself."""
        return LineTimes(*_TIMES.unpack_from(self._times))

    def close(self) -> None:
        """End the simulation."""
        self._board.close()
        if not self._times.closed:
            self._times.close()
        if self._host >= 0:
            os.close(self._host)
            self._host = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
