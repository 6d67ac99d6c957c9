"""Rooflines: what operators reach against peak and bandwidth."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from lutcore.gen.experiments.plots import COLOURS, MARKERS, fixed_style, saved
from lutcore.gen.performance.system import System


def roofline(system: System, series: Sequence[tuple[str, list[dict[str, Any]]]], name: str):
    """File name -> content: ``NAME.svg`` and ``NAME.png``.

    Parameters
    ----------
    series : sequence of (label, rows)
        Rows as of :func:`lutcore.gen.performance.model.estimate`; linear layers are shown, but
        those of the host.
    """
    peak, slope = system.operations, system.bandwidth * 1e9
    drawn = [(label, [row for row in rows if row["where"] != "host"]) for label, rows in series]
    shown = [row for _, rows in drawn for row in rows]
    corner = peak / slope
    low = min([row["intensity"] for row in shown], default=corner) / 2
    high = max([row["intensity"] for row in shown] + [4 * corner]) * 2
    with fixed_style():
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axis = figure.subplots()
        roof = [(x, min(peak, slope * x) / 1e12) for x in (low, corner, high)]
        axis.plot(*zip(*roof, strict=True), color="black", linewidth=1)
        for i, (label, rows) in enumerate(drawn):
            across, up = ([row[name] for row in rows] for name in ("intensity", "rate"))
            axis.plot(
                across, [y / 1e12 for y in up], linestyle="", marker=MARKERS[i % len(MARKERS)],
                color=COLOURS[i % len(COLOURS)], markersize=5, label=label,
            )  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("operations a byte of memory traffic")
        axis.set_ylabel("tera-operations a second")
        axis.set_title(f"{system.name}: linear layers", fontsize=9)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
        return saved(figure, name)
