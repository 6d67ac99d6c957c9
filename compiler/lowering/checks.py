"""Whether a graph, wherever it comes from, can be executed by a host and a core."""

import numpy as np

from lutcore.compiler.graph.ir import Graph, Node
from lutcore.compiler.graph.ops import Value
from lutcore.compiler.program.plain import need

#: What a caller gives.
_INPUTS = {name: Value(("T",), "i64") for name in ("tokens", "positions")}
_CONSTANTS = {np.dtype(np.float32): "f32", np.dtype(np.int64): "i64"}


def check_graph(graph: Graph, context: int) -> set[str]:
    """See that a host and a core can execute a graph; the matrices that the core multiplies by.

    Parameters
    ----------
    context : int
        Most tokens that it looks back over.

    Raises
    ------
    InputError
        They cannot.
    """
    _check_values(graph)
    _check_indices(graph, context)
    found = _on_core(graph)
    need(bool(found), "no matrix is on the core")
    return found


def _check_values(graph: Graph) -> None:
    """What is given and what is there."""
    for name, array in graph.arrays.items():
        found = Value(array.shape, _CONSTANTS.get(array.dtype, "?"))
        need(graph.values.get(name) == found, f"constant {name} must be {graph.values.get(name)}")
    need(bool(graph.outputs), "the graph has no output")
    for name in graph.inputs:
        good = graph.values.get(name) == _INPUTS.get(name, "")
        need(good, f"input {name} must be one of {', '.join(map(str, _INPUTS))}")


def _check_indices(graph: Graph, context: int) -> None:
    """What is read by index."""
    embeds = [leaf for leaf in graph.leaves() if leaf.op == "embed"]
    need(any(leaf.inputs[0] == "tokens" for leaf in embeds), "the graph reads no tokens")
    for leaf in embeds:
        need(leaf.inputs[0] in _INPUTS, f"{leaf.name} must read tokens or positions")
        rows = int(graph.values[leaf.inputs[1]].shape[0])
        good = leaf.inputs[0] == "tokens" or rows >= context
        need(good, f"{leaf.name} has {rows} positions, the context {context}")
    for leaf in graph.leaves():
        if leaf.op == "offset" and len(leaf.inputs) > 3:
            _check_order(graph, leaf)


def _check_order(graph: Graph, leaf: Node) -> None:
    order, size = graph.arrays.get(leaf.inputs[3]), graph.values[leaf.inputs[1]].shape[-1]
    good = order is not None and np.array_equal(np.sort(order), np.arange(int(size)))
    need(good, f"the order of {leaf.name} must be a permutation of its {size} inputs")


def _on_core(graph: Graph) -> set[str]:
    """Matrices that the core multiplies by; the host reads none of them."""
    leaves = list(graph.leaves())
    codes = {leaf.outputs[0]: leaf.inputs[0] for leaf in leaves if leaf.op == "precompute"}
    found = set()
    for leaf in leaves:
        inputs = leaf.inputs
        if leaf.op == "lut_mpgemm":
            table, matrix = inputs
            inputs = (codes.get(table, ""),)
            need(inputs[0] != "", f"{leaf.name} must read the tables of a precompute")
            k = graph.values[matrix].shape[-1]
            need(graph.values[inputs[0]].shape[1:] == (k,), f"{leaf.name} needs {k} codes a token")
            need(matrix in graph.weights, f"{matrix} must be a matrix of the checkpoint")
            found.add(matrix)
        good = leaf.op != "mpgemm" and not graph.weights.keys() & {*inputs}
        need(good, f"{leaf.name} is an operation that no host executes")
    return found
