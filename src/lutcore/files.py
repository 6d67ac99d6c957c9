"""Files that appear whole or not at all, and that replace nothing but what we wrote before.

A file is written without a name, and gets its name when it is complete: whatever ends the program,
nothing unfinished stays. In folders of users ``.lutcore.json`` says what wrote each file, so that
the same command replaces it, and what somebody else wrote or changed is never lost.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.resources
import io
import json
import os
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from lutcore.errors import InputError

#: Who wrote the files of a folder.
LEDGER = ".lutcore.json"
#: File systems and kernels without unnamed files answer so.
_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


class _Unfinished:
    """A file without a name in its future folder; with one, where the file system needs it."""

    def __init__(self, folder: Path):
        self._folder, self._name = folder, folder / f".partial-{secrets.token_hex(8)}"
        self._named = False
        try:
            handle = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno not in _NO_UNNAMED or not folder.is_dir():
                raise
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            handle, self._named = os.open(self._name, flags, 0o666), True
        self.file: io.BufferedRandom = os.fdopen(handle, "w+b")

    def digest(self) -> str:
        """Of its content."""
        self.file.flush()
        self.file.seek(0)
        return hashlib.file_digest(self.file, "sha256").hexdigest()

    def finish(self, name: str) -> None:
        """Give it its name, in place of what had it."""
        self.file.flush()
        if not self._named:
            source = f"/proc/self/fd/{self.file.fileno()}"
            # A folder's number, which an absolute path does not need, has Python follow the link.
            os.link(source, self._name, src_dir_fd=self.file.fileno(), follow_symlinks=True)
            self._named = True
        os.replace(self._name, self._folder / name)
        self._named = False

    def close(self) -> None:
        """Forget it, unless it is finished."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._named:
            with contextlib.suppress(OSError):
                self._name.unlink()


@contextlib.contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which replaces ``path`` once the block has ended without an error.

    Errors of the file system are raised as they are.
    """
    unfinished = _Unfinished(path.parent)
    try:
        yield unfinished.file
        unfinished.finish(path.name)
    finally:
        unfinished.close()


@contextlib.contextmanager
def writing(path: Path, by: str = "", force: bool = False) -> Iterator[BinaryIO]:
    """As :func:`whole`, for a file of a user.

    Parameters
    ----------
    by : str
        The command and what its result depends on; without it anything at ``path`` is replaced.
    force : bool
        Replace what others wrote, too.

    Raises
    ------
    InputError
        It cannot be written, or somebody else's file is there.
    """
    with _told(path), _open_folder(path.parent) as ledger:
        unfinished = _Unfinished(path.parent)
        try:
            yield unfinished.file
            ledger.take({path.name: unfinished}, by, force)
        finally:
            unfinished.close()


def write_files(
    folder: Path, files: Mapping[str, str | bytes], by: str = "", force: bool = False
) -> list[Path]:
    """Write files, text as UTF-8, into ``folder``, making it if need be: all of them, or none.

    Parameters and errors are those of :func:`writing`.
    """
    made = False
    try:
        with _told(folder):
            made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            with _open_folder(folder) as ledger, contextlib.ExitStack() as stack:
                written = {}
                for name, content in files.items():
                    data = content.encode() if isinstance(content, str) else content
                    written[name] = _Unfinished(folder)
                    stack.callback(written[name].close)
                    written[name].file.write(data)
                ledger.take(written, by, force)
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if it was made here and stayed empty
        raise
    return [folder / name for name in files]


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Errors of the file system in one line."""
    if "\0" in str(path):
        raise InputError(f"cannot write to {str(path)!r}: no name has a NUL")
    try:
        yield
    except OSError as error:
        told = f"cannot write to {path}: {error.strerror or error}: choose another place with -o"
        raise InputError(told) from error


class _Ledger:
    """Who wrote the files of a folder, as :data:`LEDGER` has it."""

    def __init__(self, folder: Path):
        self._folder = folder
        try:
            if not (folder / LEDGER).is_file():  # a pipe would be waited for
                raise OSError
            self._files = json.loads((folder / LEDGER).read_text(encoding="utf-8"))["files"]
            self._files = {name: dict(entry) for name, entry in self._files.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._files = {}

    def take(self, written: Mapping[str, _Unfinished], by: str, force: bool) -> None:
        """Name all files, once nobody else's is in the way."""
        for unfinished in written.values():
            unfinished.file.flush()
        for name in (*written, LEDGER):
            path = self._folder / name
            if not path.is_symlink() and path.exists() and not path.is_file():
                raise InputError(
                    f"{path} is in the way, it is no regular file: choose another place with -o"
                )
        digests = {name: unfinished.digest() for name, unfinished in written.items() if by}
        if not force:
            for name, digest in digests.items():
                self._check(name, by, digest)
        for name, unfinished in written.items():
            unfinished.finish(name)
        if digests:
            self._files |= {name: {"by": by, "sha256": digests[name]} for name in digests}
            facts: dict[str, Any] = {"schema": 1, "files": dict(sorted(self._files.items()))}
            with whole(self._folder / LEDGER) as ledger:
                ledger.write(json.dumps(facts, indent=1).encode() + b"\n")

    def _check(self, name: str, by: str, digest: str) -> None:
        path, entry = self._folder / name, self._files.get(name, {})
        if not path.is_symlink() and not path.exists():
            return
        try:
            if not path.is_file():  # a link to a device may have no end
                raise OSError
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            found = ""
        if found == digest or (entry.get("by"), entry.get("sha256")) == (by, found):
            return
        why = "it is not of this program"
        if "by" in entry:
            why = f"it is of '{entry['by']}'" if entry["by"] != by else "it was changed by hand"
        raise InputError(f"{path} is in the way, {why}: give --force, or another place with -o")


@contextlib.contextmanager
def _open_folder(folder: Path) -> Iterator[_Ledger]:
    """A folder's ledger, while no other process of ours writes there."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield _Ledger(folder)
    finally:
        os.close(handle)


def toml_values(text: str) -> dict[str, Any]:
    """Values of TOML, with or without the mark that some editors put before it.

    Raises
    ------
    InputError
        It is none.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError as error:
        raise InputError("not valid TOML: it is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"not valid TOML: {error}") from error


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
