"""Plots of a result as SVG and PNG, by Matplotlib."""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lutcore.gen.experiments.compare import best
from lutcore.gen.experiments.points import Row

#: Colours that colour-blind readers tell apart (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
MARKERS = "osD^vPX*"
_FIXED: dict[Any, Any] = {"svg.hashsalt": "lutcore", "svg.fonttype": "none", "font.size": 9}


def draw(found: Mapping[str, Any]) -> dict[str, bytes]:
    """File name -> content of every plot of a result: ``NAME-PLOT.svg`` and ``.png``.

    Only rows that may be compared are shown; a plot that would be empty is left out.
    """
    images: dict[str, bytes] = {}
    for plot in found["plots"]:
        shown = [row for row in found["rows"] if row["compared"] and row.get(plot["y"]) is not None]
        if plot["kind"] != "bars":
            shown = [row for row in shown if row.get(plot["x"]) is not None]
        if not shown:
            continue
        with fixed_style():
            figure = _figure(plot, shown)
            if library := found["settings"]["liberty"]:
                figure.suptitle(library, fontsize=7)
            images |= saved(figure, f"{found['name']}-{plot['name']}")
    return images


def fixed_style() -> AbstractContextManager[None]:
    """The style in which all figures are made, and the same bytes on every run."""
    return rc_context(_FIXED)


def saved(figure: Figure, name: str) -> dict[str, bytes]:
    """File name -> content of a figure: ``NAME.svg`` and ``NAME.png``; in the fixed style."""
    images: dict[str, bytes] = {}
    for suffix, metadata in (("svg", {"Date": None}), ("png", {})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=120, metadata=metadata)
        images[f"{name}.{suffix}"] = buffer.getvalue()
    return images


def _figure(plot: Mapping[str, Any], rows: Sequence[Row]) -> Figure:
    panels = list(dict.fromkeys(row.get(plot["panel"], "") for row in rows))
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    width = 7.2 if across == 1 else 4.2 * across
    figure = Figure(figsize=(width, 3.6 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).flatten()
    for axis, panel in zip(axes, panels, strict=False):
        here = [row for row in rows if row.get(plot["panel"], "") == panel]
        (_bars if plot["kind"] == "bars" else _points)(axis, plot, here)
        if panel:
            axis.set_title(panel, fontsize=9)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    return figure


def _points(axis: Axes, plot: Mapping[str, Any], rows: Sequence[Row]) -> None:
    x, y = plot["x"], plot["y"]
    for i, series in enumerate(dict.fromkeys(row["series"] for row in rows)):
        line = sorted((row[x], row[y]) for row in rows if row["series"] == series)
        axis.plot(
            *zip(*line, strict=True),
            marker=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            linestyle="-" if plot["kind"] == "lines" else "",
            markersize=4,
            label=series,
        )
    axis.set_xlabel(plot["x_label"])
    axis.set_ylabel(plot["y_label"])
    if plot["log"]:
        axis.set_yscale("log")
        if plot["kind"] == "scatter":
            axis.set_xscale("log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)


def _bars(axis: Axes, plot: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """The least of each series."""
    names = list(dict.fromkeys(row["series"] for row in rows))[::-1]
    values = []
    for name in names:
        top = best([row for row in rows if row["series"] == name], plot["y"])
        values.append(top[plot["y"]] if top else 0)
    bars = axis.barh(names, values, color=COLOURS[0])
    axis.bar_label(bars, fmt="{:,.4g}", padding=2, fontsize=7)
    axis.set_xlabel(plot["y_label"])
    axis.margins(x=0.15)
    if plot["log"]:
        axis.set_xscale("log")
