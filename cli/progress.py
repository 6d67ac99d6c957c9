"""Bars of counted steps, and the plain lines in their place."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Seconds between two plain lines.
INTERVAL = 10.0


class Lines:
    """Says a line if the one before is long enough ago; the first, if the beginning is."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._last = time.monotonic()

    def __call__(self, text: str) -> None:
        """Say it, or let it go."""
        now = time.monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            self._say(text)


class Bar(Progress):
    """A bar on a terminal; elsewhere a line now and then, such as ``space: 12 of 40 points``.

    Parameters
    ----------
    console : Console
        Standard error.
    noun : str
        What is counted.
    say : callable
        Says a line.
    """

    def __init__(self, console: Console, noun: str, say: Callable[[str], None]):
        super().__init__(
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not shows_bars(console),
        )
        self._noun = noun
        self._lines = Lines(say)

    def update(self, task_id: Any, **changes: Any) -> None:
        """As of a bar."""
        super().update(task_id, **changes)
        self._tell(task_id)

    def advance(self, task_id: Any, advance: float = 1) -> None:
        """As of a bar."""
        super().advance(task_id, advance)
        self._tell(task_id)

    def _tell(self, task_id: Any) -> None:
        task = self._tasks[task_id]
        if self.disable and task.total is not None:
            counted = f"{task.completed:g} of {task.total:g} {self._noun}"
            self._lines(f"{task.description}: {counted}" if task.description else counted)


def shows_bars(console: Console) -> bool:
    """Whether a console shows what moves: it is a terminal, and not to be silent."""
    return console.is_terminal and not getattr(console, "silent", False)


def spinners(console: Console) -> Progress:
    """A line for each tool at work: how long, and what it said last."""
    columns: tuple[ProgressColumn, ...] = (SpinnerColumn(), TimeElapsedColumn())
    words = (TextColumn("{task.description}"), TextColumn("{task.fields[said]}"))
    shown = shows_bars(console)
    return Progress(*columns, *words, console=console, transient=True, disable=not shown)
