"""Results on disk, by a digest of all that they depend on: the sources that compute them included.

Everything stands in one folder, that of ``LUTCORE_CACHE`` or the user's cache folder.
"""

import ast
import contextlib
import functools
import gzip
import hashlib
import json
import os
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import platformdirs

from lutcore.errors import InputError

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
