"""A network as a typed dataflow graph.

Nodes stand in the order of their execution; each names the values that it reads and makes. A value
has a shape, in which ``T`` is the number of tokens of a call, and a type:

``f32``, ``i64``
    float32, and whole numbers (tokens, positions).
``i8``
    Codes of activations, which a scale of each token belongs to.
``w1`` .. ``w8``
    Weight codes of that many bits, with scales and zero points.
``table``
    Lookup tables of activations.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lutcore.compiler.graph.ops import OPS, Shape, Value, infer
from lutcore.errors import InputError

__all__ = ["Graph", "Node", "Shape", "Value"]


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes
    ----------
    op : str
        Of :data:`~lutcore.compiler.graph.ops.OPS`, or ``fused``.
    inputs, outputs : tuple of str
        Names of values.
    attributes : dict
        Plain values.
    body : tuple of Node
        What a fused node does, in order; values that are none of its outputs stay inside.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    body: tuple["Node", ...] = ()

    @property
    def name(self) -> str:
        """The name of its first output."""
        return self.outputs[0]

    def leaves(self) -> tuple["Node", ...]:
        """Itself, or what it is fused of."""
        return self.body or (self,)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        made = {"op": self.op, "inputs": list(self.inputs), "outputs": list(self.outputs)}
        extra = {"attributes": self.attributes, "body": [part.to_dict() for part in self.body]}
        return made | {name: value for name, value in extra.items() if value}


@dataclass
class Graph:
    """A network.

    Attributes
    ----------
    name : str
    inputs, outputs : list of str
        Values that a caller gives and gets.
    nodes : list of Node
    values : dict of str to Value
        Type of every value.
    arrays : dict of str to ndarray
        Constants of the host, float32 or int64.
    weights : dict of str to str
        Value -> name of its matrix in the checkpoint.
    """

    name: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)

    def leaves(self) -> Iterator[Node]:
        """All operations, those inside of fused nodes too."""
        for node in self.nodes:
            yield from node.leaves()

    def consumers(self) -> dict[str, list[Node]]:
        """Value -> nodes that read it."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found

    def constant(self, name: str, content: np.ndarray) -> str:
        """Add a constant of the host; returns its name."""
        kind = "i64" if content.dtype.kind == "i" else "f32"
        self.arrays[name] = np.ascontiguousarray(content, np.int64 if kind == "i64" else np.float32)
        self.values[name] = Value(tuple(content.shape), kind)
        return name

    def typed(self, node: Node) -> Node:
        """Infer and note the types of a node's outputs; returns the node."""
        for part in node.leaves():
            types = infer(part.op, [self.values[name] for name in part.inputs], part.attributes)
            self.values |= dict(zip(part.outputs, types, strict=True))
        return node

    def check(self) -> None:
        """See that everything is defined before it is read, once, and has the type it must have.

        Raises
        ------
        InputError
            It is not so.
        """
        ready = set(self.inputs) | set(self.arrays) | set(self.weights)
        for node in self.nodes:
            inside = set(ready)
            for part in node.leaves():
                if part.op not in OPS:
                    raise InputError(f"graph {self.name}: no operation {part.op!r}")
                for name in part.inputs:
                    if name not in inside or name not in self.values:
                        raise InputError(
                            f"graph {self.name}: {part.name} reads {name}, not made yet"
                        )
                types = infer(part.op, [self.values[name] for name in part.inputs], part.attributes)
                if len(types) != len(part.outputs):
                    raise InputError(f"graph {self.name}: {part.op} makes {len(types)} values")
                for name, value in zip(part.outputs, types, strict=True):
                    if name in inside:
                        raise InputError(f"graph {self.name}: {name} is made twice")
                    if self.values.get(name) != value:
                        raise InputError(
                            f"graph {self.name}: {name} must be {value}, not "
                            f"{self.values.get(name)}"
                        )
                    inside.add(name)
            if not set(node.outputs) <= inside:
                raise InputError(f"graph {self.name}: {node.name} does not make its outputs")
            ready |= set(node.outputs)
        if not set(self.outputs) <= ready:
            raise InputError(f"graph {self.name}: outputs {self.outputs} are not all made")

    def tidy(self) -> "Graph":
        """Drop nodes and constants that nothing reads; returns the graph."""
        kept: list[Node] = []
        needed = set(self.outputs)
        for node in reversed(self.nodes):
            if needed & set(node.outputs):
                kept.append(node)
                needed |= set(node.inputs)
        self.nodes = kept[::-1]
        made = {name for leaf in self.leaves() for name in leaf.outputs}
        for table in (self.arrays, self.weights):
            for name in [name for name in table if name not in needed]:
                del table[name]
        known = made | set(self.inputs) | set(self.arrays) | set(self.weights)
        self.values = {name: value for name, value in self.values.items() if name in known}
        return self

    def copy(self, nodes: Iterable[Node] | None = None) -> "Graph":
        """The same graph, with other nodes if given."""
        return Graph(
            self.name,
            list(self.inputs),
            list(self.outputs),
            list(self.nodes if nodes is None else nodes),
            dict(self.values),
            dict(self.arrays),
            dict(self.weights),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the contents of constants."""
        return {
            "name": self.name,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "nodes": [node.to_dict() for node in self.nodes],
            "values": {name: [list(v.shape), v.dtype] for name, v in self.values.items()},
            "weights": self.weights,
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Graph":
        """Read what :meth:`to_dict` gives.

        Raises
        ------
        InputError
            It is no graph, or none that is right.
        """

        def node(part: dict[str, Any]) -> Node:
            body = tuple(node(inner) for inner in part.get("body", ()))
            inputs, outputs = tuple(part["inputs"]), tuple(part["outputs"])
            return Node(part["op"], inputs, outputs, dict(part.get("attributes", {})), body)

        try:
            graph = cls(
                str(plain["name"]),
                list(plain["inputs"]),
                list(plain["outputs"]),
                [node(part) for part in plain["nodes"]],
                {name: Value(tuple(s), str(t)) for name, (s, t) in plain["values"].items()},
                arrays,
                dict(plain["weights"]),
            )
            graph.check()
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise InputError(f"no graph: {type(error).__name__} {error}") from error
        return graph
