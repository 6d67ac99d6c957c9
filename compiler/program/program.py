"""A program with its memory: what a host hands to a core, and a file of it."""

import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BYTES, OUTPUTS

#: Bytes of one output, by its format.
OUTPUT_BYTES = {"fp32": 4, "int32": 4, "fp16": 2, "bf16": 2}


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

    def save(self, path: Path) -> None:
        """Write to a file, whole or not at all.

        Raises
        ------
        InputError
            It cannot be written.
        """
        about = {
            "config": self.config.to_dict(),
            "address": self.address,
            "output": vars(self.output),
        }
        code = np.array([list(w.to_bytes(BYTES, "little")) for w in self.words], np.uint8)
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".partial")
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(file, about=json.dumps(about), code=code, memory=self.memory)
            os.replace(name, path)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> "Program":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            It cannot be read, or is no program.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                code, memory = file["code"], file["memory"]
            output = Output(**about["output"])
            if code.ndim != 2 or code.shape[1] != BYTES or memory.dtype != np.uint8:
                raise ValueError("wrong shape")
            if output.type not in OUTPUTS:
                raise ValueError("unknown output type")
        except OSError as error:
            raise InputError(f"cannot read program {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is no program of this version: {error}") from error
        words = [int.from_bytes(row.tobytes(), "little") for row in code]
        return cls(CoreConfig.from_dict(about["config"]), words, about["address"], memory, output)
