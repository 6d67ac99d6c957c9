"""Plays random programs into a core without Python in a cycle, and judges them by the ISA model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.verify.cores import simulated
from lutcore.gen.verify.programs import (
    LATENCIES,
    STALLS,
    Case,
    Expected,
    difference,
    draw,
    expect,
    met,
    shortened,
)
from lutcore.gen.verify.score import Score, mutate_core
from lutcore.gen.verify.text import from_text, to_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.coverage import core as coverage
from lutcore.verif.coverage.bins import Hit
from lutcore.verif.samples.endings import refusal_of

#: The tests of a core: programs of any length, those that go on to their halt undisturbed, and
#: those that end by each encoding that has to be refused.
TESTS = ("programs", "undisturbed", "refused")


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
    calm = Case(case.choices, case.seed, base=case.base, code=case.code, stall=case.stall)
    refused = replace(calm, choices=case.choices[:2], ending="refused")
    return {"programs": case, "undisturbed": calm, "refused": refused}[test]


def _hits(config: CoreConfig, case: Case, expected: Expected) -> set[Hit]:
    events = {
        "error": case.error is not None,
        **{name: bool(getattr(case, name)) for name in coverage.EVENTS[2:]},
    }
    conditions = {
        "window": case.window,
        "event": next((name for name, holds in events.items() if holds), "nothing"),
        "latency": case.latency,
        "stall": case.stall,
    }
    if case.ending == "refused":
        conditions["refused"] = str(refusal_of(config, case.seed))
    state = expected.state if case.error is None else met(config, case, expected)
    size = len(expected.before)
    return set(coverage.hits(config, expected.words, case.base, size, state, conditions))


def predicted(config: CoreConfig, test: str, seed: int) -> set[Hit]:
    """Bins that a case would hit: all of them are known without simulation."""
    case = drawn(config, test, seed)
    return _hits(config, case, expect(config, case))


def outcomes(
    config: CoreConfig,
    asked: Sequence[tuple[str, int]],
    top: str,
    coverage_to: Path | None = None,
) -> list[dict[str, Any]]:
    """What became of each test and seed (:func:`lutcore.gen.verify.batch.measure`)."""
    core = simulated(config, top, coverage_to=coverage_to)
    found = []
    try:
        for test, seed in asked:
            case = drawn(config, test, seed)
            expected = expect(config, case)
            problem = difference(config, core, case)
            outcome = {
                "test": test,
                "seed": seed,
                "case": to_text(case),
                "mismatches": int(bool(problem)),
                "problems": [problem] if problem else [],
                "slices": expected.state.slices if expected.state.cause is Cause.NONE else 0,
                "checked": len(expected.after),
                "hits": [] if problem else sorted(map(list, _hits(config, case, expected))),
            }
            if problem:
                outcome["shortened"] = to_text(shortened(config, core, case))
            found.append(outcome)
    finally:
        core.close()
    return found


def play_case(config: CoreConfig, text: str, top: str) -> dict[str, Any]:
    """The verdict of one case.

    Raises
    ------
    InputError
        The text is no case of a core.
    """
    case = from_text(Case, text)
    core = simulated(config, top)
    try:
        problem = difference(config, core, case)
    finally:
        core.close()
    return {"mismatches": int(bool(problem)), "problems": [problem] if problem else []}


def mutate(config: CoreConfig, texts: Sequence[str], count: int, seed: int, top: str) -> Score:
    """How many mutants cases notice, the shortest first."""
    cases = sorted((from_text(Case, text) for text in texts), key=lambda case: len(case.choices))
    return mutate_core(config, top, cases, count, seed)
