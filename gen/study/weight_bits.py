"""Up to which weight width lookups win (paper, fig. 13)."""

from collections.abc import Sequence
from typing import Any

from lutcore.gen.experiments import dp4 as units
from lutcore.gen.experiments.compare import best, comparable
from lutcore.gen.experiments.paper import MOST_BITS
from lutcore.gen.experiments.points import Entry, Finding, Plot, Row, Settings, Study, tile
from lutcore.gen.study.dp4 import unit_entry

_BITS = range(1, 9)
_N = 4
_ALIGNED: dict[str, Any] = {"activation": "fp16", "precompute": "external"}

#: Series -> fields of its unit.
_SERIES: dict[str, dict[str, Any]] = {
    "LUT": _ALIGNED,
    "LUT, INT8 tables": {**_ALIGNED, "table": "int8"},
    "LUT, four lookups": {**_ALIGNED, "lookups": 4},
    "LUT, INT16": {"activation": "int16"},
    "ADD, INT16": {"activation": "int16", "engine": "add"},
    "conventional LUT, INT16": {"activation": "int16", "engine": "conventional-lut"},
    "MAC, INT16": {"activation": "int16", "engine": "mac"},
}
_REDUCED = ("LUT", "LUT, INT16", "MAC, INT16")
#: A unit where it is used, with its share of what makes scales and tables for all its columns.
_TILE = "LUT in a tile of N = 64, tables made in it"


def _entries(settings: Settings) -> list[Entry]:
    entries = []
    for series, own in _SERIES.items():
        if settings.reduced and series not in _REDUCED:
            continue
        for bits in (1, 4, 8) if settings.reduced else _BITS:
            config = tile(bits=bits, m=1, n=_N, k=4, **own)
            labels = {"engine": config.engine, "bits": bits}
            point = settings.point(config, deepen=True)
            entries.append(Entry(series=series, point=point, labels=labels, counted="unit"))
    for bits in () if settings.reduced else _BITS:
        config = tile(bits=bits, m=2, n=64, k=4, **_ALIGNED)
        point = settings.point(config, deepen=True)
        labels = {"engine": "lut", "bits": bits}
        entries.append(Entry(series=_TILE, point=point, labels=labels, counted="unit"))
    entries.append(unit_entry(settings, units.LUT_KINDS[0], bits=1))
    for kind in units.KINDS:  # one unit for all widths: weights are FP16 before they come
        entries += [unit_entry(settings, kind, bits=bits) for bits in _BITS]
    return entries


def _most_bits(
    rows: Sequence[Row], mac: Sequence[Row], operator: float
) -> tuple[int | None, list[Row], str]:
    """Widest weights up to which every measured width is denser than MAC with that width.

    ``operator``: gate equivalents for a one-bit product a cycle that the rows do not count.
    """
    won: int | None = None
    used: list[Row] = []
    for bits in _BITS:
        ours = best([row for row in rows if row["bits"] == bits], "ge_ns_per_op")
        theirs = best([row for row in mac if row["bits"] == bits], "ge_ns_per_op")
        if ours is None or theirs is None:
            continue
        used += [ours, theirs]
        whole = (ours["ge_per_op"] + operator * bits) * ours["reached_ns"]
        if whole >= theirs["ge_ns_per_op"]:
            return won or 0, used, ""
        won = bits
    if won is None:
        return None, [], "no width at which both may be compared"
    return won, used, "at every width measured" if won == _BITS[-1] else ""


def _findings(rows: Sequence[Row]) -> list[Finding]:
    whole = best(comparable(rows, kind=units.LUT_KINDS[0]), "ge_ns_per_op")
    present = list(dict.fromkeys(row["series"] for row in rows))
    findings = []
    for mac in (name for name in present if name.startswith("MAC")):
        integers = mac.endswith("INT16")
        for series in (*_SERIES, _TILE):
            own = _SERIES.get(series, _ALIGNED)
            engine = own.get("engine", "lut")
            if series not in present or engine == "mac":
                continue
            if integers != (own["activation"] == "int16") and (integers or engine == "lut"):
                continue  # like with like; the paper compares ADD and conventional LUT with FP16
            operator = 0.0
            if series == _TILE:
                if whole is None:
                    continue
                operator = whole["precompute_ge"] / whole["ops_per_cycle"]
            ours = comparable(rows, series=series)
            bits, used, note = _most_bits(ours, comparable(rows, series=mac), operator)
            paper = None if integers else MOST_BITS.get(engine)
            findings.append(
                Finding(
                    what=f"weight bits up to which {series} is denser than {mac}",
                    ours=bits,
                    paper=paper.value if paper else None,
                    source=paper.source if paper else "",
                    rows=list(dict.fromkeys(row["key"] for row in used)),
                    note=note,
                )
            )
    return findings


STUDY = Study(
    name="weight-bits",
    title="Weight bits",
    figure="fig. 13",
    method=(
        "Units of four products for four columns (M = 1, N = 4), each built for weights of so many "
        "bits: a bit-serial engine takes a cycle a bit. Counted are the held operands or tables, "
        "and the columns; in the tile of N = 64 also the unit's share of what makes scales and "
        "tables. LUT takes FP16 activations aligned to 14 bits; MAC FP16 are whole DP4 units. The "
        "engines without an operator of their own take activations that somebody aligned to 16 "
        "bits ('INT16'), and LUT is measured with these too, so that like meets like."
    ),
    entries=_entries,
    findings=_findings,
    plots=[Plot(name="density", kind="lines", x="bits", y="density", x_label="weight bits",
                y_label="products per ns and kGE", log=True)],
    columns=("bits", "ops_per_cycle", "counted_ge", "ge_per_op", "reached_ns", "density",
             "slack_ns"),
)  # fmt: skip
