"""A program with its memory: what a host hands to a core, and a file of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.compiler.program.cuts import up
from lutcore.compiler.program.plain import integer, integers, record, text
from lutcore.compiler.program.sections import SectionFile, written
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.isa.lmma import BYTES, OUTPUTS

#: Memory comes in whole pages, and its regions start at one, so that no burst crosses a page.
PAGE = 4096
#: Bytes of one output, by its format.
OUTPUT_BYTES = {"fp32": 4, "int32": 4, "fp16": 2, "bf16": 2}


def check_region(what: str, address: int, size: int, unit: int, memory: int) -> None:
    """See that ``size`` bytes at ``address`` are whole ``unit`` s of a memory.

    Raises
    ------
    InputError
        They are not.
    """
    if address < 0 or address % unit or address + up(size, unit) > memory:
        raise InputError(
            f"{what}: {size} bytes at {address:#x} are not inside of the memory ({memory} bytes), "
            f"at a multiple of {unit}"
        )


@dataclass(frozen=True)
class Output:
    """Where a program leaves a matrix: ``rows`` of ``columns`` every ``pitch`` bytes."""

    address: int
    rows: int
    columns: int
    pitch: int
    type: str

    def read(self, memory: np.ndarray) -> np.ndarray:
        """Bit patterns [rows, columns] out of a memory image that starts at address 0."""
        size = OUTPUT_BYTES[self.type]
        places = self.address + np.arange(self.rows)[:, None] * self.pitch
        raw = memory[places + np.arange(self.columns * size)]
        return raw.view(f"<u{size}")

    def numbers(self, patterns: np.ndarray) -> np.ndarray:
        """What bit patterns of the output's type are; of bf16 as float32, exactly."""
        if self.type == "bf16":
            return (patterns.astype(np.uint32) << 16).view(np.float32)
        types = {"fp32": np.float32, "int32": np.int32, "fp16": np.float16}
        return patterns.view(types[self.type])


@dataclass(frozen=True, eq=False)
class Program:
    """A program in memory.

    Attributes
    ----------
    config : CoreConfig
        The core that it is for.
    words : list of int
        Instructions.
    address : int
        Where they stand in memory.
    memory : uint8
        The memory from address 0: data; the instructions are put there by :meth:`image`.
    output : Output
        The result.
    """

    config: CoreConfig
    words: list[int]
    address: int
    memory: np.ndarray
    output: Output

    def image(self) -> np.ndarray:
        """Memory with data and instructions, a copy."""
        image = self.memory.copy()
        code = np.frombuffer(b"".join(w.to_bytes(BYTES, "little") for w in self.words), np.uint8)
        image[self.address : self.address + len(code)] = code
        return image

    def check(self) -> None:
        """See that the core can take it, and that all of it is inside of the memory.

        Raises
        ------
        InputError
            It is not so.
        """
        check_core(self.config)
        unit, size, length = self.config.bus_bits // 8, self.memory.size, len(self.words)
        if self.memory.dtype != np.uint8 or self.memory.shape != (size,) or size % PAGE:
            raise InputError(f"the memory must be bytes, a multiple of {PAGE}, not {size}")
        if not 1 <= length <= self.config.program_buffer:
            raise InputError(
                f"the program has {length} instructions, {self.config.name} holds 1.."
                f"{self.config.program_buffer}"
            )
        check_region("the program", self.address, length * BYTES, unit, size)
        output = self.output
        if output.type not in OUTPUTS:
            raise InputError(f"type must be one of {', '.join(OUTPUTS)}, not {output.type[:20]!r}")
        row = integer(output.columns, "columns", 1) * OUTPUT_BYTES[output.type]
        if output.pitch % unit or output.pitch < row:
            raise InputError(f"pitch must be a multiple of {unit} from {row}, not {output.pitch}")
        rows = integer(output.rows, "rows", 1)
        check_region("the output", output.address, (rows - 1) * output.pitch + row, unit, size)

    def save(self, path: Path, force: bool = False) -> None:
        """Write to a file, whole or not at all; in place of somebody else's only with ``force``.

        Raises
        ------
        InputError
            It is no right program, or cannot be written.
        """
        self.check()
        code = np.array([list(w.to_bytes(BYTES, "little")) for w in self.words], np.uint8)
        with written(path, "program", self.config, force) as file:
            file.add("code", code)
            file.add("memory", self.memory)
            file.about |= {"address": self.address, "output": vars(self.output)}

    @classmethod
    def load(cls, path: Path) -> "Program":
        """Read what :meth:`save` wrote; the memory stays in the file until it is used.

        Raises
        ------
        InputError
            It cannot be read, is of another version, or is damaged.
        """
        file = SectionFile(path, "program")
        with file.judging():
            about = record(file.about, "about", "address", "output")
            found = record(about["output"], "output", *Output.__dataclass_fields__)
            kind = text(found.pop("type"), "output: type")
            output = Output(**integers(found, "output"), type=kind)
            file.check_names(("code", "memory"))
            code = file.read("code")
            if code.dtype != np.uint8 or code.shape[1:] != (BYTES,):
                raise InputError(f"section code must be rows of {BYTES} bytes")
            words = [int.from_bytes(row.tobytes(), "little") for row in code]
            address = integer(about["address"], "address")
            made = cls(file.config, words, address, file.read("memory"), output)
            made.check()
        return made
