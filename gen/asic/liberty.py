"""Liberty files: the one place that reads their text.

A file becomes tokens, and these a tree of :class:`Group`. Values stay text until someone asks for
numbers, which are in the units of the file: :mod:`lutcore.gen.asic.units` converts them.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lutcore.errors import InputError

#: The word that stands for :data:`DEMO_CELLS` where a Liberty file is asked for.
DEMO = Path("demo")
#: A small synthetic library, for tests and for trying the commands.
DEMO_CELLS = Path(__file__).with_name("demo.lib")

#: What separates tokens: white space, comments, and the end of a line that goes on in the next.
_BETWEEN = re.compile(r"(?:\s++|/\*.*?\*/|//[^\n]*+|\\\r?\n)*+", re.DOTALL)
#: A string; a mark; a comment without an end, which takes all that is left; a word, in which
#: brackets hold together; any other character.
_TOKEN = re.compile(
    r'("(?:[^"\\]++|\\.)*+(?:"|\Z)|[{}():;,]|/\*.*+'
    r'|(?:[^\s{}():;,"/\\\[]++|\[[^\[\]\s]*+\]|/(?![*/])|\\(?!\r?\n)|\[)++|.)' + _BETWEEN.pattern,
    re.DOTALL,
)
_MARKS = frozenset("{}():;")
#: What ends a value; a brace that opens does so wrongly.
_ENDS = frozenset((*";{}", ""))
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
#: End of a line in a string that no backslash continues.
_BROKEN = re.compile(r"(?<!\\)(?<!\\\r)\n")
_NAME = re.compile(r"[A-Za-z_]\w*")
#: What is left out of a string: the end of a line in it, and what keeps a quote from ending it.
_ESCAPE = re.compile(r'\\(?:\r?\n|(?="))')


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


@dataclass(frozen=True)
class Source:
    """Text of a Liberty file, and the file's name in messages."""

    where: str
    text: str = field(repr=False)

    def tokens(self) -> list[str]:
        """Its tokens: strings in their quotes."""
        return _TOKEN.findall(self.text, self._begin)

    @property
    def _begin(self) -> int:
        begin = _BETWEEN.match(self.text)
        return begin.end() if begin else 0

    def error(self, token: int, message: str) -> InputError:
        """Error that names the file, and the line of its token of that number."""
        places = (found.start() for found in _TOKEN.finditer(self.text, self._begin))
        place = next((place for i, place in enumerate(places) if i == token), len(self.text))
        line = self.text.count("\n", 0, place) + 1
        return InputError(f"{self.where}, line {line}: {' '.join(message.split())}")


@dataclass(slots=True)
class Group:
    """``kind (arguments) { attributes and groups }``. Texts are as in the file, in their quotes.

    Attributes
    ----------
    kind : str
    arguments : sequence of str
    source : Source
        The file.
    token : int
        Number of its first token there.
    simple : dict
        Of ``name : value``, the last of several.
    complex : dict
        Of ``name (arguments)``, each time that it is there.
    groups : list of Group
    """

    kind: str
    arguments: Sequence[str]
    source: Source = field(repr=False, compare=False)
    token: int = field(default=0, repr=False, compare=False)
    simple: dict[str, str] = field(default_factory=dict)
    complex: dict[str, list[list[str]]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """Its arguments without quotes."""
        return tuple(map(unquoted, self.arguments))

    @property
    def name(self) -> str:
        """Its first name, empty where it has none."""
        return unquoted(self.arguments[0]) if self.arguments else ""

    def of(self, *kinds: str) -> Iterator["Group"]:
        """Its groups of these kinds."""
        return (group for group in self.groups if group.kind in kinds)

    def text(self, name: str, default: str = "") -> str:
        """An attribute's value, without quotes."""
        value = self.simple.get(name)
        return default if value is None else unquoted(value).strip()

    def texts(self, name: str) -> list[tuple[str, ...]]:
        """Arguments of ``name (arguments)``, without quotes, each time that it is there."""
        return [tuple(map(unquoted, each)) for each in self.complex.get(name, ())]

    def number(self, name: str, default: float = 0.0) -> float:
        """An attribute's value as a number; the default where it is missing."""
        if name not in self.simple:
            return default
        return float(self._numbers(name, [self.text(name)], 1)[0])

    def numbers(self, name: str) -> np.ndarray:
        """Numbers of the first ``name (arguments)``; none where it is missing."""
        return self._numbers(name, [" ".join(each) for each in self.texts(name)[:1]])

    def pairs(self, name: str) -> list[tuple[float, float]]:
        """The first two numbers of each ``name (arguments)``."""
        found = (self._numbers(name, each[:2], 2) for each in self.texts(name))
        return [(float(first), float(second)) for first, second in found]

    def _numbers(self, name: str, texts: Sequence[str], size: int | None = None) -> np.ndarray:
        words = " ".join(texts).replace(",", " ").split()
        try:
            found = np.array([float(word) for word in words])
        except ValueError:
            found = np.array([np.nan])
        if not np.isfinite(found).all() or size not in (None, len(found)):
            wanted = "numbers" if size != 1 else "a number"
            said = " ".join(words)[:40]
            raise self.error(f"{name} of {self} must be {wanted}, not {said!r}: mend it", name)
        return found

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(self.names)})"

    def error(self, message: str, attribute: str = "") -> InputError:
        """Error that names the file, and the line of this group, or of an attribute of it."""
        tokens = self.source.tokens()
        depth = 0
        for i in range(self.token, len(tokens) - 1) if attribute else ():
            depth += (tokens[i] == "{") - (tokens[i] == "}")
            if depth == 1 and tokens[i] == attribute and tokens[i + 1] in ":(":
                return self.source.error(i, message)
            if tokens[i] == "}" and not depth:
                break
        return self.source.error(self.token, message)


def unquoted(text: str) -> str:
    """A token without its quotes, and what it continues in the next line joined."""
    if not text.startswith('"'):
        return text
    return _ESCAPE.sub("", text[1:-1]) if "\\" in text else text[1:-1]


def library_group(content: bytes, where: str) -> Group:
    """The ``library`` group of a Liberty file; ``where`` names the file in messages.

    Raises
    ------
    InputError
        It is no Liberty file, is cut off, or is not written as the format asks; the message has
        the line.
    """
    source = Source(where, content.decode("latin-1"))
    tokens = source.tokens()
    if tokens[:2] != ["library", "("]:
        raise InputError(f"{where}: not a Liberty file: give one (.lib or .lib.gz)")
    if tokens[-1].startswith("/*"):
        raise source.error(len(tokens) - 1, f"a comment begins that does not end: close it; {_CUT}")
    if tokens[-1].startswith('"') and not _STRING.fullmatch(tokens[-1]):
        raise _broken(source, tokens) or source.error(
            len(tokens) - 1, f"a string begins that does not end: close it; {_CUT}"
        )
    libraries = _Reading(source, tokens).groups()
    if len(libraries) > 1:
        raise libraries[1].error(f"{libraries[1]} comes second: give a file with one library")
    return libraries[0]


#: What else may be wrong where something does not end.
_CUT = "if the file was cut off, fetch it again"
#: Groups that stand in each other; the format has no use for more.
_DEEPEST = 64


def _broken(source: Source, tokens: Sequence[str]) -> InputError | None:
    """Error of the first string that goes on in the next line unsaid: its end may be missing."""
    for i, token in enumerate(tokens[:-1]):
        if token.startswith('"') and _BROKEN.search(token):
            message = "a string begins that does not end in its line: close it, or end the line"
            return source.error(i, f"{message} with a backslash")
    return None


class _Reading:
    """Builds the tree of a file's tokens.

    A semicolon may be missing: a statement also ends where the next one, or the end of its group,
    can be told from it.
    """

    def __init__(self, source: Source, tokens: list[str]):
        self._source = source
        self._size = len(tokens)
        self._tokens = [*tokens, "", "", "", ""]
        self._open = [Group("", (), source)]

    def groups(self) -> list[Group]:
        """Groups that stand in no other."""
        tokens, size, i = self._tokens, self._size, 0
        while i < size:
            if tokens[i] == ";":
                i += 1
            elif tokens[i] == "}" and len(self._open) > 1:
                self._open.pop()
                i += 1
            elif not _NAME.fullmatch(tokens[i]):
                raise self._unexpected(i)
            elif tokens[i + 1] == "(":
                i = self._with_arguments(i)
            elif tokens[i + 1] == ":" and len(self._open) > 1:
                i = self._with_value(i)
            else:
                raise self._unexpected(i)
        if len(self._open) > 1:
            raise self._unclosed()
        return self._open[0].groups

    def _unclosed(self) -> InputError:
        last = self._open[-1]
        return last.error(f"{last} does not end: close it; {_CUT}")

    def _with_value(self, i: int) -> int:
        """Read ``name : value``; returns where the next statement begins."""
        tokens, first = self._tokens, i + 2
        j = first
        while tokens[j] not in _ENDS and not (j > first and self._begins(j)):
            j += 1
        value = tokens[first:j]
        if tokens[j] == "{" or (len(value) > 1 and any(word.startswith('"') for word in value)):
            raise self._unexpected(j if tokens[j] == "{" else first + 1)
        self._open[-1].simple[tokens[i]] = " ".join(value)
        return j

    def _begins(self, j: int) -> bool:
        """Whether a statement begins, which tells where a semicolon is missing."""
        return self._tokens[j + 1] in (":", "(") and _NAME.fullmatch(self._tokens[j]) is not None

    def _with_arguments(self, i: int) -> int:
        """Read ``name (arguments)``, or begin such a group; returns where to go on."""
        tokens = self._tokens
        try:
            end = tokens.index(")", i + 2)
        except ValueError:
            message = f"the arguments of {tokens[i]} do not end: close them; {_CUT}"
            raise self._source.error(i, message) from None
        arguments = tokens[i + 2 : end]
        if not _MARKS.isdisjoint(arguments):
            raise self._unexpected(i + 2 + next(k for k, a in enumerate(arguments) if a in _MARKS))
        if "," in arguments:
            arguments = [argument for argument in arguments if argument != ","]
        if tokens[end + 1] != "{":
            if len(self._open) == 1:
                raise self._unexpected(i)
            self._open[-1].complex.setdefault(tokens[i], []).append(arguments)
            return end + 1
        group = Group(tokens[i], arguments, self._source, i)
        if group.kind == "cell" and len(self._open) != 2:
            outer = self._open[2] if len(self._open) > 2 else None
            message = f"begins before {outer} ends: close that" if outer else "is in no library"
            raise group.error(f"{group} {message}")
        if len(self._open) > _DEEPEST:
            raise group.error(f"{group} is in more than {_DEEPEST} groups: mend the file")
        self._open[-1].groups.append(group)
        self._open.append(group)
        return end + 2

    def _unexpected(self, i: int) -> InputError:
        """Error of a token; or of an earlier string that lacks its end and has led to it."""
        if broken := _broken(self._source, self._tokens[: i + 1]):
            return broken
        if i >= self._size - 1 and len(self._open) > 1:
            return self._unclosed()
        inside = f" in {self._open[-1]}" if len(self._open) > 1 else ""
        return self._source.error(i, f"unexpected {self._tokens[i][:40]!r}{inside}: mend the file")
