"""The file of programs and networks: sections, then a table of them (layout: docs, "compiler").

A file is written front to back and read from its end: the trailer, of a fixed size, says where the
table is, and the table where each section is. Nothing in a file is trusted. The table is judged as
a whole, against the size of the file, before anything is read; a section's digest is checked when
that section is first read.
"""

import contextlib
import hashlib
import json
import math
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lutcore.compiler.program.plain import each, integer, record, text
from lutcore.errors import InputError
from lutcore.files import writing
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.isa.lmma import VERSION
from lutcore.version import __version__

MAGIC = b"LUTCORE\n"
#: Version of the layout.
FORMAT = 2
#: Sections, and the table, start at multiples of this.
ALIGN = 64
#: Magic, format, zeros: where a file begins.
_HEAD = struct.Struct("<8sI52x")
#: Magic, format, zeros, place and bytes of the table, its SHA-256: where a file ends.
_TRAILER = struct.Struct("<8sI4xQQ32s")
#: Bytes of a table, whose values take some twenty times as much when they are read.
_MOST_TABLE = 1 << 24
_DTYPES = {"u1": np.uint8, "i2": np.int16, "i4": np.int32, "i8": np.int64, "f4": np.float32}
#: What a file may hold -> how to make it again.
REMEDIES = {
    "program": "make it with lutcore matrix compile MODEL --tensor NAME -o FILE",
    "network": "make it with lutcore compile MODEL -o FILE",
}
_REMEDY = "make it with lutcore compile or lutcore matrix compile"


@dataclass(frozen=True)
class Section:
    """An array in a file.

    Attributes
    ----------
    name : str
    dtype : {"u1", "i2", "i4", "i8", "f4"}
        Little-endian.
    shape : tuple of int
    at, bytes : int
        Where it is in the file.
    sha256 : str
        Of its bytes, in hexadecimal.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    at: int
    bytes: int
    sha256: str

    @classmethod
    def judged(cls, plain: object, what: str) -> "Section":
        """A section of the table, right by itself.

        Raises
        ------
        InputError
            It is none.
        """
        found = record(plain, what, *cls.__dataclass_fields__)
        name, dtype = text(found["name"], what), text(found["dtype"], what)
        what = f"section {name}"
        if dtype not in _DTYPES:
            raise InputError(f"{what} must be of {', '.join(_DTYPES)}, not {dtype[:20]!r}")
        shape = each(found["shape"], f"{what}: size", lambda value, of: integer(value, of, 1))
        made = cls(
            name=name,
            dtype=dtype,
            shape=tuple(shape),
            at=integer(found["at"], f"{what}: at"),
            bytes=integer(found["bytes"], f"{what}: bytes"),
            sha256=text(found["sha256"], f"{what}: sha256"),
        )
        if len(shape) > 8 or math.prod(shape) * int(dtype[1]) != made.bytes or made.at % ALIGN:
            raise InputError(f"{what} has a shape, a size and a place that do not belong together")
        return made


class SectionWriter:
    """Writes sections one after another, each as soon as it is there (:func:`written`).

    Attributes
    ----------
    about : dict
        What else the table says: plain values, taken when all sections are written.
    """

    def __init__(self, file: BinaryIO):
        self._file, self._place = file, 0
        self._sections: list[Section] = []
        self.about: dict[str, Any] = {}
        self._put(_HEAD.pack(MAGIC, FORMAT))

    def _put(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._place += len(content)

    def _align(self) -> None:
        self._put(bytes(-self._place % ALIGN))

    def add(self, name: str, array: np.ndarray) -> None:
        """Write a section."""
        dtype = next(dtype for dtype, of in _DTYPES.items() if array.dtype == of)
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        content = little.reshape(-1).view(np.uint8).data
        self._align()
        digest = hashlib.sha256(content).hexdigest()
        shape, size = tuple(array.shape), len(content)
        self._sections.append(Section(name, dtype, shape, self._place, size, digest))
        self._put(content)

    def finish(self, kind: str, config: CoreConfig) -> None:
        """Write the table and the trailer; InputError where the table is too long."""
        table = {
            "kind": kind,
            "format": FORMAT,
            "instructions": VERSION,
            "lutcore": __version__,
            "config": config.to_dict(),
            "about": self.about,
            "sections": [asdict(section) for section in self._sections],
        }
        content = json.dumps(table, separators=(",", ":")).encode()
        if len(content) > _MOST_TABLE:
            raise InputError(
                f"the file's table has {len(content)} bytes, {_MOST_TABLE} at most: "
                "the network is too large for one file"
            )
        self._align()
        place = self._place
        self._put(content)
        self._align()
        digest = hashlib.sha256(content).digest()
        self._put(_TRAILER.pack(MAGIC, FORMAT, place, len(content), digest))


@contextlib.contextmanager
def written(
    path: Path, kind: str, config: CoreConfig, force: bool = False
) -> Iterator[SectionWriter]:
    """Write a file, whole or not at all; in place of somebody else's only with ``force``.

    Raises
    ------
    InputError
        It cannot be written.
    """
    by = f"{kind} for {config.name}, configuration {config.digest}"
    with writing(path, by, force) as file:
        writer = SectionWriter(file)
        yield writer
        writer.finish(kind, config)


class SectionFile:
    """A file whose table is judged; its sections stay in the file until they are read.

    Parameters
    ----------
    path : Path
    kind : {"program", "network"}, optional
        What it must hold.

    Attributes
    ----------
    kind : str
    config : CoreConfig
        The core that it is for.
    about : dict
        What the table says of this kind, not judged.
    sections : dict of str to Section

    Raises
    ------
    InputError
        The file cannot be read, is of another version or kind, or is damaged.
    """

    def __init__(self, path: Path, kind: str | None = None):
        self.path, self._remedy = path, REMEDIES.get(kind or "", _REMEDY)
        try:
            size = path.stat().st_size
            self._raw = np.asarray(np.memmap(path, np.uint8, "r")) if size else np.zeros(0, "u1")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot read {path}: {reason}: {self._remedy}") from error
        self._checked: set[str] = set()
        with self.judging():
            self._read_table(kind)

    @contextlib.contextmanager
    def judging(self) -> Iterator[None]:
        """What is refused inside becomes one line with the file's name and the remedy."""
        try:
            yield
        except (InputError, RecursionError) as error:
            what = " ".join(str(error).split())
            what = what if len(what) < 400 else f"{what[:400]}..."
            raise InputError(f"{self.path}: {what}: {self._remedy}") from error

    def _read_table(self, kind: str | None) -> None:
        self._check_version(kind)
        found = record(self._table(), "the table", *_KEYS)
        self.kind = text(found["kind"], "kind")
        if kind not in (None, self.kind):
            raise InputError(f"is a {self.kind[:20]}, not a {kind}")
        if self.kind not in REMEDIES:
            raise InputError(f"is neither a program nor a network, but {self.kind[:20]!r}")
        self._remedy = REMEDIES[self.kind]
        integer(found["format"], "format", FORMAT, FORMAT)
        version = integer(found["instructions"], "instructions")
        if version != VERSION:
            raise InputError(f"has instructions of version {version}, this is {VERSION}")
        text(found["lutcore"], "lutcore")
        config = record(found["config"], "config")
        if missing := sorted(DOMAINS.keys() - config.keys()):
            raise InputError(f"its configuration has no {missing[0]}")
        self.config = CoreConfig.from_dict(config)
        check_core(self.config)
        self.about: dict[str, Any] = record(found["about"], "about")
        sections = each(found["sections"], "section", Section.judged)
        self.sections = {section.name: section for section in sections}
        place = _HEAD.size
        for section in sections:
            if section.at < place or section.at + section.bytes > self._end:
                raise InputError(f"section {section.name} is not inside of its place in the file")
            place = section.at + section.bytes
        if len(self.sections) < len(sections):
            raise InputError("two sections have one name")

    def _check_version(self, kind: str | None) -> None:
        if self._raw[: len(MAGIC)].tobytes() != MAGIC:
            if _is_old_program(self.path):
                self._remedy = REMEDIES["program"]
                raise InputError(f"is a program of format 1, this is {FORMAT}")
            raise InputError(f"is no {kind or 'program or network'}")
        found = int.from_bytes(self._raw[8:12].tobytes(), "little")
        if found == 1:
            self._remedy = REMEDIES["network"]
        if found != FORMAT:
            what = "is a network" if found == 1 else "is"
            raise InputError(f"{what} of format {found}, this is {FORMAT}")

    def _table(self) -> object:
        """The table as it stands, its digest right."""
        raw, end = self._raw, self._raw.size - _TRAILER.size
        trailer = raw[max(end, 0) :].tobytes()
        if end < _HEAD.size or raw[: _HEAD.size].tobytes() != _HEAD.pack(MAGIC, FORMAT):
            raise InputError("is truncated or damaged")
        _, _, at, size, digest = _TRAILER.unpack(trailer)
        again = _TRAILER.pack(MAGIC, FORMAT, at, size, digest)
        if trailer != again or size > _MOST_TABLE or at + size + -size % ALIGN != end:
            raise InputError("is truncated or damaged: it does not end as it must")
        content = raw[at : at + size].tobytes()
        if hashlib.sha256(content).digest() != digest:
            raise InputError("is damaged: the digest of its table differs")
        self._end = at
        try:
            return json.loads(content, parse_constant=_no_number)
        except ValueError as error:
            raise InputError(f"has a damaged table: {error}") from error

    def read(self, name: str) -> np.ndarray:
        """A section's array, not to be written to; call it inside of :meth:`judging`.

        Raises
        ------
        InputError
            There is none of that name, or its digest differs.
        """
        section = self.sections.get(name)
        if section is None:
            raise InputError(f"section {name} is missing")
        raw = self._raw[section.at : section.at + section.bytes]
        if name not in self._checked:
            if hashlib.sha256(raw.data).hexdigest() != section.sha256:
                raise InputError(f"is damaged: the digest of section {name} differs")
            self._checked.add(name)
        return raw.view(np.dtype(section.dtype).newbyteorder("<")).reshape(section.shape)

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse it where its sections are not just these."""
        if wrong := sorted({*names} ^ self.sections.keys()):
            raise InputError(f"section {wrong[0]} is missing or unknown")

    def named(self, stem: str) -> list[str]:
        """Names of the sections ``stem/NAME``, without the stem."""
        stem += "/"
        return [name.removeprefix(stem) for name in self.sections if name.startswith(stem)]


_KEYS = ("kind", "format", "instructions", "lutcore", "config", "about", "sections")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _is_old_program(path: Path) -> bool:
    """Whether it is a program of format 1, a NumPy archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"about.npy", "code.npy", "memory.npy"} == set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def kind_of(path: Path) -> str | None:
    """What a file holds: ``program``, ``network``, or None where it is no such file.

    Raises
    ------
    InputError
        It is one, but of another version, or damaged.
    """
    try:
        with path.open("rb") as file:
            ours = file.read(len(MAGIC)) == MAGIC
    except OSError:
        return None
    return SectionFile(path).kind if ours or _is_old_program(path) else None
