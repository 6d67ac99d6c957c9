"""The host's driver of a board, real or simulated."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import serial

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.program import Program
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError, ToolError
from lutcore.fpga.flow.emit import is_core
from lutcore.fpga.host.tile_matmul import tile_matmul
from lutcore.fpga.host.virtual import VirtualBoard
from lutcore.fpga.link.channel import Channel
from lutcore.fpga.link.protocol import (
    FACTS,
    FACTS_BASE,
    FRAME_WORDS,
    PROTOCOL,
    REGISTERS_BASE,
    WORD_BYTES,
    Kind,
    Request,
    facts,
)
from lutcore.gen.run.program import Run, run
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import Cause
from lutcore.hdl.isa.pace import PAGE_BITS
from lutcore.hdl.isa.registers import COUNTERS, REGISTERS, constants
from lutcore.verif.isa.model import State

#: Port that stands for a simulated board.
SIMULATED = "sim"
#: Seconds until a board counts as gone, and until requests are repeated; whether it is simulated.
_PATIENCE = {False: (5.0, 0.2), True: (60.0, 2.0)}
BAUD = 3_000_000


class Device:
    """A board that was opened with :meth:`open`.

    Attributes
    ----------
    config : CoreConfig
        Of its core.
    memory : int
        Bytes of its memory.
    """

    def __init__(self, config: CoreConfig, line: serial.Serial, channel: Channel):
        self.config = config
        self.memory = 0
        self._line, self._channel = line, channel
        self._resources = ExitStack()

    @classmethod
    def open(
        cls,
        port: str,
        config: CoreConfig,
        *,
        baud: int = BAUD,
        timeout: float | None = None,
        retry: float | None = None,
        frame_words: int = FRAME_WORDS,
    ) -> "Device":
        """Open a board, and see that its core is the one that is meant.

        Parameters
        ----------
        port : str
            Serial port, or ``sim``: a :class:`~lutcore.fpga.host.virtual.VirtualBoard` of its own.
        config : CoreConfig
            What the board was built from.
        baud : int
            Bits a second.
        timeout : float
            Seconds without progress until the board counts as gone; by default 5, or 60 of ``sim``,
            whose line is as slow as its simulation.
        retry : float
            Seconds without an answer until requests are repeated; by default 0.2, or 2 of ``sim``.
        frame_words : int
            Words of the longest frame, 1 to 64. On a line with many faults frames get shorter by
            themselves.

        Raises
        ------
        InputError
            The port cannot be opened, or the board has another core.
        ToolError
            The board does not answer.
        """
        if not 1 <= frame_words <= FRAME_WORDS:
            raise InputError(f"a frame has 1 to {FRAME_WORDS} words, not {frame_words}")
        patience = _PATIENCE[port == SIMULATED]
        timeout = patience[0] if timeout is None else timeout
        retry = patience[1] if retry is None else retry
        with ExitStack() as resources:
            if port == SIMULATED:
                port = resources.enter_context(VirtualBoard(config)).port
            line = resources.enter_context(_open_line(port, baud))
            device = cls(config, line, Channel(line, timeout, retry, frame_words))
            device._check()
            device._resources = resources.pop_all()
        return device

    def _check(self) -> None:
        """Compare what the board says about itself with the configuration."""
        words = np.frombuffer(self.read(FACTS_BASE, WORD_BYTES * len(FACTS)), "<u4")
        found = dict(zip(FACTS, map(int, words), strict=True))
        registers = constants(self.config) if is_core(self.config) else {}
        where = f"the board on {self._line.port}"
        if found["protocol"] != PROTOCOL:
            raise InputError(
                f"{where} speaks protocol {found['protocol']}, this driver {PROTOCOL}: load a "
                f"bitstream of this version"
            )
        self.memory = found["memory"]
        differs = found != facts(self.config, self.memory)
        differing = [name for name, value in registers.items() if self.register(name) != value]
        if differs or differing:
            what = f"register {differing[0]}" if differing else "sizes of its buffers"
            raise InputError(
                f"{where} has another core than {self.config.name} ({what}): open it with the "
                f"configuration that it was built from, or load its bitstream"
            )

    @property
    def repeated(self) -> int:
        """Frames that were sent again since the board was opened."""
        return self._channel.repeated

    @property
    def sent(self) -> int:
        """Frames that were sent, again or for the first time, since the board was opened."""
        return self._channel.sent

    @property
    def frame_words(self) -> int:
        """Words of the frames that are sent next: fewer where much is lost."""
        return self._channel.frame_words

    def write(self, address: int, data: bytes) -> None:
        """Write whole words to memory or registers.

        Raises
        ------
        InputError
            Address or length is no multiple of 4.
        ToolError
            The board is gone, or has nothing there.
        """
        self.write_all([(address, data)])

    def write_all(self, parts: Sequence[tuple[int, bytes]]) -> None:
        """As :meth:`write`, for several addresses and their data, in order."""
        for address, data in parts:
            _check_transfer(address, len(data))
        self._channel.exchange(
            [
                Request(Kind.WRITE, address, len(data) // WORD_BYTES, memoryview(data))
                for address, data in parts
                if data
            ]
        )

    def read(self, address: int, size: int) -> bytes:
        """Read whole words of memory or registers.

        Raises
        ------
        InputError
            Address or size is no multiple of 4.
        ToolError
            The board is gone, or has nothing there.
        """
        _check_transfer(address, size)
        requests = [Request(Kind.READ, address, size // WORD_BYTES)] if size else []
        return self._channel.exchange(requests)

    def register(self, name: str) -> int:
        """Value of a register of the core (:mod:`lutcore.hdl.isa.registers`)."""
        return int.from_bytes(self.read(*_place(name)), "little")

    def set_register(self, name: str, value: int) -> None:
        """Write a register of the core."""
        address, size = _place(name)
        self.write(address, value.to_bytes(size, "little"))

    def run(self, program: Program, timeout: float = 600.0) -> Run:
        """Load a program with its memory, run it, and fetch its result.

        Parameters
        ----------
        timeout : float
            Seconds that the program itself may take.

        Raises
        ------
        InputError
            The board has no core, or another one, or too little memory.
        ToolError
            The board is gone, or the program did not end.
        """
        self._check_core()
        if program.config.replace(name="core") != self.config.replace(name="core"):
            raise InputError(
                f"the program is for another core than the board's, {self.config.name}: compile it "
                f"with --core {self.config.name}"
            )
        image = program.image()
        if image.size > self.memory:
            raise InputError(
                f"the program takes {image.size} bytes of memory, the board has {self.memory}: "
                f"use fewer rows, or a part of the tensor"
            )
        return run(program, BoardMachine(self, timeout), whole=False)

    def execute(
        self, address: int, length: int, timeout: float = 600.0
    ) -> tuple[State, dict[str, int]]:
        """Run the ``length`` instructions at ``address`` of memory; state and counters.

        Raises
        ------
        InputError
            The board has no core.
        ToolError
            The board is gone, or the program did not end in ``timeout`` seconds.
        """
        self._check_core()
        settings = {
            "program": address,
            "length": length,
            "window_low": 0,
            "window_high": self.memory >> PAGE_BITS << PAGE_BITS,
            "control": 1,
        }
        for name, value in settings.items():
            self.set_register(name, value)
        status = self._wait(timeout)
        counters = {name: self.register(name) for name in COUNTERS}
        counts = {name: counters[name] for name in State.__dataclass_fields__ if name in counters}
        return State(Cause(status >> 8 & 15), self.register("error_address"), **counts), counters

    def _check_core(self) -> None:
        if not is_core(self.config):
            raise InputError(
                f"{self.config.name} is a tile without a core and runs no programs: use matmul()"
            )

    def _wait(self, timeout: float) -> int:
        """Status of the core when it is no longer busy."""
        deadline = time.monotonic() + timeout
        while (status := self.register("status")) & 1:
            if time.monotonic() > deadline:
                self.set_register("control", 2)
                raise ToolError(
                    f"the program did not end in {timeout:g} s and was aborted: give run() a "
                    f"longer timeout"
                )
        return status

    def matmul(self, tensor: QuantTensor, activations: np.ndarray) -> np.ndarray:
        """Activations [M, K] times a tensor [N, K], transposed, on the board.

        Returns
        -------
        float32 [M, N]

        Raises
        ------
        InputError
            They do not fit the core, or its memory.
        ToolError
            The board is gone, or the program ended with a fault.
        """
        if not is_core(self.config):
            return tile_matmul(self, tensor, activations)
        found = self.run(gemm(self.config, tensor, activations))
        if found.state.cause:
            raise ToolError(
                f"the core ended with fault {found.state.cause.name} at {found.state.address:#x}"
            )
        return found.output.view(np.float32)

    def close(self) -> None:
        """Close the port, and end a simulation that :meth:`open` began."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class BoardMachine:
    """A board as the machine that programs and networks run on
    (:class:`lutcore.gen.run.machines.Machine`).

    Parameters
    ----------
    device : Device
    timeout : float
        Seconds that a program may take.
    """

    def __init__(self, device: Device, timeout: float = 600.0):
        self._device, self._timeout = device, timeout

    def write(self, address: int, content: np.ndarray) -> None:
        """Write bytes; what follows them in their last word becomes 0."""
        self._device.write(address, np.pad(content, (0, -content.size % WORD_BYTES)).tobytes())

    def read(self, address: int, size: int) -> np.ndarray:
        """Read bytes, uint8."""
        low = address // WORD_BYTES * WORD_BYTES
        high = -(-(address + size) // WORD_BYTES) * WORD_BYTES
        words = np.frombuffer(self._device.read(low, high - low), np.uint8)
        return words[address - low :][:size]

    def execute(self, address: int, length: int) -> tuple[State, dict[str, int]]:
        """Run the program there; its state and performance counters."""
        return self._device.execute(address, length, self._timeout)

    def close(self) -> None:
        """Close the port."""
        self._device.close()


def read_metadata(path: Path) -> tuple[CoreConfig, int]:
    """Configuration and bit rate of a board, from the JSON beside its bitstream.

    Raises
    ------
    InputError
        The file cannot be read, or is none of those.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        config, baud = CoreConfig.from_dict(found["config"]), int(found["baud"])
        stated = dict(found["facts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"cannot read {path}: {error}; give the .json that lutcore bitstream wrote"
        ) from error
    if stated != facts(config, stated.get("memory", 0)):
        raise InputError(f"{path} is not of this version: build the bitstream again")
    return config, baud


def _check_transfer(address: int, size: int) -> None:
    if address % WORD_BYTES or size % WORD_BYTES or not 0 <= address <= (1 << 32) - size:
        raise InputError(
            f"transfers are whole words of {WORD_BYTES} bytes below 2^32, not {size} bytes at "
            f"{address:#x}"
        )


def _place(register: str) -> tuple[int, int]:
    """Address and bytes of a register."""
    offset, found = REGISTERS[register]
    return REGISTERS_BASE + offset, WORD_BYTES * -(-found.bits // 32)


def _open_line(port: str, baud: int) -> serial.Serial:
    try:
        line = serial.Serial(port, baud, exclusive=True)
        line.reset_input_buffer()
    except (serial.SerialException, OSError, ValueError) as error:
        raise InputError(
            f"cannot open {port}: {error}; give the board's serial port, or {SIMULATED}"
        ) from error
    return line
