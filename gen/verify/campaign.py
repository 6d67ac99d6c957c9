"""Plays a plan's tests at configurations until nothing is left to see, or time is up.

First comes every test with some seeds. Then candidates are drawn, what each would cover is computed
without simulation, and those that would fill holes are played.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lutcore import tools
from lutcore.errors import InputError
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.verify.batch import Batch
from lutcore.gen.verify.gates import MAPPED
from lutcore.gen.verify.kinds import Kind, kind_of
from lutcore.gen.verify.proofs import Proved
from lutcore.gen.verify.suite_file import SuiteFile
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.coverage.bins import Bins
from lutcore.verif.coverage.code import Coverage
from lutcore.verif.plan.plan import Feature, load

#: Candidates for each case that a round plays to aim at holes.
_CANDIDATES = 5
#: Seeds among which the shortest cases are sought.
_SHORT = 20
#: Rounds that aim at holes, at most.
_ROUNDS = 12
#: Rounds without a hole filled after which a configuration is left.
_FRUITLESS = 3

Outcome = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is done.

    Attributes
    ----------
    top : str
        ``tile``; or ``core`` or ``axi``: a whole core between streams, or between buses.
    seeds, first : int
        Seeds of every test, and the first of them; cases that aim at what these leave uncovered
        come on top.
    until : float
        Time (``time.monotonic``) up to which further seeds are played; 0: none.
    lines : bool
        Count lines of the Verilog that ran and bits that rose and fell.
    mutate : int
        Mutants of each sound design that its cases are tried with.
    suite : SuiteFile or None
        Tests, golden models and constraints of a user's own.
    gates : bool
        Map each sound design to cells, and play short cases into the netlist.
    formal : bool
        Prove what means something to each sound design.
    """

    top: str = "tile"
    seeds: int = 16
    first: int = 0
    until: float = 0.0
    lines: bool = False
    mutate: int = 0
    suite: SuiteFile | None = None
    gates: bool = False
    formal: bool = False

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("first", 0), ("mutate", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name} must be a whole number from {least} on, not {value!r}")
        if not isinstance(self.until, int | float):
            raise InputError(f"until must be a time in seconds, not {self.until!r}")


@dataclass
class Result:
    """What has been seen of one configuration.

    Attributes
    ----------
    config : CoreConfig
    top : str
    suite : SuiteFile or None
        What a user added to the plan.
    plan : list of Feature
    outcomes : list of dict
        Of each case (:func:`lutcore.gen.verify.batch.measure`), and the simulator.
    bins : Bins
        Functional coverage by those that passed.
    errors : list of str
        Why batches could not be played.
    seconds : float
        Of simulation, all workers together.
    counted : Coverage or None
        Lines and toggles of all batches, where they were asked for.
    code, mutation : dict
        Coverage of lines and toggles, and what became of mutants, where they were asked for.
    lint : list of str or None
        What linters say, where they were asked.
    proofs : list of Proved or None
        What became of proofs, where they were asked for.
    """

    config: CoreConfig
    top: str
    plan: list[Feature]
    bins: Bins
    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    counted: Coverage | None = None
    code: dict[str, Any] = field(default_factory=dict)
    mutation: dict[str, Any] = field(default_factory=dict)
    lint: list[str] | None = None
    proofs: list[Proved] | None = None
    suite: SuiteFile | None = None
    next_seed: int = 0
    fruitless: int = 0

    @property
    def kind(self) -> Kind:
        """What can be asked of it."""
        return kind_of(self.top, self.suite)

    @property
    def failures(self) -> list[Outcome]:
        """Cases whose results were wrong."""
        return [outcome for outcome in self.outcomes if outcome["mismatches"]]

    @property
    def sound(self) -> bool:
        """Whether nothing has failed: what is broken is not looked at further."""
        return not (self.failures or self.errors)

    @property
    def broken(self) -> list[Proved]:
        """Proofs that do not hold, or whose covers cannot be reached."""
        return [p for p in self.proofs or () if p.holds is False or p.unreached]

    def add(self, record: dict[str, Any]) -> None:
        """Take the record of a batch."""
        self.seconds += record.get("seconds", 0.0)
        if record["error"] is not None:
            self.errors.append(record["error"])
            return
        if record["code"] is not None:
            code = Coverage.from_dict(record["code"])
            self.counted = self.counted.merge(code) if self.counted else code
        for outcome in record["cases"]:
            self.outcomes.append(outcome | {"simulator": record["simulator"]})
            self.bins.add((group, name) for group, name in outcome["hits"])


def start(config: CoreConfig, top: str, suite: SuiteFile | None = None) -> Result:
    """Nothing seen of a design yet; features that its configuration has nothing of are left out."""
    kind = kind_of(top, suite)
    bins = Bins(kind.wanted(config))
    tests = kind.tests(config)
    plan = []
    for feature in (*load(kind.plan), *kind.more):
        groups = tuple(group for group in feature.bins if group in bins.groups)
        if groups or not feature.bins:
            own = tuple(test for test in feature.tests if test in tests)
            plan.append(dataclasses.replace(feature, tests=own, bins=groups))
    return Result(config, top, plan, bins, suite=suite)


def _batches(result: Result, cases: Sequence[tuple[str, int]], lines: bool = False) -> list[Batch]:
    return [
        Batch(
            result.config,
            tuple(cases[first : first + result.kind.batch]),
            top=result.top,
            lines=lines,
            suite=result.suite,
        )
        for first in range(0, len(cases), result.kind.batch)
    ]


def _aimed(result: Result) -> list[tuple[str, int]]:
    """Cases that would fill holes, of tests that the plan names for them; and some that might."""
    holes = set(result.bins.holes)
    groups = {group for group, _ in holes}
    tests = [
        test for feature in result.plan if groups & set(feature.bins) for test in feature.tests
    ]
    tests = list(dict.fromkeys(tests))
    aiming = [feature.tests[0] for feature in result.plan if groups & set(feature.bins)]
    first_ones = list(dict.fromkeys(aiming))
    first = result.next_seed
    result.next_seed += _CANDIDATES * result.kind.batch
    chosen: list[tuple[str, int]] = []
    for seed in range(first, result.next_seed):
        # Every other one is of a test that aims at some feature with holes.
        test = (
            first_ones[seed // 2 % len(first_ones)] if seed % 2 else tests[seed // 2 % len(tests)]
        )
        hits = result.kind.predicted(result.config, test, seed)
        if holes & hits:
            holes -= hits
            chosen.append((test, seed))
    groups &= result.kind.observed
    observed = [feature.tests[0] for feature in result.plan if groups & set(feature.bins)]
    chosen += [(test, first + place) for place in range(2) for test in observed]
    return list(dict.fromkeys(chosen))[: result.kind.batch]


def campaign(
    configs: Sequence[CoreConfig],
    runner: Runner,
    effort: Effort,
    on_round: Callable[[str, int], None] = lambda what, batches: None,
    on_done: Callable[[dict[str, Any]], None] = lambda record: None,
) -> list[Result]:
    """Regressions of the designs of some configurations.

    Parameters
    ----------
    on_round, on_done : callable
        Called as a round of so many batches begins, and with the record of each.
    """
    results = [start(config, effort.top, effort.suite) for config in configs]
    by_digest = {result.config.digest: result for result in results}

    def play(what: str, batches: list[Batch]) -> None:
        on_round(what, len(batches))
        for batch, record in zip(batches, runner.run(batches, on_done), strict=True):
            by_digest[batch.config.digest].add(record)

    batches = []
    for result in results:
        result.next_seed = effort.first + effort.seeds
        span = range(effort.first, effort.first + effort.seeds)
        cases = [(test, seed) for seed in span for test in result.kind.tests(result.config)]
        batches += _batches(result, cases, effort.lines)
    play("every test", batches)
    for _ in range(_ROUNDS):
        batches = _round(results, effort.lines)
        if not batches:
            break
        before = {result.config.digest: len(result.bins.holes) for result in results}
        play("aimed at holes", batches)
        for result in results:
            filled = before[result.config.digest] > len(result.bins.holes)
            result.fruitless = 0 if filled else result.fruitless + 1
    if tools.find("iverilog"):
        batches = _with_x(results, effort.first)
        play("with X", batches)
        if effort.gates:
            sound = [batch for batch in batches if by_digest[batch.config.digest].sound]
            play("gates", [dataclasses.replace(batch, simulator=MAPPED) for batch in sound])
    for batches in _further(results, effort.until, effort.lines):
        play("further seeds", batches)
    return results


def _round(results: list[Result], lines: bool) -> list[Batch]:
    return [
        batch
        for result in results
        if result.bins.holes and result.sound and result.fruitless < _FRUITLESS
        for batch in _batches(result, _aimed(result), lines)
    ]


def _with_x(results: list[Result], first: int) -> list[Batch]:
    """The shortest cases of some seeds, for a simulator that is slow but knows X."""
    sound = [result for result in results if result.sound]
    cases = [(result, tuple(_shortest(result, first))) for result in sound]
    return [
        Batch(result.config, asked, result.top, simulator="icarus", suite=result.suite)
        for result, asked in cases
        if asked
    ]


def _shortest(result: Result, first: int) -> Iterator[tuple[str, int]]:
    """Of the first test of each feature, the shortest cases."""
    for test in dict.fromkeys(test for feature in result.plan for test in feature.tests[:1]):
        seeds = range(first, first + _SHORT)
        lengths = {seed: result.kind.length(result.config, test, seed) for seed in seeds}
        shortest = sorted(lengths, key=lengths.__getitem__)[: result.kind.few]
        yield from ((test, seed) for seed in shortest if lengths[seed] < math.inf)


def _further(results: list[Result], until: float, lines: bool) -> Iterator[list[Batch]]:
    """New seeds of every test, as long as there is time."""
    while time.monotonic() < until:
        batches = []
        for result in results:
            seed, result.next_seed = result.next_seed, result.next_seed + 1
            cases = [(test, seed) for test in result.kind.tests(result.config)]
            batches += _batches(result, cases, lines) if result.sound else []
        if not batches:
            return
        yield batches
