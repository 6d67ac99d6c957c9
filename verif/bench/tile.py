"""cocotb test of the tile: plays jobs into the streams and judges what comes out.

Environment: ``LUTCORE_JOBS`` names a JSON file ``{"config": ..., "jobs": [npz, ...]}``; verdicts
go to ``LUTCORE_VERDICTS``. Where it has ``"received": [npz, ...]``, the fields of each job's result
beats go there.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.bench.scoreboard import judge
from lutcore.verif.bench.streams import ProtocolError, StreamDriver, StreamMonitor
from lutcore.verif.sim.job import longest_work

#: Cycles without any transfer after which a job is given up, besides those that the tile works on a
#: run; and which must pass without a result after the last one before the tile counts as silent.
PATIENCE = 2000
SILENCE = 8


def _words(packed: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _part(job: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: job[name] for name in job if name.startswith(prefix)}


def _never_taken(drivers: Iterable[StreamDriver]) -> list[str]:
    return [f"{d.left} beats of {d.name} were never taken" for d in drivers if d.left]


def _first(part: dict[str, np.ndarray], beats: int) -> dict[str, np.ndarray]:
    return {name: values[:beats] for name, values in part.items()}


async def _reset(dut: Any, cycles: int = 3) -> None:
    dut.rst.value = 1
    for _ in range(cycles):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


@dataclass
class Run:
    """When things happened in one job, in cycles from its start, counted from 1."""

    first_slice: int = 0
    last_slice: int = 0
    last_result: int = 0
    problems: list[str] = field(default_factory=list)


async def _run(
    dut: Any,
    drivers: dict[str, StreamDriver],
    monitor: StreamMonitor,
    beats: int,
    patience: int,
    most: int,
) -> Run:
    """Move all streams until ``beats`` results came and silence after them, or patience ends."""
    streams = [*drivers.values(), monitor]
    slices = streams.index(drivers["weights"])
    run, cycle, idle = Run(), 0, 0
    while True:
        await FallingEdge(dut.clk)
        for stream in streams:
            stream.drive()
        await ReadOnly()
        cycle += 1
        try:
            moved = [stream.sample() for stream in streams]
        except ProtocolError as error:
            run.problems.append(str(error))
            return run
        if moved[slices]:
            run.first_slice = run.first_slice or cycle
            run.last_slice = cycle
        if moved[-1]:
            run.last_result = cycle
        idle = 0 if any(moved) else idle + 1
        complete = len(monitor.words) >= beats and not any(d.left for d in drivers.values())
        if idle >= (SILENCE if complete else patience) or cycle == most:
            return run


async def play(
    dut: Any, config: CoreConfig, job: dict[str, Any], most: int = 0
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run one job; returns its verdict with cycle counts, and the fields that were received.

    With ``most`` it is left after so many cycles: what has come by then must be right.
    """
    options = json.loads(str(job["options"]))
    stalls, seed = options["stalls"], str(options["seed"])
    stalls["tables"] = stalls["activations"]
    drivers = {
        name: StreamDriver(dut, name, _words(words), stalls[name], seed)
        for name, words in _part(job, "in_").items()
    }
    expected, counts = _part(job, "out_"), _part(job, "check_")
    monitor = StreamMonitor(dut, "results", stalls["results"], seed)
    patience = PATIENCE + longest_work(config)
    run = await _run(dut, drivers, monitor, len(expected["last"]), patience, most)
    problems = run.problems
    seen = {stream.name: sorted(stream.seen) for stream in (*drivers.values(), monitor)}
    facts: dict[str, Any] = {"slices": drivers["weights"].sent, "streams": seen, "beats": 0}
    if most and not monitor.words:
        return facts | {"mismatches": len(problems), "problems": problems}, {}
    if most:
        expected, counts = (_first(part, len(monitor.words)) for part in (expected, counts))
    else:
        problems += _never_taken(drivers.values())
    verdict = judge(config, monitor.words, expected, counts)
    facts |= {
        "cycles": run.last_result - run.first_slice + 1,
        "issue_cycles": run.last_slice - run.first_slice + 1,
        "beats": verdict.beats,
        "checked": verdict.checked,
        "mismatches": verdict.mismatches + len(problems),
        "max_abs_error": verdict.max_abs_error,
        "problems": problems + verdict.problems,
    }
    return facts, verdict.received


@cocotb.test()
async def mpgemm(dut: Any) -> None:
    """Every job's results equal the golden model's, beat by beat."""
    plan = json.loads(Path(os.environ["LUTCORE_JOBS"]).read_text())
    config = CoreConfig.from_dict(plan["config"])
    dut.clk.value = 0
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    verdicts, received = [], []
    for path in plan["jobs"]:
        job = dict(np.load(path))
        await FallingEdge(dut.clk)
        await _reset(dut)
        before = []
        for cycle in json.loads(str(job["options"]))["resets"]:
            before.append((await play(dut, config, job, cycle))[0])
            await FallingEdge(dut.clk)
            await _reset(dut, 1)  # one must do: in more of them much settles by itself
        verdict, fields = await play(dut, config, job)
        verdict["resets"] = [(part["slices"], part["beats"]) for part in before]
        for part in before:
            verdict["mismatches"] += part["mismatches"]
            verdict["problems"] = part["problems"] + verdict["problems"]
        verdicts.append(verdict)
        received.append(fields)
    for path, fields in zip(plan.get("received", ()), received, strict=False):
        np.savez(path, **fields)
    Path(os.environ["LUTCORE_VERDICTS"]).write_text(json.dumps(verdicts))
    assert verdicts, "no job was run"
    wrong = {i: v["problems"][:3] for i, v in enumerate(verdicts) if v["mismatches"]}
    assert not wrong, f"jobs with mismatches: {wrong}"
