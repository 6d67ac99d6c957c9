"""Four products a cycle with FP16 activations: LUT, ADD and MAC (paper, fig. 12)."""

import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

from lutcore.gen.experiments import dp4 as units
from lutcore.gen.experiments.compare import comparable, ratio
from lutcore.gen.experiments.paper import DP4
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
from lutcore.hdl.config.core import CoreConfig

#: The error of FP16 tables with FP32 accumulation, on the same problem: what counts as accurate.
ACCURATE = 4e-4

_NAMES = {
    "discrete": "MAC FP16, discrete",
    "fused": "MAC FP16, fused",
    "lut-aligned": "LUT W1, aligned",
    "lut-int8-tables": "LUT W1, INT8 tables",
}
#: Shapes of the tile that a lookup unit may come from.
_SHAPES: list[dict[str, Any]] = [
    {"m": 2, "n": 64, "k": 4},
    {"m": 2, "n": 16, "k": 4, "lookups": 4},
    {"m": 2, "n": 16, "k": 2, "lookups": 8, "table_form": "subset"},
    {"m": 1, "n": 32, "k": 2, "lookups": 8, "table_form": "subset"},
    {"m": 1, "n": 128, "k": 4},
    {"m": 2, "n": 32, "k": 2, "lookups": 4, "table_form": "subset"},
    {"m": 2, "n": 32, "k": 4, "lookups": 2},
]
_WIDE: dict[str, Any] = {"m": 2, "n": 16, "k": 4, "lookups": 4}


@functools.lru_cache
def _rms_error(kind: str, config: str) -> float:
    return units.rms_error(kind, json.loads(config))


def unit_entry(settings: Settings, kind: str, **labels: Any) -> Entry:
    """A unit of :mod:`lutcore.gen.experiments.dp4`."""
    lookup = kind in units.LUT_KINDS
    config = tile(engine="lut" if lookup else "mac", activation="fp16", m=1, n=1, k=4)
    return Entry(
        series=_NAMES[kind],
        point=settings.point(config, "dp4", unit=kind),
        labels={"engine": config.engine, "kind": kind, **labels},
    )


def _tiles() -> Iterator[tuple[str, CoreConfig]]:
    """Lookup units in other shapes and modes, and other engines with 16-bit operands."""
    for shape in _SHAPES:
        for bits in (12, 14, 16):
            yield f"LUT W1 unit, aligned {bits} bits", _lookup(align_bits=bits, **shape)
        if shape.get("table_form") != "subset":
            yield "LUT W1 unit, INT8 tables", _lookup(table="int8", **shape)
    yield "LUT W1 unit, FP16 tables", _lookup(float_mode="exact", **_SHAPES[0])
    for engine, name in (("lut", "LUT"), ("add", "ADD"), ("mac", "MAC")):
        for shape in (_WIDE, *_SHAPES[2:3]) if engine == "lut" else (_WIDE,):
            yield f"{name} W1 unit, INT16", tile(engine=engine, activation="int16", **shape)


def _lookup(**fields: Any) -> CoreConfig:
    return tile(activation="fp16", precompute="external", **fields)


def _entries(settings: Settings) -> list[Entry]:
    entries = [
        unit_entry(settings, kind, rms_error=_rms_error(kind, _error_of(kind))) for kind in _NAMES
    ]
    for series, config in () if settings.reduced else _tiles():
        labels: dict[str, Any] = {"engine": config.engine, "shape": shape_label(config)}
        if config.is_float:
            labels["rms_error"] = _rms_error("lut-aligned", config.to_json())
        point = settings.point(config, deepen=True)
        entries.append(Entry(series=series, point=point, labels=labels, counted="unit"))
    return entries


def _error_of(kind: str) -> str:
    """Configuration that a unit's error depends on, as JSON."""
    table = "int8" if kind == "lut-int8-tables" else "exact"
    return _lookup(m=2, n=64, k=4, table=table).to_json()


def _findings(rows: Sequence[Row]) -> list[Finding]:
    findings = []
    whole = comparable(rows, kind=units.LUT_KINDS)
    alone = [row for row in comparable(rows, engine="lut") if row.get("rms_error") is not None]
    for kind in units.KINDS:
        baseline = comparable(rows, kind=kind)
        paper = DP4 if kind == "discrete" else None
        name = f"LUT W1 A_FP16 over a {kind} DP4 MAC, density"
        for what, ours, metric, note in (
            ("any mode", whole, "ge_ns_per_op", "scales and tables made in it"),
            ("aligned", _accurate(whole), "ge_ns_per_op", "scales and tables made in it"),
            ("aligned, unit alone", _accurate(alone), "unit_ge_ns_per_op", "tables made elsewhere"),
        ):
            note = f"{note}; RMS error {_worst_error(ours)}" if ours else note
            findings.append(ratio(f"{name}, {what}", ours, baseline, metric, paper, note))
    integers = comparable(rows, series="LUT W1 unit, INT16")
    for name in ("ADD", "MAC"):
        series = f"{name} W1 unit, INT16"
        if any(row["series"] == series for row in rows):
            theirs = comparable(rows, series=series)
            what = f"LUT W1 over {name} W1 with the same INT16 operands, density"
            findings.append(ratio(what, integers, theirs))
    return findings


def _accurate(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["rms_error"] <= ACCURATE]


def _worst_error(rows: Sequence[Row]) -> str:
    return f"at most {max(row['rms_error'] for row in rows):.1e}"


STUDY = Study(
    name="dp4",
    title="Four products of FP16 activations a cycle",
    figure="fig. 12",
    method=(
        "Units of four products a cycle and their accumulation. MAC multiplies FP16 weights, four "
        "multipliers and FP32 adders in series (discrete) or 4, 8 or 16 products aligned and added "
        "at once (fused), by single bits or Booth digits, pipelined as the period asks; the best "
        "counts. LUT W1 is a unit of a tile of M = 2, N = 64 with its share "
        "of the tile's control and of the operator that finds scales and makes tables for all "
        "columns; rows named 'unit' are without that operator. Memory that holds a run until its "
        "scale is known counts in neither. The RMS error is that of a 128-long dot product with "
        "two-bit weights."
    ),
    entries=_entries,
    findings=_findings,
    plots=[Plot(name="area", kind="bars", x="series", y="ge_per_op", x_label="",
                y_label="GE for a product a cycle", log=True)],
    columns=("shape", "rms_error", "ops_per_cycle", "counted_ge", "ge_per_op", "unit_ge_per_op",
             "reached_ns", "density", "slack_ns"),
)  # fmt: skip
