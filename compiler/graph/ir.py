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
from typing import Any, NoReturn

import numpy as np

from lutcore.compiler.graph.ops import OPS, Shape, Value, infer
from lutcore.compiler.program.plain import each, integer, record, row, text, texts
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
                self._check_leaf(part, inside)
                inside |= set(part.outputs)
            read = {name for part in node.leaves() for name in part.inputs} & ready
            if (node.op == "fused") != bool(node.body) or set(node.inputs) != read:
                self._refuse(f"{node.name} is not fused of what it reads")
            if not set(node.outputs) <= inside:
                self._refuse(f"{node.name} does not make its outputs")
            ready |= set(node.outputs)
        if not set(self.outputs) <= ready:
            self._refuse(f"outputs {self.outputs} are not all made")

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"graph {self.name}: {what}")

    def _check_leaf(self, leaf: Node, ready: set[str]) -> None:
        """See that an operation reads what is ready, and makes what its outputs must be."""
        if leaf.op not in OPS:
            self._refuse(f"no operation {leaf.op!r}")
        for name in leaf.inputs:
            if name not in ready or name not in self.values:
                self._refuse(f"{leaf.name} reads {name}, not made yet")
        types = infer(leaf.op, [self.values[name] for name in leaf.inputs], leaf.attributes)
        if len(types) != len(leaf.outputs):
            self._refuse(f"{leaf.op} makes {len(types)} values")
        for name, value in zip(leaf.outputs, types, strict=True):
            if name in ready:
                self._refuse(f"{name} is made twice")
            if self.values.get(name) != value:
                self._refuse(f"{name} must be {value}, not {self.values.get(name)}")

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

        def names(part: dict[str, Any], key: str) -> list[str]:
            return each(part[key], key, text)

        def node(plain: object, what: str) -> Node:
            part = record(plain, what)
            body = tuple(each(part.get("body", []), f"{what}: body", node))
            inputs, outputs = tuple(names(part, "inputs")), tuple(names(part, "outputs"))
            if not outputs:
                raise InputError(f"{what} makes nothing")
            attributes = record(part.get("attributes", {}), f"{what}: attributes")
            return Node(text(part["op"], what), inputs, outputs, attributes, body)

        def size(plain: object, what: str) -> int | str:
            return "T" if plain == "T" else integer(plain, what, 1)

        def value(plain: object, what: str) -> Value:
            shape, dtype = row(plain, what, 2)
            return Value(tuple(each(shape, what, size)), text(dtype, what))

        try:
            graph = cls(
                text(plain["name"], "name"),
                names(plain, "inputs"),
                names(plain, "outputs"),
                each(plain["nodes"], "node", node),
                {name: value(v, name) for name, v in record(plain["values"], "values").items()},
                arrays,
                texts(plain["weights"], "weights"),
            )
            graph.check()
        except (KeyError, TypeError) as error:
            raise InputError(f"no graph: {type(error).__name__} {error}") from error
        return graph
