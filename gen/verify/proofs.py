"""Proves what :mod:`lutcore.verif.formal.proofs` lists, and what the proofs are worth.

A proof is worth what it finds: each is tried on mutants of the design. Answers are kept, by the
content of their problem.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from lutcore import cache
from lutcore.errors import InputError
from lutcore.gen.verify.asserted import Asserted, prove_assertions, prove_within
from lutcore.gen.verify.draws import draws
from lutcore.gen.verify.mapped import compare_mapped
from lutcore.gen.verify.solver import Problem, versions
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.presets import preset
from lutcore.processes import interruptible
from lutcore.verif.formal.harness import Harness
from lutcore.verif.formal.proofs import PROOFS, TOPS, Proof, proofs_of
from lutcore.verif.samples.cores import SMALL_CORES

#: Mutants of the design that each proof is tried on, at least three of which it must find.
MUTANTS = 6
LEAST_FOUND = 3
#: Seconds of the solver for a question.
LIMIT = 600
#: Products a cycle of drawn tiles, at most.
_PRODUCTS = 128


@dataclass(frozen=True)
class Proved:
    """What became of a proof.

    Attributes
    ----------
    name, text, design : str
        Of the proof, and which configuration's design.
    strength : str
        ``unbounded``, or for how many cycles after a reset.
    holds : bool or None
        None: the solver came to no end.
    broken : list of str
        Claims that do not hold.
    reduced : list of str
        Where it is proved of a smaller block than the configuration's: of which.
    assumed, claimed : list of str
        What is assumed of the surroundings, and what holds then.
    unreached : list of str
        Covers that were not reached.
    found, missed, undecided : list of str
        Mutants of the design that break the proof, those that do not, and those of which the solver
        came to no end.
    same : list of str
        Mutants that do not break it, and do what the design does.
    seconds : float
        That it took when it was not known yet.
    asked : int
        Mutants that it was to be tried on.
    """

    name: str
    text: str
    design: str
    strength: str
    holds: bool | None
    broken: list[str]
    reduced: list[str]
    assumed: list[str]
    claimed: list[str]
    unreached: list[str]
    found: list[str]
    missed: list[str]
    undecided: list[str]
    same: list[str]
    seconds: float
    asked: int

    @property
    def tried(self) -> int:
        """Mutants that it was tried on, and that differ from the design."""
        return len(self.found) + len(self.missed) + len(self.undecided)

    @property
    def good(self) -> bool:
        """Whether it holds, its covers are reached, and it has found faults."""
        enough = len(self.found) >= min(LEAST_FOUND, self.asked)
        return bool(self.holds) and not self.unreached and enough


def prove(
    proof: Proof, config: CoreConfig, mutants: int = MUTANTS, seed: int = 0, limit: float = LIMIT
) -> Proved:
    """Prove something of a design, and try the proof on mutants of it.

    Parameters
    ----------
    mutants, seed : int
        How many, and which.
    limit : float
        Seconds of the solver for each question.

    Raises
    ------
    InputError
        A tool is missing.
    ToolError
        One of them failed.
    """
    start = time.monotonic()
    harness = proof.make(config)
    problem = Problem.of(harness, mutants, seed, proof.parts)
    parts = [problem.smt2, *map(str, (proof.steps, proof.cover, proof.unbounded)), *versions()]
    place = cache.entry("proofs", cache.key(__name__, *parts) + ".json.gz")
    kept = cache.load(place)
    if kept is None:
        kept = _solve(proof, harness, problem, limit)
        kept["seconds"] = round(time.monotonic() - start, 1)
        if kept["holds"] is not None and not kept["undecided"]:  # else more time may tell
            cache.store(place, kept)
    said = {"reduced": [*harness.reduced], "assumed": [*harness.assumed]}
    facts: dict[str, Any] = said | {"claimed": [*harness.claimed]} | kept
    facts |= {"design": config.name, "strength": proof.strength, "asked": mutants}
    return Proved(name=proof.name, text=proof.text, **facts)


def _solve(proof: Proof, harness: Harness, problem: Problem, limit: float) -> dict[str, Any]:
    """Verdict, covers and mutants, as plain values."""
    answer = problem.bounded(proof.steps, limit=limit)
    if answer.holds and proof.unbounded:
        answer = problem.inductive(limit=limit)
    reached = problem.covered(proof.cover, limit=limit).reached
    tried: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    for number in problem.faults if answer.holds else ():
        tried[_notices(proof, problem, number, limit)].append(number)
    same = problem.same(tried[False])
    named = lambda numbers: [problem.faults[number] for number in numbers]  # noqa: E731
    return {
        "holds": answer.holds,
        "broken": [harness.claimed[number] for number in answer.failed],
        "unreached": [s for n, s in enumerate(harness.covered) if n not in reached],
        "found": named(tried[True]),
        "missed": named(number for number in tried[False] if number not in same),
        "undecided": named(tried[None]),
        "same": named(sorted(same)),
    }


def _notices(proof: Proof, problem: Problem, mutant: int, limit: float) -> bool | None:
    """Whether a fault breaks the proof; None: no answer in time."""
    answers = [problem.bounded(proof.steps, mutant, limit).holds]
    if answers[0] is not False and proof.unbounded:
        answers.append(problem.inductive(mutant, limit).holds)
    return True if False in answers else None if None in answers else False


def prove_all(
    asked: Sequence[tuple[Proof, CoreConfig]],
    mutants: int = MUTANTS,
    seed: int = 0,
    jobs: int = 1,
    limit: float = LIMIT,
    on_done: Callable[[Proved], None] = lambda proved: None,
) -> list[Proved]:
    """Several proofs, ``jobs`` at a time."""

    def one(pair: tuple[Proof, CoreConfig]) -> Proved:
        proved = prove(*pair, mutants, seed, limit)
        on_done(proved)
        return proved

    with ThreadPoolExecutor(max(1, jobs)) as pool:  # the solver does the work
        return list(pool.map(one, asked))


#: What the campaign proves them of: a narrow bus and two rows keep the solver fast.
SMALL = SMALL_CORES["w4a8"].replace(bus_bits=64)


def small(proof: Proof) -> CoreConfig:
    """A small core, or else a tile, that has the block of a proof."""
    others = [SMALL_CORES[name] for name in ("fp16", "int8-tables")]
    others.append(preset("w2a8").replace(m=1, n=2, result_columns=2))
    return next(config for config in (SMALL, *others) if proof.has(config))


def other_buses(proof: Proof) -> list[CoreConfig]:
    """The small core with each other width of the bus, where it matters to a proof."""
    if not proof.every_bus:
        return []
    domain = DOMAINS["bus_bits"]
    widths = [1 << n for n in range(domain.high.bit_length()) if 1 << n >= domain.low]
    return [
        SMALL.replace(name=f"bus_{bits}", bus_bits=bits)
        for bits in widths
        if bits != SMALL.bus_bits
    ]


def told(proved: Proved) -> str:
    """A proof in lines of text: what is assumed, and what it is worth."""
    verdict = {True: "holds", False: "BROKEN", None: "NOT DECIDED"}[proved.holds]
    found = f"{len(proved.found)} of {proved.tried} mutants found, {proved.seconds:.0f} s"
    if proved.same:
        found += f", {len(proved.same)} more do what the design does"
    claims = f"{len(proved.claimed)} claims, {found}"
    lines = [
        f"{proved.name} of {proved.design}: {verdict}, {proved.strength}; {claims}",
        *(f"  proved: {sentence}" for sentence in proved.reduced),
        *(f"  assumes: {sentence}" for sentence in proved.assumed),
        *(f"  BROKEN: {sentence}" for sentence in proved.broken),
        *(f"  NEVER HAPPENS: {sentence}" for sentence in proved.unreached),
        *(f"  missed: {fault}" for fault in proved.missed),
        *(f"  not decided: {fault}" for fault in proved.undecided),
    ]
    return "\n".join(lines)


def _configs(names: Sequence[str], drawn: int, seed: int) -> list[CoreConfig]:
    """Presets by name, and legal tiles drawn from a seed."""
    found = [preset(name) for name in names]
    return found + [draw.config for draw in itertools.islice(draws(seed, most=_PRODUCTS), drawn)]


def _asked(given: argparse.Namespace) -> tuple[list[tuple[Proof, CoreConfig]], ...]:
    """The named proofs, or all, of small cores; those of other buses, and of whole tiles."""
    if unknown := set(given.names) - set(PROOFS):
        raise InputError(f"there is no proof {min(unknown)}: {', '.join(PROOFS)}")
    within = [p for p in PROOFS.values() if TOPS.index(p.top) <= TOPS.index(given.top)]
    wanted = [PROOFS[name] for name in given.names] or within
    tiles = _configs(given.tiles, given.random, given.seed)
    others = [(proof, config) for proof in wanted for config in other_buses(proof)]
    others += [(proof, config) for config in tiles for proof in proofs_of("tile", config)]
    return [(proof, small(proof)) for proof in wanted], others


def _is_right(config: CoreConfig) -> bool:
    """Whether few columns of a tile keep to their assertions, and a netlist of one to its RTL."""
    if config.exact_floats:
        name = f"assertions and netlist of {config.name}"
        print(f"{name}: not tried, exact floats are too slow", flush=True)
        return True
    right = _told(prove_assertions(config.replace(m=1, n=2)))
    if config.marks_runs:
        print(f"netlist of a unit of {config.name}: not tried, buffers are too slow", flush=True)
        return right
    return right & _is_mapped_right(config)


def _told(found: Asserted) -> bool:
    """Print what became of assertions; whether all is well."""
    verdict = {True: "hold", False: "BROKEN", None: "NOT DECIDED"}[found.holds]
    wrong = ", ".join([*found.broken, *found.unreached]) or "nothing is missing"
    print(f"assertions of {found.design}: {verdict}, {found.strength}; {wrong}", flush=True)
    return bool(found.holds) and not found.unreached


def _is_mapped_right(config: CoreConfig) -> bool:
    """Whether a unit's netlist gives what its RTL gives; told as it is found."""
    found = compare_mapped(config)
    said = "NOT DECIDED"
    if found.differing is not None:
        wrong = ", ".join(found.differing) or "nothing differs"
        said = f"compared at {found.points} points; {wrong}"
    print(f"netlist of a unit of {config.name}: {said}", flush=True)
    return found.differing == []


def main() -> None:
    """Prove all that is listed, of a small core, and of whole tiles."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", help="proofs; all that the top has without any")
    parser.add_argument("--top", choices=TOPS, default="axi", help="axi without it")
    parser.add_argument("--tiles", nargs="*", default=(), metavar="PRESET", help="tiles, too")
    parser.add_argument("--random", type=int, default=0, help="so many drawn tiles, too")
    parser.add_argument("--mutants", type=int, default=20, help="of each of a core, 20 without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    try:
        with interruptible():
            all_ = []
            for asked, mutants in zip(_asked(given), (given.mutants, MUTANTS), strict=True):
                show = lambda proved: print(told(proved), flush=True)  # noqa: E731
                all_ += prove_all(asked, mutants, given.seed, given.jobs, on_done=show)
            kept = [_is_right(config) for config in _configs(given.tiles, 0, 0)]
            kept += [_told(found) for found in prove_within(SMALL)] if given.top != "tile" else []
    except InputError as error:
        sys.exit(f"{error}")
    sys.exit(not all([*(proved.good for proved in all_), *kept]))


if __name__ == "__main__":
    main()
