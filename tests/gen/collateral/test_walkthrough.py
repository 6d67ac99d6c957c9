"""The manual's way into a design of one's own: every command of the page, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lutcore import tools

PAGE = Path(__file__).parents[3] / "docs" / "integration.md"
#: What a block of commands wants that does not come with pip.
_WANTS = {"icarus": "iverilog"}


def blocks():
    """Commands in the order of the page, and what each wants."""
    found = re.findall(r"^```sh(?: (\w+))?\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(found) == 8
    return found


@pytest.mark.slow
def test_every_command_of_the_page_works(tmp_path):
    script = [
        commands
        for wanted, commands in blocks()
        if wanted not in _WANTS or tools.find(_WANTS[wanted])
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    benches = 4 if len(script) == len(blocks()) else 2
    assert done.stdout.count("\nPASS: ") + done.stdout.startswith("PASS: ") >= benches
    assert (tmp_path / "build").is_dir()
