"""The manual's way into a design of one's own: every command of the page, in an empty folder."""

import re
from pathlib import Path

import pytest
from pages import run_commands

from lutcore import tools

PAGE = Path(__file__).parents[3] / "docs" / "integration.md"
#: What a block of commands wants that does not come with pip.
_WANTS = {"icarus": "iverilog"}
#: Commands that run a bench, and what each prints once: our benches in Verilog, cocotb.
_BENCH = re.compile(
    r"^(?:\w+/V\w+_tb|vvp .*|(?:SIM=\w+ )?python test_\w+\.py|fusesoc .*--target=sim .*)$", re.M
)
_PASS = re.compile(r"^PASS: |TESTS=1 PASS=1 FAIL=0 SKIP=0", re.M)


def blocks():
    """Commands in the order of the page, and what each wants."""
    found = re.findall(r"^```sh(?: (\w+))?\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    assert len(found) == 10
    assert sum(len(_BENCH.findall(commands)) for _, commands in found) == 7
    return found


@pytest.mark.slow
def test_every_command_of_the_page_works(tmp_path):
    script = "\n".join(
        commands
        for wanted, commands in blocks()
        if wanted not in _WANTS or tools.find(_WANTS[wanted])
    )
    done = run_commands(script, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(_PASS.findall(done.stdout)) == len(_BENCH.findall(script))
    (netlist,) = (tmp_path / "build").glob("**/*_gates.json")
    assert netlist.name == "lutcore_board_core_axi_gates.json" and netlist.stat().st_size > 1000
