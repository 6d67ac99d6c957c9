"""Writes results into the manual: ``python -m lutcore.gen.experiments.document docs/studies.md
RESULT.json...``.

The table of a result stands between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``; no figure in
it is typed by hand.
"""

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import fill_table
from lutcore.gen.experiments.report import number
from lutcore.gen.experiments.results import counted


def table(found: Mapping[str, Any]) -> str:
    """Markdown of a result: how it was made, what was compared, the model's errors if any."""
    settings = found["settings"]
    period = settings["period_ns"]
    timing = f"{period} ns closed in OpenSTA" if period else "timing not analysed"
    text = (
        f"`{_portable(found['command'])}`: {settings['liberty'] or 'neutral library'}, {timing}; "
        f"{counted(found['counts'])}; "
        f"{found['seconds'] / 60:.0f} minutes of synthesis.\n\n"
    )
    if about := found.get("about"):
        text = f"`{found['command']}`: {about}\n\n"
    if found["findings"]:
        text += "| comparison | here | published | note |\n|---|---|---|---|\n"
    for finding in found["findings"]:
        paper = f"{number(finding['paper'])} ({finding['source']})" if finding["source"] else ""
        text += f"| {finding['what']} | {number(finding['ours']) or '-'} | {paper} "
        text += f"| {finding['note']} |\n"
    if facts := found.get("exploration"):
        text += _explored(found, facts)
    return text


def _portable(command: str) -> str:
    """The command with the library's name in place of its path."""
    words = shlex.split(command)
    for i, word in enumerate(words[:-1]):
        if word == "--liberty":
            words[i + 1] = Path(words[i + 1]).name
    return shlex.join(words)


def _explored(found: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    columns = [name for name in found["columns"] if name != "shape"]
    text = (
        f"\n{facts['combinations']} combinations, {facts['measured']} measured, "
        f"{facts['pruned']} ruled out by the model, {facts['front']} on the front:\n\n"
        f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    )
    rows = [row for row in found["rows"] if row["series"] == "front"]
    for row in sorted(rows, key=lambda row: row["ops_per_cycle"]):
        text += f"| {' | '.join(number(row.get(name)) for name in columns)} |\n"
    for name, model in facts["models"].items():
        text += (
            f"\nThe model of `{name}` is wrong by {model['rms_error']:.1%} RMS and "
            f"{model['largest_error']:.1%} at most, cross-validated on {model['samples']} points.\n"
        )
    return text


def main() -> None:
    """Update a document in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path)
    parser.add_argument("results", type=Path, nargs="+", help="JSON of studies or explorations")
    arguments = parser.parse_args()
    text = arguments.document.read_text("utf-8")
    for path in arguments.results:
        try:
            found = json.loads(path.read_text("utf-8"))
            text = fill_table(text, found["name"], table(found))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: no result for {arguments.document}: {error}") from error
    arguments.document.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
