"""Runs studies and writes what they found."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.gen.experiments.measure import check_library
from lutcore.gen.experiments.plots import draw
from lutcore.gen.experiments.points import Settings, Study
from lutcore.gen.experiments.report import page
from lutcore.gen.experiments.results import files, run_study
from lutcore.gen.experiments.runner import OnDone, Runner
from lutcore.gen.tools.opensta import sta_command

#: Clock period in ns where a library is given and nothing else is said: the paper's 1 GHz.
PERIOD = 1.0

_NO_STA = "OpenSTA is missing: apt-get install opensta (or your system's package of it)"


def timing(liberty: Path | None, period: float | None) -> tuple[float | None, str]:
    """The period to close at, and why areas will not be compared, if they will not.

    Raises
    ------
    InputError
        A period is asked for that cannot be analysed, or the library cannot be used.
    """
    check_library(liberty)
    if period is not None:
        if liberty is None:
            raise InputError("--period needs --liberty: the neutral library has no timing")
        if sta_command() is None:
            raise InputError(_NO_STA)
        return period, ""
    if liberty is None:
        return None, "no --liberty: areas are listed without timing, and not compared"
    if sta_command() is None:
        return None, f"{_NO_STA}: areas are listed without timing, and not compared"
    return PERIOD, ""


def run(
    studies: Sequence[Study],
    settings: Settings,
    folder: Path,
    runner: Runner,
    *,
    on_start: Callable[[Study, int], None] = lambda study, points: None,
    on_done: OnDone | None = None,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Run studies one after another; each one's files are there when it is done.

    Writes ``NAME.json``, ``NAME.csv``, ``NAME-PLOT.svg``, ``NAME-PLOT.png`` and ``NAME.html`` of
    each study into ``folder``, and of several studies ``index.html`` as well.

    Parameters
    ----------
    on_start : callable
        Called with a study and the number of its points before they are measured.
    on_done : callable
        Called with each record.
    force : bool
        Replace files of others, too.

    Returns
    -------
    list of dict
        Results, see :func:`lutcore.gen.experiments.results.result`.

    Raises
    ------
    InputError
        ``folder`` cannot be written, or no scheduler answers. Finished points are kept.
    ToolError
        The scheduler was lost.
    """
    results: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    for study in studies:
        points = {entry.point.key for entry in study.entries(settings)}
        on_start(study, len(points))
        found = run_study(study, settings, runner, on_done)
        pictures |= write(found, folder, force)
        results.append(found)
    if len(results) > 1:
        index = {"index.html": page(results, pictures, title="Studies")}
        write_files(folder, index, "study all", force)
    return results


def write(
    found: Mapping[str, Any],
    folder: Path,
    force: bool = False,
    more: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Write a result's files into a folder; returns its plots (see
    :func:`lutcore.gen.experiments.plots.draw`).

    Parameters
    ----------
    force : bool
        Replace what others wrote, too.
    more : mapping, optional
        Further files.

    Raises
    ------
    InputError
        The folder cannot be written, or has somebody else's files.
    """
    images = draw(found)
    written: dict[str, str | bytes] = {**files(found), **images, **(more or {})}
    written[f"{found['name']}.html"] = page([found], images, title=found["title"])
    write_files(folder, written, f"study {found['name']}", force)
    return images
