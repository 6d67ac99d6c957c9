"""Graphs as text, and as drawings."""

from collections import Counter

from lutcore import tools
from lutcore.compiler.graph.ir import Graph, Node
from lutcore.compiler.graph.ops import OPS
from lutcore.errors import InputError

_COLOURS = {"core": "#cfe8d5", "both": "#e3efd0", "host": "#ececec"}


def place(node: Node) -> str:
    """Who executes a node: ``host``, ``core`` or ``both``."""
    core = {OPS[part.op].core for part in node.leaves()}
    return "both" if len(core) > 1 else ("core" if True in core else "host")


def _title(node: Node) -> str:
    return " + ".join(part.op for part in node.leaves())


def text(graph: Graph) -> str:
    """One line a node: what it makes of what, and where."""
    lines = [f"graph {graph.name}({', '.join(f'{n}: {graph.values[n]}' for n in graph.inputs)})"]
    for node in graph.nodes:
        made = ", ".join(f"{name}: {graph.values[name]}" for name in node.outputs)
        extra = [
            f"{part.op if node.body else ''} {name}={value}".strip()
            for part in node.leaves()
            for name, value in part.attributes.items()
        ]
        arguments = ", ".join([*node.inputs, *extra])
        lines.append(f"  {place(node):4}  {made} = {_title(node)}({arguments})")
    lines.append(f"  return {', '.join(graph.outputs)}")
    return "\n".join(lines) + "\n"


def summary(graph: Graph) -> str:
    """How many nodes of each kind a graph has."""
    counts = Counter(_title(node) for node in graph.nodes)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def dot(graph: Graph) -> str:
    """A graph in the DOT language: boxes are nodes, arrows values with their types."""
    lines = [
        "digraph graph_ {",
        'node [shape=box style="filled,rounded" fontname="Helvetica" fontsize=10]',
        'edge [fontname="Helvetica" fontsize=8]',
    ]
    makers: dict[str, str] = {}

    def box(key: str, label: str, colour: str, shape: str = "box") -> None:
        lines.append(f'{key} [label="{label}" fillcolor="{colour}" shape={shape}]')

    for index, name in enumerate(graph.inputs):
        makers[name] = f"i{index}"
        box(makers[name], name, "#ffffff", "ellipse")
    for index, node in enumerate(graph.nodes):
        key = f"n{index}"
        constants = [n for n in node.inputs if n in graph.weights]
        label = "\\n".join([node.name, _title(node), *(str(graph.values[c]) for c in constants)])
        box(key, label, _COLOURS[place(node)])
        for name in node.inputs:
            if name in makers:
                lines.append(f'{makers[name]} -> {key} [label="{graph.values[name]}"]')
        makers |= dict.fromkeys(node.outputs, key)
    for index, name in enumerate(graph.outputs):
        box(f"o{index}", name, "#ffffff", "ellipse")
        lines.append(f'{makers[name]} -> o{index} [label="{graph.values[name]}"]')
    return "\n".join([*lines, "}", ""])


def svg(graph: Graph) -> str:
    """A drawing of a graph; as :func:`rendered`."""
    return rendered(dot(graph))


def rendered(text: str) -> str:
    """A drawing, as SVG, of what the DOT language says, by Graphviz.

    Raises
    ------
    InputError
        It is not installed.
    ToolError
        It failed.
    """
    tool = tools.find("graphviz-pure", beside=True) or tools.find("dot")
    if tool is None:
        raise InputError("Graphviz is missing: pip install graphviz-pure")
    return tools.run("Graphviz", [tool, "-Tsvg"], text=text).out
