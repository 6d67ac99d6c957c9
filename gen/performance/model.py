"""Time, bytes and energy of a model on a system, operator by operator.

Linear layers on cores take what the cycle model says (:mod:`lutcore.compiler.schedule.cycles`),
each core its part of rows and columns; all else, and multipliers, are at their roofline: the longer
of operations over the peak and bytes over the bandwidth. Operators follow one another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

from lutcore.compiler.schedule.cycles import cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search, shape_problem
from lutcore.gen.performance.shapes import HALF, ModelShape, Operator, Phase, operators
from lutcore.gen.performance.system import System
from lutcore.hdl.config.core import CoreConfig

_SCALE = 2  # bytes


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
    bits: int,
    group_size: int,
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
    problem = shape_problem(config, own, bits, group_size, memory, "fp16")
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


def shared_bytes(system: System, shape: tuple[int, int, int]) -> int:
    """Bytes of a linear layer if all is read and written once: weights, scales, inputs, results."""
    m, n, k = shape
    groups = -(-k // system.group_size) if system.group_size else 1
    scales = _SCALE * n * groups if system.weight_bits < 16 else 0
    return (
        n * k * system.weight_bits // 8
        + scales
        + m * k * system.activation_bits // 8
        + HALF * m * n
    )


def _on_cores(system: System, config: CoreConfig, operator: Operator) -> dict[str, Any]:
    assert operator.shape
    found = part(
        config,
        operator.shape,
        system.weight_bits,
        system.group_size,
        system.memory,
        system.cores,
    )
    compute = found.cycles / (system.clock * 1e9)
    alone = system.cores == 1
    bytes_ = found.read + found.written if alone else shared_bytes(system, operator.shape)
    # A core that has the memory for itself waits for it within its cycles.
    memory = 0.0 if alone else system.seconds_of(bytes_)
    starved = ("memory" if alone else "bus") if found.starved else "compute"
    return {
        "cycles": found.cycles,
        "table_cycles": found.cycles - found.free,
        "cores": found.rows * found.columns,
        "compute_s": compute,
        "bytes": bytes_,
        "memory_s": memory,
        "bound": "memory" if memory > compute else starved,
    }


def estimate(model: ModelShape, phase: Phase, system: System) -> Iterator[dict[str, Any]]:
    """One row for each operator: all of its kind in the model together.

    Rows have ``operator``, ``count``, ``m``, ``n``, ``k``, ``operations``, ``bytes``, ``seconds``,
    ``bound`` (``compute``, ``memory``, or a core's ``bus``), ``intensity`` (operations a byte),
    ``rate`` (operations a second), ``energy_j`` of a linear layer where an operation's is known; on
    cores also ``cycles`` of one layer, ``table_cycles`` of them that tables cost, ``cores`` that
    are busy.

    Raises
    ------
    InputError
        A core's buffers cannot hold a layer.
    """
    for operator in operators(model, phase):
        if operator.shape and system.config:
            row = _on_cores(system, system.config, operator)
        else:
            peak = system.operations if operator.shape else system.host * 1e12
            bytes_ = shared_bytes(system, operator.shape) if operator.shape else operator.bytes
            row = {
                "compute_s": operator.operations / peak,
                "bytes": bytes_,
                "memory_s": system.seconds_of(bytes_),
            }
            row["bound"] = "memory" if row["memory_s"] > row["compute_s"] else "compute"
        m, n, k = operator.shape or (None, None, None)
        seconds = max(row["compute_s"], row["memory_s"])
        products = operator.operations / 2
        energy = system.energy if operator.shape else None
        count = operator.count
        row |= {
            "operator": operator.name,
            "count": count,
            "m": m,
            "n": n,
            "k": k,
            "source": operator.source,
            "operations": count * operator.operations,
            "bytes": count * row["bytes"],
            "seconds": count * seconds,
            "intensity": operator.operations / row["bytes"],
            "rate": operator.operations / seconds,
            "energy_j": count * products * energy.femtojoules * 1e-15 if energy else None,
        }
        yield row


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over operators."""
    energies = [row["energy_j"] for row in rows if row["m"]]
    linear = [row for row in rows if row["m"]]
    return {
        "seconds": sum(row["seconds"] for row in rows),
        "linear_s": sum(row["seconds"] for row in linear),
        "host_s": sum(row["seconds"] for row in rows if not row["m"]),
        "bytes": sum(row["bytes"] for row in rows),
        "operations": sum(row["operations"] for row in rows),
        "linear_energy_j": sum(energies) if None not in energies else None,
    }
