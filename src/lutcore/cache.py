"""Results on disk, by a digest of all that they depend on: the sources that compute them included.

Everything stands in one folder, that of ``LUTCORE_CACHE`` or the user's cache folder.
"""

import ast
import contextlib
import errno
import functools
import gzip
import hashlib
import json
import logging
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs

from lutcore import files
from lutcore.errors import HostError
from lutcore.version import __version__

_log = logging.getLogger("lutcore")
_ROOT = Path(__file__).parent


def folder() -> Path:
    """Folder of cached builds and results."""
    return Path(os.environ.get("LUTCORE_CACHE") or platformdirs.user_cache_dir("lutcore"))


def digest(*parts: str | bytes) -> str:
    """Name of what is cached by these texts, 24 hex digits; their borders count."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()[:24]


def key(module: str, *parts: str | bytes) -> str:
    """Name of what ``module`` computes from these texts: :func:`digest` of its sources and them."""
    return digest(sources_digest(module), *parts)


@functools.lru_cache
def sources_digest(*modules: str) -> str:
    """Digest of the sources of modules of ours and of all of ours that they import, to the end.

    Imports inside functions count. ``lutcore`` itself does not: it only finds names.

    Parameters
    ----------
    modules : str
        Full names, such as ``lutcore.gen.asic.mapping``.

    Raises
    ------
    FileNotFoundError
        A module in the closure has no source: its results would be taken for those of another.
    """
    sources: dict[Path, bytes] = {}
    waiting = [_source(module) for module in modules]
    while waiting:
        path = waiting.pop()
        if path in sources:
            continue
        sources[path] = path.read_bytes()
        for module, names in _imports(sources[path]):
            source = _source(module)
            waiting.append(source)
            if source.name == "__init__.py":  # our packages hold modules, and nothing else
                waiting += [_source(f"{module}.{name}") for name in names]
        waiting = [found for found in waiting if found != _ROOT / "__init__.py"]
        # Packages on the way to a module run before it.
        waiting += [folder / "__init__.py" for folder in path.parents if _ROOT in folder.parents]
    listed = sorted((str(path.relative_to(_ROOT)), text) for path, text in sources.items())
    return digest(*(part for name, text in listed for part in (name, text)))


def _source(module: str) -> Path:
    """The file of a module or package of ours; ``__main__`` is what ``python -m`` runs."""
    if module == "__main__" and (spec := sys.modules[module].__spec__):
        module = spec.name
    if found := _find(module):
        return found
    raise FileNotFoundError(f"no source of {module} below {_ROOT}")


def _find(module: str) -> Path | None:
    plain = _ROOT.joinpath(*module.split(".")[1:])
    for path in (plain.with_suffix(".py"), plain / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _imports(text: bytes) -> list[tuple[str, list[str]]]:
    """Modules of ours that a source imports, each with the names that it takes from there."""
    found: list[tuple[str, list[str]]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise ValueError(f"relative import in line {node.lineno}: name the module in full")
            found.append((node.module, [alias.name for alias in node.names]))
    ours = __name__.partition(".")[0]
    return [(module, names) for module, names in found if module.partition(".")[0] == ours]


def entry(kind: str, name: str) -> Path:
    """File of a result."""
    return folder() / kind / f"{name}.json.gz"


def load(path: Path) -> Any:
    """A stored value, or None: it is not there yet, or damaged, which is said.

    Raises
    ------
    HostError
        It is not there, and could not be stored: what takes long to compute would be lost.
    """
    try:
        content = path.read_bytes()
    except OSError:
        with writable(path.parent):
            if not os.access(path.parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
        return None
    try:
        head, _, text = gzip.decompress(content).partition(b"\n")
        facts = json.loads(head)
        if (facts["size"], facts["sha256"]) != (len(text), hashlib.sha256(text).hexdigest()):
            raise ValueError("its digest differs")
        value = json.loads(text)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        _log.warning("%s is damaged (%s): its result is computed again", path, error)
        return None
    mark_used(path)
    return value


def mark_used(path: Path) -> None:
    """Note that an entry was taken: what was unused for longest goes first."""
    _log.info("found in the cache: %s/%s", path.parent.name, path.name)
    with contextlib.suppress(OSError):
        os.utime(path)


def store(path: Path, value: Any) -> None:
    """Write a value, whole or not at all, with its size, its digest and our version.

    Raises
    ------
    HostError
        The cache cannot be written.
    """
    text = json.dumps(value).encode()
    facts = {"version": __version__, "size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    content = gzip.compress(json.dumps(facts).encode() + b"\n" + text)
    with writable(path.parent), files.whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """A folder of the cache, made if need be, while something is written there.

    Raises
    ------
    HostError
        It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise HostError(
            f"cannot write the cache {folder}: {error.strerror or error}: set LUTCORE_CACHE"
        ) from error
