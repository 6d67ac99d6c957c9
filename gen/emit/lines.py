"""Lines of Verilog: joined, spaced, cut and indented."""

import re
import textwrap
from collections.abc import Iterator

#: Longest line, and how far a cut line is indented.
_WIDTH, _CONTINUED = 100, "    "


def comment(*texts: str) -> list[str]:
    """Lines of comments."""
    return [
        f"// {line}" for text in texts for line in textwrap.wrap(text, 90, subsequent_indent="  ")
    ]


def merged(blocks: list[list[str]]) -> list[list[str]]:
    """Neighbours that are clocked alike, and under the same condition, in one block."""
    found: list[list[str]] = []
    heads: list[list[str]] = []
    for block in blocks:
        head, statements = clocked(block)
        depth = len(head)
        if not head:
            found.append(block)
        elif heads[-1:] == [head]:
            found[-1][-depth:-depth] = [f"{'  ' * depth}{line}" for line in statements]
            continue
        else:
            opened = [f"{'  ' * at}{line} begin" for at, line in enumerate(head)]
            inner = [f"{'  ' * depth}{line}" for line in statements]
            closed = [f"{'  ' * at}end" for at in reversed(range(depth))]
            found.append([*opened, *inner, *closed])
        heads.append(head)
    return found


#: A register takes a value.
_TAKES = r"\S+ <= .*;"


def clocked(block: list[str]) -> tuple[list[str], list[str]]:
    """Edge and condition of a block of nothing but assignments, and these; else nothing."""
    edge, *inner = block or [""]
    if not edge.startswith("always @(posedge"):
        return [], []
    if not inner:
        edge, _, statement = edge.partition(") ")
        return ([f"{edge})"], [statement]) if re.fullmatch(_TAKES, statement) else ([], [])
    head, last = [edge.removesuffix(" begin")], inner.pop()
    if len(inner) == 1 and (found := re.fullmatch(rf"  (if \(.*?\)) ({_TAKES})", inner[0])):
        return [*head, found[1]], [found[2]]
    if inner[0].startswith("  if (") and inner[0].endswith(" begin") and inner[-1] == "  end":
        head.append(inner[0].strip().removesuffix(" begin"))
        inner = [line[2:] for line in inner[1:-1]]
    alike = last == "end" and all(re.fullmatch(f"  {_TAKES}", line) for line in inner)
    return (head, [line.strip() for line in inner]) if alike else ([], [])


def spaced(blocks: list[list[str]]) -> list[str]:
    """Blocks with empty lines between; assignments of one line each stand together."""
    lines: list[str] = []
    for block in blocks:
        short = len(block) == 1 and len(block[0]) < _WIDTH
        if lines and short and lines[-1] == "" and lines[-2].startswith("assign"):
            lines.pop()
        lines += [*block, ""]
    return lines


def spans(places: list[int]) -> list[tuple[int, int]]:
    """First and last of neighbours."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found


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
