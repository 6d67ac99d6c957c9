"""Adds nodes to a graph by the roles of a checkpoint's tensors."""

from collections.abc import Callable
from typing import NoReturn

import numpy as np

from lutcore.compiler.graph.facts import ModelFacts
from lutcore.compiler.graph.ir import Graph, Node, Value
from lutcore.compiler.graph.names import NAMES
from lutcore.compiler.graph.reading import Reading

_AUTO = "autobitlinear"
#: Parts of LayerNorm as they were called first.
_OLD = {"weight": "gamma", "bias": "beta"}
#: Roles whose bias is added after what GGUF's ``.scale`` multiplies; others add it before.
_SCALED_FIRST = ("q", "k", "v", "attention_output")


class Builder:
    """Adds nodes to a graph; every method returns the name of the value that it makes.

    No tensor is loaded before :meth:`load`, but for single numbers.

    Parameters
    ----------
    reading : Reading
        Notes which tensors the network has.
    facts : ModelFacts
    bits : int or None
        Width of the codes that float matrices will be quantised to; None: they stay with the host.
    """

    def __init__(self, reading: Reading, facts: ModelFacts, bits: int | None = None):
        self.reading, self.facts, self.bits = reading, facts, bits
        self.checkpoint = reading.checkpoint
        self.graph = Graph(facts.architecture)
        self._names = NAMES[facts.family.builder]
        self._layered = facts.hugging_face and facts.family.builder == "bert"
        self._contents: dict[str, Callable[[], np.ndarray]] = {}
        self._checks: list[Callable[[], None]] = []
        prefixes = ("", "bert.", "model.") if facts.hugging_face else ("",)
        first = self._name("embed")
        found = [p for p in prefixes if f"{p}{first}.weight" in reading.tensors]
        if not found:
            reading.refuse(
                f"no tensor {first + '.weight'!r}, which a network of "
                f"architecture {facts.architecture} has"
            )
        self.prefix = found[0]
        self.matrices: list[str] = []
        for name in ("tokens", "positions"):
            self.graph.inputs.append(name)
            self.graph.values[name] = Value(("T",), "i64")

    def _name(self, role: str, layer: int | None = None) -> str:
        return self._names[role][self.facts.hugging_face].format(layer)

    def stored(self, role: str, layer: int | None = None, part: str = "weight") -> str | None:
        """Name in the checkpoint of a part of a role; None if it is not there."""
        name = self._name(role, layer)
        for full in self._places(name, part):
            if self.reading.tensor(full):
                return full
        return None

    def _places(self, name: str, part: str) -> list[str]:
        """Names that a part of a role may have; norms of old BERTs have gamma and beta."""
        parts = [part, *([_OLD[part]] if self._layered and part in _OLD else [])]
        return [f"{p}{name}.{end}" for end in parts for p in {self.prefix: 0, "": 0} if name]

    def leave(self, role: str) -> None:
        """Note a role that this network ends without."""
        for part in ("weight", "bias"):
            for full in self._places(self._name(role), part):
                self.reading.spare(full, "of a head that this network ends without")

    def constant(self, name: str, shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> str:
        """A constant of the host, float32, of which the contents are made later."""
        self.graph.values[name] = Value(shape, "f32")
        self._contents[name] = make
        return name

    def array(self, role: str, layer: int | None = None, part: str = "weight") -> str | None:
        """A constant of the host, if the checkpoint has it."""
        name = self.stored(role, layer, part)
        return name and self._array(name)

    def _array(self, name: str) -> str:
        shape = self.checkpoint.facts(name).shape
        return self.constant(name, shape, lambda: self.checkpoint.array(name))

    def needed(self, role: str, layer: int | None = None, part: str = "weight") -> str:
        """As :meth:`array`, of what a network cannot be without."""
        return self.array(role, layer, part) or self.absent(role, layer, part)

    def absent(self, role: str, layer: int | None = None, part: str = "weight") -> NoReturn:
        """Refuse a checkpoint for what it lacks."""
        wanted = f"{self._name(role, layer)}.{part}"
        self.reading.refuse(f"no tensor {wanted!r}, which its architecture has")

    def rows(self, name: str, said: str, rows: int, columns: int = 0) -> None:
        """See that a matrix has the size that the metadata says."""
        shape = self.checkpoint.facts(name).shape
        wanted = (rows or shape[0], *([columns] if columns else shape[1:]))
        if shape != wanted:
            self.reading.refuse(
                f"tensor {name!r} has shape {list(shape)}, where {said} says {list(wanted)}"
            )

    def add(self, op: str, name: str, *inputs: str, **attributes) -> str:
        """Any node with one output."""
        node = Node(op, tuple(inputs), (name,), attributes)
        self.graph.nodes.append(self.graph.typed(node))
        return name

    def norm(self, role: str, x: str, layer: int | None = None, heads: int = 1) -> str:
        """A norm, LayerNorm of BERT and RMSNorm of decoders."""
        gain = self.needed(role, layer)
        layered = self.facts.family.builder == "bert"
        inputs = (x, gain, self.needed(role, layer, "bias")) if layered else (x, gain)
        extra = {"heads": heads} if heads > 1 else {}
        name = gain.rpartition(".")[0]
        kind = "layer" if layered else "rms"
        return self.add("norm", name, *inputs, kind=kind, epsilon=self.facts.epsilon, **extra)

    def linear(
        self, role: str, x: str, layer: int | None = None, rows: int = 0, tied: str = ""
    ) -> str:
        """A linear layer of so many rows; ``tied`` is the role whose matrix serves in its place."""
        name = self.stored(role, layer) or (self.stored(tied) if tied else None)
        if name is None:
            self.absent(role, layer)
        if tied and self.facts.hugging_face:
            self._tied(name, tied)
        self.rows(name, "the metadata", rows)
        self.matrices.append(name)
        x, scale = self._norm_inside(name, x), self._scale(role, name)
        bias = self._bias(role, layer, scale if role in _SCALED_FIRST else 1.0)
        bias = bias and self._scaled_bias(name, bias)
        out = self._names[role][0].format(layer) or role
        inner = out if scale == 1 else f"{out}.unscaled"
        made = self.add("linear", inner, x, self._weight(name), *([bias] if bias else []))
        return made if scale == 1 else self.add("scale", out, made, factor=scale)

    def _tied(self, name: str, role: str) -> None:
        """See, when weights are loaded, that a matrix beside the one it is tied to is the same."""
        other = self.stored(role)
        if other is None or other == name:
            return

        def check() -> None:
            if not self.checkpoint.equal(name, other):
                self.reading.refuse(
                    f"tie_word_embeddings is true, but {name!r} and {other!r} differ: "
                    "set it to false in config.json if both are meant"
                )

        self._checks.append(check)

    def _weight(self, name: str) -> str:
        """The value of a matrix: codes where it has or will have them, else floats."""
        facts = self.checkpoint.facts(name)
        bits = facts.bits if facts.problem is None and facts.bits else self.bits
        if bits is None:
            return self._array(name)
        weight = f"{name}.codes" if name in self._contents else name
        self.graph.weights[weight] = name
        self.graph.values[weight] = Value(facts.shape, f"w{bits}")
        return weight

    def _bias(self, role: str, layer: int | None, scale: float) -> str | None:
        """The bias that the family gives a role, before what multiplies the layer's result."""
        when = self.facts.biases.get(role)
        if not when:
            self._no_bias(role, layer)
        name = self.array(role, layer, "bias") if when else None
        if when and self.facts.ties and f"{role}_bias" in self._names:
            name = self._same(name, self.array(f"{role}_bias", layer, "bias"))
        if name is None and when == "always":
            self.absent(role, layer, "bias")
        if name is None or scale == 1:
            return name
        shape = self.graph.values[name].shape
        return self.constant(
            f"{name}.unscaled",
            tuple(int(size) for size in shape),
            lambda: self.checkpoint.array(name) / np.float32(scale),
        )

    def _no_bias(self, role: str, layer: int | None) -> None:
        """See, when weights are loaded, that a bias that no one adds is 0."""
        name = self.stored(role, layer, "bias") if self.facts.hugging_face else None

        def check() -> None:
            if self.checkpoint.array(str(name)).any():
                self.reading.refuse(
                    f"tensor {name!r} is not 0, but not understood: the architecture has no such "
                    "bias, or config.json says that it has none"
                )

        if name is not None:
            self._checks.append(check)

    def _scaled_bias(self, name: str, bias: str) -> str:
        """AutoBitLinear multiplies the bias by the matrix's scale, too."""
        about = self.checkpoint.quantisation()
        if self.checkpoint.facts(name).kind != "BitNet" or about.get("linear_class") != _AUTO:
            return bias
        array, tensor = self.checkpoint.array, self.checkpoint.tensor

        def make() -> np.ndarray:
            return array(bias) * tensor(name).scales.flat[0]

        return self.constant(f"{bias}.scaled", self.checkpoint.facts(bias).shape, make)

    def _same(self, name: str | None, other: str | None) -> str | None:
        """Which of two tensors there is; if both are there they must be equal."""
        if name is None or other is None:
            return name or other

        def make() -> np.ndarray:
            if not self.checkpoint.equal(name, other):
                self.reading.refuse(f"tensors {name!r} and {other!r} must be one, but differ")
            return self.checkpoint.array(name)

        return self.constant(name, self.checkpoint.facts(name).shape, make)

    def _norm_inside(self, name: str, x: str) -> str:
        """The norm that a quantised layer of BitNet begins with, where config.json says so."""
        gain = f"{name.removesuffix('.weight')}.rms_norm.weight"
        if self.facts.inner_epsilon is None or self.checkpoint.facts(name).bits is None:
            return x
        if not self.reading.tensor(gain):
            self.reading.refuse(f"no tensor {gain!r}, which use_rms_norm of config.json asks for")
        made = gain.removesuffix(".weight")
        return self.add(
            "norm", made, x, self._array(gain), kind="rms", epsilon=self.facts.inner_epsilon
        )

    def _scale(self, role: str, name: str) -> float:
        """What multiplies a matrix's result before its bias: GGUF's tensor ``.scale``, or 1."""
        scale = f"{name.removesuffix('.weight')}.scale"
        known = role in self.facts.family.scaled and not self.facts.hugging_face
        if not known or not self.reading.tensor(scale):
            return 1.0
        shape = self.checkpoint.facts(scale).shape
        value = self.checkpoint.array(scale) if shape == (1,) else np.zeros(1)
        if not value.all():
            self.reading.refuse(f"tensor {scale!r} must be one number, not 0")
        return float(value[0])

    def load(self) -> Graph:
        """The graph with the contents of its constants, and without what nothing reads."""
        for check in self._checks:
            check()
        read = {name for node in self.graph.nodes for name in node.inputs}
        for name, make in self._contents.items():
            if name in read:
                self.graph.constant(name, make())
        return self.graph.tidy()
