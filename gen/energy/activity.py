"""How often each net of a mapped netlist toggles: gate-level simulation in the tile's own bench."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.errors import ToolError
from lutcore.gen.energy.bench import RECORD, Bench
from lutcore.gen.energy.gates import Gates
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build


@dataclass(frozen=True)
class Activity:
    """What was counted while the tile ran without a stall of its streams.

    Attributes
    ----------
    cycles, slices : int
        Clock cycles counted, and weight slices taken in them.
    toggles, highs : dict
        Net -> changes from one cycle to the next, and cycles in which it was 1.
    """

    cycles: int
    slices: int
    toggles: dict[int, int]
    highs: dict[int, int]


def measure_activity(config: CoreConfig, gates: Gates, jobs: Sequence[TileJob]) -> Activity:
    """Play jobs into the gates, hold their results against the golden model, and count.

    Raises
    ------
    ToolError
        A result is wrong, or the simulation failed.
    """
    bench = Bench(gates)
    built = build(bench.verilog(), gates.top, optimised=False)
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        record = Path(scratch) / RECORD
        verdicts = run_jobs(built, config, jobs, waves_to=record)
        wrong = [problem for verdict in verdicts for problem in verdict["problems"]]
        if wrong or any(verdict["mismatches"] for verdict in verdicts):
            raise ToolError(f"the netlist of {gates.top} computes wrong results: {wrong[:1]}")
        counts = [int(line, 16) for line in record.read_text().split("\n") if line[:1].isalnum()]
    if not counts[1]:
        raise ToolError(f"the simulation of {gates.top} counted nothing: too few slices")
    places = bench.counters()
    return Activity(
        cycles=counts[0],
        slices=counts[1],
        toggles={net: counts[2 * place + 2] for net, place in places.items()},
        highs={net: counts[2 * place + 3] for net, place in places.items()},
    )


def mean_toggles(activity: Activity) -> float:
    """Mean toggles of a net in a cycle."""
    return float(np.mean(list(activity.toggles.values()))) / activity.cycles
