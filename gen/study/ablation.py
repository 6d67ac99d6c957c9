"""What each idea is worth, from a conventional LUT accelerator to the full design (table 2)."""

from collections.abc import Sequence
from typing import Any

from lutcore.gen.experiments.compare import comparable, ratio
from lutcore.gen.experiments.paper import ABLATION
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

_PAPER: dict[str, Any] = {"m": 2, "n": 64, "k": 4, "group_size": 0}
_DENSE: dict[str, Any] = {"m": 2, "n": 16, "k": 2, "lookups": 8}
_OUTSIDE: dict[str, Any] = {"precompute": "external"}

#: Steps in order: series, fields, the paper's step. Each keeps what the one before brought.
_STEPS: list[tuple[str, dict[str, Any], str]] = [
    ("conventional LUT", {"engine": "conventional-lut", **_PAPER}, ""),
    ("+ symmetric tables, indices remapped offline", _PAPER, "remap"),
    ("+ precompute outside the tile", {**_PAPER, **_OUTSIDE}, "external"),
    ("+ accumulators of one scale group", {**_PAPER, **_OUTSIDE, "group_size": 32}, ""),
    ("+ eight lookups of K = 2", {**_DENSE, **_OUTSIDE}, ""),
    ("+ subset tables", {**_DENSE, **_OUTSIDE, "table_form": "subset"}, ""),
    ("the same, its tables built inside", {**_DENSE, "table_form": "subset"}, ""),
]
_REDUCED = (0, 1, 2, 6)
#: The conventional design may choose its tiling too.
_TILINGS: list[dict[str, Any]] = [
    {"m": 4, "n": 32, "k": 4},
    {"m": 2, "n": 32, "k": 4, "lookups": 2},
    {"m": 2, "n": 64, "k": 2, "lookups": 2},
    {"m": 2, "n": 32, "k": 2, "lookups": 4},
]
_FIRST = _STEPS[0][0]


def _entry(settings: Settings, step: int, series: str, config: CoreConfig) -> Entry:
    return Entry(
        series=series,
        point=settings.point(config, "energy", deepen=True),
        labels={"step": step, "shape": shape_label(config)},
    )


def _entries(settings: Settings) -> list[Entry]:
    entries = []
    for step in _REDUCED if settings.reduced else range(len(_STEPS)):
        series, fields, _ = _STEPS[step]
        entries.append(_entry(settings, step, series, tile(bits=2, **fields)))
    for tiling in () if settings.reduced else _TILINGS:
        config = tile(bits=2, engine="conventional-lut", group_size=0, **tiling)
        entries.append(_entry(settings, 0, _FIRST, config))
    return entries


def _findings(rows: Sequence[Row]) -> list[Finding]:
    first = comparable(rows, series=_FIRST)
    findings = []
    for series, _, step in _STEPS[1:]:
        if not any(row["series"] == series for row in rows):
            continue
        ours = comparable(rows, series=series)
        density, efficiency = ABLATION.get(step, (None, None))
        findings.append(ratio(f"{series}: density", ours, first, paper=density))
        if any("core_fj_per_op" in row for row in ours):
            what = f"{series}: operations per joule"
            findings.append(ratio(what, ours, first, "core_fj_per_op", paper=efficiency))
    return findings


STUDY = Study(
    name="ablation",
    title="Ablation",
    figure="table 2",
    method=(
        "W2 A_INT8, 512 one-bit products a cycle. It starts from full tables of the bits {0, 1} "
        "and two's-complement weights, as UNPU has them, in the best of several tilings, with "
        "accumulators for whole rows; each step keeps what the one before brought, and ratios are "
        "to the start. The paper takes the symmetric table and the removal of the index's negation "
        "as two steps; here they are one, because this generator has no circuit that negates an "
        "index. Steps after the paper's last are this project's own."
    ),
    entries=_entries,
    findings=_findings,
    plots=[Plot(name="area", kind="bars", x="series", y="ge_per_op", x_label="",
                y_label="GE for a product a cycle")],
    columns=("step", "shape", "ops_per_cycle", "counted_ge", "ge_per_op", "density",
             "core_fj_per_op", "power_mw", "slack_ns"),
)  # fmt: skip
