"""Time, bytes and energy of a model on a system, operator by operator.

Linear layers on cores take what the cycle model says (:mod:`lutcore.compiler.schedule.cycles`),
each core its part of rows and columns; all else, and multipliers, are at their roofline: the longer
of operations over the peak and bytes over the bandwidth. Operators follow one another. Matrices of
a checkpoint have their own formats; those that a core does not take are multiplied on the host.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

from lutcore.compiler.inspection import check_taken
from lutcore.compiler.program.program import OUTPUT_BYTES
from lutcore.compiler.schedule.cycles import cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search, shape_problem
from lutcore.errors import InputError
from lutcore.gen.performance.matrices import Matrix
from lutcore.gen.performance.shapes import HALF, ModelShape, Operator, Phase, operators
from lutcore.gen.performance.system import System
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import SCALES


@dataclass(frozen=True)
class Format:
    """Formats of a linear layer.

    Attributes
    ----------
    bits, group_size : int
        Of the weights; ``group_size`` 0 is one scale a row.
    scales, output : str
        Of scale records, and of results.
    """

    bits: int
    group_size: int
    scales: str = "fp16"
    output: str = "fp16"


def format_of(system: System, matrix: Matrix | None) -> Format:
    """What a matrix says, with results as in compiled networks; else what the system says."""
    if matrix is None:
        return Format(system.weight_bits, system.group_size)
    return Format(matrix.bits, matrix.group_size, matrix.scales, "fp32")


@dataclass(frozen=True)
class CorePart:
    """The largest part of a linear layer that one core computes.

    Attributes
    ----------
    rows, columns : int
        Parts that M and N are cut into: so many cores are busy.
    cycles, free : int
        Of the largest part; and were tables built in one cycle a run.
    read, written : int
        Bytes of it between core and memory, or what the cores share.
    starved : bool
        Its words on the bus take longer than its weight slices.
    """

    rows: int
    columns: int
    cycles: int
    free: int
    read: int
    written: int
    starved: bool


def _grid(config: CoreConfig, shape: tuple[int, int, int], cores: int) -> tuple[int, int]:
    """Parts of M and N: the least work of a core, of equals the squarest part."""
    m, n, _ = shape
    tiles, blocks = -(-n // config.columns), -(-m // config.m)
    best = None
    for rows in range(1, min(cores, blocks) + 1):
        columns = min(cores // rows, tiles)
        height, width = -(-blocks // rows), -(-tiles // columns)
        rank = (height * width, height * config.m + width * config.columns)
        if best is None or rank < best[0]:
            best = (rank, (-(-blocks // height), -(-tiles // width)))
    assert best
    return best[1]


@lru_cache(maxsize=4096)
def part(
    config: CoreConfig,
    shape: tuple[int, int, int],
    form: Format,
    memory: Memory,
    cores: int,
) -> CorePart:
    """How a linear layer M, N, K is spread over cores, and what that takes.

    Raises
    ------
    InputError
        The core's buffers cannot hold it.
    """
    m, n, k = shape
    rows, columns = _grid(config, shape, cores)
    # Parts are whole blocks of rows and whole column tiles.
    height = -(-ceil(m / config.m) // rows) * config.m
    width = -(-ceil(n / config.columns) // columns) * config.columns
    own = (min(m, height), min(n, width), k)
    problem = shape_problem(
        config, own, form.bits, form.group_size, memory, form.output, form.scales
    )
    best = search(problem)[0]
    assert best.cycles
    free = cycles(config, problem.words(best.blocks), memory, free_tables=True)
    return CorePart(
        rows=rows,
        columns=columns,
        cycles=best.cycles.cycles,
        free=free.cycles,
        read=best.read,
        written=best.written,
        starved=best.limit > best.cycles.slices,
    )


def shared_bytes(system: System, shape: tuple[int, int, int], form: Format | None = None) -> int:
    """Bytes of a linear layer if all is read and written once: weights, scales, inputs, results.

    ``form`` is by default what the system says.
    """
    m, n, k = shape
    form = form or format_of(system, None)
    groups = -(-k // form.group_size) if form.group_size else 1
    scales = SCALES[form.scales].size * n * groups if form.bits < 16 else 0
    return (
        n * k * form.bits // 8
        + scales
        + m * k * system.activation_bits // 8
        + OUTPUT_BYTES[form.output] * m * n
    )


def _on_cores(system: System, config: CoreConfig, operator: Operator) -> dict[str, Any]:
    assert operator.shape
    form = format_of(system, operator.matrix)
    found = part(config, operator.shape, form, system.memory, system.cores)
    compute = found.cycles / (system.clock * 1e9)
    alone = system.cores == 1
    bytes_ = found.read + found.written if alone else shared_bytes(system, operator.shape, form)
    # A core that has the memory for itself waits for it within its cycles.
    memory = 0.0 if alone else system.seconds_of(bytes_)
    starved = ("memory" if alone else "bus") if found.starved else "compute"
    return {
        "where": "core",
        "cycles": found.cycles,
        "table_cycles": found.cycles - found.free,
        "cores": found.rows * found.columns,
        "compute_s": compute,
        "bytes": bytes_,
        "memory_s": memory,
        "bound": "memory" if memory > compute else starved,
    }


def _roofline(system: System, operator: Operator, peak: float, bytes_: int) -> dict[str, Any]:
    compute, memory = operator.operations / peak, system.seconds_of(bytes_)
    return {
        "compute_s": compute,
        "bytes": bytes_,
        "memory_s": memory,
        "bound": "memory" if memory > compute else "compute",
    }


def _on_host(system: System, operator: Operator) -> dict[str, Any]:
    """All but linear layers, and matrices that no core takes, read as they stand in the file."""
    bytes_ = operator.bytes
    if operator.shape:
        m, n, k = operator.shape
        stored = operator.matrix.nbytes if operator.matrix else None
        bytes_ = (HALF * n * k if stored is None else stored) + HALF * m * (n + k)
    return {"where": "host"} | _roofline(system, operator, system.host * 1e12, bytes_)


def _linear(system: System, operator: Operator) -> dict[str, Any]:
    """A linear layer, where it is computed."""
    assert operator.shape
    config, matrix = system.config, operator.matrix
    if config is None:
        bytes_ = shared_bytes(system, operator.shape)
        row = _roofline(system, operator, system.operations, bytes_)
        return {"where": "multipliers"} | row
    if matrix is None:
        return _on_cores(system, config, operator)
    problem = matrix.problem
    if problem is None:
        try:
            check_taken(config, matrix.tensor, matrix.bits, matrix.k)
            return _on_cores(system, config, operator)
        except InputError as error:
            problem = str(error).removeprefix(f"tensor {matrix.tensor!r} ")
    return _on_host(system, operator) | {"problem": problem}


def _minimums(added: list[Operator], activation_bits: int) -> Operator:
    """What the host adds to cores' results: each group's minimum times its sum of activations."""
    operations = bytes_ = 0
    for operator in added:
        assert operator.shape and operator.matrix
        (m, n, k), groups = operator.shape, operator.matrix.groups
        operations += operator.count * m * (2 * n * groups + k)
        read = HALF * (n * groups + m * n) + m * k * activation_bits // 8
        bytes_ += operator.count * (read + HALF * m * n)
    return Operator(name="minimums", count=1, operations=round(operations), bytes=round(bytes_))


def _row(system: System, operator: Operator) -> dict[str, Any]:
    """A row of :func:`estimate`."""
    row = _linear(system, operator) if operator.shape else _on_host(system, operator)
    m, n, k = operator.shape or (None, None, None)
    matrix, count = operator.matrix, operator.count
    seconds = max(row["compute_s"], row["memory_s"])
    products = operator.operations / 2
    known = operator.shape and row["where"] != "host"
    energy = system.energy_of(matrix.bits if matrix else None) if known else None
    about = {} if matrix is None else {"tensor": matrix.tensor, "kind": matrix.kind}
    bits = matrix.bits or None if matrix else system.weight_bits
    return row | {
        "operator": operator.name,
        "count": count,
        "m": m,
        "n": n,
        "k": k,
        "source": operator.source,
        **about,
        "bits": bits if operator.shape else None,
        "operations": count * operator.operations,
        "bytes": count * row["bytes"],
        "seconds": count * seconds,
        "intensity": operator.operations / row["bytes"],
        "rate": operator.operations / seconds,
        "energy_j": count * products * energy.femtojoules * 1e-15 if energy else None,
    }


def estimate(model: ModelShape, phase: Phase, system: System) -> Iterator[dict[str, Any]]:
    """One row for each operator: all of its kind in the model together.

    Rows have ``operator``, ``count``, ``m``, ``n``, ``k``, ``operations``, ``bytes``, ``seconds``,
    ``where`` (``core``, ``host``, ``multipliers``), ``bound`` (``compute``, ``memory``, or a core's
    ``bus``), ``intensity`` (operations a byte), ``rate`` (operations a second), ``bits`` of a
    linear layer's weights, ``energy_j`` of it where an operation's is known; on cores also
    ``cycles`` of one layer, ``table_cycles`` of them that tables cost, ``cores`` that are busy.
    Those of a checkpoint's matrices have ``tensor``, the first of them, ``kind``, and ``problem``
    where it keeps them from a core.

    Raises
    ------
    InputError
        A core's buffers cannot hold a layer of a shape; a checkpoint's goes to the host then.
    """
    added: list[Operator] = []
    for operator in operators(model, phase):
        row = _row(system, operator)
        yield row
        if operator.matrix and operator.matrix.minimums and row["where"] == "core":
            added.append(operator)
    if added:
        yield _row(system, _minimums(added, system.activation_bits))


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over operators; linear layers that the host computes are the host's."""
    linear = [row for row in rows if row["where"] != "host"]
    energies = [row["energy_j"] for row in linear]
    return {
        "seconds": sum(row["seconds"] for row in rows),
        "linear_s": sum(row["seconds"] for row in linear),
        "host_s": sum(row["seconds"] for row in rows if row["where"] == "host"),
        "bytes": sum(row["bytes"] for row in rows),
        "operations": sum(row["operations"] for row in rows),
        "linear_energy_j": sum(energies) if None not in energies else None,
    }
