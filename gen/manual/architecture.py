"""Draws floors and rooms as the package's own imports have them: ``python -m
lutcore.gen.manual.architecture docs/architecture.svg``.

With ``docs/architecture.md`` it writes the table of rooms, from their docstrings, between
``<!-- rooms:begin -->`` and ``<!-- rooms:end -->``. Imports are read by grimp, which import-linter
brings along (extra ``dev``); the order of the floors is that of their contract in pyproject.toml.
"""

import argparse
import importlib
import inspect
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp

from lutcore import files
from lutcore.compiler.graph.draw import rendered

_PROJECT = Path(files.__file__).parents[2] / "pyproject.toml"
#: Floor -> how it is painted, and its frame and arrows.
_COLOURS = {
    "fpga": ("#f7f1cf", "#8f7400"),
    "gen": ("#f3e2ee", "#94437f"),
    "verif": ("#f8e7d6", "#b35c12"),
    "compiler": ("#dfe9f7", "#2d5ea3"),
    "hdl": ("#d8ecdc", "#2c7a3d"),
}
_GREY = ("#ececec", "#6b6b6b")
_HEAD = """digraph rooms {
graph [rankdir=TB newrank=true ranksep=0.3 nodesep=0.16 bgcolor="#ffffff" pad=0.15]
graph [fontname="Helvetica-Bold" fontsize=13 labeljust=l]
node [shape=box style="filled,rounded" fillcolor="#ffffff" fontname="Helvetica" fontsize=12]
node [height=0.3 margin="0.09,0.03"]
edge [arrowsize=0.6]
"""

#: Room -> rooms.
Imports = dict[str, set[str]]


def imports() -> Imports:
    """What each room imports of others, such as ``hdl.core`` of ``hdl.tile``; from the top down.

    A floor without rooms is a room of its own.
    """
    graph = grimp.build_graph("lutcore", cache_dir=None)
    rooms: list[str] = []
    for floor in graph.find_children("lutcore"):
        inside = graph.find_children(floor)
        rooms += inside if any(map(graph.find_children, inside)) else [floor]
    for room in rooms:
        if graph.find_children(room):
            graph.squash_module(room)

    def short(name: str) -> str:
        return name.removeprefix("lutcore.")

    order = [name for layer in _layers() for name in layer]
    rooms.sort(key=lambda room: (order.index(_floor(short(room))), room))
    return {
        short(room): {
            short(name)
            for name in graph.find_modules_directly_imported_by(room)
            if name in rooms  # not the package itself, which only finds names
        }
        for room in rooms
    }


def reduced(graph: Imports) -> Imports:
    """Without imports that others imply: ``a`` of ``c`` where ``a`` imports ``b``, and it ``c``."""
    below: Imports = {}

    def reached(room: str) -> set[str]:
        if room not in below:
            below[room] = set().union(graph[room], *map(reached, graph[room]))
        return below[room]

    return {
        room: {name for name in found if not any(name in reached(other) for other in found)}
        for room, found in graph.items()
    }


def _layers() -> list[list[str]]:
    """What stands directly in the package, from the top to the ground."""
    contracts = tomllib.loads(_PROJECT.read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(found["layers"] for found in contracts if found["containers"] == ["lutcore"])
    return [layer.split(" | ") for layer in layers]


def _floor(room: str) -> str:
    return room.partition(".")[0]


def _storeys(graph: Imports) -> list[list[str]]:
    """Rooms of each floor, from the top; last those of the ground, below all rooms."""
    storeys = [[room for room in graph if _floor(room) in layer] for layer in _layers()]
    ground = 1 + max(i for i, rooms in enumerate(storeys) if any("." in room for room in rooms))
    return [*storeys[:ground], [room for rooms in storeys[ground:] for room in rooms]]


def _apart(graph: Imports, storeys: list[list[str]]) -> Iterator[str]:
    """Arrows that nobody sees: from the lowest rooms of a floor to the highest of the next."""
    for upper, lower in itertools.pairwise(storeys):
        inner = {name for room in lower for name in graph[room]}
        for room in (room for room in upper if not graph[room].intersection(upper)):
            for name in (name for name in lower if name not in inner):
                yield f'"{room}" -> "{name}" [style=invis weight=0]'


def dot() -> str:
    """The drawing in the DOT language: floors from the top down, their rooms inside."""
    graph = reduced(imports())
    storeys = _storeys(graph)
    lines = [_HEAD]
    for rooms in storeys:
        floor = _floor(rooms[0])
        fill, line = _COLOURS.get(floor, _GREY)
        boxes = [f'"{room}" [label="{room.rpartition(".")[2]}"]' for room in rooms]
        if rooms == [floor]:
            lines.append(f'"{floor}" [fillcolor="{fill}"]')
            continue
        title = "src/lutcore" if rooms is storeys[-1] else floor
        lines.append(f'subgraph cluster_{floor} {{ label=" {title}/" style="filled,rounded"')
        lines += [f'fillcolor="{fill}" color="{line}" fontcolor="{line}"', *boxes, "}"]
    for room, found in graph.items():
        colour = _COLOURS.get(_floor(room), _GREY)[1]
        for name in sorted(found):
            width = 1.3 if _floor(name) == _floor(room) else 0.8
            lines.append(f'"{room}" -> "{name}" [color="{colour}" penwidth={width}]')
    return "\n".join([*lines, *_apart(graph, storeys), "}", ""])


def table() -> str:
    """Markdown table of the rooms, from the top to the ground, and what they say of themselves."""
    rows = ["| room | what it is for, and where it stands |\n|---|---|\n"]
    for room in imports():
        module = importlib.import_module(f"lutcore.{room}")
        text = " ".join((inspect.getdoc(module) or "").split())
        text = re.sub(r":\w+:`([^`]+)`", r"`\1`", text)
        path = room.replace(".", "/")
        if hasattr(module, "__path__"):
            path += "/__init__.py"
        else:
            path = f"{path}.py" if "." in room else f"src/lutcore/{path}.py"
        rows.append(f"| [`lutcore.{room}`](../{path}) | {text} |\n")
    return "".join(rows)


def main() -> None:
    """Write the drawing, or the table into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    path = parser.parse_args().document
    if path.suffix == ".svg":
        path.write_text(rendered(dot()), "utf-8")
    else:
        path.write_text(files.fill_table(path.read_text("utf-8"), "rooms", table()), "utf-8")


if __name__ == "__main__":
    main()
