"""Liberty files: the one place that reads their text.

A file is read into :class:`Group`; values stay text until someone asks for numbers
(:func:`numbers`) or a table (:func:`lookup_table`). Numbers are in the units of the file.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lutcore.errors import InputError

#: The word that stands for :data:`DEMO_CELLS` where a Liberty file is asked for.
DEMO = Path("demo")
#: A small synthetic library, for tests and for trying the commands.
DEMO_CELLS = Path(__file__).with_name("demo.lib")

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
#: The end of a group; or ``name (arguments) {``, ``name (arguments)``, ``name : value``.
_STATEMENT = re.compile(r'(\})|(\w+)\s*(?:\(([^()]*)\)\s*(\{)?|:\s*("[^"]*"|[^;}\n]*))')
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


# Files -------------------------------------------------------------------------------------------


def library_path(text: str, folder: Path = Path()) -> Path:
    """Path of a Liberty file as a user wrote it, in ``folder`` unless it is absolute.

    ``demo`` is :data:`DEMO`; a file of that name is ``./demo``, which needs its folder's name to
    stay apart from the word.
    """
    path = folder / text
    if text == str(DEMO):
        return DEMO
    return path.absolute() if path == DEMO else path


def library_name(path: Path) -> str:
    """What reports call a library: its file's name, and that it is synthetic if it is."""
    return f"{DEMO_CELLS.name} (synthetic)" if path in (DEMO, DEMO_CELLS) else path.name


def read_bytes(path: Path) -> bytes:
    """Content of a Liberty file, decompressed; of :data:`DEMO_CELLS` for the path :data:`DEMO`.

    Raises
    ------
    InputError
        The file cannot be read, or its gzip data are damaged.
    """
    path = DEMO_CELLS if path == DEMO else path
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file: give a Liberty file (.lib or .lib.gz)") from error
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}: give a Liberty file (.lib or .lib.gz)"
        ) from error
    if path.suffix != ".gz" and not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}): fetch it again") from error


# Groups ------------------------------------------------------------------------------------------


@dataclass
class Group:
    """``kind (name, ...) { values, lists and groups }``.

    Attributes
    ----------
    values : dict
        Of ``name : value``, without quotes; of several the last.
    lists : dict
        Of ``name (arguments)``, each time that it is there.
    begin, end : int
        Where it stands in the text without comments.
    """

    kind: str
    name: str
    begin: int = 0
    end: int = 0
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def of(self, *kinds: str) -> Iterator["Group"]:
        """Its groups of these kinds."""
        return (group for group in self.groups if group.kind in kinds)

    def number(self, name: str, default: float = 0.0) -> float:
        """A value as a number; the default where it is missing or is none."""
        try:
            return float(self.values.get(name, default))
        except ValueError:
            return default

    def numbers(self, name: str) -> np.ndarray:
        """Numbers of ``name (arguments)``; none where it is missing."""
        return numbers(self.lists.get(name, [""])[0])


def library_group(content: bytes, where: str) -> Group:
    """The ``library`` group of a Liberty file; ``where`` names the file in messages.

    Raises
    ------
    InputError
        It is no Liberty file, or is cut off.
    """
    stack = [Group("", "")]
    for match in _STATEMENT.finditer(_text(content)):
        end, kind, arguments, opens, value = match.groups()
        if end and len(stack) > 1:
            stack.pop().end = match.end()
        elif opens:
            group = Group(kind, arguments.split(",")[0].strip(' \t"'), match.start())
            stack[-1].groups.append(group)
            stack.append(group)
        elif value is not None:
            stack[-1].values[kind] = value.strip(' \t\r"')
        elif kind:
            stack[-1].lists.setdefault(kind, []).append(arguments)
    libraries = list(stack[0].of("library"))
    if len(libraries) != 1:
        raise InputError(f"{where}: not a Liberty file: give one (.lib or .lib.gz)")
    if len(stack) > 1:
        raise InputError(f"{where}: cut off inside a group: fetch it again")
    return libraries[0]


def remainder(content: bytes, library: Group, kind: str) -> str:
    """Text of a Liberty file whose library lacks its groups of a kind; comments go, too."""
    text, end, kept = _text(content), 0, []
    for group in library.of(kind):
        kept.append(text[end : group.begin])
        end = group.end
    return "".join([*kept, text[end:]])


def _text(content: bytes) -> str:
    return _COMMENT.sub("", content.decode("latin-1"))


# Values ------------------------------------------------------------------------------------------


def numbers(text: str) -> np.ndarray:
    """All numbers in a text, whatever separates them."""
    return np.array([float(number) for number in _NUMBER.findall(text)])


def lookup_table(
    group: Group, templates: Mapping[str, Group]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A lookup table.

    Parameters
    ----------
    group : Group
        Its name is that of its template.
    templates : mapping
        Name -> template, which names the axes, and has their points where the table has none.

    Returns
    -------
    axes : dict
        Variable -> points, in the order of the values' axes; empty: a constant.
    values : float array
        One axis for each of ``axes``.

    Raises
    ------
    ValueError
        The values do not fit the axes.
    """
    template = templates.get(group.name, Group("", ""))
    axes = {}
    for axis in ("1", "2", "3"):
        index = f"index_{axis}"
        points = group.numbers(index) if index in group.lists else template.numbers(index)
        if f"variable_{axis}" in template.values and len(points):
            axes[template.values[f"variable_{axis}"]] = points
    values = group.numbers("values")
    return axes, values.reshape([len(points) for points in axes.values()])
