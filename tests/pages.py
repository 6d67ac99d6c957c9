"""Commands of the manual's pages, run as they stand."""

import os
import subprocess
import sys
from pathlib import Path


def run_commands(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lines of a shell in a folder, up to the first that fails; ``lutcore`` is on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
