"""Writes generated tables into documents: ``python -m gen.figures README.md``.

A table stands between ``<!-- presets:begin -->`` and ``<!-- presets:end -->``; no figure in it is
typed by hand.
"""

import argparse
import re
from pathlib import Path

from gen.synth import synthesise
from hdl.presets import PRESETS

_BLOCK = re.compile(r"(<!-- presets:begin -->\n).*?(<!-- presets:end -->)", re.DOTALL)
_HEADER = (
    "| preset | M x N x K a cycle | tables | weights | activations | accumulator | latency | kGE "
    "| GE per product |\n|---|---|---|---|---|---|---|---|---|\n"
)


def preset_table() -> str:
    """Markdown table of all presets; areas are synthesised with the neutral library."""
    rows = []
    for name, config in PRESETS.items():
        area = synthesise(config).gate_equivalents
        tables = f"{config.lookups} x K{config.k} {config.table_form}"
        rows.append(
            f"| `{name}` | {config.m} x {config.n} x {config.depth} | {tables} "
            f"| 1..{config.max_weight_bits} bits | {config.activation} "
            f"| {config.accumulator_bits} bits | {config.latency} cycles | {area / 1000:.1f} "
            f"| {area / config.products_per_cycle:.0f} |\n"
        )
    return _HEADER + "".join(rows)


def update(document: str) -> str:
    """Replace the table of ``document``, which must have the markers."""
    table = preset_table()
    updated, count = _BLOCK.subn(lambda match: match[1] + table + match[2], document)
    if count != 1:
        raise ValueError("the document must have the markers of the preset table once")
    return updated


def main() -> None:
    """Update a document in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    path = parser.parse_args().document
    path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
