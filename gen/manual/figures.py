"""Writes generated tables into documents: ``python -m lutcore.gen.manual.figures README.md``.

A table stands between ``<!-- presets:begin -->`` and ``<!-- presets:end -->``; no figure in it is
typed by hand.
"""

import argparse
from pathlib import Path

from lutcore.files import fill_table
from lutcore.gen.asic.synth import synthesise
from lutcore.hdl.config.presets import PRESETS

_HEADER = (
    "| preset | M x N x K a cycle | reads | weights | activations | accumulator | latency | kGE "
    "| GE per product |\n|---|---|---|---|---|---|---|---|---|\n"
)


def preset_table() -> str:
    """Markdown table of all presets but those for FPGAs; areas are of the neutral library."""
    rows = []
    for name, config in PRESETS.items():
        if config.table_storage != "mux":
            continue
        area = synthesise(config).gate_equivalents
        tables = f"{config.tables} x K{config.table_k} {config.form.name}"
        rows.append(
            f"| `{name}` | {config.m} x {config.columns} x {config.depth} | {tables} "
            f"| 1..{config.max_weight_bits} bits | {config.activation} "
            f"| {config.accumulator_bits} bits | {config.latency} cycles | {area / 1000:.1f} "
            f"| {area / config.products_per_cycle:.0f} |\n"
        )
    return _HEADER + "".join(rows)


def main() -> None:
    """Update a document in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    path = parser.parse_args().document
    path.write_text(fill_table(path.read_text("utf-8"), "presets", preset_table()), "utf-8")


if __name__ == "__main__":
    main()
