"""The text maps to the gates that Yosys' own text of the same design maps to."""

import pytest
from sweeps import later

from lutcore.gen.asic.liberty import DEMO_CELLS
from lutcore.gen.emit.rtl import design_name, design_rtlil, verilog
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.presets import preset

_MAP = """read_verilog {source}.v
synth -flatten -top {top}
dfflibmap -liberty demo.lib
abc -liberty demo.lib
opt_clean
tee -o {source}.txt stat -liberty demo.lib
design -reset
"""


def _area(report: str) -> float:
    (line,) = (line for line in report.splitlines() if "Chip area" in line)
    return float(line.split(":")[1])


@pytest.mark.parametrize("name", ["w2a8", later("ternary-a8")])
def test_the_text_costs_no_area(name):
    """One abc run differs by some tenths of a percent when nets merely have other names.

    A sum whose result is extended, in place of its operands, costs 4.6 % of ``w2a8``.
    """
    config = preset(name).replace(n=8)
    top = design_name(config)
    files = {
        "design.il": design_rtlil(config).encode(),
        "ours.v": verilog(config).encode(),
        "demo.lib": DEMO_CELLS.read_bytes(),
    }
    first = f"read_rtlil design.il\nhierarchy -top {top}\nwrite_verilog -noattr theirs.v\n"
    script = (
        first
        + "design -reset\n"
        + "".join(_MAP.format(source=source, top=top) for source in ("ours", "theirs"))
    )
    done = run_yosys(script, files, ["ours.txt", "theirs.txt"])
    ours, theirs = _area(done["ours.txt"]), _area(done["theirs.txt"])
    assert theirs > 0
    assert ours == pytest.approx(theirs, rel=0.005)
