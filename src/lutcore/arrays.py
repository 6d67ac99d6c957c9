"""Arrays in files of users: judged by their headers before anything is expanded."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from lutcore import files
from lutcore.errors import InputError

#: Most bytes of an array that is read.
MOST = 1 << 30

#: Refuses a shape and a type, by an InputError.
Judge = Callable[[tuple[int, ...], np.dtype], None]


def read_array(
    path: Path, entry: str = "", rows: int = 0, judge: Judge = lambda shape, dtype: None
) -> np.ndarray:
    """Read an ``.npy`` file, or the array ``entry`` of an ``.npz`` archive.

    Parameters
    ----------
    rows : int
        How much of the first axis to read; 0: all.
    judge : callable
        Told shape and type as the file's header has them, before the content is read.

    Raises
    ------
    InputError
        The file cannot be read, is damaged, has no such entry, holds Python objects, or is larger
        than :data:`MOST`.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                return _read(path, file, path.stat().st_size, rows, judge)
            with zipfile.ZipFile(file) as archive:
                names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
                if entry not in names:
                    there = ", ".join(names) or "none"
                    raise InputError(f"{path}: no array {entry!r}; there are: {there}")
                found = archive.getinfo(f"{entry}.npy")
                with archive.open(found) as part:
                    return _read(path, part, found.file_size, rows, judge)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # what NumPy and zlib make of damage is theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is no array of NumPy, or damaged: {reason}") from error


def _read(path: Path, file: IO[bytes], size: int, rows: int, judge: Judge) -> np.ndarray:
    form = np.lib.format
    version = form.read_magic(file)
    header = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    if version not in header:
        raise ValueError(f"version {version} of its format is not known")
    shape, fortran, dtype = header[version](file)
    if dtype.hasobject:
        raise InputError(f"{path} holds Python objects, which are never loaded")
    items = int(np.prod([int(length) for length in shape], dtype=object)) if shape else 1
    if items < 0 or items * dtype.itemsize != size - file.tell():
        raise ValueError(f"its header says {list(shape)} of {dtype}, it has {size} bytes")
    judge(shape, dtype)
    if rows and shape and not fortran:
        rows = min(rows, shape[0])
        shape, items = (rows, *shape[1:]), items // max(shape[0], 1) * rows
    if items * dtype.itemsize > MOST:
        raise InputError(f"{path}: {items * dtype.itemsize:,} bytes are more than {MOST:,}")
    content = file.read(items * dtype.itemsize)
    if len(content) != items * dtype.itemsize:
        raise EOFError("it ends too early")
    found = np.frombuffer(bytearray(content), dtype)
    return found.reshape(shape[::-1]).T if fortran else found.reshape(shape)


def write_array(path: Path, array: np.ndarray, by: str = "", force: bool = False) -> None:
    """Write an ``.npy`` file; parameters and errors as of :func:`lutcore.files.writing`."""
    with files.writing(path, by, force) as file:
        np.save(file, array)
