"""Checkpoints of any kind, opened by what stands at a path."""

from pathlib import Path

from compiler.gguf_file import GgufFile
from compiler.importers.base import Checkpoint, Facts
from hdl.errors import InputError

__all__ = ["Checkpoint", "Facts", "open_checkpoint"]


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open a GGUF file.

    Raises
    ------
    InputError
        There is no such file, or it is damaged or of a kind that is not read.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder: give a GGUF file")
    return GgufFile(path)
