"""LUTs of a product a cycle on FPGA families, beside BISMO and FINN."""

from collections.abc import Iterator, Sequence
from typing import Any

from lutcore.gen.experiments.compare import comparable, ratio
from lutcore.gen.experiments.paper import FINN_LUTS, bismo_luts
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

LUT = "LUT"

#: Shapes with tables in logic.
_SHAPES: list[dict[str, Any]] = [
    {"m": 2, "n": 16, "k": 2, "lookups": 8, "table_form": "subset"},
    {"m": 2, "n": 64, "k": 4},
    {"m": 2, "n": 32, "k": 2, "lookups": 4, "table_form": "subset"},
    {"m": 2, "n": 16, "k": 4, "lookups": 4},
]
#: The presets' shapes, and a quarter or so of them.
_RAM16: dict[str, Any] = {"table_storage": "lutram", "passes": 16, "m": 4, "k": 4}
_RAM32: dict[str, Any] = {"table_storage": "lutram", "passes": 32, "m": 3, "k": 5}
_IN_RAM16: list[dict[str, Any]] = [
    _RAM16 | {"n": 24, "lookups": 16, "group_size": 128},
    _RAM16 | {"n": 16, "lookups": 8, "group_size": 128},
]
_IN_RAM32: list[dict[str, Any]] = [
    _RAM32 | {"n": 16, "lookups": 13, "group_size": 130},
    _RAM32 | {"n": 24, "lookups": 8, "group_size": 160},
]
#: Families studied -> shapes for what they have: tables in LUT-RAM, or in registers.
_PIPELINED: dict[str, list[dict[str, Any]]] = {
    "ecp5": _IN_RAM16,
    "gowin": _IN_RAM16,
    "xilinx": _IN_RAM32,
    "ice40": [{"table_storage": "chain", "m": 2, "n": 16, "k": 2, "lookups": 8, "group_size": 128}],
}


def _tiles(family: str, bits: int, reduced: bool) -> Iterator[tuple[str, CoreConfig]]:
    for shape in _SHAPES[:2] if reduced else _SHAPES:
        yield LUT, tile(bits=bits, **shape)
    shapes = _PIPELINED[family]
    for shape in shapes[-1:] if reduced else shapes:
        where = {"lutram": "LUT-RAM", "chain": "registers"}[shape["table_storage"]]
        yield f"LUT, tables in {where}", tile(bits=bits, **shape)
    wide: dict[str, Any] = {"m": 2, "n": 16, "k": 4, "lookups": 4}
    yield "ADD", tile(bits=bits, engine="add", **wide)
    if not reduced:
        yield f"MAC W{bits}", tile(bits=bits, engine="mac", **wide)
        yield "MAC W8", tile(bits=8, engine="mac", **wide)


def _entries(settings: Settings) -> list[Entry]:
    entries = []
    for family in _PIPELINED:
        for bits in (1,) if settings.reduced else (1, 2, 4):
            for series, config in _tiles(family, bits, settings.reduced):
                labels = {
                    "family": family,
                    "bits": bits,
                    "pair": f"{family}, W{bits} A8",
                    "shape": shape_label(config),
                }
                point = settings.point(config, family)
                entries.append(Entry(series=series, point=point, labels=labels))
    return entries


def _findings(rows: Sequence[Row]) -> list[Finding]:
    findings = []
    for pair in dict.fromkeys(row["pair"] for row in rows):
        here = comparable(rows, pair=pair)
        ours = [row for row in here if row["series"].startswith(LUT)]
        if not ours:
            continue
        top = min(ours, key=lambda row: row["luts_per_op"])
        published = [bismo_luts(top["bits"]), FINN_LUTS[top["bits"]]]
        for other in published:
            findings.append(
                Finding(
                    what=f"{pair}: LUTs of a product a cycle",
                    ours=top["luts_per_op"],
                    paper=other.value,
                    source=other.source,
                    better="lower",
                    rows=[top["key"]],
                    note=f"best: {top['series']}, {top['shape']}",
                )
            )
        for series in dict.fromkeys(row["series"] for row in here):
            if not series.startswith(LUT):
                theirs = [row for row in here if row["series"] == series]
                findings.append(ratio(f"{pair}: LUT over {series}", ours, theirs, "luts_per_op"))
    return findings


STUDY = Study(
    name="fpga",
    title="LUTs on FPGAs",
    figure="findings of BISMO and FINN",
    method=(
        "Synthesis for each family, no placement: LUTs of the core (row sums and drain out) over "
        "full-width products a cycle. LUTs that serve as memory count. BISMO and FINN as their "
        "authors report them, on 7-series and newer Xilinx parts."
    ),
    entries=_entries,
    findings=_findings,
    plots=[Plot(name="luts", kind="bars", x="series", y="luts_per_op", panel="pair", x_label="",
                y_label="LUTs of a product a cycle, best shape")],
    columns=("family", "bits", "shape", "ops_per_cycle", "luts", "core_luts", "luts_per_op",
             "carry", "ff", "lutram", "bram", "dsp"),
)  # fmt: skip
