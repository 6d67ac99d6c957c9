"""Results on disk, as JSON, by a digest of all that they depend on."""

import contextlib
import gzip
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

from lutcore.hdl.errors import InputError
from lutcore.verif.simulator import cache_folder


def entry(kind: str, key: str) -> Path:
    """File of a result."""
    return cache_folder() / kind / f"{key}.json.gz"


def load(path: Path) -> Any:
    """A stored value, or None: it is not there yet, or damaged."""
    with contextlib.suppress(OSError, EOFError, ValueError, zlib.error):
        return json.loads(gzip.decompress(path.read_bytes()))
    return None


def store(path: Path, value: Any) -> None:
    """Write a value, whole or not at all.

    Raises
    ------
    InputError
        The cache cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as scratch:
            partial = Path(scratch) / path.name
            partial.write_bytes(gzip.compress(json.dumps(value).encode()))
            os.replace(partial, path)
    except OSError as error:
        raise InputError(
            f"cannot write the cache {path.parent}: {error.strerror}: set LUTCORE_CACHE"
        ) from error
