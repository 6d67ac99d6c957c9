"""Plays cases into a tile in cocotb, judges them, and makes those that fail smaller."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify.score import Score, mutate_tile
from lutcore.gen.verify.tile_source import PLANNED, AnyCase, PlannedTiles
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.coverage import tile as coverage
from lutcore.verif.coverage.bins import Hit
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.native_tile import NativeTile
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

#: Simulations of smaller cases, at most, until the smallest that still fails is reported; each
#: plays all that are one change smaller.
_TRIES = 12
#: Plays in a harness without Python, at most, until the same.
_PLAYS = 300


def play_cases(
    config: CoreConfig,
    cases: Sequence[AnyCase],
    simulator: str = "verilator",
    coverage_to: Path | None = None,
    waves: Path | None = None,
    force: bool = False,
    source: PlannedTiles = PLANNED,
    design: Callable[[CoreConfig], str] | None = None,
) -> tuple[list[TileJob], list[dict[str, Any]]]:
    """Jobs and verdicts of cases.

    They are played into what ``design`` makes of the configuration, the tile's Verilog by default.

    Lines and toggles are counted into ``coverage_to``; a waveform goes to ``waves``, with the
    suffix of its format, in place of somebody else's file only with ``force``. ``source`` is where
    the cases are from.
    """
    built = build(
        (design or verilog)(config),
        design_name(config),
        simulator,
        waves=waves is not None,
        coverage=coverage_to is not None,
    )
    jobs = [source.job(config, case) for case in cases]
    dump = waves.with_suffix(f".{built.waves}") if waves else None
    verdicts = run_jobs(
        built,
        config,
        jobs,
        waves_to=dump,
        received=source.judges,
        force=force,
        coverage_to=coverage_to,
    )
    for job, verdict in zip(jobs, verdicts, strict=True):
        late = "" if verdict["mismatches"] else rate_problem(config, job, verdict)
        disputed = source.problem(config, job, verdict.pop("received", None))
        for problem in filter(None, (late, disputed)):
            verdict["mismatches"] += 1
            verdict["problems"].insert(0, problem)
    return jobs, verdicts


def predicted(config: CoreConfig, test: str, seed: int, source: PlannedTiles = PLANNED) -> set[Hit]:
    """Bins that a case would hit, as far as they are known without simulation."""
    return _known(config, source.job(config, source.draw(config, test, seed)))


def length(config: CoreConfig, test: str, seed: int, source: PlannedTiles = PLANNED) -> int:
    """Slices of a case, about, times its attempts."""
    return source.draw(config, test, seed).length(config)


def _known(config: CoreConfig, job: TileJob) -> set[Hit]:
    hits = set(coverage.stimulated(config, job.layout, job.layout.order))
    return hits | set(coverage.results_hit(config, job))


def outcomes(
    config: CoreConfig,
    asked: Sequence[tuple[str, int]],
    simulator: str = "verilator",
    coverage_to: Path | None = None,
    source: PlannedTiles = PLANNED,
    design: Callable[[CoreConfig], str] | None = None,
) -> list[dict[str, Any]]:
    """What became of each test and seed (:func:`lutcore.gen.verify.batch.measure`).

    Cases that fail in a ``design`` of the caller's are not shortened.
    """
    cases = [source.draw(config, test, seed) for test, seed in asked]
    jobs, verdicts = play_cases(config, cases, simulator, coverage_to, source=source, design=design)
    found = []
    for (test, seed), case, job, verdict in zip(asked, cases, jobs, verdicts, strict=True):
        hits: set[Hit] = set()
        if not verdict["mismatches"]:
            hits = _known(config, job) | set(coverage.happened(job, verdict))
        outcome = {
            "test": test,
            "seed": seed,
            "case": case.to_text(),
            "mismatches": verdict["mismatches"],
            "problems": verdict["problems"][:5],
            "slices": job.slices,
            "checked": verdict.get("checked", 0),
            "hits": sorted(map(list, hits)),
        }
        first = test not in {f["test"] for f in found if f["mismatches"]}
        if verdict["mismatches"] and first and design is None:
            outcome["shortened"] = shortened(config, case, simulator, source).to_text()
        found.append(outcome)
    return found


def shortened(
    config: CoreConfig, case: AnyCase, simulator: str = "verilator", source: PlannedTiles = PLANNED
) -> AnyCase:
    """The smallest case that still fails, found in a bounded number of simulations."""
    if small := _shortened_in_a_harness(config, case, source):
        return small
    seen = {case}
    for _ in range(_TRIES):
        simpler = dict.fromkeys(_simpler(config, case, source))
        waiting = [found for found in simpler if found not in seen]
        if not waiting:
            break
        seen |= set(waiting)
        _, verdicts = play_cases(config, waiting, simulator, source=source)
        failing = [c for c, v in zip(waiting, verdicts, strict=True) if v["mismatches"]]
        if not failing:
            break
        case = failing[0]
    return case


def _simpler(config: CoreConfig, case: AnyCase, source: PlannedTiles) -> list[AnyCase]:
    least = config.weight_bits_range[0]
    return [smaller for smaller in case.smaller(least) if source.allows(config, smaller)]


def _shortened_in_a_harness(
    config: CoreConfig, case: AnyCase, source: PlannedTiles
) -> AnyCase | None:
    """The same without Python in a cycle; None where the bench in cocotb alone sees it fail."""
    tile = NativeTile(config, verilog(config), design_name(config))

    def fails(some: AnyCase) -> bool:
        job = source.job(config, some)
        return bool(source.problem(config, job) or tile.play([job])[0].problem)

    if not fails(case):
        return None
    seen, small = {case}, case
    while len(seen) < _PLAYS:
        simpler = [c for c in _simpler(config, small, source) if c not in seen]
        seen |= set(simpler)
        found = next(filter(fails, simpler), None)
        if found is None:
            break
        small = found
    _, (verdict,) = play_cases(config, [small], source=source)
    return small if verdict["mismatches"] else None


def play_case(
    config: CoreConfig,
    text: str,
    waves: Path | None = None,
    force: bool = False,
    source: PlannedTiles = PLANNED,
) -> dict[str, Any]:
    """The verdict of one case; a waveform goes to ``waves``, with the suffix of its format.

    Raises
    ------
    InputError
        The text is no case of a tile.
    """
    cases = [source.read(config, text)]
    _, (verdict,) = play_cases(config, cases, waves=waves, force=force, source=source)
    return verdict


def mutate(
    config: CoreConfig,
    texts: Sequence[str],
    count: int,
    seed: int,
    source: PlannedTiles = PLANNED,
) -> Score:
    """How many mutants cases notice."""
    jobs = [source.job(config, source.read(config, text)) for text in texts]
    return mutate_tile(config, jobs, count, seed)


def rate_problem(config: CoreConfig, job: TileJob, verdict: dict[str, Any]) -> str:
    """Whether a job that nothing slows down took a cycle too many; empty if all is well.

    The conditions are those of :func:`lutcore.hdl.config.description.full_rate`.
    """
    layout = job.layout
    lengths = [len(order.step) for order in layout.orders]
    paused = any(vars(job.stalls).values()) or bool(job.resets)
    if paused or min(lengths) < config.full_rate_slices:
        return ""
    if layout.n_tiles % config.passes:
        return ""
    if config.marks_runs and len({len(members) for members in layout.members}) > 1:
        return ""  # a longer run is taken in for longer than the run before it lasts
    if verdict["issue_cycles"] != job.slices:
        return f"{job.slices} slices took {verdict['issue_cycles']} cycles, though nothing pauses"
    wanted = job.slices + config.latency + config.drain_beats - 1
    if verdict["cycles"] != wanted:
        return f"the last result came after {verdict['cycles']} cycles, not {wanted}"
    return ""
