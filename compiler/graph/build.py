"""Graphs of whole networks, from a checkpoint's metadata and names."""

import numpy as np

from lutcore.compiler.graph.facts import ModelFacts, read_facts
from lutcore.compiler.graph.ir import Graph, Node, Value
from lutcore.compiler.graph.names import NAMES
from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.errors import InputError


class Builder:
    """Adds nodes to a graph; every method returns the name of the value that it makes.

    Parameters
    ----------
    checkpoint : Checkpoint
    facts : ModelFacts
    bits : int or None
        Width of the codes that float matrices will be quantised to; None: they stay with the host.
    """

    def __init__(self, checkpoint: Checkpoint, facts: ModelFacts, bits: int | None = None):
        self.checkpoint, self.facts, self.bits = checkpoint, facts, bits
        self.graph = Graph(facts.architecture)
        self._names = NAMES[facts.family.builder]
        self._known = set(checkpoint.names())
        prefixes = ("", "bert.", "model.") if facts.hugging_face else ("",)
        first = self._names["embed"][facts.hugging_face]
        found = [p for p in prefixes if f"{p}{first}.weight" in self._known]
        if not found:
            raise InputError(
                f"{checkpoint.path}: no tensor {first + '.weight'!r}, which a network of "
                f"architecture {facts.architecture} has"
            )
        self._prefix = found[0]
        for name in ("tokens", "positions"):
            self.graph.inputs.append(name)
            self.graph.values[name] = Value(("T",), "i64")

    def stored(self, role: str, layer: int | None = None, part: str = "weight") -> str | None:
        """Name in the checkpoint of a part of a role; None if it is not there."""
        name = self._names[role][self.facts.hugging_face].format(layer)
        for full in (f"{self._prefix}{name}.{part}", f"{name}.{part}"):
            if full in self._known:
                return full
        return None

    def array(self, role: str, layer: int | None = None, part: str = "weight") -> str | None:
        """A constant of the host, if the checkpoint has it."""
        name = self.stored(role, layer, part)
        if name is not None and name not in self.graph.arrays:
            self.graph.constant(name, self.checkpoint.array(name))
        return name

    def needed(self, role: str, layer: int | None = None, part: str = "weight") -> str:
        """As :meth:`array`, of what a network cannot be without."""
        name = self.array(role, layer, part)
        if name is None:
            wanted = self._names[role][self.facts.hugging_face].format(layer)
            raise InputError(f"{self.checkpoint.path}: no tensor {wanted + '.' + part!r}")
        return name

    def add(self, op: str, name: str, *inputs: str, **attributes) -> str:
        """Any node with one output."""
        node = Node(op, tuple(inputs), (name,), attributes)
        self.graph.nodes.append(self.graph.typed(node))
        return name

    def norm(self, role: str, x: str, layer: int | None = None, heads: int = 1) -> str:
        """A norm; the value itself where the checkpoint has no gain for it."""
        gain = self.array(role, layer)
        if gain is None:
            return x
        bias = self.array(role, layer, "bias")
        kind = "layer" if self.facts.family.builder == "bert" else "rms"
        inputs = (x, gain, bias) if bias else (x, gain)
        extra = {"heads": heads} if heads > 1 else {}
        name = gain.removesuffix(".weight")
        return self.add("norm", name, *inputs, kind=kind, epsilon=self.facts.epsilon, **extra)

    def linear(self, role: str, x: str, layer: int | None = None, tied: str = "") -> str:
        """A linear layer; ``tied`` is the role whose matrix serves where it has none of its own."""
        name = self.stored(role, layer) or (tied and self.stored(tied))
        if not name:
            wanted = self._names[role][self.facts.hugging_face].format(layer)
            raise InputError(f"{self.checkpoint.path}: no tensor {wanted + '.weight'!r}")
        facts = self.checkpoint.facts(name)
        bits = facts.bits if facts.problem is None and facts.bits else self.bits
        weight = name
        if bits is None:
            self.graph.constant(weight, self.checkpoint.array(name))
        else:
            weight = f"{name}.codes" if name in self.graph.arrays else name
            self.graph.weights[weight] = name
            self.graph.values[weight] = Value(facts.shape, f"w{bits}")
        bias = self.array(role, layer, "bias")
        out = self._names[role][0].format(layer)
        return self.add("linear", out, x, weight, *([bias] if bias else []))


def decoder(build: Builder) -> None:
    """LLaMA, BitNet and Qwen: norms before, gated feed-forward; what is absent is left out."""
    facts = build.facts
    heads = {"heads": facts.heads, "kv_heads": facts.kv_heads}
    rotary = {"dimension": facts.rotated, "base": facts.rope_base, "pairs": facts.pairs}
    factors = build.array("rope_factors")
    x = build.add("embed", "embedding", "tokens", build.needed("embed"))
    for layer in range(facts.layers):
        block = f"blk.{layer}."

        def rotated(name: str, heads: int, y: str, layer: int = layer, block: str = block) -> str:
            z = build.norm(f"{name}_norm", build.linear(name, y, layer), layer, heads)
            inputs = (z, "positions", factors) if factors else (z, "positions")
            return build.add("rotary", f"{block}{name}_rotated", *inputs, heads=heads, **rotary)

        build.needed("attention_norm", layer)
        build.needed("ffn_norm", layer)
        y = build.norm("attention_norm", x, layer)
        q, k = rotated("q", facts.heads, y), rotated("k", facts.kv_heads, y)
        v = build.linear("v", y, layer)
        q = build.add("scale", f"{block}q_scaled", q, factor=facts.head_size**-0.5)
        y = build.add("attention", f"{block}attention", q, k, v, **heads, causal=True)
        y = build.linear("attention_output", build.norm("attention_sub_norm", y, layer), layer)
        x = build.add("add", f"{block}attention_residual", x, y)
        y = build.norm("ffn_norm", x, layer)
        gate, up = build.linear("gate", y, layer), build.linear("up", y, layer)
        gate = build.add("activation", f"{block}activation", gate, kind=facts.activation)
        y = build.add("multiply", f"{block}gated", gate, up)
        y = build.linear("down", build.norm("ffn_sub_norm", y, layer), layer)
        x = build.add("add", f"{block}residual", x, y)
    build.needed("output_norm")
    build.graph.outputs = [build.linear("output", build.norm("output_norm", x), tied="embed")]


def bert(build: Builder) -> None:
    """BERT encoders of sentences: norms after, plain feed-forward, mean of all tokens."""
    facts = build.facts
    x = build.add("embed", "embedding", "tokens", build.needed("embed"))
    places, types = build.needed("positions"), build.array("types")
    if types is not None:  # every token is of the first type, wherever it stands
        arrays = build.graph.arrays
        places = build.graph.constant("places", arrays[places] + np.atleast_2d(arrays[types])[:1])
    place = build.add("embed", "place", "positions", places)
    x = build.norm("embed_norm", build.add("add", "embedded", x, place))
    heads = {"heads": facts.heads, "kv_heads": facts.heads, "causal": False}
    for layer in range(facts.layers):
        block = f"blk.{layer}."
        q, k, v = (build.linear(role, x, layer) for role in ("q", "k", "v"))
        q = build.add("scale", f"{block}q_scaled", q, factor=facts.head_size**-0.5)
        y = build.add("attention", f"{block}attention", q, k, v, **heads)
        y = build.linear("attention_output", y, layer)
        x = build.add("add", f"{block}attention_residual", x, y)
        x = build.norm("attention_norm", x, layer)
        y = build.linear("up", x, layer)
        y = build.add("activation", f"{block}activation", y, kind=facts.activation)
        y = build.linear("down", y, layer)
        x = build.norm("ffn_norm", build.add("add", f"{block}residual", x, y), layer)
    pooled = build.add("pool", "pooled", x, kind="mean")
    build.graph.outputs = [build.add("unit", "sentence", pooled)]


BUILDERS = {"decoder": decoder, "bert": bert}


def build_graph(checkpoint: Checkpoint, bits: int | None = None) -> tuple[Graph, ModelFacts]:
    """The graph of a checkpoint's network.

    Parameters
    ----------
    checkpoint : Checkpoint
    bits : int, optional
        Width that float matrices will be quantised to; without it the host multiplies by them.

    Raises
    ------
    InputError
        The architecture is unknown, metadata or tensors are missing, or shapes disagree.
    """
    facts = read_facts(checkpoint)
    build = Builder(checkpoint, facts, bits)
    try:
        BUILDERS[facts.family.builder](build)
    except InputError as error:
        where = str(checkpoint.path)
        raise InputError(str(error) if where in str(error) else f"{where}: {error}") from error
    graph = build.graph.tidy()
    graph.check()
    return graph, facts
