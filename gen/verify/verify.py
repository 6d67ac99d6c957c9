"""Verifies configurations: runs the campaign, writes what it leaves, says whether all was right."""

import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import tools
from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.gen.emit.lint import lint
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.verify.batch import measure
from lutcore.gen.verify.campaign import Effort, Result, campaign
from lutcore.gen.verify.constants import without_constants
from lutcore.gen.verify.evidence import STAGES, stage
from lutcore.gen.verify.kinds import kind_of
from lutcore.gen.verify.proofs import prove_all
from lutcore.gen.verify.report import certificate, junit, page, summary
from lutcore.gen.verify.solver import need_solver
from lutcore.gen.verify.suite_file import SuiteFile
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.hdl.config.presets import PRESETS
from lutcore.verif.coverage.exclusions import without_exclusions
from lutcore.verif.formal.proofs import proofs_of

#: Whose the files of a folder are.
BY = "a regression"
#: Failing cases of a configuration that get a waveform.
_WAVES = 3
#: Seconds of the solver for a question.
_SECONDS = 300


@dataclass
class Report:
    """What a regression found.

    Attributes
    ----------
    results : list
        A ``Result`` of :mod:`lutcore.gen.verify.campaign` for each configuration.
    named : dict of str to str
        How a command line calls each configuration: a preset's name, or a file's.
    command : str
        What was asked for.
    """

    results: list[Result]
    named: dict[str, str]
    command: str

    @property
    def ok(self) -> bool:
        """Whether every case passed, every batch could be played, and no proof is broken."""
        return all(result.sound and not result.broken for result in self.results)

    def reached(self, wanted: str) -> bool:
        """Whether all configurations have reached a stage (:mod:`lutcore.gen.verify.evidence`)."""
        return all(
            STAGES.index(stage(result)[0]) >= STAGES.index(wanted) for result in self.results
        )

    @functools.cached_property
    def summaries(self) -> list[dict[str, Any]]:
        """Plain values of each configuration."""
        return [summary(result, self.named[result.config.name]) for result in self.results]

    def to_dict(self) -> dict[str, Any]:
        """Plain values of all."""
        return {"ok": self.ok, "designs": self.summaries}

    def files(self) -> dict[str, str]:
        """Name -> text of what a regression leaves in its folder."""
        found = certificate(self.summaries, self.command)
        return {
            "certificate.json": json.dumps(found, indent=1) + "\n",
            "certificate.html": page(found),
        }

    def junit(self) -> str:
        """The outcomes as JUnit's XML."""
        return junit(self.summaries, self.results)


def in_folder(config: CoreConfig, folder: Path) -> str:
    """How a command line calls a configuration: its preset's name, else a file in the folder."""
    if PRESETS.get(config.name.replace("_", "-")) == config:
        return config.name.replace("_", "-")
    return str(folder / f"{config.name}.toml")


def verify(
    *configs: CoreConfig,
    jobs: int = 1,
    folder: Path | None = None,
    force: bool = False,
    scheduler: str | None = None,
    tls: tuple[Path, Path, Path] | None = None,
    suite: Path | str | SuiteFile | None = None,
    on_round: Callable[[str, int], None] = lambda what, batches: None,
    on_done: Callable[[dict[str, Any]], None] = lambda record: None,
    **options: Any,
) -> Report:
    """Verify designs: every test of their plan on emitted RTL, against the golden or ISA model.

    Parameters
    ----------
    *configs : CoreConfig
        Of different names.
    jobs : int
        Worker processes.
    folder : Path, optional
        Where finished batches, configurations, waveforms of failures and the certificate are kept;
        what is found there is not played again. Default: nothing is kept.
    force : bool
        Replace files in the folder that are of something else.
    scheduler, tls
        As :class:`~lutcore.gen.experiments.runner.Runner` takes them.
    suite : Path or str, optional
        A Python file of tests, golden models and constraints of one's own
        (:mod:`lutcore.gen.verify.suite`), which is run as it is.
    **options
        ``seeds=4``, ``lines=True``, ...: :class:`~lutcore.gen.verify.campaign.Effort`.

    Raises
    ------
    InputError
        A design cannot be made or counted, the folder cannot be written, a simulator is missing, no
        scheduler answers, or the suite is not right.
    """
    if suite is not None and not isinstance(suite, SuiteFile):
        suite = SuiteFile.read(suite)
    effort = Effort(suite=suite, **options)
    _check(configs, effort)
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        place = folder or Path(scratch)
        named = _named(configs, folder / "configs" if folder else None, force)
        runner = Runner(place / "runs", jobs=jobs, scheduler=scheduler, tls=tls, measure=measure)
        with runner:
            results = campaign(configs, runner, effort, on_round, on_done)
        on_round("designs examined", len(results))
        with ThreadPoolExecutor(max(1, jobs)) as pool:  # other programs do most of the work
            for _ in pool.map(functools.partial(_examine, effort=effort), results):
                on_done({})
        _prove(results, effort, jobs, on_round, on_done)
        if folder:
            _waves(results, place / "failures")
        report = Report(results, named, f"lutcore verify with {effort}")
        if folder:
            write_files(folder, report.files(), BY, force)
        return report


def _named(configs: Sequence[CoreConfig], folder: Path | None, force: bool) -> dict[str, str]:
    """How a command line calls configurations; those that are no presets are written to a folder.

    Without one, they are called by the files that ``config.to_toml()`` would be written to.
    """
    named = {config.name: in_folder(config, folder or Path()) for config in configs}
    own = [config for config in configs if named[config.name].endswith(".toml")]
    if folder:
        write_files(folder, {f"{c.name}.toml": c.to_toml() for c in own}, BY, force)
    return named


def _check(configs: Sequence[CoreConfig], effort: Effort) -> None:
    """Refuse what cannot be verified, before anything is started."""
    kind = kind_of(effort.top, effort.suite)
    if not configs:
        raise InputError("nothing to verify: give a configuration")
    for config in configs:
        check_config(config)
        kind.check(config)
        if effort.suite:  # what cannot be drawn at all is told now
            for test in kind.tests(config):
                kind.length(config, test, effort.first)
    names = [config.name for config in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two configurations are named {twice[0]!r}: name one of them otherwise")
    if effort.gates:
        tools.need("iverilog", "--gates plays netlists on it: apt-get install iverilog")
    if effort.formal:
        need_solver()


def _examine(result: Result, effort: Effort) -> None:
    """Add what is found once, when all cases have been played."""
    if effort.mutate and result.sound:
        result.mutation = mutated(result, effort.mutate, effort.first)
    if result.counted is not None:
        result.code = code(result)
    result.lint = linted(result.config, effort.top)


def _prove(
    results: Sequence[Result],
    effort: Effort,
    jobs: int,
    on_round: Callable[[str, int], None],
    on_done: Callable[[dict[str, Any]], None],
) -> None:
    """Where that was asked for, prove what can be of each design that nothing was wrong with."""
    if not effort.formal:
        return
    sound = [result for result in results if result.sound]
    pairs = [(result, p) for result in sound for p in proofs_of(effort.top, result.config)]
    asked = [(proof, result.config) for result, proof in pairs]
    on_round("proofs", len(asked))
    found = prove_all(
        asked, seed=effort.first, jobs=jobs, limit=_SECONDS, on_done=lambda proved: on_done({})
    )
    for result in sound:
        result.proofs = [p for (of, _), p in zip(pairs, found, strict=True) if of is result]


def mutated(result: Result, count: int, seed: int) -> dict[str, Any]:
    """How many mutants of the design the cases of a regression notice; plain values.

    ``killed`` of ``mutants`` are, ``by_timing_only`` of them by a cycle more or less than the sound
    design takes, which benches judge only where nothing pauses; ``equivalent`` are proven to do
    what the sound design does.
    """
    cases = dict.fromkeys(outcome["case"] for outcome in result.outcomes)
    found = result.kind.mutate(result.config, list(cases), count, seed)
    return {
        "mutants": found.count,
        "killed": len(found.killed),
        "by_timing_only": sum(text.startswith("it takes ") for text in found.killed.values()),
        "equivalent": len(found.equivalent),
        "survivors": [str(mutant) for mutant in found.survivors],
        "killed_of_others": round(found.share, 4),
    }


def code(result: Result) -> dict[str, Any]:
    """Coverage of lines and toggles without what cannot be reached; plain values.

    ``lines`` and ``toggles`` are parts of ``points``; ``excluded`` has how many points each reason
    takes away, ``holes`` what was not seen.
    """
    config, kind, found = result.config, result.kind, result.counted
    assert found is not None
    found = without_exclusions(found, config)
    found = without_constants(found, kind.verilog(config), kind.ties(config))
    return {
        "lines": found.line.part,
        "toggles": found.toggle.part,
        "points": sum(mask.bit_count() for mask in found.points.values()),
        "excluded": {
            reason: sum(mask.bit_count() for mask in masks.values())
            for reason, masks in found.excluded.items()
        },
        "holes": list(map(str, found.holes())),
    }


def linted(config: CoreConfig, top: str) -> list[str] | None:
    """What the linters say of the Verilog; None where one of them is missing."""
    opinions = lint(verilog(config, top), design_name(config, top), {})
    if not all(opinion.version for opinion in opinions):
        return None
    return [f"{opinion.tool}: {text}" for opinion in opinions for text in opinion.messages]


def _waves(results: Sequence[Result], folder: Path) -> None:
    """Waveforms of the first cases that fail, of those that can have some."""
    for result in results:
        for outcome in result.failures[:_WAVES] if result.kind.in_cocotb else ():
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{result.config.name}-{outcome['test']}-{outcome['seed']}"
            case = outcome.get("shortened", outcome["case"])
            result.kind.play(result.config, case, folder / name, True)
