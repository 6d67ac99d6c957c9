"""Runs networks: the host's operators here, every matrix of a core on a backend."""

from typing import Any, Protocol

import numpy as np

from lutcore.compiler.graph.ir import Graph, Node
from lutcore.errors import InputError
from lutcore.gen.run.backends import Backend
from lutcore.gen.run.operators import OPERATORS


class Network(Protocol):
    """What is run: a compiled network, or one in floats."""

    @property
    def graph(self) -> Graph:
        """What it computes, with the host's constants."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """``context``, for one: how many tokens it looks back over."""
        ...


class Executor:
    """A network with the keys and values of the tokens that it has seen.

    Parameters
    ----------
    network : Network
    backend : Backend, optional
        Not closed by the executor; networks in floats have no matrices for one.

    Attributes
    ----------
    tokens, context : int
        How many tokens there are, and how many the network looks back over.
    """

    def __init__(self, network: Network, backend: Backend | None = None):
        self.backend, graph = backend, network.graph
        self.context = int(network.facts["context"])
        self._output = graph.outputs[0]
        self.tokens = int(graph.values[_embedding(graph)].shape[0])
        self._nodes = [node for node in graph.leaves() if node.op != "precompute"]
        # Tables are the core's own: what it is given are the codes that they are made of.
        codes = {n.outputs[0]: n.inputs[0] for n in graph.leaves() if n.op == "precompute"}
        self._inputs = [tuple(codes.get(i, i) for i in node.inputs) for node in self._nodes]
        self._causal = any(n.op == "attention" and n.attributes["causal"] for n in self._nodes)
        # One vector of a text is made of all of it.
        self._grows = self._causal and graph.values[self._output].shape[0] == "T"
        self._arrays = {name: np.asarray(array) for name, array in graph.arrays.items()}
        # Texts longer than these are embedded by other frequencies from their start.
        self._turns = {n.attributes["original"] for n in self._nodes if "original" in n.attributes}
        self._cache: dict[str, _Rows] = {}
        self._seen: list[int] = []

    @property
    def length(self) -> int:
        """Tokens seen so far."""
        return len(self._seen)

    def reset(self) -> None:
        """Forget all tokens."""
        self._cache.clear()
        self._seen = []

    def run(self, tokens: np.ndarray) -> np.ndarray:
        """The network's output for a text of its own: logits [T, vocabulary], or a vector [1, D].

        Parameters
        ----------
        tokens : integer [T]

        Raises
        ------
        InputError
            Tokens are out of range or more than the context holds.
        """
        self.reset()
        return self.decode(tokens)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Logits after each of the tokens, float32 [T, vocabulary], that follow those seen so far.

        Raises
        ------
        InputError
            Tokens are out of range, more than the context holds, or the network reads whole texts.
        """
        tokens = np.asarray(tokens)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or not tokens.size:
            raise InputError("tokens must be a row of whole numbers")
        if tokens.min() < 0 or tokens.max() >= self.tokens:
            raise InputError(f"tokens must be 0..{self.tokens - 1}")
        if self.length + len(tokens) > self.context:
            raise InputError(f"the context holds {self.context} tokens, no more")
        if self.length and not self._grows:
            raise InputError("this network reads whole texts: reset it first")
        new, after = len(tokens), self.length + len(tokens)
        if any(self.length <= turn < after for turn in self._turns):
            tokens = np.concatenate([np.array(self._seen, np.int64), tokens])  # all, read anew
            self.reset()
        values = dict(self._arrays)
        positions = np.arange(self.length, after)
        values |= {"tokens": tokens.astype(np.int64), "positions": positions}
        with np.errstate(over="ignore"):
            for node, inputs in zip(self._nodes, self._inputs, strict=True):
                self._step(node, inputs, values)
        self._seen += tokens.tolist()
        made = values[self._output]
        return made[-new:] if self._grows else made

    def _step(self, node: Node, inputs: tuple[str, ...], values: dict[str, Any]) -> None:
        if node.op == "lut_mpgemm":
            assert self.backend is not None, "it was made for a core"
            values[node.name] = self.backend.linear(inputs[1], values[inputs[0]])
            return
        arguments = [values[name] for name in inputs]
        if node.op == "attention" and node.attributes["causal"]:
            for part in (1, 2):  # keys and values of the tokens before
                rows = self._cache.setdefault(f"{node.name}/{part}", _Rows())
                arguments[part] = rows.extend(arguments[part])
        for name, value in zip(
            node.outputs, OPERATORS[node.op](node.attributes, *arguments), strict=True
        ):
            values[name] = value


def _embedding(graph: Graph) -> str:
    """The table that tokens are rows of."""
    for node in graph.leaves():
        if node.op == "embed" and node.inputs[0] == "tokens":
            return node.inputs[1]
    raise InputError("the network reads no tokens")


class _Rows:
    """Rows that grow at the end."""

    def __init__(self) -> None:
        self._all = np.zeros((0, 0), np.float32)
        self._length = 0

    def extend(self, rows: np.ndarray) -> np.ndarray:
        """Append rows; all there are."""
        length = self._length + len(rows)
        if length > len(self._all):
            grown = np.zeros((max(64, 2 * length), rows.shape[1]), np.float32)
            grown[: self._length] = self._all[: self._length] if self._length else 0
            self._all = grown
        self._all[self._length : length] = rows
        self._length = length
        return self._all[:length]
