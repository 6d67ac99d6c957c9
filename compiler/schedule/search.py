"""The choice of a schedule: of all ways to cut a problem, by the cycle model.

Of all whose cycles are within :data:`NEAR` of the fewest, the one that reads the fewest bytes; of
equals the smallest blocks. So a hundredth of the time never costs a multiple of the traffic.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from lutcore.compiler.program.cuts import Blocks, Layout, blockings, up, widths
from lutcore.compiler.program.emit import Writer
from lutcore.compiler.program.program import OUTPUT_BYTES
from lutcore.compiler.schedule.cycles import Cycles, cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.weights.pack import cut_steps
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ACCUMULATORS, OUTPUTS, SCALES

#: Cycles, over the fewest, that count as equal.
NEAR = 1.01
#: How close to its limit a choice may be for the search to end: the others can win no more.
_CLOSE = 1.001


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An mpGEMM to be scheduled.

    Attributes
    ----------
    layout : Layout
    m, n : int
    options : dict of str to int
        Operands that all instructions share (:class:`~lutcore.compiler.program.emit.Writer`).
    memory : Memory
    """

    layout: Layout
    m: int
    n: int
    options: dict[str, int]
    memory: Memory

    @property
    def config(self) -> CoreConfig:
        """The core."""
        return self.layout.config

    @property
    def tiles(self) -> int:
        """Column tiles."""
        return -(-self.n // self.config.columns)

    def words(self, blocks: Blocks) -> list[int]:
        """Instructions, as if each region of memory stood at address 0: time is the same."""
        names = ("weights", "scales", "activations", "outputs")
        places: dict[str, int] = dict.fromkeys(names, 0)
        return Writer(self.layout, blocks, self.options).write(self.m, self.n, places)


def shared_operands(
    layout: Layout, n: int, bits: int, output: str, scales: str, zero: int = 0
) -> dict[str, int]:
    """Operands that all instructions of a problem share
    (:class:`~lutcore.compiler.program.emit.Writer`).

    Parameters
    ----------
    bits : int
        Of the weight codes.
    output : str
        Type of the results (:data:`~lutcore.hdl.isa.lmma.OUTPUTS`).
    scales : str
        Format of scale records (:data:`~lutcore.hdl.isa.lmma.SCALES`).
    zero : int
        Zero point, where records have none.
    """
    size = OUTPUT_BYTES[output]
    return {
        "bits": bits,
        "accumulator": ACCUMULATORS.index("int32" if output == "int32" else "fp32"),
        "scales": tuple(SCALES).index(scales),
        "zero": zero,
        "type": OUTPUTS.index(output),
        "size": size,
        "pitch": up(n * size, layout.units.bus),
    }


def shape_problem(
    config: CoreConfig,
    shape: tuple[int, int, int],
    bits: int,
    group_size: int,
    memory: Memory,
    output: str = "fp32",
    scales: str = "fp16",
) -> Problem:
    """The problem of a shape M, N, K without weights, with records of ``scales``.

    ``group_size`` 0: one scale a row.
    """
    m, n, k = shape
    steps = cut_steps(config, k, group_size or k)
    layout = Layout.of(config, bits, steps, k, scales, shared=not group_size)
    options = shared_operands(layout, n, bits, output, scales)
    return Problem(layout=layout, m=m, n=n, options=options, memory=memory)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to cut a problem.

    Attributes
    ----------
    blocks : Blocks
    read, written : int
        Bytes from and to memory, the program left out.
    limit : int
        Cycles that it cannot be below: its slices, or its words on the bus.
    cycles : Cycles or None
        What the cycle model says; None where ``limit`` ruled it out.
    """

    blocks: Blocks
    read: int
    written: int
    limit: int
    cycles: Cycles | None = None

    @property
    def time(self) -> int:
        """Cycles, or the least that it can be."""
        return self.cycles.cycles if self.cycles else self.limit

    def facts(self) -> dict[str, Any]:
        """What a reader wants to know, as plain values."""
        blocks = self.blocks
        return {
            "outermost": blocks.order,
            "rows": blocks.rows,
            "column_tiles": blocks.tiles,
            "kept": blocks.kept,
            "runs_buffered": blocks.stages,
            "blocks_buffered": blocks.slots,
            "bytes_read": self.read,
            "bytes_written": self.written,
            "limit": self.limit,
            "cycles": self.cycles.cycles if self.cycles else None,
        }


def _candidate(problem: Problem, blocks: Blocks) -> Candidate:
    layout, config, m = problem.layout, problem.config, problem.m
    bus = layout.units.bus
    row_blocks, column_blocks = -(-m // blocks.rows), -(-problem.tiles // blocks.tiles)
    whole, rest = divmod(problem.tiles, blocks.tiles)
    stored = layout.weights(problem.tiles) + whole * layout.scales(blocks.tiles)
    stored += layout.scales(rest) if rest else 0
    activations = m * layout.act_pitch * (1 if blocks.kept == "activations" else column_blocks)
    read = activations + stored * (1 if blocks.kept == "weights" else row_blocks)
    written = m * problem.n * problem.options["size"]
    tables = m // blocks.rows * -(-blocks.rows // config.m) + -(-(m % blocks.rows) // config.m)
    steps = sum(layout.steps(run) for run in layout.runs)
    limit = max(
        tables * problem.tiles * steps * layout.planes,
        problem.memory.span(read // bus),
        problem.memory.span(written // bus),
    )
    return Candidate(blocks=blocks, read=read, written=written, limit=limit)


def _timed(problem: Problem, candidate: Candidate) -> Candidate:
    found = cycles(problem.config, problem.words(candidate.blocks), problem.memory)
    return replace(candidate, cycles=found)


def _rank(candidate: Candidate) -> tuple:
    blocks = candidate.blocks
    return candidate.time, candidate.read, blocks.rows, blocks.tiles, blocks.order, blocks.resident


def _best(timed: Sequence[Candidate]) -> Candidate:
    least = min(candidate.time for candidate in timed)
    near = [candidate for candidate in timed if candidate.time <= least * NEAR]
    return min(near, key=lambda candidate: (candidate.read, _rank(candidate)))


def _may_win(candidate: Candidate, timed: Sequence[Candidate]) -> bool:
    """Whether its limit leaves it a chance to be faster, or as good and leaner."""
    if not timed:
        return True
    least = min(other.time for other in timed)
    leaner = candidate.read < _best(timed).read and candidate.limit <= least * NEAR
    return leaner or candidate.limit * _CLOSE < least


def candidates(problem: Problem, width: int | None = None) -> Iterator[Candidate]:
    """All that the buffers and the program buffer hold, the lowest limit first, not timed."""
    sizes = [width] if width else widths(problem.layout, problem.tiles)
    found = blockings(problem.layout, problem.m, problem.tiles, sizes)
    for candidate in sorted((_candidate(problem, blocks) for blocks in found), key=_rank):
        if len(problem.words(candidate.blocks)) <= problem.config.program_buffer:
            yield candidate


def search(problem: Problem, width: int | None = None, exhaustive: bool = False) -> list[Candidate]:
    """Candidates, the best first.

    Parameters
    ----------
    width : int, optional
        Fixes their column tiles: weights that are laid out already serve another problem.
    exhaustive : bool
        Time all of them, instead of those that can still win.

    Raises
    ------
    InputError
        The buffers hold none.
    """
    timed: list[Candidate] = []
    others: list[Candidate] = []
    for candidate in candidates(problem, width):
        if exhaustive or _may_win(candidate, timed):
            timed.append(_timed(problem, candidate))
        else:
            others.append(candidate)
    if not timed:
        raise InputError(_refusal(problem, width))
    best = _best(timed)
    return [best, *sorted((c for c in timed if c is not best), key=_rank), *others]


@lru_cache(maxsize=4096)
def _chosen(
    layout: Layout,
    m: int,
    n: int,
    options: tuple[tuple[str, int], ...],
    memory: Memory,
    width: int | None,
) -> Blocks:
    problem = Problem(layout=layout, m=m, n=n, options=dict(options), memory=memory)
    return search(problem, width)[0].blocks


def choose(problem: Problem, width: int | None = None) -> Blocks:
    """The blocks of the fewest cycles; equal problems are searched once.

    Raises
    ------
    InputError
        The buffers hold none.
    """
    options = tuple(sorted(problem.options.items()))
    return _chosen(problem.layout, problem.m, problem.n, options, problem.memory, width)


def _refusal(problem: Problem, width: int | None) -> str:
    config, layout = problem.config, problem.layout
    sizes = [width] if width else widths(layout, problem.tiles)
    held = list(blockings(layout, problem.m, problem.tiles, sizes))
    if held:
        least = min(len(problem.words(blocks)) for blocks in held)
        return (
            f"the program has {least} instructions, {config.name} holds "
            f"{config.program_buffer}: set program_buffer"
        )
    stages, slots = layout.ring(1, 1, "nothing"), config.output_buffer // layout.acc(1, 1)
    return (
        f"{config.name} cannot hold two runs of one row and {config.columns} columns: its "
        f"buffers hold {stages} and {slots} blocks of sums: enlarge them, or shorten group_size"
    )
