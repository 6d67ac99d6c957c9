"""Figures of docs/area.md: measured once, kept beside it, and stale where what made them changed.

``python -m lutcore.gen.manual.areas --liberty FILE`` measures the stale ones that this library is
meant for, and writes the tables. A test compares fingerprints, which needs no library.
"""

import argparse
import ast
import functools
import hashlib
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import fill_table
from lutcore.gen.asic.synth import read_library, synthesise
from lutcore.gen.emit.rtl import design_rtlil
from lutcore.gen.experiments import dp4
from lutcore.gen.luts.synth import synthesise_fpga
from lutcore.gen.manual.area_rows import (
    FABRICS,
    ROWS,
    STRUCTURES,
    TABLES,
    UNITS,
    Fabric,
    Row,
    Unit,
)
from lutcore.gen.tools.opensta import sta_command
from lutcore.hdl.config.core import CoreConfig

#: What of :mod:`lutcore.gen.asic` decides nothing about a netlist.
_NO_PART = {"__init__.py", "advice.py", "corners.py", "sweep.py"}
#: Families of whose logic cells a flip-flop that no LUT feeds takes one, with its LUT.
_CELLS = {"gowin", "ice40"}
#: Steps of a nanosecond in which a period is asked for that was come to.
_STEPS = 200
#: Row -> its figures at each period, versions of the tools, and its fingerprint.
Figures = Mapping[str, dict[str, Any]]


def fingerprint(row: Row | Unit | Fabric) -> str:
    """Of all that decides a row's figures but the tools' versions: design, flow, period."""
    design = dp4.designs(row.kind) if isinstance(row, Unit) else [_design(row.config)]
    if isinstance(row, Fabric):
        parts = [*design, _flow("lutcore.gen.luts.synth"), row.family]
    else:
        parts = [*design, _flow("lutcore.gen.asic.synth"), repr(row.periods), row.library]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=4)
def _design(config: CoreConfig) -> str:
    return design_rtlil(config)


@functools.cache
def _flow(module: str) -> str:
    """What modules beside one do, without their comments and docstrings."""
    folder = Path(str(sys.modules[module].__file__)).parent
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.name not in _NO_PART:
            tree = ast.parse(path.read_text("utf-8"))
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list) and body and _is_text(body[0]):
                    body[:] = body[1:] or [ast.Pass()]
            found.append(f"{path.name} {ast.dump(tree)}")
    return "\n".join(found)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def measure(row: Row | Unit | Fabric, liberty: Sequence[Path]) -> dict[str, Any]:
    """What the tables say of a row at each of its periods, and its fingerprint.

    Raises
    ------
    InputError
        OpenSTA or the library's timing is missing.
    """
    if isinstance(row, Fabric):
        report = synthesise_fpga(row.config, row.family)
        facts = {"luts": report.luts, "memory": report.lutram, "carry": report.carry}
        facts |= {
            "flip_flops": report.ff,
            "lone_flip_flops": report.lone_ff,
            "products": row.config.products_per_cycle,
        }
        return {**facts, "tools": report.tool_versions, "fingerprint": fingerprint(row)}
    if sta_command() is None:
        raise InputError("figures need OpenSTA (sta): install it, or set LUTCORE_STA")
    points, tools = _tile(row, liberty) if isinstance(row, Row) else _unit(row, liberty)
    return {"points": points, "tools": tools, "fingerprint": fingerprint(row)}


def _unit(row: Unit, liberty: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """A unit's gate equivalents, period and structure."""
    (library,) = liberty
    points, tools = {}, {}
    for period in row.periods:
        found = []
        for report in dp4.tried(row.kind, period, library):
            slack, area = report["slack_ns"], report["gate_equivalents"]
            reached = period - min(slack, 0)
            tools = report["tool_versions"]
            found.append(
                {
                    "core_gate_equivalents": round(area, 4),
                    "slack_ns": round(slack, 4),
                    "reached_ns": round(reached, 4),
                    "core_ge_ns": round(area / 4 * reached, 4),
                    "structure": _structure(report),
                }
            )
        points[f"{period:g}"] = _best(found)
    return points, tools


def _structure(report: Mapping[str, Any]) -> str:
    """Of a unit, in words."""
    config, stages = report["config"], report["pipeline"]
    if report["kind"] not in dp4.KINDS:
        return f"K = {config['k']}, lookups = {config['lookups']}, pipeline = {stages}"
    made = "Booth" if config.get("booth") else "plain"
    return f"{config.get('terms', 4)} products, {made}, {stages} register stages"


def _tile(row: Row, liberty: Sequence[Path]) -> tuple[dict[str, Any], dict[str, str]]:
    """A tile's areas and period."""
    names = ("core_gate_equivalents", "gate_equivalents", "slack_ns", "reached_ns")
    names += ("core_ge_ns", "ge_ns")
    points: dict[str, Any] = {}
    tools: dict[str, str] = {}

    def ask(period: float) -> None:
        report = synthesise(row.config, liberty, period=period)
        points[f"{period:g}"] = {name: round(getattr(report, name), 4) for name in names}
        tools.update(report.tool_versions)

    for period in row.periods:
        ask(period)
    best = _best(points.values())
    if len(row.periods) > 1 and best["slack_ns"] < 0:
        ask(math.ceil(best["reached_ns"] * _STEPS) / _STEPS)
    return points, tools


def stale(figures: Figures) -> list[str]:
    """Rows without figures, and those whose design or flow is another by now."""
    missing = [name for name in ROWS if name not in figures]
    known = [name for name in ROWS if name in figures]
    return missing + [n for n in known if figures[n]["fingerprint"] != fingerprint(ROWS[n])]


def _head(*columns: str) -> str:
    """First lines of a table in Markdown."""
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"


def _at_one(row: Row | Unit, figures: Figures) -> str:
    """Gate equivalents where 1 ns was asked for, and what that came to if it was missed."""
    of = figures[row.name]["points"]["1"]
    missed = "" if of["slack_ns"] >= 0 else f" ({of['reached_ns']:.3f})"
    return f"{of['core_gate_equivalents']:,.0f}{missed}"


def table(rows: Iterable[Row], figures: Figures) -> str:
    """Markdown; GE ns are those of a product of whole weights, at the period that is met."""
    lines = [
        _head(
            "`lutcore synth`", "period asked, met", "core GE", "all GE", "core GE ns", "all GE ns"
        )
    ]
    for row in rows:
        ((asked, of),) = figures[row.name]["points"].items()
        met = "met" if of["slack_ns"] >= 0 else f"{of['reached_ns']:.3f}"
        words = f" ({row.words})" if row.words else ""
        lines.append(
            f"| `{row.command}`{words} | {asked}, {met} | {of['core_gate_equivalents']:,.0f} "
            f"| {of['gate_equivalents']:,.0f} | {of['core_ge_ns']:.1f} | {of['ge_ns']:.1f} |\n"
        )
    return "".join(lines)


def _best(points: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The figures that are best."""
    return min(points, key=lambda point: point["core_ge_ns"])


def _best_of(row: Row | Unit, figures: Figures) -> dict[str, Any]:
    """A row's figures at the period where they are best."""
    return _best(figures[row.name]["points"].values())


def _least(figures: Figures, kind: str, weights: str) -> float:
    """Core GE ns of the best structure of its kind; infinite where there is none."""
    rows = STRUCTURES.get((kind, weights), ())
    return min((_best_of(row, figures)["core_ge_ns"] for row in rows), default=float("inf"))


def structures(figures: Figures) -> str:
    """Every structure at 1 ns, or what it comes to, and at its best period."""
    head = ("core GE at 1 ns", "best period", "core GE", "core GE ns", "all GE ns")
    lines = [_head("`lutcore synth`", *head)]
    for (kind, weights), rows in STRUCTURES.items():
        lines.append(f"| **{kind}, {weights}** | | | | | |\n")
        least = _least(figures, kind, weights)
        for row in rows:
            best = _best_of(row, figures)
            mark = "**" if best["core_ge_ns"] == least else ""
            words = f" ({row.words})" if row.words else ""
            lines.append(
                f"| `{row.command}`{words} | {_at_one(row, figures)} "
                f"| {best['reached_ns']:.3f} | {best['core_gate_equivalents']:,.0f} "
                f"| {mark}{best['core_ge_ns']:.1f}{mark} | {best['ge_ns']:.1f} |\n"
            )
    return "".join(lines)


def ratios(figures: Figures) -> str:
    """How much less tables take than other engines, each kind by its best structure and period."""
    least = functools.partial(_least, figures)
    reference = least("multipliers", "eight bits")
    kinds = ("multipliers", "adders", "conventional tables")
    over = ("over the reference", *(f"over {kind}" for kind in kinds))
    lines = [_head("weights", "tables, core GE ns", *over)]
    for kind, weights in STRUCTURES:
        if kind == "tables":
            ours = least(kind, weights)
            others = [least(other, weights) for other in kinds]
            found = [f"{o / ours:.2f}" if o < float("inf") else "" for o in others]
            lines.append(
                f"| {weights} | {ours:.1f} | {reference / ours:.1f} | {' | '.join(found)} |\n"
            )
    return "".join(lines)


def units(figures: Figures) -> str:
    """Units of FP16 products at 1 ns, at their best period, and beside tables."""
    head = ("unit", "GE of four products at 1 ns", "best period", "GE", "GE ns of a product")
    lines = [_head(*head, "over tables, at 1 ns and best", "best structure")]

    def costs(unit: Unit) -> tuple[float, float]:
        return figures[unit.name]["points"]["1"]["core_ge_ns"], _best_of(unit, figures)[
            "core_ge_ns"
        ]

    ours = costs(UNITS[-1])
    for unit in UNITS:
        best = _best_of(unit, figures)
        over = ", ".join(f"{a / b:.1f}" for a, b in zip(costs(unit), ours, strict=True))
        lines.append(
            f"| {unit.words} | {_at_one(unit, figures)} | {best['reached_ns']:.3f} "
            f"| {best['core_gate_equivalents']:,.0f} | {best['core_ge_ns']:,.1f} | {over} "
            f"| {best['structure']} |\n"
        )
    return "".join(lines)


def fabrics(figures: Figures) -> str:
    """LUTs of tiles on FPGA families."""
    head = ("LUTs", "of it memory", "flip-flops", "logic cells", "LUTs a product")
    lines = [_head("`lutcore synth`", "a device with so many", "products a cycle", *head)]
    for row in FABRICS:
        of = figures[row.name]
        cells = f"{of['luts'] + of['lone_flip_flops']:,}" if row.family in _CELLS else ""
        lines.append(
            f"| `{row.name}` | {row.words} | {of['products']:,} | {of['luts']:,} "
            f"| {of['memory']:,} | {of['flip_flops']:,} | {cells} "
            f"| {of['luts'] / of['products']:.2f} |\n"
        )
    return "".join(lines)


def filled(document: str, figures: Figures) -> str:
    """The document with its tables."""
    for name, rows in TABLES.items():
        document = fill_table(document, name, table(rows, figures))
    document = fill_table(document, "structures", structures(figures))
    document = fill_table(document, "units", units(figures))
    document = fill_table(document, "fabrics", fabrics(figures))
    return fill_table(document, "ratios", ratios(figures))


def main() -> None:
    """Measure what is stale on a library, and write the tables of a document."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--liberty", type=Path, nargs="*", default=())
    parser.add_argument("--jobs", type=int, default=2, help="rows measured at once")
    parser.add_argument("--document", type=Path, default=Path("docs/area.md"))
    given = parser.parse_args()
    kept = given.document.with_name("areas.json")
    figures = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    try:
        for path in (None, *given.liberty):
            library = read_library(path).library.name if path else ""
            names = [name for name in stale(figures) if ROWS[name].library == library]
            with ProcessPoolExecutor(given.jobs) as pool:
                files = [path] if path else []
                asked = {pool.submit(measure, ROWS[name], files): name for name in names}
                for found in as_completed(asked):
                    name = asked[found]
                    figures[name] = found.result()
                    print(name, flush=True)
                    kept.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", "utf-8")
    except InputError as error:
        sys.exit(f"{error}")
    if left := stale(figures):
        sys.exit("stale, give the library with --liberty:\n" + "\n".join(left))
    figures = {name: figures[name] for name in ROWS}
    kept.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", "utf-8")
    text = given.document.read_text("utf-8")
    given.document.write_text(filled(text, figures), "utf-8")


if __name__ == "__main__":
    main()
