"""A compiled network, in memory and in one file (layout: docs, page "compiler")."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.graph.ir import Graph
from lutcore.compiler.graph.ops import OPS
from lutcore.compiler.lowering.checks import check_graph
from lutcore.compiler.lowering.layers import Layer
from lutcore.compiler.program.plain import each, integer, need, record, row, text, texts
from lutcore.compiler.program.program import PAGE, check_region
from lutcore.compiler.program.sections import SectionFile, written
from lutcore.compiler.weights.stored import StoredTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BYTES

_MOST_MEMORY = 1 << 40


@dataclass(eq=False)
class Container:
    """A compiled network.

    Attributes
    ----------
    config : CoreConfig
        The core that it is for.
    graph : Graph
        After all passes, with the host's constants.
    facts : dict
        What a reader may want to know of the network: architecture, context and so on.
    host : dict of str to str
        Matrices that stay with the host, and why.
    layers : dict of str to Layer
    image : uint8
        Memory from address 0 to the end of the weights; the rest, up to ``memory``, starts as 0.
    memory : int
        Bytes of memory, a multiple of 4096.
    activations, outputs : int
        Addresses of the regions that all layers share.
    tensors : dict of str to StoredTensor
        The codes as the checkpoint has them, for the golden model; no core reads them.
    """

    config: CoreConfig
    graph: Graph
    facts: dict[str, Any]
    host: dict[str, str]
    layers: dict[str, Layer]
    image: np.ndarray
    memory: int
    activations: int
    outputs: int
    tensors: dict[str, StoredTensor] = field(default_factory=dict)

    def words(self, layer: str, rows: int) -> list[int]:
        """Instructions of a layer's program for that many rows."""
        entry = next(entry for entry in self.layers[layer].programs if entry.rows == rows)
        code = self.image[entry.address : entry.address + entry.length * BYTES].tobytes()
        return [int.from_bytes(code[i : i + BYTES], "little") for i in range(0, len(code), BYTES)]

    def host_operators(self) -> dict[str, int]:
        """Operation -> how often the host executes it in a call."""
        names = [leaf.op for leaf in self.graph.leaves() if not OPS[leaf.op].core]
        return {name: names.count(name) for name in sorted(set(names))}

    def summary(self) -> dict[str, Any]:
        """What a reader wants to know of it, as plain values."""
        shapes = [layer.shape for layer in self.layers.values()]
        return {
            "architecture": self.facts["architecture"],
            "matrices on the core": len(self.layers),
            "their weights": sum(n * k for n, k in shapes),
            "matrices on the host": self.host,
            "operators on the host": self.host_operators(),
            "rows of programs": [e.rows for e in next(iter(self.layers.values())).programs],
            "memory bytes": self.memory,
        }

    def check(self) -> None:
        """See that all parts fit each other; tensors in a file are judged when they are read.

        Raises
        ------
        InputError
            They do not.
        """
        named = check_graph(self.graph, self.facts["context"])
        good = self.layers.keys() == self.tensors.keys() == named
        need(good, "the graph, the layers and the tensors do not name the same matrices")
        for name, layer in self.layers.items():
            value, tensor = self.graph.values[name], self.tensors[name]
            good = layer.shape == value.shape == tensor.shape and value.dtype == f"w{tensor.bits}"
            need(good, f"matrix {name}: its shapes or bits differ in graph, layer and tensor")
            layer.check(self.config, self.image.size)
        self._check_memory()

    def _check_memory(self) -> None:
        """The image, then activations, then outputs; no two share a byte."""
        size, image, unit = self.memory, self.image, self.config.bus_bits // 8
        good = 0 < size <= _MOST_MEMORY and size % PAGE == 0
        need(good, f"memory of {size} bytes is not possible")
        good = image.dtype == np.uint8 and image.shape == (image.size,)
        need(good and image.size <= self.activations, "the image does not end before activations")
        layers = self.layers.values()
        given = max(layer.programs[-1].rows * layer.pitch for layer in layers)
        made = max(layer.programs[-1].rows * layer.output_pitch for layer in layers)
        check_region("activations", self.activations, given, unit, self.outputs)
        check_region("outputs", self.outputs, made, unit, size)
        need(self.outputs + made > size - PAGE, "the memory is more than what is used")

    def save(self, path: Path, force: bool = False) -> None:
        """Write the file, whole or not at all; in place of somebody else's only with ``force``.

        Raises
        ------
        InputError
            It cannot be written.
        """
        with written(path, "network", self.config, force) as file:
            file.add("image", self.image)
            for name, array in self.graph.arrays.items():
                file.add(f"constant/{name}", array)
            for name, tensor in self.tensors.items():
                for part, array in tensor.parts.items():
                    file.add(f"{part}/{name}", array)
            file.about |= {
                "graph": self.graph.to_dict(),
                "facts": self.facts,
                "host": self.host,
                "layers": [asdict(layer) for layer in self.layers.values()],
                "memory": self.memory,
                "activations": self.activations,
                "outputs": self.outputs,
                "tensors": {
                    name: {
                        "kind": tensor.kind,
                        "bits": tensor.bits,
                        "group_size": tensor.group_size,
                        "shape": tensor.shape,
                        "parts": [*tensor.parts],
                    }
                    for name, tensor in self.tensors.items()
                },
            }

    @classmethod
    def load(cls, path: Path) -> "Container":
        """Read a file; arrays stay in it until they are used, tensors are judged only then.

        Raises
        ------
        InputError
            It cannot be read, is of another version, or is damaged.
        """
        file = SectionFile(path, "network")
        with file.judging():
            return cls._read(file)

    @classmethod
    def _read(cls, file: SectionFile) -> "Container":
        about = record(file.about, "about", *_ABOUT)
        facts = record(about["facts"], "facts")
        for name in ("architecture", "builder"):
            text(facts.get(name), name)
        integer(facts.get("context"), "context", 1)
        constants = {name: file.read(f"constant/{name}") for name in file.named("constant")}
        layers = each(about["layers"], "layer", Layer.judged)
        tensors = record(about["tensors"], "tensors")
        names = ["image", *(f"constant/{name}" for name in constants)]
        for name, plain in tensors.items():
            names += [f"{part}/{name}" for part in _parts(name, plain)]
        file.check_names(names)
        made = cls(
            config=file.config,
            graph=Graph.from_dict(record(about["graph"], "graph"), constants),
            facts=facts,
            host=texts(about["host"], "host"),
            layers={layer.name: layer for layer in layers},
            image=file.read("image"),
            memory=integer(about["memory"], "memory"),
            activations=integer(about["activations"], "activations"),
            outputs=integer(about["outputs"], "outputs"),
            tensors={name: _stored(file, name, plain) for name, plain in tensors.items()},
        )
        made.check()
        return made


_ABOUT = ("graph", "facts", "host", "layers", "memory", "activations", "outputs", "tensors")


class _Lazy(Mapping[str, np.ndarray]):
    """Arrays by name that are read, all of them, when one is first asked for."""

    def __init__(self, read: Callable[[], dict[str, np.ndarray]]):
        self._read, self._arrays = read, None

    @property
    def _there(self) -> dict[str, np.ndarray]:
        if self._arrays is None:
            self._arrays = self._read()
        return self._arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self._there[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._there)

    def __len__(self) -> int:
        return len(self._there)


def _parts(name: str, plain: object) -> list[str]:
    """Which parts a tensor of a file has."""
    what = f"matrix {name}"
    found = record(plain, what, "kind", "bits", "group_size", "shape", "parts")
    return each(found["parts"], f"{what}: part", text)


def _stored(file: SectionFile, name: str, plain: dict[str, Any]) -> StoredTensor:
    """A tensor of a file, whose parts are read and judged when they are used."""
    what, names = f"matrix {name}", _parts(name, plain)
    kind = text(plain["kind"], f"{what}: kind")
    bits, group = (integer(plain[key], f"{what}: {key}", 1) for key in ("bits", "group_size"))
    n, k = (integer(size, f"{what}: shape", 1) for size in row(plain["shape"], what, 2))

    def read() -> dict[str, np.ndarray]:
        with file.judging():
            parts = {part: file.read(f"{part}/{name}") for part in names}
            StoredTensor(kind, bits, group, (n, k), parts).check(name)
        return parts

    return StoredTensor(kind, bits, group, (n, k), _Lazy(read))
