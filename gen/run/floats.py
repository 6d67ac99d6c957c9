"""Networks in float32: the graph before it is lowered, with the checkpoint's values.

It judges a network's structure apart from the rounding of activations and weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lutcore.compiler.graph.build import build_graph
from lutcore.compiler.graph.ir import Graph
from lutcore.compiler.importers.checkpoint import Checkpoint


@dataclass(frozen=True, eq=False)
class FloatNetwork:
    """A network whose every matrix is one of floats.

    Attributes
    ----------
    graph : Graph
    facts : dict
        What a reader may want to know of it.
    """

    graph: Graph
    facts: dict[str, Any]


def float_network(checkpoint: Checkpoint, ignored: Sequence[str] = ()) -> FloatNetwork:
    """A checkpoint's network, quantised matrices dequantised.

    Parameters
    ----------
    ignored : sequence of str
        Keys and tensors that are not understood, but change nothing, as the caller says.

    Raises
    ------
    InputError
        As :func:`lutcore.compiler.graph.build.build_graph`.
    """
    graph, facts = build_graph(checkpoint, ignored=ignored)
    for weight, name in graph.weights.items():
        graph.constant(weight, checkpoint.array(name))
    graph.weights.clear()
    graph.check()
    return FloatNetwork(graph, facts.summary())
