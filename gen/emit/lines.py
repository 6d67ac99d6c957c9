"""Lines of Verilog: joined, spaced, cut and indented."""

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

#: Longest line, and how far a cut line is indented.
_WIDTH, _CONTINUED = 100, "    "


def comment(*texts: str) -> list[str]:
    """Lines of comments."""
    return [
        f"// {line}" for text in texts for line in textwrap.wrap(text, 90, subsequent_indent="  ")
    ]


class Block(NamedTuple):
    """Lines of a module's body; under each of ``head``, if it has any, and then open for more."""

    head: list[str]
    lines: list[str]


def merged(blocks: Iterable[Block]) -> list[list[str]]:
    """Lines of blocks; neighbours with the same head, clock and condition, stand under one."""
    found: list[list[str]] = []
    for head, group in groupby(blocks, key=lambda block: block.head):
        if not head:
            found += [block.lines for block in group]
            continue
        lines = [line for block in group for line in block.lines]
        for line in reversed(head):
            lines = [f"{line} begin", *indented(lines), "end"]
        found.append(lines)
    return found


def spaced(blocks: list[list[str]]) -> list[str]:
    """Blocks with empty lines between; assignments of one line each stand together."""
    lines: list[str] = []
    for block in blocks:
        short = len(block) == 1 and len(block[0]) < _WIDTH
        if lines and short and lines[-1] == "" and lines[-2].startswith("assign"):
            lines.pop()
        lines += [*block, ""]
    return lines


def indented(lines: list[str]) -> list[str]:
    """Lines one step further in."""
    return [f"  {line}" if line else "" for line in lines]


def wrapped(line: str) -> Iterator[str]:
    """A line, cut at blanks where it is too long."""
    indent = " " * (len(line) - len(line.lstrip()))
    code, mark, comment = line.partition(" // ")
    if mark and len(line) > _WIDTH:
        yield f"{indent}// {comment}"
        line = code
    inner = indent + _CONTINUED
    while len(line) > _WIDTH:
        at = line.rfind(" ", len(inner), _WIDTH)
        if at <= len(inner):
            break
        yield line[:at]
        line = inner + line[at + 1 :]
    yield line
