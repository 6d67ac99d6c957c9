"""Writes reference pages from definitions: ``python -m lutcore.gen.manual.reference
docs/isa.md``.
"""

import argparse
from pathlib import Path

from lutcore.files import fill_table
from lutcore.gen.emit.registers import register_table
from lutcore.hdl.config.presets import CORE_PRESETS
from lutcore.hdl.isa.lmma import BY_NAME, INSTRUCTION_CAUSES, Cause


def instruction_table() -> str:
    """Markdown of all instructions, their fields and bits."""
    parts = []
    for instruction in BY_NAME.values():
        parts.append(
            f"### `{instruction.syntax}`\n\n"
            f"Opcode {instruction.opcode}, {instruction.queue.value}. {instruction.text}\n\n"
        )
        if not instruction.fields:
            continue
        parts.append("| bits | field | kind | meaning |\n|---|---|---|---|\n")
        for f in instruction.fields:
            values = ", ".join(f"{i} `{name}`" for i, name in enumerate(f.choices))
            parts.append(
                f"| {f.low + f.bits - 1}..{f.low} | `{f.name}` | {f.kind} "
                f"| {f.text}{': ' + values if values else ''} |\n"
            )
        parts.append("\n")
    return "".join(parts)


def cause_table() -> str:
    """Markdown of the error causes."""
    rows = ["| cause | name | address |\n|---|---|---|\n"]
    for cause in Cause:
        where = "instruction" if cause in INSTRUCTION_CAUSES else "transfer"
        rows.append(f"| {cause.value} | `{cause.name}` | {where if cause else 'none'} |\n")
    return "".join(rows)


def core_table() -> str:
    """Markdown of the core presets."""
    names = (
        "m",
        "tiles",
        "n",
        "depth",
        "max_weight_bits",
        "weight_coding",
        "activation",
        "bus_bits",
    )
    buffers = ("activation_buffer", "weight_buffer", "scale_buffer", "output_buffer")
    heads = [name.replace("_", " ") for name in (*names, *buffers)]
    rows = [f"| preset | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}\n"]
    for name, config in CORE_PRESETS.items():
        cells = [str(getattr(config, field)) for field in (*names, *buffers)]
        rows.append(f"| `{name}` | {' | '.join(cells)} |\n")
    return "".join(rows)


#: Marker -> its table.
TABLES = {
    "instructions": instruction_table,
    "causes": cause_table,
    "registers": register_table,
    "cores": core_table,
}


def fill(document: str) -> str:
    """A document with every table that it has markers for."""
    for name, table in TABLES.items():
        if f"<!-- {name}:begin -->" in document:
            document = fill_table(document, name, table())
    return document


def main() -> None:
    """Update documents in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path, nargs="+")
    for path in parser.parse_args().documents:
        path.write_text(fill(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
