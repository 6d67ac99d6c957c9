"""Checkpoints of any kind, opened by what stands at a path."""

from pathlib import Path

from lutcore.compiler.importers.base import Checkpoint, Facts
from lutcore.compiler.importers.folder import refuse_pickle
from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.importers.safetensors_file import SafetensorsFile
from lutcore.errors import InputError

__all__ = ["Checkpoint", "Facts", "open_checkpoint"]


def open_checkpoint(path: str | Path, gptq_version: int | None = None) -> Checkpoint:
    """Open a GGUF file, a safetensors file, or a folder of these with its ``config.json``.

    A folder may be one of Hugging Face's cache, ``models--ORGANISATION--NAME``.
    Pickles (``.bin``, ``.pt``) are never loaded.

    Parameters
    ----------
    gptq_version : 1, 2 or None
        How zero points of GPTQ are stored, where the checkpoint does not say it or is wrong.

    Raises
    ------
    InputError
        There is no such file, or it is damaged or of a kind that is not read.
    """
    path = Path(path)
    if gptq_version not in (None, 1, 2):
        raise InputError(f"gptq_version must be 1 or 2, not {gptq_version!r}")
    if path.is_file() and path.suffix != ".safetensors":
        try:
            refuse_pickle(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        return GgufFile(path)
    if not path.exists():
        raise InputError(f"{path}: no such file: give the path of a checkpoint")
    return SafetensorsFile(path, gptq_version)
