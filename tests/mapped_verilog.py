"""Verilog of a test's own, mapped as tiles are, with the library that comes along."""

from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.mapping import Mapped, map_rtlil
from lutcore.gen.asic.synth import read_library
from lutcore.gen.tools.yosys import run_yosys

_READ = "read_verilog d.v\nhierarchy -top top\nproc\nopt_clean\nwrite_rtlil d.il"


def mapped(verilog: str, period: float | None) -> Mapped:
    """The module ``top`` in cells, for a clock period in ns."""
    rtlil = run_yosys(_READ, {"d.v": verilog.encode()}, ("d.il",))["d.il"]
    files = read_library(DEMO)
    return map_rtlil(rtlil, "top", files.library, files.contents, period)
