"""Some cases of one configuration, played into its tile in one simulation: a worker's share."""

import functools
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import HostError, InputError, ToolError
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.experiments.point import Question
from lutcore.gen.verify.tile_cases import TileCase, draw, rate_problem
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.coverage import tile as coverage
from lutcore.verif.coverage.code import read_coverage
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.native_tile import NativeTile
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build, tool_versions

#: Simulations of smaller cases, at most, until the smallest that still fails is reported; each
#: plays all that are one change smaller.
_TRIES = 12
#: Plays in a harness without Python, at most, until the same.
_PLAYS = 300


@dataclass(frozen=True)
class Batch(Question):
    """Cases that are played one after the other, each after a reset.

    Attributes
    ----------
    config : CoreConfig
    cases : tuple of (str, int)
        Test and seed of each.
    simulator : str
        ``verilator`` or ``icarus``.
    lines : bool
        Count lines and toggles, too.
    """

    config: CoreConfig
    cases: tuple[tuple[str, int], ...]
    simulator: str = "verilator"
    lines: bool = False

    @functools.cached_property
    def key(self) -> str:
        """Digest of configuration, cases, sources and tools."""
        return cache.key(__name__, json.dumps(self.facts(), sort_keys=True), *tool_versions())

    def facts(self) -> dict[str, Any]:
        """What is asked, as plain values."""
        cases = [list(case) for case in self.cases]
        asked = {"asked": cases, "simulator": self.simulator, "lines": self.lines}
        return {"config": self.config.to_dict(), **asked}


def play_cases(
    config: CoreConfig,
    cases: Sequence[TileCase],
    simulator: str = "verilator",
    coverage_to: Path | None = None,
) -> tuple[list[TileJob], list[dict[str, Any]]]:
    """Jobs and verdicts of cases; lines and toggles are counted into ``coverage_to``."""
    built = build(verilog(config), design_name(config), simulator, coverage=coverage_to is not None)
    jobs = [case.job(config) for case in cases]
    verdicts = run_jobs(built, config, jobs, coverage_to=coverage_to)
    for case, job, verdict in zip(cases, jobs, verdicts, strict=True):
        problem = "" if verdict["mismatches"] else rate_problem(config, case, job, verdict)
        if problem:
            verdict["mismatches"] += 1
            verdict["problems"].append(problem)
    return jobs, verdicts


def _hits(config: CoreConfig, case: TileCase, job: TileJob, verdict: dict[str, Any]) -> Any:
    """Group -> bins that were hit, each once a case."""
    found: dict[str, list[str]] = {}
    parts = (
        coverage.stimulated(config, job.layout, case.order),
        coverage.results_hit(config, job),
        coverage.happened(job, verdict),
    )
    for group, name in sorted({hit for part in parts for hit in part}):
        found.setdefault(group, []).append(name)
    return found


def measure(batch: Batch) -> dict[str, Any]:
    """Play a batch.

    Returns
    -------
    dict
        ``key``, facts, ``error`` (why it could not be played, or None), ``seconds``, and ``cases``,
        each with ``test``, ``seed``, ``case``, ``mismatches``, ``problems``, ``slices``,
        ``checked``, ``hits``; a case that fails has ``shortened`` too, and nothing was covered by
        it; of the others of the same test in the batch it stands for their cause. ``code`` is what
        lines and toggles were counted, if they were and no case failed.
    """
    began = time.monotonic()
    record = {"key": batch.key, **batch.facts(), "error": None, "cases": [], "code": None}
    try:
        with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
            counted = Path(scratch) / "coverage.dat" if batch.lines else None
            record["cases"] = _played(batch, counted)
            if counted and not any(outcome["mismatches"] for outcome in record["cases"]):
                record["code"] = read_coverage(counted).to_dict()
    except (InputError, ToolError) as error:
        record["error"] = str(error)
    except HostError:
        raise
    except Exception as error:  # one batch must not end the others
        record["error"] = f"{type(error).__name__}: {error}"
    return record | {"seconds": round(time.monotonic() - began, 3)}


def _played(batch: Batch, coverage_to: Path | None) -> list[dict[str, Any]]:
    config = batch.config
    cases = [draw(config, test, seed) for test, seed in batch.cases]
    jobs, verdicts = play_cases(config, cases, batch.simulator, coverage_to)
    found = []
    for (test, seed), case, job, verdict in zip(batch.cases, cases, jobs, verdicts, strict=True):
        outcome = {
            "test": test,
            "seed": seed,
            "case": case.to_text(),
            "mismatches": verdict["mismatches"],
            "problems": verdict["problems"][:5],
            "slices": job.slices,
            "checked": verdict.get("checked", 0),
            "hits": _hits(config, case, job, verdict) if not verdict["mismatches"] else {},
        }
        if verdict["mismatches"] and test not in {f["test"] for f in found if f["mismatches"]}:
            outcome["shortened"] = shortened(config, case, batch.simulator).to_text()
        found.append(outcome)
    return found


def shortened(config: CoreConfig, case: TileCase, simulator: str = "verilator") -> TileCase:
    """The smallest case that still fails, found in a bounded number of simulations."""
    if small := _shortened_in_a_harness(config, case):
        return small
    seen = {case}
    for _ in range(_TRIES):
        simpler = dict.fromkeys(case.smaller(config.weight_bits_range[0]))
        waiting = [found for found in simpler if found not in seen]
        if not waiting:
            break
        seen |= set(waiting)
        _, verdicts = play_cases(config, waiting, simulator)
        failing = [c for c, v in zip(waiting, verdicts, strict=True) if v["mismatches"]]
        if not failing:
            break
        case = failing[0]
    return case


def _shortened_in_a_harness(config: CoreConfig, case: TileCase) -> TileCase | None:
    """The same without Python in a cycle; None where the bench in cocotb alone sees it fail."""
    tile = NativeTile(config, verilog(config), design_name(config))

    def fails(some: TileCase) -> bool:
        return bool(tile.play([some.job(config)])[0].problem)

    if not fails(case):
        return None
    seen, small = {case}, case
    while len(seen) < _PLAYS:
        simpler = (c for c in small.smaller(config.weight_bits_range[0]) if c not in seen)
        found = next((c for c in simpler if not seen.add(c) and fails(c)), None)
        if found is None:
            break
        small = found
    _, (verdict,) = play_cases(config, [small])
    return small if verdict["mismatches"] else None


def play_case(
    config: CoreConfig, case: TileCase, waves: Path | None = None, force: bool = False
) -> dict[str, Any]:
    """The verdict of one case; a waveform goes to ``waves``, with the suffix of its format."""
    built = build(verilog(config), design_name(config), waves=waves is not None)
    dump = waves.with_suffix(f".{built.waves}") if waves else None
    (verdict,) = run_jobs(built, config, [case.job(config)], waves_to=dump, force=force)
    return verdict
