"""What the commands share: consoles, tables, JSON, progress, errors, arrays that they write."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

#: Version of the keys of all JSON that commands print: it goes up where a key goes or changes.
SCHEMA = 1


if os.environ.get("COLUMNS") == "0":  # rich would print nothing
    del os.environ["COLUMNS"]


class _Errors(Console):
    """Standard error; where it is quiet, only what went wrong is said there."""

    silent = False

    def status(self, *arguments: Any, **options: Any) -> "Status":
        """As a console's own."""
        if self.silent:
            return Console(quiet=True).status(*arguments, **options)
        return super().status(*arguments, **options)


OUT = Console()
ERR = _Errors(stderr=True)


class Column(NamedTuple):
    """A table's heading, and on which side its cells stand."""

    heading: str
    side: Literal["left", "right"] = "left"

    @classmethod
    def number(cls, heading: str) -> "Column":
        """Of numbers, which stand right."""
        return cls(heading, "right")


def say(text: str, style: str) -> None:
    """One line of the program's own on standard error, unless it is quiet."""
    if not ERR.silent:
        _line(text, style)


def fail(text: str, kind: Literal["input", "tool"], as_json: bool) -> None:
    """What went wrong, on standard error: one line, or one JSON object in a line."""
    if as_json:
        error = {"schema": SCHEMA, "error": {"kind": kind, "message": text}}
        sys.stderr.write(json.dumps(error) + "\n")
    else:
        _line(text, "red")


#: What an interrupted command says of what it keeps; the last one does.
_keeps: list[Callable[[], str]] = []


@contextlib.contextmanager
def keeping(words: Callable[[], str]) -> Iterator[None]:
    """Say what is kept, should the block be interrupted."""
    _keeps.append(words)
    yield
    _keeps.pop()


def say_interrupted() -> None:
    """That somebody ended the command, and what it has not lost."""
    words = _keeps[-1]() if _keeps else "no file is half-written, and finished steps are kept"
    _keeps.clear()
    say(f"interrupted: {words}; run it again to go on", "yellow")


def _line(text: str, style: str) -> None:
    ERR.print(f"lutcore: {text}", style=style, highlight=False, soft_wrap=True, markup=False)


def old_spelling(old: str, new: str) -> None:
    """Warn of a spelling that works one minor version longer."""
    say(f"'lutcore {old}' is now 'lutcore {new}'; the old form goes with 0.4", "yellow")


def print_json(values: dict[str, Any] | list[Any]) -> None:
    """Print an object for machines, the version of its keys first; a list is its ``items``."""
    named = values if isinstance(values, dict) else {"items": values}
    sys.stdout.write(json.dumps({"schema": SCHEMA, **named}, indent=2) + "\n")


def print_facts(title: str, facts: dict[str, Any]) -> None:
    """Print names and values as a table."""
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in facts.items():
        table.add_row(name, str(value))
    OUT.print(table)


def print_table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[str] | None]
) -> None:
    """Print rows of cells; None draws a line between them."""
    table = Table(title=title, title_justify="left")
    for heading, side in columns:
        table.add_column(heading, justify=side)
    for row in rows:
        if row is None:
            table.add_section()
        else:
            table.add_row(*row)
    OUT.print(table)


def print_written(*paths: Path, note: str = "") -> None:
    """Name the files that were written."""
    for path in paths:
        OUT.print(f"wrote {path}{note and f': {note}'}", highlight=False, soft_wrap=True)


def progress_bar(noun: str = "steps") -> "Progress":
    """A bar of counted steps on standard error; plain lines where that is no terminal.

    Parameters
    ----------
    noun : str
        What is counted, in the plain lines.
    """
    from lutcore.cli.progress import Bar

    return Bar(ERR, noun, lambda text: say(text, "dim"))
