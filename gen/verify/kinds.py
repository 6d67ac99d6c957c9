"""The kinds of designs that are verified: what a campaign asks of each."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.emit.rtl import verilog
from lutcore.gen.verify import core_bench, core_runs, tile_runs
from lutcore.gen.verify.core_runs import PlannedPrograms
from lutcore.gen.verify.cores import design
from lutcore.gen.verify.score import Score
from lutcore.gen.verify.suite_cores import SuitePrograms
from lutcore.gen.verify.suite_file import SuiteFile
from lutcore.gen.verify.suite_tiles import SuiteTiles
from lutcore.gen.verify.ties import Tie, ties
from lutcore.gen.verify.tile_source import PlannedTiles
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.verif.coverage import tile as tile_coverage
from lutcore.verif.coverage.bins import Hit
from lutcore.verif.plan.plan import Feature, load


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
    with_x : callable
        Plays tests and seeds on Icarus Verilog, into what a function makes of the configuration and
        the top, or else into the design itself.
    length : callable
        How long a test and a seed take there, in any unit; infinite where they cannot be played.
    few : int
        Cases of a test that are played there.
    more : tuple of Feature
        Features of a suite beside the plan's.
    in_cocotb : bool
        All its cases are played in a bench of cocotb: waveforms can be had.
    mutate : callable
        Tries texts of cases with so many mutants, drawn from a seed.
    verilog : callable
        The Verilog that is played.
    ties : callable
        Bits of its ports that legal streams hold.
    batch : int
        Cases of one simulation, and of a round that aims at holes.
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
    with_x: Callable[
        [CoreConfig, Sequence[tuple[str, int]], core_bench.Design | None], list[dict[str, Any]]
    ]
    length: Callable[[CoreConfig, str, int], float]
    few: int
    in_cocotb: bool
    mutate: Callable[[CoreConfig, Sequence[str], int, int], Score]
    verilog: Callable[[CoreConfig], str]
    ties: Callable[[CoreConfig], list[Tie]]
    batch: int
    more: tuple[Feature, ...] = ()


def _tile(source: PlannedTiles) -> Kind:
    def with_x(
        config: CoreConfig, asked: Sequence[tuple[str, int]], design: core_bench.Design | None
    ) -> list[dict[str, Any]]:
        made = None if design is None else lambda config: design(config, "tile")
        return tile_runs.outcomes(config, asked, "icarus", source=source, design=made)

    return Kind(
        plan="tile",
        check=lambda config: None,
        tests=source.tests,
        wanted=tile_coverage.wanted,
        predicted=functools.partial(tile_runs.predicted, source=source),
        observed=frozenset({"streams", "reset"}),
        outcomes=functools.partial(tile_runs.outcomes, source=source),
        play=functools.partial(tile_runs.play_case, source=source),
        with_x=with_x,
        length=functools.partial(tile_runs.length, source=source),
        few=1,
        in_cocotb=True,
        mutate=functools.partial(tile_runs.mutate, source=source),
        verilog=verilog,
        ties=ties,
        batch=8,
    )


def _core(top: str, source: PlannedPrograms) -> Kind:
    return Kind(
        plan="core",
        check=check_core,
        tests=source.tests,
        wanted=core_runs.wanted,
        predicted=functools.partial(core_runs.predicted, source=source),
        observed=frozenset(),
        outcomes=lambda config, asked, simulator, to: core_runs.outcomes(
            config, asked, top, to, source
        ),
        play=lambda config, text, waves, force: core_runs.play_case(config, text, top, source),
        with_x=lambda config, asked, design: core_bench.outcomes(
            config, asked, top, design, source
        ),
        length=functools.partial(core_bench.length, source=source),
        few=2,
        in_cocotb=False,
        mutate=functools.partial(core_runs.mutate, top=top, source=source),
        verilog=lambda config: design(config, top),
        ties=lambda config: [],
        batch=40,
    )


#: Top -> its kind.
KINDS = {
    "tile": _tile(tile_runs.PLANNED),
    "core": _core("core", core_runs.PLANNED),
    "axi": _core("axi", core_runs.PLANNED),
}


def kind_of(top: str, suite: SuiteFile | None = None) -> Kind:
    """The kind of a top, with what a suite adds to its tests.

    Raises
    ------
    InputError
        Such designs are not verified here, or the suite is not right.
    """
    if top not in KINDS:
        raise InputError(f"--top must be one of {', '.join(KINDS)}, not {top!r}")
    return KINDS[top] if suite is None else _with(top, suite)


@functools.lru_cache(maxsize=8)
def _with(top: str, file: SuiteFile) -> Kind:
    suite = file.load()
    suite.check_plan(load(KINDS[top].plan))
    if top == "tile":
        kind = _tile(SuiteTiles(suite))
    else:
        kind = _core(top, SuitePrograms(suite))
    return replace(kind, more=tuple(suite.features))
