"""OpenSTA: static timing and power of a mapped netlist, where the program ``sta`` is installed."""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hdl.errors import InputError, ToolError

_REMEDY = "apt-get install opensta (or your system's package of it), or set LUTCORE_STA"


def sta_command() -> str | None:
    """The program: the one that ``LUTCORE_STA`` names, else ``sta`` on the path, else None."""
    return shutil.which(os.environ.get("LUTCORE_STA") or "sta")


@functools.lru_cache
def sta_version(command: str) -> str:
    """Its version, as it prints it."""
    result = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    return (result.stdout.split() or ["unknown"])[0]


def run_sta(
    script: str, files: Mapping[str, bytes], outputs: Sequence[str] = ()
) -> tuple[str, dict[str, str]]:
    """Run Tcl in an empty folder that holds ``files``; returns what it printed, and ``outputs``.

    Raises
    ------
    InputError
        The program is missing.
    ToolError
        It reported an error or did not write every output.
    """
    command = sta_command()
    if command is None:
        raise InputError(f"OpenSTA is missing: {_REMEDY}")
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        for name, data in {**files, "run.tcl": script.encode()}.items():
            (folder / name).write_bytes(data)
        result = subprocess.run(
            [command, "-no_init", "-no_splash", "-exit", "run.tcl"],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        printed = result.stdout + result.stderr
        wrong = [line for line in printed.splitlines() if line.startswith("Error")]
        missing = [name for name in outputs if not (folder / name).exists()]
        if result.returncode or wrong or missing:
            said = " ".join(wrong[:2]) or " ".join(printed.splitlines()[-3:]) or "no output"
            raise ToolError(f"OpenSTA failed: {said}")
        return printed, {name: (folder / name).read_text() for name in outputs}
