"""The command ``verify``: regressions of any configuration, their coverage and certificate."""

import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutcore.cli.options import AsJson, Force, Jobs, Overrides, Scheduler, Tls, configurations
from lutcore.cli.shared import (
    ERR,
    OUT,
    Column,
    keeping,
    print_facts,
    print_json,
    print_table,
    print_written,
    progress_bar,
    say,
)
from lutcore.errors import InputError
from lutcore.files import writing
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.gen.verify.campaign import Effort
    from lutcore.gen.verify.suite_file import SuiteFile
    from lutcore.gen.verify.verify import Report

_Configs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG...]", help="Preset names or .toml files.", autocompletion=configurations
    ),
]
_Random = Annotated[
    int, typer.Option("--random", help="Legal configurations drawn at random, on top.", min=0)
]
_Products = Annotated[
    int, typer.Option(metavar="N", help="Most products a cycle of drawn ones.", min=1)
]
_Seed = Annotated[
    int, typer.Option(help="Seed of drawn configurations, and first of the tests'.", min=0)
]
_Top = Annotated[
    str, typer.Option(help="tile; core: a core between streams; axi: one between buses.")
]
_Seeds = Annotated[int, typer.Option(help="Seeds of every test.", min=1)]
_Until = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Play further seeds for 90s, 20m, 2h, ... in all."),
]
_Lines = Annotated[
    bool, typer.Option("--lines", help="Count lines and toggles of the Verilog, too.")
]
_Mutate = Annotated[
    int, typer.Option(metavar="N", help="Mutants of each design to try the cases with.", min=0)
]
_Gates = Annotated[
    bool,
    typer.Option(
        "--gates", help="Map to cells and play short cases with X (Icarus Verilog); minutes."
    ),
]
_Formal = Annotated[
    bool,
    typer.Option("--formal", help="Prove what means something to the designs (z3); minutes."),
]
_Output = Annotated[Path, typer.Option("-o", "--output", help="Folder of results.")]
_JUnit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit's XML.")]
_Require = Annotated[
    str, typer.Option(metavar="STAGE", help="End with 1 below this stage: V1, V2, V3.")
]
_Replayed = Annotated[
    str | None, typer.Option(metavar="CASE", help="Play one case of a report again.")
]
_Waves = Annotated[Path | None, typer.Option(help="Waveform of --replay.")]
_Checked = Annotated[
    Path | None,
    typer.Option(metavar="CERTIFICATE", help="Say whether a certificate still holds."),
]
_Suite = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.py",
        help="Tests, golden models and constraints of your own, in Python, run as it is.",
    ),
]
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _end(text: str | None) -> float:
    """End of a duration from now on, 0 of none."""
    if text is None:
        return 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found:
        raise InputError(f"--until takes a duration such as 90s, 20m or 2h, not {text!r}")
    return time.monotonic() + float(found[1]) * _SECONDS[found[2]]


def _configs(
    names: list[str], overrides: list[str] | None, drawn: int, most: int, seed: int, core: bool
) -> list[CoreConfig]:
    found = [load_config(name, overrides or ()) for name in names]
    if drawn:
        from lutcore.gen.verify.draws import draws

        found += [draw.config for draw in itertools.islice(draws(seed, core, most), drawn)]
    if not found:
        raise InputError("nothing to verify: give a preset, a .toml file, or --random N")
    return found


def verify(
    configs: _Configs = None,
    random: _Random = 0,
    products: _Products = 4096,
    seed: _Seed = 0,
    top: _Top = "tile",
    seeds: _Seeds = 16,
    until: _Until = None,
    lines: _Lines = False,
    mutate: _Mutate = 0,
    suite: _Suite = None,
    gates: _Gates = False,
    formal: _Formal = False,
    output: _Output = Path("verification"),
    junit: _JUnit = None,
    require: _Require = "V0",
    replay: _Replayed = None,
    waves: _Waves = None,
    check: _Checked = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    tls: Tls = None,
    overrides: Overrides = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Verify designs: random and directed tests on RTL, their coverage, and a certificate.

    Every test of the plan is played with --seeds seeds, then cases that aim at what is not covered.
    Finished batches are kept in the folder: the same command goes on where it was stopped. A case
    that fails is shortened, and its report has the command that plays it again.

    Example: lutcore verify w2a8 --set n=4 --seeds 1
    """
    from lutcore.gen.verify.campaign import Effort
    from lutcore.gen.verify.evidence import STAGES
    from lutcore.gen.verify.suite_file import SuiteFile
    from lutcore.gen.verify.verify import BY

    if require not in STAGES:
        raise InputError(f"--require takes one of {', '.join(STAGES)}, not {require!r}")
    if check is not None:
        _check(check, bool(configs or random or replay or suite), as_json)
        return
    found = _configs(configs or [], overrides, random, products, seed, top != "tile")
    own = SuiteFile.read(suite) if suite else None
    if replay is not None:
        _replay(found, top, own, replay, waves, as_json)
        return
    _check_files(waves, junit)
    much = {"seeds": seeds, "first": seed, "until": _end(until)}
    more = {"lines": lines, "mutate": mutate, "gates": gates, "formal": formal}
    effort = Effort(top=top, **much, **more, suite=own)
    report = _run(found, effort, output, force, jobs, scheduler, tls)
    if junit is not None:
        with writing(junit, BY, force) as file:
            file.write(report.junit().encode())
    _show(report, output, as_json)
    raise typer.Exit(int(not report.ok or not report.reached(require)))


def _check_files(waves: Path | None, junit: Path | None) -> None:
    """Refuse what cannot be written, before anything runs."""
    if waves is not None:
        raise InputError("--waves goes with --replay: failing cases get waveforms by themselves")
    if junit is not None and not junit.parent.is_dir():
        raise InputError(f"{junit}: there is no folder {junit.parent}")


def _run(
    configs: list[CoreConfig],
    effort: "Effort",
    output: Path,
    force: bool,
    jobs: int,
    scheduler: str | None,
    tls: tuple[Path, Path, Path] | None,
) -> "Report":
    from lutcore.cli.studies import need_extra
    from lutcore.gen.verify.verify import verify

    if jobs > 1 or scheduler:
        need_extra()
    kept = f"finished batches are kept in {output / 'runs'}"
    with keeping(lambda: kept), progress_bar("batches") as progress:
        task = progress.add_task("")
        return verify(
            *configs,
            jobs=jobs,
            folder=output,
            force=force,
            scheduler=scheduler,
            tls=tls,
            on_round=lambda what, total: progress.reset(task, description=what, total=total),
            on_done=lambda record: progress.advance(task),
            **vars(effort),
        )


def _show(report: "Report", output: Path, as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
        return
    for design in report.summaries:
        rows = [
            (
                item["feature"],
                f"{item['passed']:,}",
                f"{item['failed']:,}",
                f"{item['hit']} of {item['bins']}",
                ", ".join(item["holes"][:3]) + (" ..." if len(item["holes"]) > 3 else ""),
            )
            for item in design["features"]
        ]
        functional = design["functional"]
        title = (
            f"{design['config']['name']}: {design['stage']}, {design['cases']:,} cases, "
            f"{functional['hit']} of {functional['bins']} bins"
        )
        columns = (Column("feature"), Column.number("passed"), Column.number("failed"))
        print_table(title, (*columns, Column.number("bins"), Column("not hit")), rows)
        if (suite := design["suite"]) and (constraints := suite["constraints"]):
            said = f"constrained by {', '.join(constraints)} of {suite['path']}"
            OUT.print(said, highlight=False, soft_wrap=True, markup=False)
        if code := design["code"]:
            _show_code(code)
        if mutation := design["mutation"]:
            _show_mutants(mutation)
        for proved in design["proofs"] or ():
            _show_proof(proved)
        for failure in design["failures"]:
            ERR.print(f"failed: {failure['test']}: {failure['problems'][0]}", highlight=False)
            OUT.print(failure["replay"], highlight=False, soft_wrap=True, markup=False)
        if errors := design["errors"]:
            say(f"{len(errors)} batches could not be played: {errors[0]}", "red")
    print_written(output / "certificate.html", output / "certificate.json")


def _show_code(found: dict[str, Any]) -> None:
    excluded = ", ".join(f"{count:,} {reason}" for reason, count in found["excluded"].items())
    OUT.print(
        f"{found['lines']:.1%} of lines and branches, {found['toggles']:.2%} of toggles of "
        f"{found['points']:,} points; left out: {excluded or 'none'}",
        highlight=False,
    )
    for hole in found["holes"][:10]:
        OUT.print(f"not seen: {hole}", highlight=False, soft_wrap=True, markup=False)
    if len(found["holes"]) > 10:
        OUT.print(f"and {len(found['holes']) - 10} more, in the certificate", highlight=False)


def _show_mutants(found: dict[str, Any]) -> None:
    others = found["mutants"] - found["equivalent"]
    OUT.print(
        f"{found['killed']} of {others} mutants killed, {found['by_timing_only']} of them by "
        f"timing only; {found['equivalent']} more are equivalent",
        highlight=False,
    )
    for survivor in found["survivors"]:
        OUT.print(f"survives: {survivor}", highlight=False, soft_wrap=True, markup=False)


def _show_proof(found: dict[str, Any]) -> None:
    OUT.print(
        f"{found['name']} {found['verdict']}, {found['strength']}: {len(found['claimed'])} claims, "
        f"{len(found['found'])} of {found['tried']} mutants found",
        highlight=False,
    )
    for sentence in (*found["broken"], *found["unreached"]):
        ERR.print(f"does not hold or happen: {sentence}", highlight=False, soft_wrap=True)


def _replay(
    configs: list[CoreConfig],
    top: str,
    suite: "SuiteFile | None",
    text: str,
    waves: Path | None,
    as_json: bool,
) -> None:
    if len(configs) != 1:
        raise InputError(f"--replay takes one configuration, not {len(configs)}")
    from lutcore.gen.verify.kinds import kind_of

    (config,), kind = configs, kind_of(top, suite)
    kind.check(config)
    if waves is not None and not kind.in_cocotb:
        raise InputError("--waves is for tiles: of a core, play its program in a bench of cocotb")
    with ERR.status(f"simulating {config.name}"):
        verdict = kind.play(config, text, waves, False)
    if as_json:
        print_json({"case": text, **_plain(verdict)})
    else:
        print_facts(f"{config.name}: {text}", _plain(verdict))
    raise typer.Exit(int(verdict["mismatches"] > 0))


def _plain(verdict: dict[str, Any]) -> dict[str, Any]:
    names = ("mismatches", "problems", "slices", "cycles", "checked")
    return {name: verdict[name] for name in names if name in verdict}


def _check(path: Path, more: bool, as_json: bool) -> None:
    from lutcore.gen.verify.report import check

    if more:
        raise InputError("--check takes a certificate alone, and plays nothing")
    said = check(path)
    if as_json:
        print_json({"holds": not said, "reasons": said})
    elif said:
        for reason in said:
            ERR.print(f"{path}: {reason}", highlight=False, soft_wrap=True)
    else:
        OUT.print(f"{path} holds", highlight=False, soft_wrap=True)
    raise typer.Exit(int(bool(said)))
