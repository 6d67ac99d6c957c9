"""From a checkpoint to a compiled network: graph, passes, programs, one memory image."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lutcore.compiler.graph.build import build_graph
from lutcore.compiler.graph.ir import Graph
from lutcore.compiler.graph.passes import Target, run_passes
from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.compiler.lowering.container import Container
from lutcore.compiler.lowering.gemm import Plan, plan
from lutcore.compiler.lowering.layers import Entry, Layer
from lutcore.compiler.program.cuts import up
from lutcore.compiler.program.program import PAGE
from lutcore.compiler.weights.quantise import Rounding
from lutcore.compiler.weights.stored import StoredTensor
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.isa.lmma import BYTES

#: Rows of activations that programs are made for, by the network's builder.
ROWS = {"decoder": (1, 16), "bert": (8, 32)}


class _Memory:
    """Plans of all matrices, as they come; the memory that holds them at the end."""

    def __init__(self, config: CoreConfig, rows: Sequence[int]):
        self.config, self.rows = config, sorted(set(rows))
        self.plans: dict[str, dict[int, Plan]] = {}

    def add(self, name: str, tensor: QuantTensor) -> None:
        """Plan a matrix for all rows; all its programs read one image of the weights."""
        most = plan(self.config, tensor, self.rows[-1])
        self.plans[name] = {rows: most.with_rows(rows) for rows in self.rows[:-1]}
        self.plans[name][self.rows[-1]] = most

    def place(self) -> tuple[np.ndarray, dict[str, Layer], dict[str, int]]:
        """Image, layers, and addresses of what all share: programs, then weights and scales.

        What does not depend on places (a program's length) is known before they are chosen.
        """
        nowhere = {name: 0 for name in ("weights", "scales", "activations", "outputs")}
        programs = {
            name: {rows: len(made.words(nowhere)) for rows, made in plans.items()}
            for name, plans in self.plans.items()
        }
        at, starts = 0, {}
        for name, lengths in programs.items():
            for rows, length in lengths.items():
                starts[name, rows] = at
                at = up(at + length * BYTES, 64)
        regions = {}
        for name, plans in self.plans.items():
            sizes = plans[self.rows[-1]].sizes
            at = up(at, PAGE)
            regions[name] = {"weights": at, "scales": up(at + sizes["weights"], PAGE)}
            at = regions[name]["scales"] + sizes["scales"]
        image = np.zeros(at, np.uint8)
        most = [plans[self.rows[-1]].sizes for plans in self.plans.values()]
        shared = {"activations": up(at, PAGE)}
        shared["outputs"] = up(shared["activations"] + max(s["activations"] for s in most), PAGE)
        shared["memory"] = up(shared["outputs"] + max(s["outputs"] for s in most), PAGE)
        layers = {}
        for name, plans in self.plans.items():
            wide, places = plans[self.rows[-1]], regions[name]
            for part, content in (("weights", wide.weights), ("scales", wide.scales)):
                image[places[part] : places[part] + content.size] = content
            entries = []
            for rows, made in plans.items():
                words = made.words(places | shared)
                code = b"".join(word.to_bytes(BYTES, "little") for word in words)
                start = starts[name, rows]
                image[start : start + len(code)] = np.frombuffer(code, np.uint8)
                entries.append(Entry(rows, start, len(words)))
            layers[name] = Layer(
                name=name,
                shape=wide.shape[1:],
                programs=entries,
                weights=(places["weights"], wide.weights.size),
                scales=(places["scales"], wide.scales.size),
                runs=[(run.length, wide.layout.act(run)) for run in wide.layout.runs],
                output_pitch=wide.output(0).pitch,
                blocks={str(rows): vars(made.blocks) for rows, made in plans.items()},
            )
        return image, layers, shared


class _Matrices:
    """A network's matrices on their way to a core: what it takes, and what stays with the host."""

    def __init__(self, built: Graph, memory: _Memory, rounding: Rounding | None):
        self._built, self._memory, self._rounding = built, memory, rounding
        self.target = Target(memory.config)
        self.host: dict[str, str] = {}
        self.tensors: dict[str, StoredTensor] = {}

    def add(self, checkpoint: Checkpoint, weight: str, name: str) -> None:
        """Plan the checkpoint's matrix ``name``, or leave it to the host and say why."""
        tensor = self._codes(checkpoint, name)
        try:
            self._memory.add(weight, tensor)
        except InputError as error:
            self.host[weight] = self.target.refused[weight] = str(error)
            self._built.constant(weight, tensor.dequantise())
            return
        self.tensors[weight] = StoredTensor.of(tensor)
        if tensor.minimums is not None:
            self.target.minimums[weight] = (
                tensor.group_size,
                tensor.minimums,
                tensor.column_order,
            )

    def _codes(self, checkpoint: Checkpoint, name: str) -> QuantTensor:
        facts = checkpoint.facts(name)
        if facts.problem is None and facts.bits is not None:
            return checkpoint.tensor(name)
        assert self._rounding is not None, "a float matrix is a weight only where it is rounded"
        return self._rounding.apply(name, checkpoint.array(name))

    def finish(self, where: str) -> None:
        """Drop the host's from the weights, and add those that are floats.

        Raises
        ------
        InputError
            Nothing is left for the core.
        """
        for weight in self.host:
            del self._built.weights[weight]
        if not self.tensors:
            floats = "all are floats: give --bits to round them"
            why = next(iter(self.host.values()), floats)
            raise InputError(f"{where}: no matrix that {self._memory.config.name} takes: {why}")
        for node in self._built.nodes:
            if node.op == "linear" and node.inputs[1] in self._built.arrays:
                self.host.setdefault(node.inputs[1], "stored as floats: --bits rounds it")


def _check_networks(config: CoreConfig) -> None:
    """Refuse a core that no network can be compiled for."""
    check_config(config)
    check_core(config)
    if config.activation != "int8":
        raise InputError(
            f"networks run with int8 activations, {config.name} takes {config.activation}: "
            "set activation=int8"
        )


def compile_network(
    checkpoint: Checkpoint,
    config: CoreConfig,
    rows: Sequence[int] = (),
    rounding: Rounding | None = None,
    progress: Callable[[str, int, int], Any] = lambda name, done, total: None,
    ignored: Sequence[str] = (),
) -> tuple[Container, dict[str, Graph]]:
    """Compile a checkpoint's network.

    Parameters
    ----------
    rows : sequence of int
        Rows of activations that programs are made for; none: :data:`ROWS` of the architecture.
    rounding : Rounding, optional
        How float matrices become codes; without it they stay with the host.
    progress : callable
        Called with a matrix's name, how many are done, and how many there are.
    ignored : sequence of str
        Keys and tensors that are not understood, but change nothing, as the caller says.

    Returns
    -------
    Container, and the graph as built and after each pass

    Raises
    ------
    InputError
        Core or network are not possible, and why. A matrix that the core does not take is no error:
        the host multiplies by it, and the container says so.
    """
    _check_networks(config)
    built, facts = build_graph(checkpoint, rounding.bits if rounding else None, ignored)
    rows = tuple(rows) or ROWS[facts.family.builder]
    if min(rows) < 1:
        raise InputError(f"rows must be positive, not {min(rows)}")
    memory = _Memory(config, rows)
    matrices = _Matrices(built, memory, rounding)
    for done, (weight, name) in enumerate(list(built.weights.items())):
        progress(name, done, len(built.weights))
        matrices.add(checkpoint, weight, name)
    matrices.finish(str(checkpoint.path))
    built.check()
    stages = run_passes(built, matrices.target)
    image, layers, shared = memory.place()
    container = Container(
        config=config,
        graph=stages["fuse"],
        facts=facts.summary(),
        host=matrices.host,
        layers=layers,
        image=image,
        tensors=matrices.tensors,
        **shared,
    )
    container.check()
    return container, stages
