"""One self-contained HTML page: charts, sortable tables, the paper's figures beside ours."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lutcore.gen.experiments.plots import COLOURS
from lutcore.gen.experiments.results import counted

#: Columns: heading, and which way is better where one is.
HEADINGS: dict[str, tuple[str, str]] = {
    "area_ge": ("whole tile, GE", "min"),
    "core_ge": ("core, GE", "min"),
    "counted_ge": ("GE counted", "min"),
    "ge_per_op": ("GE for a product a cycle", "min"),
    "unit_ge_per_op": ("of it units", "min"),
    "density": ("products per ns and kGE", "max"),
    "ops_per_cycle": ("products a cycle", "max"),
    "energy_fj_per_op": ("fJ a product, whole tile", "min"),
    "core_fj_per_op": ("fJ a product", "min"),
    "power_mw": ("power, mW", "min"),
    "slack_ns": ("slack, ns", ""),
    "rms_error": ("RMS error", "min"),
    "luts": ("LUTs, whole tile", "min"),
    "core_luts": ("LUTs, core", "min"),
    "luts_per_op": ("LUTs for a product a cycle", "min"),
    "ff": ("flip-flops", "min"),
    "lutram": ("LUT-RAM", ""),
    "bram": ("block RAM", ""),
    "dsp": ("DSP", ""),
    "pair": ("formats", ""),
    "k": ("K", ""),
}


def number(value: Any) -> str:
    """A value as a reader wants it: four significant digits, thousands separated."""
    if value is None or value == "":
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def page(results: Sequence[Mapping[str, Any]], images: Mapping[str, bytes], *, title: str) -> str:
    """HTML of one or more results.

    Parameters
    ----------
    results : sequence of dict
        As of :func:`lutcore.gen.experiments.results.result`.
    images : dict
        As of :func:`lutcore.gen.experiments.plots.draw`; bar charts are embedded, others drawn in
        the page.
    title : str
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["counted"] = counted
    environment.filters["json"] = lambda value: json.dumps(value, indent=1)
    template = environment.get_template("report.html")
    return template.render(
        title=title,
        results=[_section(found, images) for found in results],
        headings=HEADINGS,
        colours=COLOURS,
    )


def _section(found: Mapping[str, Any], images: Mapping[str, bytes]) -> dict[str, Any]:
    """A result with what the template needs: places of rows, charts, pictures."""
    place: dict[str, int] = {}
    for i, row in enumerate(found["rows"]):
        place.setdefault(row["key"], i)
    charts, pictures = [], []
    for plot in found["plots"]:
        picture = images.get(f"{found['name']}-{plot['name']}.svg")
        if plot["kind"] != "bars":
            charts.append(_chart(found, plot))
        elif picture is not None:
            pictures.append((plot["y_label"], base64.b64encode(picture).decode("ascii")))
    return {**found, "place": place, "charts": charts, "pictures": pictures}


def _chart(found: Mapping[str, Any], plot: Mapping[str, Any]) -> dict[str, Any]:
    """Data of a chart that the page draws: axes may be changed to any numeric column."""
    names = dict.fromkeys([plot["x"], plot["y"], *found["columns"]])
    compared = [(i, row) for i, row in enumerate(found["rows"]) if row["compared"]]
    axes = [
        name for name in names if any(isinstance(row.get(name), int | float) for _, row in compared)
    ]
    labels = {plot["x"]: plot["x_label"], plot["y"]: plot["y_label"]}
    return {
        "id": f"{found['name']}-{plot['name']}",
        "x": plot["x"],
        "y": plot["y"],
        "lines": plot["kind"] == "lines",
        "log": plot["log"],
        "panel": plot["panel"],
        "axes": [
            {
                "name": name,
                "label": labels.get(name) or HEADINGS.get(name, (name, ""))[0],
                "better": HEADINGS.get(name, ("", ""))[1],
            }
            for name in axes
        ],
        "points": [
            {
                "row": f"{found['name']}-{i}",
                "series": row["series"],
                "panel": row.get(plot["panel"], ""),
                "title": row.get("shape") or row.get("design") or "",
                **{name: row.get(name) for name in axes},
            }
            for i, row in compared
        ],
    }
