"""The program of one matrix: what ``lutcore matrix compile`` makes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lutcore.compiler.lowering.gemm import placed, plan, refuse_minimums
from lutcore.compiler.program.program import Program
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig


@dataclass(frozen=True)
class Compiled:
    """A program, the shape of its product, and the ways to cut it that were looked at.

    Attributes
    ----------
    program : Program
    shape : (int, int, int)
        M, N, K.
    schedules : list of dict
        Facts of each way, the chosen one first; empty unless they were asked for.
    """

    program: Program
    shape: tuple[int, int, int]
    schedules: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """What a reader wants to know, as plain values."""
        m, n, k = self.shape
        counts = {"instructions": len(self.program.words), "bytes": self.program.memory.size}
        return {"m": m, "n": n, "k": k} | counts | {"schedules": self.schedules}

    def words(self) -> str:
        """The same in a few words."""
        m, n, k = self.shape
        size = self.program.memory.size / 1024
        return (
            f"M {m}, N {n}, K {k}, {len(self.program.words)} instructions, {size:.0f} KiB of memory"
        )


def compile_matrix(
    config: CoreConfig,
    weights: QuantTensor,
    activations: np.ndarray,
    result: str = "fp32",
    latency: int = 20,
    explain: bool = False,
) -> Compiled:
    """Compile ``A W^T`` of weights [N, K] and activations [M, K] to a program of a core.

    Parameters
    ----------
    result : str
        Type of the outputs.
    latency : int
        Cycles of the memory's latency that blocks are cut for.
    explain : bool
        Look at all ways to cut it.

    Raises
    ------
    InputError
        The core cannot hold it, or the weights have minimums.
    """
    refuse_minimums(weights)
    memory = Memory(latency=latency)
    planned = plan(config, weights, len(activations), result, memory)
    ways = search(planned.problem(memory), exhaustive=True) if explain else []
    shape = (len(activations), *weights.shape)
    return Compiled(placed(planned, activations), shape, [way.facts() for way in ways])
