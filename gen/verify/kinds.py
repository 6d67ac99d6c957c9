"""The kinds of designs that are verified: what a campaign asks of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.emit.rtl import verilog
from lutcore.gen.verify import core_runs, tile_cases, tile_runs
from lutcore.gen.verify.cores import design
from lutcore.gen.verify.score import Score
from lutcore.gen.verify.ties import Tie, ties
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.verif.coverage import tile as tile_coverage
from lutcore.verif.coverage.bins import Hit


@dataclass(frozen=True)
class Kind:
    """What is asked of a kind of design.

    Attributes
    ----------
    plan : str
        Name of its test plan.
    check : callable
        Refuses configurations that it cannot be made of.
    tests : callable
        Names of the tests that mean something to a configuration.
    wanted : callable
        Its functional bins, by group.
    predicted : callable
        Bins that a test and a seed would hit, without simulation.
    observed : frozenset of str
        Groups of bins that only a simulation shows.
    outcomes : callable
        Plays tests and seeds (:func:`lutcore.gen.verify.batch.measure`), with the name of a
        simulator and where lines and toggles are counted to, or None.
    play : callable
        Plays the text of a case, in cocotb with a waveform or None, in place of others' with a
        flag.
    length : callable
        How long a test and a seed take, in any unit.
    in_cocotb : bool
        Its cases are played in a bench of cocotb, on any simulator: waveforms and X can be had.
    mutate : callable
        Tries texts of cases with so many mutants, drawn from a seed.
    verilog : callable
        The Verilog that is played, and what its top module is called.
    ties : callable
        Bits of its ports that legal streams hold.
    aimed : int
        Cases of a round that aim at holes; five times as many are candidates.
    """

    plan: str
    check: Callable[[CoreConfig], None]
    tests: Callable[[CoreConfig], list[str]]
    wanted: Callable[[CoreConfig], dict[str, list[str]]]
    predicted: Callable[[CoreConfig, str, int], set[Hit]]
    observed: frozenset[str]
    outcomes: Callable[
        [CoreConfig, Sequence[tuple[str, int]], str, Path | None], list[dict[str, Any]]
    ]
    play: Callable[[CoreConfig, str, Path | None, bool], dict[str, Any]]
    length: Callable[[CoreConfig, str, int], int]
    in_cocotb: bool
    mutate: Callable[[CoreConfig, Sequence[str], int, int], Score]
    verilog: Callable[[CoreConfig], str]
    ties: Callable[[CoreConfig], list[Tie]]
    aimed: int


def _core(top: str) -> Kind:
    return Kind(
        plan="core",
        check=check_core,
        tests=lambda config: list(core_runs.TESTS),
        wanted=core_runs.wanted,
        predicted=core_runs.predicted,
        observed=frozenset(),
        outcomes=lambda config, asked, simulator, to: core_runs.outcomes(config, asked, top, to),
        play=lambda config, text, waves, force: core_runs.play_case(config, text, top),
        length=lambda config, test, seed: len(core_runs.drawn(config, test, seed).choices),
        in_cocotb=False,
        mutate=lambda config, cases, count, seed: core_runs.mutate(config, cases, count, seed, top),
        verilog=lambda config: design(config, top),
        ties=lambda config: [],
        aimed=40,
    )


#: Top -> its kind.
KINDS = {
    "tile": Kind(
        plan="tile",
        check=lambda config: None,
        tests=tile_cases.applicable,
        wanted=tile_coverage.wanted,
        predicted=tile_runs.predicted,
        observed=frozenset({"streams", "reset"}),
        outcomes=tile_runs.outcomes,
        play=tile_runs.play_case,
        length=tile_runs.length,
        in_cocotb=True,
        mutate=tile_runs.mutate,
        verilog=verilog,
        ties=ties,
        aimed=8,
    ),
    "core": _core("core"),
    "axi": _core("axi"),
}


def kind_of(top: str) -> Kind:
    """The kind of a top.

    Raises
    ------
    InputError
        Such designs are not verified here.
    """
    if top not in KINDS:
        raise InputError(f"--top must be one of {', '.join(KINDS)}, not {top!r}")
    return KINDS[top]
