"""How far our networks are from those of judges: the table of the manual's page "formats".

It reads what judges said before (``make judges`` asks them), and computes our side anew.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lutcore.files import fill_table
from lutcore.gen.judges.compare import Verdict, compare
from lutcore.gen.judges.stored import Case, load

_Judged = tuple[Case, np.ndarray]
_HEADINGS = ("architecture", "judge", "networks", "in float32, under", "rounded, under")


def _under(value: float | None, step: float = 0) -> str:
    """A bound of few digits: the last ones differ from machine to machine."""
    if value is None:
        return ""
    if step:
        return f"{math.ceil(value / step) * step:.2f}"
    return f"1e{math.ceil(math.log10(1.5 * value))}"


def groups(folder: Path) -> dict[tuple[str, str], list[_Judged]]:
    """Architecture and judge -> the cases that are stored in a folder."""
    found: dict[tuple[str, str], list[_Judged]] = {}
    for path in sorted(folder.glob("*.json")):
        for case, wanted in load(path.with_suffix("")):
            found.setdefault((case.name.partition(":")[0], case.judge), []).append((case, wanted))
    return found


def row(architecture: str, judge: str, verdicts: list[Verdict]) -> str:
    """The line of a group in the table."""
    floats = max((v.floats for v in verdicts if v.floats is not None), default=None)
    rounded = max(v.rounded for v in verdicts)
    by = _under(rounded) if floats is None else _under(rounded, 0.01)
    return _line([architecture, judge, str(len(verdicts)), _under(floats), by])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def verdicts(cases: list[_Judged]) -> dict[str, Verdict]:
    """Name of a case -> how far we are from its judge."""
    made = {}
    for case, wanted in cases:
        with tempfile.TemporaryDirectory() as scratch:
            made[case.name] = compare(case, wanted, Path(scratch))
    return made


def table(folder: Path) -> str:
    """Architecture x judge x greatest error."""
    lines = [_line(_HEADINGS), _line(["---"] * len(_HEADINGS))]
    for (architecture, judge), cases in groups(folder).items():
        lines.append(row(architecture, judge, [*verdicts(cases).values()]))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or put it into a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what judges said, e.g. tests/data/judges")
    parser.add_argument("document", type=Path, nargs="?", help="updated in place; default: print")
    arguments = parser.parse_args()
    made = table(arguments.folder)
    if arguments.document is None:
        print(made)
        return
    text = arguments.document.read_text("utf-8")
    arguments.document.write_text(fill_table(text, "judges", made), "utf-8")


if __name__ == "__main__":
    main()
