"""Compiled things on disk: made once, checked at every use, and ended when the cache is too large.

A build's manifest says which version made it, and the size and digest of each program in it. What
is damaged is made again, once, and its folder is named. Beside the results of
:mod:`lutcore.cache`, builds are what the cache's folder has most of: both are listed and pruned.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lutcore import cache
from lutcore.errors import HostError
from lutcore.version import __version__

#: Bytes that the cache may have; ``LUTCORE_CACHE_LIMIT`` says otherwise, in GB.
LIMIT = 5_000_000_000
#: Files that a build is used by, besides programs.
_USED = {".vvp", ".o", ".gch"}
_INTERMEDIATE = {".cpp", ".h", ".gch", ".o", ".a", ".d", ".mk", ".dat"}
#: Seconds in which an entry that was used is never pruned: somebody may be using it still.
_FRESH = 3600
_MANIFEST = "manifest.json"

_log = logging.getLogger("lutcore")


def built(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a build, made by ``make`` unless it is there and whole.

    Parameters
    ----------
    kind, name : str
        Folder of the cache, and the digest of all that the build depends on.
    make : callable
        Builds into the folder that it is given, which is empty.

    Raises
    ------
    HostError
        The cache cannot be written.
    """
    folder = cache.folder() / kind / name
    with cache.writable(folder.parent), FileLock(f"{folder}.lock"):
        damage = _damage(folder)
        if damage is None:
            cache.mark_used(folder)
            return folder
        if damage:
            _log.warning("%s is made again: %s", folder, damage)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            make(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        parts = {
            str(path.relative_to(folder)): [path.stat().st_size, _digest(path)]
            for path in sorted(folder.rglob("*"))
            if _is_used(path)
        }
        manifest = {"version": __version__, "parts": parts}
        (folder / _MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    prune()
    return folder


def _is_used(path: Path) -> bool:
    return path.is_file() and (path.suffix in _USED or os.access(path, os.X_OK))


def keep_programs(folder: Path) -> None:
    """Remove what a build was made from and through: sources, objects, compiled headers."""
    for path in folder.iterdir():
        if path.suffix in _INTERMEDIATE and path.is_file():
            path.unlink()


def whole(kind: str, name: str) -> Path | None:
    """The folder of a build that is there and undamaged."""
    folder = cache.folder() / kind / name
    return folder if _damage(folder) is None else None


def _damage(folder: Path) -> str | None:
    """What is wrong with a build; nothing to say where it is not there; None: it is whole."""
    if not folder.exists():
        return ""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["version"] != __version__:
            return f"it is of version {manifest['version']}"
        for name, (size, digest) in manifest["parts"].items():
            if (folder / name).stat().st_size != size or _digest(folder / name) != digest:
                return f"{name} is damaged"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "it was not finished"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Item:
    """An entry of the cache: kind, file or folder, bytes, and when it was used, s since 1970."""

    kind: str
    path: Path
    size: int
    used: float


def items() -> list[Item]:
    """All that is kept, longest unused first."""
    found = []
    for kind in _entries(cache.folder()):
        if not kind.is_dir():
            continue
        for path in _entries(kind):
            if path.suffix != ".lock":
                with contextlib.suppress(OSError):  # another process removes it
                    found.append(Item(kind.name, path, _size(path), path.stat().st_mtime))
    return sorted(found, key=lambda item: item.used)


def _entries(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from folder.iterdir()


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(part.lstat().st_size for part in path.rglob("*"))
    return path.stat().st_size


def limit() -> int:
    """Most bytes of the cache.

    Raises
    ------
    HostError
        ``LUTCORE_CACHE_LIMIT`` is no number of GB.
    """
    text = os.environ.get("LUTCORE_CACHE_LIMIT")
    if not text:
        return LIMIT
    try:
        size = int(float(text) * 1e9)
    except (ValueError, OverflowError):
        size = -1
    if size < 0:
        raise HostError(f"LUTCORE_CACHE_LIMIT must be a number of GB, not {text!r}")
    return size


def prune(most: int | None = None, fresh: float = _FRESH) -> list[Item]:
    """Remove what was unused for longest, until no more than ``most`` bytes are kept.

    Parameters
    ----------
    most : int, optional
        Default :func:`limit`.
    fresh : float
        Seconds in which what was used stays.

    Returns
    -------
    list of Item
        What was removed. A build that a process makes at this moment stays.
    """
    most, found = limit() if most is None else most, items()
    total, removed = sum(item.size for item in found), []
    for item in found:
        if total <= most:
            break
        if time.time() - item.used >= fresh and _remove(item.path):
            total -= item.size
            removed.append(item)
    return removed


def _remove(path: Path) -> bool:
    """Remove an entry, unless somebody holds its lock, which stays: others may wait for it."""
    try:
        if path.is_dir():
            with FileLock(f"{path}.lock", timeout=0):
                shutil.rmtree(path)
        else:
            path.unlink()
    except (OSError, Timeout):
        return False
    return True
