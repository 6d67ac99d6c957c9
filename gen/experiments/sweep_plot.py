"""The figure of a sweep over clock periods."""

from matplotlib.figure import Figure

from lutcore.gen.asic.sweep import Sweep
from lutcore.gen.experiments.plots import COLOURS, MARKERS, fixed_style, saved


def sweep_plot(found: Sweep, name: str) -> dict[str, bytes]:
    """File name -> content of a figure of gate equivalents times period, as SVG and PNG."""
    with fixed_style():
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axis = figure.subplots()
        series = {"core": "core_ge_ns", "whole tile": "ge_ns"}
        for i, (label, field) in enumerate(series.items()):
            line = sorted((r.reached_ns, getattr(r, field)) for r in found.periods)
            across, up = zip(*line, strict=True)
            axis.plot(across, up, color=COLOURS[i], marker=MARKERS[i], label=label)
        best = found.best
        axis.axvline(best.reached_ns or 0.0, color="grey", linewidth=0.8)
        axis.set_xlabel("clock period that is met, ns")
        axis.set_ylabel("gate equivalents x ns a product")
        axis.set_title(f"{name}: best at {best.reached_ns} ns", fontsize=9)
        axis.legend()
        return saved(figure, f"{name}-sweep")
