"""A compiled network in one file (layout: docs, page "compiler").

Nothing in a file is trusted: sizes are checked against the file before anything is read, contents
against a checksum, and the graph, programs and shapes against what they must be.
"""

import hashlib
import json
import math
import os
import struct
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.graph.ir import Graph
from lutcore.compiler.graph.ops import OPS
from lutcore.compiler.weights.stored import PARTS, StoredTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BYTES

MAGIC = b"LUTCORE\n"
VERSION = 1
#: Magic, version, bytes of the header.
_HEAD = struct.Struct("<8sIQ")
_DIGEST = 32
#: Sections start at multiples of this.
_ALIGN = 64
_MOST_HEADER = 1 << 26
_MOST_MEMORY = 1 << 40
_DTYPES = {"u1": np.uint8, "i2": np.int16, "i4": np.int32, "i8": np.int64, "f4": np.float32}


def is_container(path: Path) -> bool:
    """Whether a file begins as compiled networks do; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


@dataclass(frozen=True)
class Entry:
    """A program in the memory: for how many rows, where, and how many instructions."""

    rows: int
    address: int
    length: int


@dataclass(frozen=True)
class Layer:
    """A matrix on the core.

    Attributes
    ----------
    name : str
        Of the graph's weight.
    shape : (int, int)
        N, K.
    programs : list of Entry
        By rows, fewest first.
    weights, scales : (int, int)
        Address and bytes.
    runs : list of (int, int)
        Elements and bytes of each run in a row of activations.
    output_pitch : int
        Bytes from row to row of the result, float32.
    blocks : dict
        Rows and column tiles of a block, for readers.
    """

    name: str
    shape: tuple[int, int]
    programs: list[Entry]
    weights: tuple[int, int]
    scales: tuple[int, int]
    runs: list[tuple[int, int]]
    output_pitch: int
    blocks: dict[str, Any]

    @property
    def pitch(self) -> int:
        """Bytes of a row of activations."""
        return sum(size for _, size in self.runs)


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

    # Writing -------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        InputError
            It cannot be written.
        """
        arrays = {"image": self.image}
        arrays |= {f"constant/{name}": array for name, array in self.graph.arrays.items()}
        for name, tensor in self.tensors.items():
            arrays |= {f"{part}/{name}": array for part, array in tensor.parts.items()}
        place, sections = 0, {}
        for name, array in arrays.items():
            kind = next(k for k, t in _DTYPES.items() if array.dtype == t)
            sections[name] = {"kind": kind, "shape": list(array.shape), "at": place}
            place += -(-array.nbytes // _ALIGN) * _ALIGN
        header = {
            "config": self.config.to_dict(),
            "graph": self.graph.to_dict(),
            "facts": self.facts,
            "host": self.host,
            "layers": [asdict(layer) for layer in self.layers.values()],
            "memory": self.memory,
            "activations": self.activations,
            "outputs": self.outputs,
            "tensors": {
                name: [tensor.kind, tensor.bits, tensor.group_size, *tensor.shape]
                for name, tensor in self.tensors.items()
            },
            "sections": sections,
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + _HEAD.size) % _ALIGN)
        digest = hashlib.sha256()
        try:
            handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
            try:
                with os.fdopen(handle, "wb") as file:

                    def put(content: bytes) -> None:
                        digest.update(content)
                        file.write(content)

                    put(_HEAD.pack(MAGIC, VERSION, len(text)))
                    put(text)
                    for array in arrays.values():
                        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                        put(little.tobytes())
                        put(bytes(-array.nbytes % _ALIGN))
                    file.write(digest.digest())
                os.chmod(partial, 0o666 & ~_umask())
                os.replace(partial, path)
            except BaseException:
                os.unlink(partial)
                raise
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from error

    # Reading -------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: Path) -> "Container":
        """Read a file; its arrays stay in the file until they are used.

        Raises
        ------
        InputError
            It cannot be read, is damaged, or is of another version.
        """
        try:
            raw = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from error
        try:
            return cls._read(raw)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            why = f"{type(error).__name__} {error}"
            raise InputError(f"{path}: damaged header: {why}: compile again") from error
        except RecursionError:
            raise InputError(f"{path}: damaged header: nested too deep: compile again") from None

    @classmethod
    def _read(cls, raw: np.ndarray) -> "Container":
        if raw.size < _HEAD.size + _DIGEST or raw[: len(MAGIC)].tobytes() != MAGIC:
            raise InputError("is no compiled network: make one with lutcore compile MODEL -o FILE")
        _, version, length = _HEAD.unpack(raw[: _HEAD.size].tobytes())
        if version != VERSION:
            raise InputError(f"has version {version}, this is {VERSION}: compile again")
        begin, end = _HEAD.size + length, raw.size - _DIGEST
        if length > _MOST_HEADER or begin > end:
            raise InputError("is truncated: copy or compile it again")
        digest = hashlib.sha256(memoryview(raw.data)[:end]).digest()
        if digest != raw[end:].tobytes():
            raise InputError("is damaged or truncated (its checksum differs): compile again")
        header = json.loads(raw[_HEAD.size : begin].tobytes())
        sections = header["sections"]

        def array(name: str) -> np.ndarray:
            about = sections[name]
            shape, dtype = [int(size) for size in about["shape"]], np.dtype(_DTYPES[about["kind"]])
            at, size = begin + int(about["at"]), math.prod(shape) * dtype.itemsize
            if min(shape, default=0) < 0 or at < begin or at + size > end or at % _ALIGN:
                raise InputError(f"section {name} is not inside of the file: compile again")
            return raw[at : at + size].view(dtype.newbyteorder("<")).reshape(shape)

        stem = "constant/"
        constants = {n.removeprefix(stem): array(n) for n in sections if n.startswith(stem)}
        graph = Graph.from_dict(header["graph"], constants)
        made = cls(
            config=CoreConfig.from_dict(header["config"]),
            graph=graph,
            facts=dict(header["facts"]),
            host={str(name): str(why) for name, why in header["host"].items()},
            layers={part["name"]: _layer(part) for part in header["layers"]},
            image=array("image"),
            memory=int(header["memory"]),
            activations=int(header["activations"]),
            outputs=int(header["outputs"]),
        )
        for name, (kind, *numbers) in header["tensors"].items():
            bits, group, n, k = (int(number) for number in numbers)
            parts = {
                part: array(f"{part}/{name}") for part in PARTS if f"{part}/{name}" in sections
            }
            made.tensors[name] = StoredTensor(str(kind), bits, group, (n, k), parts)
            made.tensors[name].check(name)
        made.check()
        return made

    def check(self) -> None:
        """See that all parts fit each other.

        Raises
        ------
        InputError
            They do not.
        """
        graph = self.graph
        for name, array in graph.arrays.items():
            value = graph.values.get(name)
            kind = {"f": "f32", "i": "i64"}[array.dtype.kind]
            if value is None or value.shape != array.shape or value.dtype != kind:
                raise InputError(f"constant {name} must be {value}")
        if not 0 < self.memory <= _MOST_MEMORY or self.memory % 4096:
            raise InputError(f"memory of {self.memory} bytes is not possible")
        if self.image.ndim != 1 or self.image.dtype != np.uint8 or self.image.size > self.memory:
            raise InputError("the image does not fit the memory")
        for leaf in graph.leaves():
            if leaf.op == "lut_mpgemm":
                self._check_layer(leaf.inputs[1])

    def _check_layer(self, name: str) -> None:
        layer, tensor = self.layers.get(name), self.tensors.get(name)
        value = self.graph.values[name]
        if layer is None or tensor is None:
            raise InputError(f"matrix {name} has no program")
        n, k = layer.shape
        good = [
            layer.shape == value.shape == tensor.shape,
            value.dtype == f"w{tensor.bits}",
            sum(length for length, _ in layer.runs) == k,
            layer.output_pitch >= 4 * n,
            bool(layer.programs),
        ]
        for entry in layer.programs:
            good += [
                entry.rows > 0 and entry.length > 0 and entry.address >= 0,
                entry.address + entry.length * BYTES <= self.image.size,
                0 <= self.activations <= self.memory - entry.rows * layer.pitch,
                0 <= self.outputs <= self.memory - entry.rows * layer.output_pitch,
            ]
        size = self.config.activation_bits // 8
        good += [0 < length and length * size <= stored for length, stored in layer.runs]
        if not all(good):
            raise InputError(f"matrix {name}: program, shape and codes do not belong together")


def _layer(plain: dict[str, Any]) -> Layer:
    n, k = (int(size) for size in plain["shape"])
    weights, scales = ((int(at), int(size)) for at, size in (plain["weights"], plain["scales"]))
    programs = [Entry(*(int(part[f]) for f in ("rows", "address", "length")))
                for part in plain["programs"]]  # fmt: skip
    return Layer(
        name=str(plain["name"]),
        shape=(n, k),
        programs=programs,
        weights=weights,
        scales=scales,
        runs=[(int(length), int(size)) for length, size in plain["runs"]],
        output_pitch=int(plain["output_pitch"]),
        blocks=dict(plain["blocks"]),
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
