"""What the source says about a signal: the comment where it is made, or its place among Members.

A signal's comment stands on its own line or lines above it, or at the end of its line; ports are
told under ``Members`` of the component's docstring. The Verilog repeats both.
"""

import ast
import functools
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

#: Signals of Amaranth's own library, by name.
_LIBRARY = {
    "clk": "Clock; all that is registered changes at its rising edge.",
    "rst": "Reset, synchronous, active high.",
    "w_en": "Write a word.",
    "w_rdy": "There is room for a word.",
    "w_data": "Word that is written.",
    "w_level": "Words within.",
    "r_en": "Take the first word.",
    "r_rdy": "There is a word.",
    "r_data": "First word.",
    "r_level": "Words within.",
    "level": "Words within.",
    "produce": "Place of the next word that is written.",
    "consume": "Place of the next word that is read.",
    "storage": "Words of the queue.",
    "addr": "Address of the word.",
    "en": "Whether the port reads or writes.",
    "data": "Word that is read or written.",
    "start": "A program is offered.",
    "offered": "A payload is offered.",
    "begins": "A payload is taken.",
}


#: A line with a comment; a mark within quotes is none.
_COMMENT = re.compile(r"((?:[^#'\"]|'[^']*'|\"[^\"]*\")*)#:?\s*(.*)")


#: A member in a function's dictionary; and a description that is that of another holder.
_KEY = re.compile(r'\s*"(\w+)":')
_REFERENCE = re.compile(r"\b(?:as|of) :(?:class|func):`~?(?:([\w.]+)\.)?(\w+)`$", re.IGNORECASE)


#: What a class says whose members are those of another.
_AS_OF = re.compile(r"members as of (:class:`[^`]+`)", re.IGNORECASE)


class _Holder(NamedTuple):
    """A class with what it says of its members, or a function that makes members for classes.

    Behind ``*`` is the class whose members it has too, behind ``name_*`` what it says of
    ``name_0, name_1, ...``.
    """

    name: str
    first: int
    last: int
    members: dict[str, str]

    def key(self, member: str) -> str:
        """Under what it speaks of a member; nothing where it does not."""
        keys = (member, numbered(member), "*")
        return next((key for key in keys if key in self.members), "")


#: Line -> its comment, and whether that stands alone.
_Comments = dict[int, tuple[str, bool]]


class _Source(NamedTuple):
    """Comments by line, first and last lines of statements, and holders."""

    comments: _Comments
    statements: list[tuple[int, int]]
    classes: list[_Holder]
    functions: list[_Holder]


@functools.lru_cache(maxsize=256)
def _source(path: str) -> _Source:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return _Source({}, [], [], [])
    lines = text.splitlines()
    comments = {
        number: (found.group(2), not found.group(1).strip())
        for number, line in enumerate(lines, 1)
        if "#" in line and (found := _COMMENT.fullmatch(line))
    }
    statements: list[tuple[int, int]] = []
    classes: list[_Holder] = []
    functions: list[_Holder] = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt):
            continue
        first, last = node.lineno, node.end_lineno or node.lineno
        if isinstance(node, ast.ClassDef):
            docstring = ast.get_docstring(node) or ""
            members = _members(docstring)
            if other := _AS_OF.search(" ".join(docstring.split())):
                members["*"] = f"as {other[1]}"
            classes.append(_Holder(node.name, first, last, members))
        elif isinstance(node, ast.FunctionDef):
            keys = ((at, _KEY.match(lines[at - 1])) for at in range(first, last + 1))
            members = {key[1]: _beside(comments, at, [at]) for at, key in keys if key}
            functions.append(_Holder(node.name, first, last, members))
        elif not hasattr(node, "body"):
            statements.append((first, last))
    return _Source(comments, statements, classes, functions)


def _members(docstring: str) -> dict[str, str]:
    """Names under ``Members`` and what is said of them."""
    kinds: dict[str, str] = {}
    found: dict[str, str] = {}
    _, _, section = docstring.partition("Members\n-------\n")
    names: list[str] = []
    for line in section.splitlines():
        if re.match(r"\S", line):
            if set(line) == {"-"}:
                break
            left, _, kind = line.partition(" : ")
            names = [name.strip() for name in left.split(",")]
            if names[-1] == "...":
                names = [numbered(names[0])]
            kinds |= dict.fromkeys(names, re.sub(r"^(In|Out)\b,? ?(Out )?", "", kind))
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: (found.get(name) or kind).rstrip(".") for name, kind in kinds.items()}


def _described(path: str, holder: _Holder, member: str) -> str:
    """What a holder says of a member, or the one that it refers to."""
    text = holder.members.get(holder.key(member), "")
    reference = _REFERENCE.search(text)
    if not reference:
        return _sentence(_plain(text))
    module, name = reference.groups()
    spec = importlib.util.find_spec(module) if module else None
    there = spec.origin if spec and spec.origin else path
    source = _source(there)
    other = next(other for other in source.classes + source.functions if other.name == name)
    return _described(there, other, member)


def member_text(place: str, member: str) -> str:
    """What the class at a place says of a member; nothing where it has none of that name."""
    path, _, line = place.rpartition(":")
    for holder in _source(path).classes if path else ():
        if holder.first <= int(line) <= holder.last and holder.key(member):
            return _described(path, holder, member)
    return ""


def numbered(name: str) -> str:
    """``name_*`` of ``name_0``."""
    return re.sub(r"_\d+$", "_*", name)


def are_told_at_once(place: str, name: str) -> bool:
    """Whether the class at a place speaks of ``name_0, name_1, ...``, of which this is one."""
    return numbered(name) != name and bool(member_text(place, numbered(name)))


def part_text(place: str, name: str) -> str:
    """What is said of a port of the class at a place, if it has one of that name."""
    return member_text(place, name.partition("__")[0]) or _LIBRARY.get(name, "")


def _plain(text: str) -> str:
    """Without marks of the manual's markup."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return re.sub(r"``?|\*\*", "", text).strip().rstrip(".")


def remark(place: str, name: str, module: str = "") -> str:
    """What is said about a signal; nothing where nothing is.

    Parameters
    ----------
    place : str
        File and line where it is made.
    name : str
        Its name, with that of its interface before two underscores.
    module : str
        File and line of the component that it is a port of.
    """
    member = name.partition("__")[0]
    if said := member_text(module, member):
        return said
    if place and "/amaranth/" not in place:
        if said := _above(place):
            return _sentence(_plain(said))
        if said := member_text(place, member):
            return said
    return _LIBRARY.get(name) or _LIBRARY.get(name.rpartition("__")[2], "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _above(place: str) -> str:
    """The comment at the end of a line or its statement, or alone on the lines above it."""
    path, _, number = place.rpartition(":")
    source, line = _source(path), int(number)
    spans = [span for span in source.statements if span[0] <= line <= span[1]]
    first, last = min(spans, key=lambda span: span[1] - span[0]) if spans else (line, line)
    return _beside(source.comments, first, [line, last, first])


def _beside(comments: _Comments, first: int, ends: list[int]) -> str:
    """The comment at the end of one of some lines, or alone on the lines above the first."""
    for at in ends:
        if at in comments and not comments[at][1]:
            return comments[at][0]
    above: list[str] = []
    while (first := first - 1) in comments and comments[first][1]:
        above.insert(0, comments[first][0])
    return " ".join(above)
