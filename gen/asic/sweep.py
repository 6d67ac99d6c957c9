"""Area of a tile over clock periods, and over the places of its pipeline cut."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.asic.synth import AreaReport, synthesise
from lutcore.gen.emit.rtl import design_name, design_rtlil
from lutcore.gen.tools.opensta import sta_command
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.fields import DOMAINS

#: Step between periods in ns where none is given, how often it is then halved around the best of
#: them, and the most periods of a sweep.
STEP, HALVINGS, MOST = 0.1, 2, 100


def periods(text: str) -> list[float]:
    """Clock periods in ns, ascending, of ``LOW:HIGH`` or ``LOW:HIGH:STEP``, both ends included.

    Raises
    ------
    InputError
    """
    parts = text.split(":")
    try:
        low, high, step = (*map(float, parts), *([STEP] if len(parts) == 2 else []))
    except ValueError:
        raise InputError(
            f"--sweep takes periods in ns as LOW:HIGH or LOW:HIGH:STEP, "
            f"for example 0.6:1.6, not {text!r}"
        ) from None
    if not (0 < low <= high < float("inf") and step > 0):
        raise InputError(f"--sweep needs 0 < LOW <= HIGH and STEP > 0, not {text!r}")
    count = int((high - low) / step + 1e-9) + 1
    if count > MOST:
        raise InputError(f"--sweep takes at most {MOST} periods, not the {count} of {text!r}")
    return [round(low + i * step, 6) for i in range(count)]


@dataclass(frozen=True)
class Sweep:
    """Reports of one tile.

    Attributes
    ----------
    periods : list of AreaReport
        At each period, with the configuration as it was given: the smallest netlist of all periods
        that meets it, so that a longer one never takes more area.
    cuts : list of AreaReport
        With every place of the pipeline cut that makes another tile, at the best of the periods;
        empty where the tile has no such cut.
    """

    periods: list[AreaReport]
    cuts: list[AreaReport]

    @property
    def best(self) -> AreaReport:
        """Least gate equivalents of the core times period."""
        return _least([*self.periods, *self.cuts])

    def to_dict(self) -> dict[str, Any]:
        """All reports as plain values, and the best."""
        found = {name: [r.to_dict() for r in getattr(self, name)] for name in ("periods", "cuts")}
        return {**found, "best": self.best.to_dict()}


def _least(reports: Sequence[AreaReport]) -> AreaReport:
    return min(reports, key=lambda report: report.core_ge_ns or float("inf"))


def _kept(reports: Sequence[AreaReport]) -> list[AreaReport]:
    """Reports, ascending by period, each of the smallest netlist of all that meets its period."""
    found = []
    for report in sorted(reports, key=lambda r: r.period_ns or 0.0):
        asked = report.period_ns or 0.0
        met = [r for r in (report, *reports) if (r.reached_ns or asked) <= asked]
        least = min(met or [report], key=lambda r: r.core_gate_equivalents)
        found.append(_at(least, asked))
    return found


def _at(report: AreaReport, period: float) -> AreaReport:
    """The same netlist with another clock period."""
    later = period - (report.period_ns or 0.0)
    if not later:
        return report
    slacks = {block: slack + later for block, slack in report.block_slack_ns.items()}
    slack = (report.slack_ns or 0.0) + later
    return dataclasses.replace(report, period_ns=period, slack_ns=slack, block_slack_ns=slacks)


def cuts(config: CoreConfig) -> list[CoreConfig]:
    """A configuration for each place of the pipeline cut that makes another tile, its own first."""
    if not config.can_keep_carries:
        return []
    found: dict[str, CoreConfig] = {}
    domain = DOMAINS["pipeline_cut"]
    for cut in (config.pipeline_cut, *range(domain.low, domain.high + 1)):
        other = config.replace(pipeline_cut=cut)
        found.setdefault(design_rtlil(other).replace(design_name(other), ""), other)
    return list(found.values())


def sweep(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None,
    at: Sequence[float],
    *,
    halvings: int = 0,
    told: Callable[[str], None] = lambda what: None,
) -> Sweep:
    """Synthesise a tile at every period, and its other pipeline cuts at the best of them.

    Every result is kept, so that a sweep that was ended goes on where it was.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path, str or sequence of Path, optional
        As :func:`~lutcore.gen.asic.synth.synthesise` takes them; the library needs timing.
    at : sequence of float
        Clock periods in ns.
    halvings : int
        How often the best period is then tried with half of the distance to its neighbours.
    told : callable
        Called with what is synthesised next, in words.

    Raises
    ------
    InputError
        OpenSTA or the library's timing is missing.
    ToolError
        A tool failed.
    """
    if sta_command() is None:
        raise InputError("a sweep needs OpenSTA (sta): install it, or set LUTCORE_STA")

    def report(of: CoreConfig, period: float) -> AreaReport:
        cut = f", cut {of.pipeline_cut}" if of.can_keep_carries else ""
        told(f"at {period:g} ns{cut}")
        return synthesise(of, liberty, period=period)

    at = sorted(set(at))
    found = {period: report(config, period) for period in at}
    step = min((later - sooner for sooner, later in itertools.pairwise(at)), default=0.0)
    for _ in range(halvings if step else 0):
        step /= 2
        middle = _least(list(found.values())).reached_ns or 0.0
        for period in (round(middle - step, 6), round(middle + step, 6)):
            if at[0] <= period <= at[-1] and period not in found:
                found[period] = report(config, period)
    kept = _kept(list(found.values()))
    best = _least(kept).period_ns
    assert best is not None
    others = [report(other, best) for other in cuts(config)[1:]]
    return Sweep(kept, others)
