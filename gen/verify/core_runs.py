"""Plays random programs into a core without Python in a cycle, and judges them by the ISA model."""

import functools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.verify.cores import simulated
from lutcore.gen.verify.programs import (
    EVENTS,
    LATENCIES,
    STALLS,
    Case,
    Expected,
    difference,
    draw,
    expect,
    met,
    shortened,
    with_error,
)
from lutcore.gen.verify.score import Score, mutate_core
from lutcore.gen.verify.text import from_text, to_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.coverage import core as coverage
from lutcore.verif.coverage.bins import Hit
from lutcore.verif.samples.endings import ENDINGS, refusal_of
from lutcore.verif.sim.core import CoreSimulation

#: The tests of a core: programs of any length, those that go on to their halt undisturbed, short
#: ones that end in each way in turn, and by each encoding that has to be refused; and such as the
#: bus ends with an error.
TESTS = ("programs", "undisturbed", "endings", "refused", "errors")


def wanted(config: CoreConfig) -> dict[str, list[str]]:
    """Functional bins."""
    return coverage.wanted(config, LATENCIES, STALLS)


def drawn(config: CoreConfig, test: str, seed: int) -> Case:
    """The case of a test and a seed.

    Raises
    ------
    InputError
        There is no such test.
    """
    if test not in TESTS:
        raise InputError(f"test must be one of {', '.join(TESTS)}, not {test!r}")
    case = draw(config, seed)
    kept = {"base": case.base, "code": case.code, "stall": case.stall}
    calm = Case(case.choices, case.seed, **kept, far=case.far or seed % 2 == 0)
    short = Case(case.choices[:2], case.seed, **kept, window=case.window)
    if test == "errors":
        return with_error(config, calm, random.Random(f"errors {seed}"))
    return {
        "programs": case,
        "undisturbed": calm,
        "endings": replace(short, ending=list(ENDINGS)[seed % len(ENDINGS)]),
        "refused": replace(short, ending="refused"),
    }[test]


class PlannedPrograms:
    """The tests of the plan; a suite of a user's own adds to them."""

    def tests(self, config: CoreConfig) -> list[str]:
        """Names of the tests that mean something to a configuration."""
        return list(TESTS)

    def draw(self, config: CoreConfig, test: str, seed: int) -> Case:
        """The case of a test and a seed; :class:`InputError` if there is none."""
        return drawn(config, test, seed)

    def read(self, config: CoreConfig, text: str) -> Case:
        """A case from its text; :class:`InputError` if it is none."""
        return from_text(Case, text)

    def allows(self, config: CoreConfig, case: Case) -> bool:
        """Whether a smaller case may be played."""
        return True

    def problem(self, config: CoreConfig, case: Case) -> str:
        """What another model says against the ISA model; empty if nothing."""
        return ""

    def hits(self, config: CoreConfig, case: Case, expected: Expected) -> set[Hit]:
        """Bins that a case hits."""
        return _hits(config, case, expected)


#: The plan's own.
PLANNED = PlannedPrograms()


def _hits(config: CoreConfig, case: Case, expected: Expected) -> set[Hit]:
    events = {
        "error": case.error is not None,
        **{name: bool(getattr(case, name)) for name in EVENTS[1:]},
    }
    conditions = {
        "window": case.window,
        "far": case.far,
        "event": next((name for name, holds in events.items() if holds), "nothing"),
        "latency": case.latency,
        "stall": case.stall,
    }
    if case.ending == "refused":
        conditions["refused"] = str(refusal_of(config, case.seed))
    state = expected.state if case.error is None else met(config, case, expected)
    size = len(expected.before)
    return set(coverage.hits(config, expected.words, case.base, size, state, conditions))


def predicted(
    config: CoreConfig, test: str, seed: int, source: PlannedPrograms = PLANNED
) -> set[Hit]:
    """Bins that a case would hit: all of them are known without simulation."""
    case = source.draw(config, test, seed)
    return source.hits(config, case, expect(config, case))


def outcomes(
    config: CoreConfig,
    asked: Sequence[tuple[str, int]],
    top: str,
    coverage_to: Path | None = None,
    source: PlannedPrograms = PLANNED,
) -> list[dict[str, Any]]:
    """What became of each test and seed (:func:`lutcore.gen.verify.batch.measure`)."""
    core = simulated(config, top, coverage_to=coverage_to)
    found = []
    try:
        for test, seed in asked:
            case = source.draw(config, test, seed)
            expected = expect(config, case)
            problems = _problems(config, core, case, source)
            outcome = {
                "test": test,
                "seed": seed,
                "case": to_text(case),
                "mismatches": len(problems),
                "problems": problems,
                "slices": expected.state.slices if expected.state.cause is Cause.NONE else 0,
                "checked": len(expected.after),
                "hits": [] if problems else sorted(map(list, source.hits(config, case, expected))),
            }
            if problems:
                small = shortened(
                    config,
                    core,
                    case,
                    functools.partial(source.problem, config),
                    functools.partial(source.allows, config),
                )
                outcome["shortened"] = to_text(small)
            found.append(outcome)
    finally:
        core.close()
    return found


def _problems(
    config: CoreConfig, core: CoreSimulation, case: Case, source: PlannedPrograms
) -> list[str]:
    said = (source.problem(config, case), difference(config, core, case))
    return [problem for problem in said if problem]


def play_case(
    config: CoreConfig, text: str, top: str, source: PlannedPrograms = PLANNED
) -> dict[str, Any]:
    """The verdict of one case.

    Raises
    ------
    InputError
        The text is no case of a core.
    """
    case = source.read(config, text)
    expect(config, case)  # what is none is refused before anything is built
    core = simulated(config, top)
    try:
        problems = _problems(config, core, case, source)
    finally:
        core.close()
    return {"mismatches": len(problems), "problems": problems}


def mutate(
    config: CoreConfig,
    texts: Sequence[str],
    count: int,
    seed: int,
    top: str,
    source: PlannedPrograms = PLANNED,
) -> Score:
    """How many mutants cases notice, the shortest first."""
    cases = [source.read(config, text) for text in texts]
    return mutate_core(config, top, sorted(cases, key=lambda c: len(c.choices)), count, seed)
