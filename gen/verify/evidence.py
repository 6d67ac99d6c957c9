"""What a regression has shown: for each feature of the plan its evidence, and the stage reached.

Stages are named as by the verification teams of OpenTitan and ibex, and computed, never typed: V1,
the first tests pass; V2, all planned tests pass and most is covered; V3, all of it is.
"""

from dataclasses import dataclass
from typing import Any

from lutcore.gen.verify.campaign import Result
from lutcore.gen.verify.gates import MAPPED
from lutcore.gen.verify.proofs import LEAST_FOUND, Proved
from lutcore.verif.formal.proofs import proofs_within

STAGES = ("V0", "V1", "V2", "V3")
#: What became of a proof, in words.
HOLDS, BROKEN, OPEN = "holds", "broken", "not decided"
#: Mutants without which a share of them says little.
LEAST_MUTANTS = 50


@dataclass(frozen=True)
class Evidence:
    """What shows one feature.

    Attributes
    ----------
    feature, text : str
    passed, failed : int
        Cases of its tests.
    missing : tuple of str
        Tests of it that were not run.
    hit, bins : int
        Bins of its groups that were hit, of how many.
    holes : tuple of str
        Those that were not.
    proofs : dict of str to str
        Its proofs that were tried, and what became of each.
    """

    feature: str
    text: str
    passed: int
    failed: int
    missing: tuple[str, ...]
    hit: int
    bins: int
    holes: tuple[str, ...]
    proofs: dict[str, str]

    @property
    def state(self) -> str:
        """``none``, ``failing``, ``partial``, or ``shown``."""
        if self.failed or BROKEN in self.proofs.values():
            return "failing"
        if not self.passed:
            return "none"
        return "partial" if self.missing or self.holes else "shown"


def verdict(proved: Proved) -> str:
    """What became of a proof: one that says nothing is broken, too."""
    if proved.holds is None:
        return OPEN
    return HOLDS if proved.holds and not proved.unreached else BROKEN


def evidence(result: Result) -> list[Evidence]:
    """Of each feature of the plan, what has no evidence first."""
    found, proved = [], result.proofs or []
    for feature in result.plan:
        own = [o for o in result.outcomes if o["test"] in feature.tests]
        bins = {group: result.bins.groups[group] for group in feature.bins}
        holes = [f"{g}: {name}" for g, names in bins.items() for name in names if not names[name]]
        count = sum(map(len, bins.values()))
        ran = {outcome["test"] for outcome in own}
        found.append(
            Evidence(
                feature=feature.name,
                text=feature.text,
                passed=sum(not o["mismatches"] for o in own),
                failed=sum(bool(o["mismatches"]) for o in own),
                missing=tuple(test for test in feature.tests if test not in ran),
                hit=count - len(holes),
                bins=count,
                holes=tuple(holes),
                proofs={p.name: verdict(p) for p in proved if p.name in feature.proofs},
            )
        )
    order = ("none", "failing", "partial", "shown")
    return sorted(found, key=lambda item: order.index(item.state))


#: What a stage needs beyond the one before it: words, and whether a result has it. Figures that
#: were not measured count as missed.
_NEEDS: dict[str, dict[str, Any]] = {
    "V1": {
        "every batch played": lambda r: not r.errors,
        "the first test passes": lambda r: _passes(r, r.plan[0].tests[0]),
    },
    "V2": {
        "no case fails": lambda r: not r.failures,
        "no proof is broken": lambda r: not r.broken,
        "every planned test was run": lambda r: not any(e.missing for e in evidence(r)),
        "90 % of the functional bins": lambda r: r.bins.ratio >= 0.9,
        "90 % of lines and toggles": lambda r: min(_code(r)) >= 0.9,
    },
    "V3": {
        "every functional bin": lambda r: not r.bins.holes,
        "99 % of lines": lambda r: _code(r)[0] >= 0.99,
        "95 % of toggles": lambda r: _code(r)[1] >= 0.95,
        f"{LEAST_MUTANTS} mutants": lambda r: r.mutation.get("mutants", 0) >= LEAST_MUTANTS,
        "95 % of mutants are killed": lambda r: r.mutation.get("killed_of_others", 0) >= 0.95,
        "no linter says anything": lambda r: r.lint == [],
    },
}


def _passes(result: Result, test: str) -> bool:
    """Whether a test was run and never failed."""
    own = [outcome["mismatches"] for outcome in result.outcomes if outcome["test"] == test]
    return bool(own) and not any(own)


def _code(result: Result) -> tuple[float, float]:
    """Lines and toggles, 0 where nobody measured them."""
    return result.code.get("lines", 0.0), result.code.get("toggles", 0.0)


def stage(result: Result) -> tuple[str, list[str]]:
    """The stage that is reached, and what the next one misses."""
    reached = STAGES[0]
    for name, needs in _NEEDS.items():
        missing = [words for words, holds in needs.items() if not holds(result)]
        if missing:
            return reached, missing
        reached = name
    return reached, []


def not_shown(result: Result) -> list[str]:
    """What a reader must not take for shown, in whole sentences."""
    said = []
    if result.suite and (constraints := result.suite.load().constraints):
        said.append(
            f"The stimulus was constrained by {', '.join(constraints)} of {result.suite.path} "
            f"(SHA-256 {result.suite.sha256}): what they forbid was not played."
        )
    if result.errors:
        said.append(f"{len(result.errors)} batches could not be played: {result.errors[0]}.")
    if result.bins.holes:
        said.append(f"{len(result.bins.holes)} functional bins were not hit.")
    if not result.code:
        said.append("Coverage of lines and toggles was not measured (--lines).")
    if not result.mutation:
        said.append("No mutants were tried (--mutate).")
    if result.lint is None:
        said.append("The linters were not asked.")
    simulators = {outcome["simulator"] for outcome in result.outcomes}
    if "icarus" not in simulators:
        said.append("No case was played on a simulator with X (Icarus Verilog).")
    if MAPPED not in simulators:
        said.append("No case was played on a mapped netlist (--gates).")
    return said + _not_proved(result)


def _not_proved(result: Result) -> list[str]:
    if result.proofs is None:
        return ["Nothing was proved (--formal)."]
    said = [
        f"The solver came to no end with {p.name} ({p.text[:-1].lower()})."
        for p in result.proofs
        if p.holds is None
    ]
    said += [
        f"The proof of {p.name} found only {len(p.found)} mutants: it may say little."
        for p in result.proofs
        if p.holds and len(p.found) < LEAST_FOUND
    ]
    within = proofs_within(result.top, result.config)
    whys = {proof.name: proof.without(result.config) for proof in within}
    return said + [f"No proof of {name}: {why}." for name, why in whys.items() if why]
