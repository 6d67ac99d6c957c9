"""OpenSTA: static timing and power of a mapped netlist, where the program ``sta`` is installed."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lutcore import tools
from lutcore.errors import InputError, ToolError
from lutcore.processes import Process

_STAGE = re.compile(r"^ *([\d.]+) +[\d.]+ [v^] (\S+) \((\w+)\)$", re.MULTILINE)
_END = re.compile(r"^(\S+)/\w+ \(\w+\).* (-?[\d.]+)(?: \(\w+\))?$", re.MULTILINE)
_SLACK = re.compile(r"^ *(-?[\d.]+) +slack", re.MULTILINE)
_ENDS = "report_checks -format end -digits 4 -group_count 1000000"
#: Seconds after which it is given up.
LIMIT = 600
#: What a session prints when it is done with a question.
_DONE = "@done@"
_REMEDY = "apt-get install opensta (or your system's package of it), or set LUTCORE_STA"


def sta_command() -> str | None:
    """The program: the one that ``LUTCORE_STA`` names, else ``sta`` on the path, else None."""
    return tools.find("sta", variable="LUTCORE_STA")


def sta_version(command: str) -> str:
    """Its version, as it prints it."""
    return tools.version(command, "-version")


def _needed() -> str:
    command = sta_command()
    if command is None:
        raise InputError(f"OpenSTA is missing: {_REMEDY}")
    return command


def run_sta(
    script: str, files: Mapping[str, bytes], outputs: Sequence[str] = (), limit: float = LIMIT
) -> tuple[str, dict[str, str]]:
    """Run Tcl in an empty folder that holds ``files``; returns what it printed, and ``outputs``.

    Raises
    ------
    InputError
        The program is missing.
    ToolError
        It reported an error, did not write every output, or took too long.
    """
    command = _needed()
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        for name, data in {**files, "run.tcl": script.encode()}.items():
            (folder / name).write_bytes(data)
        start = [command, "-no_init", "-no_splash", "-exit", "run.tcl"]
        done = tools.run("OpenSTA", start, folder=folder, limit=limit, check=False)
        printed = done.out + done.err
        wrong = [line for line in printed.splitlines() if line.startswith("Error")]
        missing = [name for name in outputs if not (folder / name).exists()]
        if done.status or wrong or missing:
            raise tools.failure("OpenSTA", done, "\n".join(wrong))
        return printed, {name: (folder / name).read_text() for name in outputs}


class Session:
    """An OpenSTA process that keeps its design, and answers within ``limit`` seconds a question."""

    def __init__(self, files: Mapping[str, bytes], script: str, limit: float = LIMIT):
        command = _needed()
        self._limit = tools.allowed(limit)
        self._folder = tempfile.TemporaryDirectory(prefix="lutcore-")
        for name, data in files.items():
            (Path(self._folder.name) / name).write_bytes(data)
        start = [command, "-no_init", "-no_splash"]
        self._process = Process("OpenSTA", start, folder=self._folder.name)
        try:
            self.ask(script)
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._process.close()
        self._folder.cleanup()

    def ask(self, script: str) -> str:
        """Run Tcl; returns what it printed.

        Raises
        ------
        ToolError
            It reported an error, ended by itself, or took too long.
        """
        with self._process.within(self._limit):
            lines = self._answer(script)
        said = "".join(line for line in lines if not line.startswith("OpenSTA>"))
        if error := re.search(r"^Error: .*", said, re.MULTILINE):
            raise ToolError(f"OpenSTA failed: {error.group()}")
        return said

    def _answer(self, script: str) -> list[str]:
        running, lines = self._process.running, []
        assert running.stdin is not None and running.stdout is not None
        try:
            running.stdin.write(f'{script}\nputs "{_DONE}"\n')
            running.stdin.flush()
        except BrokenPipeError as error:
            raise ToolError("OpenSTA ended by itself") from error
        for line in running.stdout:
            if line.endswith(f"{_DONE}\n") and "puts" not in line:
                return lines
            lines.append(line)
        raise ToolError(f"OpenSTA ended by itself: {' '.join(lines[-3:]).strip()}")

    def worst_path(self, delay: str = "max") -> tuple[float, list[str]]:
        """Worst slack in ns; and that path, stage by stage: delay, pin, cell.

        ``delay`` is ``max`` for setup, ``min`` for hold.
        """
        said = self.ask(f"report_checks -path_delay {delay} -format full -digits 4")
        slack = _SLACK.search(said)
        if slack is None:
            raise ToolError("OpenSTA found no path to a flip-flop")
        return float(slack.group(1)), [" ".join(stage) for stage in _STAGE.findall(said)]

    def slacks(self) -> dict[str, float]:
        """Flip-flop -> worst slack in ns at its data pins."""
        slacks: dict[str, float] = {}
        for instance, slack in _END.findall(self.ask(_ENDS)):
            slacks[instance] = min(slacks.get(instance, float("inf")), float(slack))
        return slacks
