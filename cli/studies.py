"""The commands ``study`` and ``explore``."""

import contextlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lutcore.cli.options import AsJson, Force, Jobs, Liberty, Period, Scheduler, Tls
from lutcore.cli.shared import OUT, fail, keeping, print_json, print_written, progress_bar, say
from lutcore.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

#: What the commands need besides the package's own dependencies.
_EXTRA = ("matplotlib", "jinja2", "distributed", "optuna")

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder of results.")]


def study(
    name: Annotated[
        str,
        typer.Argument(
            help="k-sweep, dp4, weight-bits, tile-shapes, ablation, fpga, or all of them: all; "
            "end-to-end, which models and needs no synthesis."
        ),
    ],
    output: Output = Path("studies"),
    liberty: Liberty = None,
    period: Period = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    tls: Tls = None,
    force: Force = False,
    reduced: Annotated[bool, typer.Option("--reduced", help="A few points of each kind.")] = False,
    points: Annotated[
        int,
        typer.Option(help="Tile shapes of each engine at most, the best guesses first.", min=0),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Reproduce a figure of the paper: CSV, JSON, plots and an HTML report.

    Finished points are kept in the folder: the same command goes on where it was stopped.

    Example: lutcore study end-to-end --reduced
    """
    need_extra()
    from lutcore.gen.experiments.campaign import run, timing
    from lutcore.gen.experiments.points import Settings
    from lutcore.gen.experiments.results import failures
    from lutcore.gen.experiments.runner import Runner
    from lutcore.gen.study.studies import END_TO_END, chosen

    if name == END_TO_END:
        _end_to_end(output, jobs, scheduler, tls, reduced, force, as_json)
        return
    studies = chosen(name)
    period, warning = timing(liberty, period)
    if warning:
        _warn(warning)
    settings = Settings(liberty=liberty, period=period, reduced=reduced, most=points)
    runner = Runner(output / "points", jobs=jobs, scheduler=scheduler, tls=tls)
    with _points_kept(output), progress_bar("points") as progress, runner:
        task = progress.add_task("")
        results = run(
            studies,
            settings,
            output,
            runner,
            on_start=lambda study, total: progress.reset(task, description=study.name, total=total),
            on_done=lambda record: _advance(progress, task, record),
            force=force,
        )
    _show(results, output, as_json)
    _end([text for found in results for text in failures(found)])


def _show(results: list[dict[str, Any]], output: Path, as_json: bool) -> None:
    if as_json:
        print_json(results[0] if len(results) == 1 else {"studies": results})
        return
    for found in results:
        _show_findings(found)
    report = "index.html" if len(results) > 1 else f"{results[0]['name']}.html"
    print_written(output / report)


def explore(
    space: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="Design space.")],
    output: Output = Path("exploration"),
    liberty: Liberty = None,
    period: Period = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
    tls: Tls = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Explore a design space: CSV, JSON, plot and HTML report of the Pareto front.

    Finished points are kept in the folder: the same command goes on where it was stopped.

    Example: lutcore explore examples/space.toml
    """
    need_extra()
    import dataclasses

    from lutcore.gen.experiments.campaign import timing, write
    from lutcore.gen.experiments.measure import FAMILIES
    from lutcore.gen.experiments.results import failures
    from lutcore.gen.experiments.runner import Runner
    from lutcore.gen.explore.report import exploration
    from lutcore.gen.explore.search import explore as search
    from lutcore.gen.explore.space import load_space

    design = load_space(space, liberty, period)
    if design.target not in FAMILIES:
        found_period, warning = timing(design.liberty, design.period)
        design = dataclasses.replace(design, period=found_period)
        if warning:
            _warn(warning)
    runner = Runner(output / "points", jobs=jobs, scheduler=scheduler, tls=tls)
    with _points_kept(output), progress_bar("points") as progress, runner:
        task = progress.add_task(space.stem, total=None)
        outcome = search(
            design,
            runner,
            lambda done, planned: progress.update(task, completed=done, total=planned),
        )
    found = exploration(design, outcome, space)
    write(found, output, force)
    if as_json:
        print_json(found)
    else:
        _show_front(found)
        print_written(output / f"{found['name']}.html")
    _end(list(failures(found)))
    if not found["exploration"]["front"]:
        _warn("no point is within all limits with closed timing: the front is empty")
        raise typer.Exit(1)


def _end_to_end(
    output: Path,
    jobs: int,
    scheduler: str | None,
    tls: tuple[Path, Path, Path] | None,
    reduced: bool,
    force: bool,
    as_json: bool,
) -> None:
    """The study that models: no library, no timing."""
    from lutcore.gen.experiments.results import failures
    from lutcore.gen.experiments.runner import Runner
    from lutcore.gen.performance.workload import record
    from lutcore.gen.study.end_to_end import end_to_end, workloads, write_result

    measure: Any = record  # of a workload
    runner = Runner(output / "points", jobs=jobs, scheduler=scheduler, tls=tls, measure=measure)
    with _points_kept(output), progress_bar("points") as progress, runner:
        task = progress.add_task("end-to-end", total=len(workloads(reduced)))
        found = end_to_end(reduced, runner, lambda record: progress.advance(task))
    write_result(found, output, force)
    if as_json:
        print_json(found)
    else:
        _show_findings(found)
        print_written(output / f"{found['name']}.html")
    _end(list(failures(found)))


# Helpers -----------------------------------------------------------------------------------------


def need_extra() -> None:
    """Refuse to go on without what several workers need, with the remedy."""
    for package in _EXTRA:
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is missing: pip install 'lut-tensor-core[study]'")


def _warn(text: str) -> None:
    say(text, "yellow")


def _advance(progress: "Progress", task: Any, record: Mapping[str, Any]) -> None:
    progress.advance(task)
    if record.get("error"):
        _warn(f"{record.get('design') or record['config']['name']}: {record['error']}")


def _points_kept(folder: Path) -> contextlib.AbstractContextManager[None]:
    """What an interrupted command says of its points."""

    def words() -> str:
        kept = len(list((folder / "points").glob("*.json")))
        return f"{kept} finished points are kept in {folder}"

    return keeping(words)


def _end(failed: list[str]) -> None:
    """Exit with status 1 if points failed, with the first reason."""
    if failed:
        more = f" (and {len(failed) - 1} other reasons)" if len(failed) > 1 else ""
        fail(f"points failed: {failed[0]}{more}; run it again to try them again", "tool", False)
        raise typer.Exit(1)


def _title(found: Mapping[str, Any]) -> str:
    library = found["settings"]["liberty"]
    return f"{found['title']}, on {library}" if library else found["title"]


def _show_findings(found: Mapping[str, Any]) -> None:
    from lutcore.gen.experiments.report import number
    from lutcore.gen.experiments.results import counted

    table = Table(title=_title(found), title_justify="left")
    for heading in ("comparison", "here", "published", "note"):
        right = heading in ("here", "published")
        table.add_column(heading, justify="right" if right else "left")
    for finding in found["findings"]:
        published = f"{number(finding['paper'])} {finding['source']}".strip()
        table.add_row(finding["what"], number(finding["ours"]), published, finding["note"])
    OUT.print(table)
    OUT.print(counted(found["counts"]), highlight=False)


def _show_front(found: Mapping[str, Any]) -> None:
    from lutcore.gen.experiments.report import HEADINGS, number
    from lutcore.gen.experiments.results import counted

    table = Table(title=f"{_title(found)}: front", title_justify="left")
    for column in found["columns"]:
        table.add_column(HEADINGS.get(column, (column, ""))[0])
    for row in found["rows"]:
        if row["series"] == "front":
            table.add_row(*(number(row.get(column)) for column in found["columns"]))
    OUT.print(table)
    OUT.print(counted(found["counts"]), highlight=False)
    facts = found["exploration"]
    words = [f"{facts['combinations']:,} combinations, {facts['pruned']} ruled out by the model"]
    words += [
        f"model of {name}: {model['rms_error']:.1%} RMS error, {model['largest_error']:.1%} at most"
        for name, model in facts["models"].items()
    ]
    OUT.print("; ".join(words), highlight=False)
