"""Mutants of the project's own Python, each tried by the tests of its module: ``make mutants``.

The modules, the tests that are theirs, and the mutants that no test could notice stand in
``mutants.toml``. All is done in copies of the clone, one a job, below ``build/mutants``.
"""

import argparse
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from rich.console import Console
from rich.table import Table

from lutcore.errors import InputError, ToolError
from lutcore.gen.campaigns.mutant_sites import Mutant, difference, drawn
from lutcore.processes import Process, interruptible

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "mutants"
TABLE = Path(__file__).with_name("mutants.toml")
#: Columns of the table of scores: no path is cut short.
_WIDTH = 120
_FORKS = Path(__file__).with_name("mutant_forks.py")
#: What a copy does without.
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "_build", "__pycache__", "*.egg-info", ".*_cache"
)


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Mutants of a function that do what the sound module does, and why.

    Attributes
    ----------
    function : str
        As :class:`~lutcore.gen.campaigns.mutant_sites.Site` has it; ``*`` is any text.
    before : str
        A part of the line as it stands.
    after : str
        A part of the mutated line; any if it is empty.
    operator : str
        Cosmic Ray's name of the operator, in which ``*`` is any text.
    reason : str
    """

    function: str
    before: str
    reason: str
    after: str = ""
    operator: str = "*"

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError(f"mutants of {self.function!r} are accepted without a reason")

    def has(self, mutant: Mutant) -> bool:
        """Whether a mutant is one of these."""
        return (
            fnmatchcase(mutant.site.function, self.function)
            and fnmatchcase(mutant.site.operator, self.operator)
            and self.before in mutant.before
            and self.after in mutant.after
        )


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module that is mutated.

    Attributes
    ----------
    path : str
        Its file, from the root of the clone.
    tests : tuple of str
        What pytest is asked for: files of tests, or single ones.
    floor : float
        Share of its mutants that must be killed, from 0 to 1.
    accepted : tuple of Accepted
        Mutants that do not count.
    """

    path: str
    tests: tuple[str, ...]
    floor: float
    accepted: tuple[Accepted, ...] = ()


@dataclass
class Score:
    """What the tests of a module noticed.

    Attributes
    ----------
    accepted, survivors : list of Mutant
        Those that nothing noticed.
    mistaken : list of Mutant
        Killed ones that are accepted: their reason is wrong, or says too much.
    seconds : float
        Processor time of all its mutants.
    """

    module: Module
    killed: int = 0
    accepted: list[Mutant] = field(default_factory=list)
    survivors: list[Mutant] = field(default_factory=list)
    mistaken: list[Mutant] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """All mutants that were tried."""
        return self.killed + len(self.accepted) + len(self.survivors)

    @property
    def share(self) -> float:
        """Killed ones of those that count; 1 where there are none."""
        counted = self.killed + len(self.survivors)
        return self.killed / counted if counted else 1.0

    @property
    def problem(self) -> str:
        """What is wrong with the tests or with the table; empty if nothing is."""
        if self.share < self.module.floor:
            return "fewer mutants are killed than its floor asks for"
        return "mutants are killed that the table accepts" if self.mistaken else ""


def read_table(path: Path = TABLE) -> list[Module]:
    """The modules of a table.

    Raises
    ------
    InputError
        An entry has an unknown field, or not those it needs, or a reason is empty.
    """
    table = tomllib.loads(path.read_text("utf-8"))
    found = []
    for entry in table["module"]:
        entries = [*table.get("accepted", []), *entry.get("accepted", [])]
        accepted = tuple(_made(Accepted, path, each) for each in entries)
        given = {"floor": table["floor"]} | entry
        given |= {"tests": tuple(given.get("tests", [])), "accepted": accepted}
        found.append(_made(Module, path, given))
    return found


def _made(kind: type, path: Path, entry: dict) -> "Module | Accepted":
    try:
        return kind(**entry)
    except TypeError as error:
        raise InputError(f"{path}: {entry}: {error}") from error


def _copied(folder: Path) -> Path:
    """A fresh copy of the clone, of its files as they are now."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, symlinks=True, ignore=_LEFT_OUT)
    return folder


class Player:
    """Plays mutants of one module in a copy of the clone; a context manager, which ends it.

    Raises
    ------
    InputError
        The tests fail with the module as it stands.
    ToolError
        They tell nothing.
    """

    def __init__(self, module: Module, folder: Path):
        around = {
            "PYTHONPATH": str(folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "LUTCORE_CACHE": str(folder / "build" / "cache"),
        }
        command = [sys.executable, "-P", str(_FORKS), module.path, *module.tests]
        self._process = Process(
            "pytest", command, folder=folder, environment=os.environ | around, errors="ours"
        )
        status, self.seconds = self._told()
        if status:
            self._process.close()
            tests = " ".join(module.tests)
            raise InputError(f"the tests of {module.path} fail without a mutant: pytest {tests}")

    def _told(self) -> tuple[int, float]:
        line = self._process.running.stdout.readline()  # pyright: ignore
        try:
            status, seconds = json.loads(line)
        except ValueError as error:
            self._process.close()
            raise ToolError(f"pytest tells nothing of mutants: {line.strip()!r}") from error
        return status, seconds

    def play(self, text: str) -> bool:
        """Whether the tests notice that the module has another text."""
        stdin = self._process.running.stdin
        assert stdin is not None
        stdin.write(json.dumps(text) + "\n")
        stdin.flush()
        status, seconds = self._told()
        self.seconds += seconds
        return status != 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()


def score(module: Module, folder: Path, each: int, seed: int) -> Score:
    """Try a module's mutants in a copy of the clone.

    Parameters
    ----------
    each : int
        At most so many; all if it is 0.
    seed : int
        Which of them.

    Raises
    ------
    InputError
        The tests fail without a mutant, or Cosmic Ray is not installed.
    ToolError
        They tell nothing.
    """
    found = Score(module)
    with Player(module, folder) as player:
        for mutant in drawn((folder / module.path).read_text("utf-8"), each, seed):
            accepted = any(entry.has(mutant) for entry in module.accepted)
            if not player.play(mutant.text):
                (found.accepted if accepted else found.survivors).append(mutant)
                continue
            found.killed += 1
            if accepted:
                found.mistaken.append(mutant)
        found.seconds = player.seconds
    return found


def scores(modules: Sequence[Module], each: int, seed: int, jobs: int) -> Iterator[Score]:
    """Scores of modules, each as soon as those before it are done.

    Raises
    ------
    InputError, ToolError
        As :func:`score` does.
    """
    folders: SimpleQueue[Path] = SimpleQueue()
    for job in range(jobs):
        folders.put(_copied(BUILD / str(job)))

    def one(module: Module) -> Score:
        folder = folders.get()
        try:
            return score(module, folder, each, seed)
        finally:
            folders.put(folder)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, modules)


def _print(found: Sequence[Score]) -> None:
    table = Table(title="Mutants of our own Python", title_justify="left")
    table.add_column("module", no_wrap=True)
    for heading in ("mutants", "killed", "accepted", "survivors", "share", "floor", "seconds"):
        table.add_column(heading, justify="right")
    for each in found:
        counts = each.count, each.killed, len(each.accepted), len(each.survivors)
        shares = f"{each.share:.1%}", f"{each.module.floor:.0%}", f"{each.seconds:.0f}"
        table.add_row(each.module.path, *map(str, counts), *shares)
    Console(width=_WIDTH).print(table)


def _count(text: str) -> int:
    return 0 if text == "all" else int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print survivors and a table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=_count, default=20, help="mutants of each module, or all")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--jobs", type=int, default=2, help="modules at a time")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of modules' paths")
    options = parser.parse_args(arguments)
    chosen = [
        module for module in read_table() if any(part in module.path for part in options.only)
    ]
    found = []
    with interruptible():
        for each in scores(chosen, options.each, options.seed, options.jobs):
            found.append(each)
            for kind, listed in (("survives", each.survivors), ("is noticed", each.mistaken)):
                for mutant in listed:
                    print(f"{kind}: {difference(mutant, each.module.path)}", flush=True)
    _print(found)
    wrong = [each for each in found if each.problem]
    for each in wrong:
        print(f"{each.module.path}: {each.problem}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (InputError, ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
