"""Files that appear whole or not at all, and tables that are written into documents."""

import contextlib
import importlib.resources
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lutcore.errors import InputError


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files, text as UTF-8, into ``folder``, making it if need be: all of them, or none.

    Raises
    ------
    InputError
        The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as scratch:
            for name, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                (Path(scratch) / name).write_bytes(data)
            for name in files:
                os.replace(Path(scratch) / name, folder / name)
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if it was made here and stayed empty
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write to {folder}: {reason}: choose another folder with -o"
        ) from error
    return [folder / name for name in files]


def example(name: str) -> Path:
    """A file of the examples, which the package carries: ``minilm.gguf``, for instance.

    Raises
    ------
    InputError
        There is none of that name.
    """
    for path in examples():
        if path.name == name:
            return path
    there = ", ".join(path.name for path in examples())
    raise InputError(f"no example {name!r}; there are: {there}")


def examples() -> list[Path]:
    """All files of the examples but the package's own ``__init__``."""
    folder = Path(str(importlib.resources.files("lutcore.examples")))
    found = (path for path in folder.iterdir() if path.is_file())
    return sorted(path for path in found if path.stem != "__init__")


def fill_table(document: str, name: str, table: str) -> str:
    """Replace what stands between ``<!-- name:begin -->`` and ``<!-- name:end -->``."""
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    filled, count = pattern.subn(lambda match: match[1] + table + match[2], document)
    if count != 1:
        raise ValueError(f"the document must have the markers of table {name!r} once")
    return filled
