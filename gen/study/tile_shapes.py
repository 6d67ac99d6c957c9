"""The best tile of 512 products a cycle for every pair of formats (paper, fig. 14)."""

from collections.abc import Iterator, Sequence
from typing import Any

from lutcore.gen.experiments import dp4 as units
from lutcore.gen.experiments.compare import best, comparable, ratio
from lutcore.gen.experiments.paper import INT8_DENSITY, INT8_EFFICIENCY, LUT_LOSES
from lutcore.gen.experiments.points import (
    Entry,
    Finding,
    Plot,
    Row,
    Settings,
    Study,
    shape_label,
    tile,
)
from lutcore.gen.study.dp4 import unit_entry
from lutcore.gen.study.shapes import baseline_shapes, lut_shapes
from lutcore.hdl.config.core import CoreConfig

_ACTIVATIONS = ("int8", "int16", "fp8-e4m3", "fp16")
_WEIGHTS = (1, 2, 4)
_REDUCED = (("int8", 1), ("int8", 2))
#: The paper's tile: always measured, whatever the ranking says.
_PAPER: dict[str, Any] = {"m": 2, "n": 64, "k": 4}

LUT, ADD, CONVENTIONAL = "LUT", "ADD", "conventional LUT"


def _whole(activation: str) -> str:
    """Name of the multiplier with weights as wide as it takes, at most eight bits."""
    return f"MAC W8 A_{activation.upper()}"


def _shapes(activation: str, bits: int, most: int) -> Iterator[tuple[str, CoreConfig]]:
    paper = tile(activation=activation, bits=bits, **_PAPER)
    shapes = lut_shapes(activation, bits, most)
    yield from ((LUT, config) for config in [*shapes, *([] if paper in shapes else [paper])])
    few = most and max(1, most // 2)
    yield from ((ADD, config) for config in baseline_shapes("add", activation, bits, few))
    dedicated = baseline_shapes("mac", activation, bits, few)
    yield from ((f"MAC W{bits}", config) for config in dedicated)
    if not most:
        shapes = baseline_shapes("conventional-lut", activation, bits)
        yield from ((CONVENTIONAL, config) for config in shapes)


def _entries(settings: Settings) -> list[Entry]:
    most = settings.most or (1 if settings.reduced else 0)
    pairs = _REDUCED if settings.reduced else [(a, b) for a in _ACTIVATIONS for b in _WEIGHTS]
    entries = []
    for activation, bits in pairs:
        few = most and max(1, most // 2)
        whole = [(_whole(activation), c) for c in baseline_shapes("mac", activation, 8, few)]
        for series, config in [*_shapes(activation, bits, most), *whole]:
            labels = {
                "pair": f"W{bits} A_{activation.upper()}",
                "activation": activation,
                "bits": bits,
                "shape": shape_label(config),
            }
            point = settings.point(config, "energy", deepen=True)
            entries.append(Entry(series=series, point=point, labels=labels))
        if activation == "fp16":
            labels = {"pair": f"W{bits} A_FP16", "activation": activation, "bits": bits}
            entries += [unit_entry(settings, kind, **labels) for kind in units.KINDS]
    return entries


def _findings(rows: Sequence[Row]) -> list[Finding]:
    findings = []
    for pair in dict.fromkeys(row["pair"] for row in rows):
        ours = comparable(rows, pair=pair, series=LUT)
        first = next(row for row in rows if row["pair"] == pair)
        bits, activation = first["bits"], first["activation"]
        int8 = activation == "int8"
        top = best(ours, "ge_ns_per_op")
        note = f"best shape: {top['shape']}, {top['ge_per_op']:.1f} GE a product" if top else ""
        others = dict.fromkeys(
            r["series"] for r in rows if r["pair"] == pair and r["series"] != LUT
        )
        for other in others:
            theirs = comparable(rows, pair=pair, series=other)
            whole = other == _whole(activation)
            density = INT8_DENSITY.get(bits) if int8 and whole else None
            efficiency = INT8_EFFICIENCY if int8 and whole and bits == 2 else None
            loses = (bits, activation) == LUT_LOSES[0] and whole
            found = ratio(
                f"{pair}: LUT over {other}, density",
                ours,
                theirs,
                paper=density,
                note=note + ("; in the paper LUT loses here" if loses else ""),
            )
            findings.append(_verdict(found))
            if any("core_fj_per_op" in row for row in [*ours, *theirs]):
                what = f"{pair}: LUT over {other}, operations per joule"
                found = ratio(what, ours, theirs, "core_fj_per_op", paper=efficiency)
                findings.append(_verdict(found))
    return findings


def _verdict(finding: Finding) -> Finding:
    """Say so where LUT does not pay."""
    if finding.ours is None or finding.ours >= 1:
        return finding
    note = "LUT does not pay" + (f"; {finding.note}" if finding.note else "")
    return Finding(**{**vars(finding), "note": note})


STUDY = Study(
    name="tile-shapes",
    title="Tile shapes",
    figure="fig. 14 and table 1",
    method=(
        "All M, N, k, lookups and table forms of about 512 products a cycle, for each pair of "
        "activation and weight formats; ADD, conventional LUT and MAC of the same products in "
        "several shapes, the best of each compared. Float activations are aligned, in MAC as well. "
        "The core counts: table builder in, row sums and drain out. 'MAC W8' takes weights of any "
        "width up to eight bits, 'MAC W1' to 'MAC W4' are built for the width of the pair."
    ),
    entries=_entries,
    findings=_findings,
    plots=[
        Plot(name="density", kind="scatter", x="ge_per_op", y="core_fj_per_op", panel="pair",
             x_label="GE for a product a cycle", y_label="fJ a product", log=True),
        Plot(name="area", kind="bars", x="series", y="ge_per_op", panel="pair", x_label="",
             y_label="GE for a product a cycle, best shape", log=True),
    ],
    columns=("pair", "shape", "ops_per_cycle", "counted_ge", "ge_per_op", "reached_ns", "density",
             "core_fj_per_op", "power_mw", "slack_ns"),
)  # fmt: skip
