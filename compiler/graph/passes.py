"""Graph passes: from linear layers to precomputed tables and lookups.

Each takes a graph and returns another; :data:`PASSES` is their order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from lutcore.compiler.graph.ir import Graph, Node
from lutcore.compiler.graph.ops import OPS
from lutcore.hdl.config.core import CoreConfig


@dataclass(frozen=True)
class Target:
    """What passes need to know beside the graph.

    Attributes
    ----------
    config : CoreConfig
        The core.
    refused : dict of str to str
        Weight -> why the core does not take it: its layer stays with the host.
    minimums : dict of str to (int, ndarray, ndarray or None)
        Weight -> scale group, minimums [N, groups] and order of columns, where it has minimums.
    """

    config: CoreConfig
    refused: dict[str, str] = field(default_factory=dict)
    minimums: dict[str, tuple[int, np.ndarray, np.ndarray | None]] = field(default_factory=dict)


def lower(graph: Graph, target: Target) -> Graph:
    """Linear layers become INT8 activations, a product of codes, and scales with the bias."""
    made = graph.copy([])

    def put(op: str, inputs: tuple[str, ...], outputs: tuple[str, ...], **attributes) -> None:
        made.nodes.append(made.typed(Node(op, inputs, outputs, attributes)))

    for node in graph.nodes:
        weight = node.inputs[1] if node.op == "linear" else ""
        if weight not in graph.weights or weight in target.refused:
            made.nodes.append(node)
            continue
        x, name = node.inputs[0], node.name
        codes, scale, product = f"{name}.in", f"{name}.in_scale", f"{name}.product"
        put("quantise", (x,), (codes, scale))
        put("mpgemm", (codes, weight), (product,))
        if weight in target.minimums:
            group, minimums, order = target.minimums[weight]
            inputs = [product, codes, made.constant(f"{weight}.minimums", minimums)]
            if order is not None:
                inputs.append(made.constant(f"{weight}.order", order))
            product = f"{name}.with_minimums"
            put("offset", tuple(inputs), (product,), group=group)
        put("rescale", (product, scale, *node.inputs[2:]), (name,))
    return made


def split(graph: Graph, target: Target) -> Graph:
    """Every product of codes becomes the tables of its activations, and lookups in them."""
    config = target.config
    made = graph.copy([])
    for node in graph.nodes:
        if node.op != "mpgemm":
            made.nodes.append(node)
            continue
        codes, weight = node.inputs
        table = f"{node.name}.table"
        sizes = {"k": config.k, "entries": config.entries}
        made.nodes.append(made.typed(Node("precompute", (codes,), (table,), sizes)))
        lookup = Node("lut_mpgemm", (table, weight), node.outputs, {"k": config.k})
        made.nodes.append(made.typed(lookup))
    return made


_SHARED = ("quantise", "precompute")


def share(graph: Graph, target: Target) -> Graph:
    """Consumers of the same activations share one quantisation and one precompute."""
    seen: dict[tuple, tuple[str, ...]] = {}
    same: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(same.get(name, name) for name in node.inputs)
        node = replace(node, inputs=inputs)
        key = (node.op, inputs)
        if node.op in _SHARED and key in seen:
            same |= dict(zip(node.outputs, seen[key], strict=True))
            continue
        if node.op in _SHARED:
            seen[key] = node.outputs
        nodes.append(node)
    return graph.copy(nodes).tidy()


def _chain(graph: Graph, makers: dict[str, Node], readers: dict, node: Node) -> list[Node]:
    """A quantisation, its precompute, and the elementwise operations that nothing else reads."""
    (reader,) = (n for n in readers.get(node.outputs[0], []) if n.op == "precompute")
    chain, top = [node, reader], node
    while True:
        maker = makers.get(top.inputs[0])
        if maker is None or maker.body or not OPS[maker.op].elementwise or maker in chain:
            return chain
        chain.insert(0, maker)
        if len(readers[maker.name]) > 1 or maker.name in graph.outputs:
            return chain  # its value leaves the fused node too
        top = maker


def fuse(graph: Graph, target: Target) -> Graph:
    """Quantisation and precompute join the elementwise operations that make their input.

    The tables of an activation then begin where it is made: it goes to the core as codes, never
    through memory as float32 of its own.
    """
    nodes = list(graph.nodes)
    readers = graph.consumers()
    makers = {name: node for node in nodes for name in node.outputs}
    for node in graph.nodes:
        if node.op != "quantise":
            continue
        chain = _chain(graph, makers, readers, node)
        if len(chain) == 2:
            continue
        first, last = nodes.index(chain[0]), nodes.index(chain[-1])
        inside = {name for part in chain for name in part.outputs}
        between = [n for n in nodes[first:last] if n not in chain]
        if any(inside & set(n.inputs) for n in between):
            continue  # something in between reads what would be made later
        outside = [n for n in nodes if n not in chain]
        leaving = {name for n in outside for name in n.inputs} | set(graph.outputs)
        outputs = [name for part in chain for name in part.outputs if name in leaving]
        inputs = [name for part in chain for name in part.inputs if name not in inside]
        fused = Node("fused", tuple(dict.fromkeys(inputs)), tuple(outputs), {}, tuple(chain))
        nodes[last] = fused
        nodes = [n for n in nodes if n not in chain]
        for name in inside:
            del makers[name]
    return graph.copy(nodes)


#: Operations that a factor passes through, from their result to their first input.
_LINEAR = ("rotary",)


def fold(graph: Graph, target: Target) -> Graph:
    """Constant factors move up, through what is linear in its input, into the scales of a product.

    A rescale takes the factor into its own: one multiplication of a token's scale instead of one of
    every element. Its bias, a constant, is multiplied here.
    """
    nodes, graph = list(graph.nodes), graph.copy()
    for node in graph.nodes:
        if node.op != "scale":
            continue
        readers = graph.copy(nodes).consumers()
        makers = {name: n for n in nodes for name in n.outputs}
        path, at = [], node.inputs[0]
        while (maker := makers.get(at)) is not None and len(readers[at]) == 1:
            path.append(maker)
            if maker.op not in _LINEAR:
                break
            at = maker.inputs[0]
        if not path or path[-1].op != "rescale":
            continue
        scaled, by = path[-1], node.attributes["factor"]
        factor = scaled.attributes.get("factor", 1.0) * by
        biases = tuple(
            graph.constant(f"{scaled.name}.bias_scaled", graph.arrays[bias] * np.float32(by))
            for bias in scaled.inputs[2:]
        )
        folded = replace(scaled, inputs=scaled.inputs[:2] + biases, attributes={"factor": factor})
        nodes[nodes.index(scaled)] = folded
        taken = node.inputs[0]
        nodes = [
            replace(n, inputs=tuple(taken if i == node.name else i for i in n.inputs))
            for n in nodes
            if n is not node
        ]
    return graph.copy(nodes).tidy()


#: Name -> pass, in the order in which they run.
PASSES: dict[str, Callable[[Graph, Target], Graph]] = {
    "lower": lower,
    "fold": fold,
    "split": split,
    "share": share,
    "fuse": fuse,
}


def run_passes(graph: Graph, target: Target) -> dict[str, Graph]:
    """The graph as built and after each pass, checked, by the pass's name."""
    stages = {"built": graph}
    for name, apply in PASSES.items():
        graph = apply(graph, target)
        graph.check()
        stages[name] = graph
    return stages
