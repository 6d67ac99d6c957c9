"""Commands of the manual's pages, run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

#: What make of Verilator's C++ takes least time with: a page's simulations are shorter than what
#: the compiler would do for their speed, and than reading the headers for each file.
_MAKE = "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0 VM_PARALLEL_BUILDS=0"


def run_commands(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lines of a shell in a folder, up to the first that fails; ``lutcore`` is on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=os.environ | {"PATH": path, "MAKEFLAGS": _MAKE},
        capture_output=True,
        text=True,
    )
