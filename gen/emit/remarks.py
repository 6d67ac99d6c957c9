"""What the source says about a signal: the comment where it is made, or its place among Members.

A signal's comment stands on its own line or lines above it, or at the end of its line; ports are
told under ``Members`` of the component's docstring. The Verilog repeats both.
"""

import ast
import functools
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


class _Source(NamedTuple):
    """Comments by line, statements by their lines, members by the lines of their class."""

    comments: dict[int, tuple[str, bool]]
    statements: list[tuple[int, int]]
    members: list[tuple[int, int, dict[str, str]]]


@functools.lru_cache(maxsize=256)
def _source(path: str) -> _Source:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return _Source({}, [], [])
    lines = text.splitlines()
    comments = {
        number: (found.group(2), not found.group(1).strip())
        for number, line in enumerate(lines, 1)
        if "#" in line and (found := _COMMENT.fullmatch(line))
    }
    tree = ast.parse(text)
    statements = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and not hasattr(node, "body")
    ]
    members = [
        (node.lineno, node.end_lineno or node.lineno, _members(ast.get_docstring(node) or ""))
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    return _Source(comments, statements, members)


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
            kinds |= dict.fromkeys(names, re.sub(r"^(In|Out)\b,? ?(Out )?", "", kind))
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: _plain(found.get(name) or kind) for name, kind in kinds.items()}


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
    base = name.partition("__")[0]
    if module:
        path, _, line = module.rpartition(":")
        for first, last, members in _source(path).members:
            if first <= int(line or 0) <= last and base in members:
                return _sentence(members[base])
    if place and "/amaranth/" not in place:
        path, _, line = place.rpartition(":")
        if said := _above(_source(path), int(line)):
            return _sentence(_plain(said))
        for first, last, members in _source(path).members:
            if first <= int(line) <= last and base in members:
                return _sentence(members[base])
    return _LIBRARY.get(name) or _LIBRARY.get(name.rpartition("__")[2], "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _above(source: _Source, line: int) -> str:
    """The comment at the end of a line or its statement, or alone on the lines above it."""
    spans = [span for span in source.statements if span[0] <= line <= span[1]]
    first, last = min(spans, key=lambda span: span[1] - span[0]) if spans else (line, line)
    for at in (line, last, first):
        if at in source.comments and not source.comments[at][1]:
            return source.comments[at][0]
    above: list[str] = []
    at = first - 1
    while at in source.comments and source.comments[at][1]:
        above.insert(0, source.comments[at][0])
        at -= 1
    return " ".join(above)
