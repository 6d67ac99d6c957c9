"""What a checkpoint holds, what of it a core takes, and what that costs; from its headers alone."""

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lutcore.compiler.graph.build import describe
from lutcore.compiler.importers.base import Facts
from lutcore.compiler.importers.checkpoint import Checkpoint, open_checkpoint
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search, shape_problem
from lutcore.compiler.weights.pack import check_size
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core


@dataclass(frozen=True)
class Cost:
    """Cost of a matrix on a core for some rows of activations.

    ``packed_bytes`` are weights and scale records; ``slices`` weight slices that the tiles take,
    ``cycles`` what the cycle model says of the whole program.
    """

    packed_bytes: int
    slices: int
    cycles: int


@dataclass(frozen=True)
class TensorReport:
    """A tensor of a checkpoint.

    Attributes
    ----------
    matrices : int
        1, or how many there are in a stack.
    problem : str or None
        Why it is not read as a quantised matrix, or not taken by the core, and the remedy.
    host : str or None
        What of it the host computes.
    cost : Cost or None
        Of each matrix, where a core was given and takes it.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    bits: int | None
    group_size: int | None
    matrices: int
    nbytes: int | None
    problem: str | None
    host: str | None
    cost: Cost | None

    @property
    def supported(self) -> bool:
        """Whether it is read as a quantised matrix and, where a core was given, taken by it."""
        return self.problem is None


@dataclass(frozen=True)
class NetworkReport:
    """What compile makes of all that a checkpoint says.

    Attributes
    ----------
    problem : str or None
        Why the network is refused.
    used : list of str
        Keys and tensors that make the network what it is.
    harmless : dict of str to str
        Those that change nothing, and why.
    unknown : dict of str to str
        Those that are not understood, and what they say.
    """

    problem: str | None
    used: list[str] = field(default_factory=list)
    harmless: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointReport:
    """All tensors of a checkpoint; totals count each matrix of supported tensors once."""

    path: str
    architecture: str | None
    core: str | None
    rows: int
    tensors: list[TensorReport]
    network: NetworkReport

    def total(self, field: str) -> int:
        """Sum of a field of the costs."""
        return sum(
            getattr(tensor.cost, field) * tensor.matrices for tensor in self.tensors if tensor.cost
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        values = asdict(self)
        for tensor, report in zip(values["tensors"], self.tensors, strict=True):
            tensor["supported"] = report.supported
        counted = [tensor for tensor in self.tensors if tensor.supported]
        values["totals"] = {
            "tensors": len(self.tensors),
            "supported": len(counted),
            "bytes": sum(tensor.nbytes or 0 for tensor in self.tensors),
            "supported_bytes": sum(tensor.nbytes or 0 for tensor in counted),
        }
        if self.core:
            costs = ("packed_bytes", "slices", "cycles")
            values["totals"] |= {field: self.total(field) for field in costs}
        return values


_MEMORY = Memory()


@cache
def cost_of(
    config: CoreConfig,
    rows: int,
    shape: tuple[int, int],
    bits: int,
    group_size: int,
    scales: str,
    memory: Memory = _MEMORY,
) -> Cost:
    """Cost of a matrix [N, K] for ``rows`` rows of activations, by default in the default memory.

    Raises
    ------
    InputError
        The core's buffers do not hold it.
    """
    groups = group_size if group_size < shape[1] else 0
    problem = shape_problem(config, (rows, *shape), bits, groups, memory, scales=scales)
    layout = problem.layout
    best = search(problem)[0]
    steps = sum(layout.steps(run) for run in layout.runs)
    slices = -(-rows // config.m) * problem.tiles * steps * layout.planes
    return Cost(layout.weights(problem.tiles) + layout.scales(problem.tiles), slices, best.time)


def _report(
    checkpoint: Checkpoint, name: str, config: CoreConfig | None, rows: int
) -> TensorReport:
    whole = checkpoint.facts(name)
    stack = len(whole.shape) == 3 and whole.bits is not None
    facts = checkpoint.facts(f"{name}[0]") if stack else whole
    problem, cost = facts.problem, None
    if config is not None and problem is None:
        try:
            cost = _cost(config, name, facts, rows)
        except InputError as error:
            problem = str(error).removeprefix(f"tensor {name!r} ")
    return TensorReport(
        name=name,
        kind=whole.kind,
        shape=whole.shape,
        bits=whole.bits,
        group_size=whole.group_size,
        matrices=whole.shape[0] if stack else 1,
        nbytes=whole.nbytes,
        problem=problem,
        host="minimums times row sums" if facts.minimums and problem is None else None,
        cost=cost,
    )


def check_taken(config: CoreConfig, name: str, bits: int, k: int) -> None:
    """See that a core takes rows of K codes of b bits.

    Raises
    ------
    InputError
        It does not; the text says which field to set.
    """
    check_size(config, name, bits, k)
    if config.weight_coding == "ternary" and bits != 2:
        raise InputError("is not ternary: set weight_coding=binary")


def _cost(config: CoreConfig, name: str, facts: Facts, rows: int) -> Cost:
    n, k = facts.shape
    bits, group_size = facts.bits or 0, facts.group_size or k
    check_taken(config, name, bits, k)
    return cost_of(config, rows, (n, k), bits, group_size, facts.scales)


def inspect(
    path: Path, config: CoreConfig | None = None, rows: int = 1, gptq_version: int | None = None
) -> CheckpointReport:
    """Report on a checkpoint, and on its cost on a core.

    Parameters
    ----------
    rows : int
        Rows of activations that costs are for.

    Raises
    ------
    InputError
        The checkpoint cannot be opened, or the configuration is no core.
    """
    if config is not None:
        check_core(config)
    checkpoint = open_checkpoint(path, gptq_version)
    named = checkpoint.metadata.get("general.architecture") or checkpoint.metadata.get("model_type")
    return CheckpointReport(
        path=str(path),
        architecture=named if isinstance(named, str) else None,
        core=config.name if config else None,
        rows=rows,
        tensors=[_report(checkpoint, name, config, rows) for name in checkpoint.names()],
        network=_network(checkpoint),
    )


def _network(checkpoint: Checkpoint) -> NetworkReport:
    try:
        _, account = describe(checkpoint)
    except InputError as error:
        return NetworkReport(str(error).removeprefix(f"{checkpoint.path}: "))
    problem = f"{len(account.unknown)} not understood" if account.unknown else None
    return NetworkReport(problem, account.used, account.harmless, account.unknown)
