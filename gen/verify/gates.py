"""A design as a synthesis tool leaves it: mapped to cells, played on Icarus Verilog with X.

Cells are those of the demonstration library, by their Liberty functions. Memories that answer a
cycle later stay as they are generated, with anything in them, as an SRAM macro would stand there;
all others become flip-flops.
"""

import re
from collections.abc import Sequence
from typing import Any

from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.synth import map_cells, read_library
from lutcore.gen.emit.rtl import design_name, design_rtlil
from lutcore.gen.emit.rtlil import Module, read
from lutcore.gen.tools.yosys import run_yosys, yosys_command
from lutcore.gen.verify.cell_models import cell_modules
from lutcore.gen.verify.kinds import Kind
from lutcore.hdl.config.core import CoreConfig

#: How outcomes call the simulator that plays netlists.
MAPPED = "icarus, mapped"

_MODULE = re.compile(r"^module (\S+)\n.*?^end\n", re.MULTILINE | re.DOTALL)
#: What stays of a module that is known from outside only.
_OUTSIDE = re.compile(r"^(?:module |end$|  wire .* (?:input|output) ).*\n?", re.MULTILINE)
#: What a memory and a register of an FPGA hold at power-on.
_HELD = re.compile(
    r"^  cell \$meminit_v2 .*\n(?:.*\n)*?  end\n|^ *attribute \\init .*\n", re.MULTILINE
)


def library() -> list[str]:
    """What netlists and their cells depend on besides the design: tool, and text of the library."""
    contents = read_library(DEMO).contents.values()
    return [yosys_command()[1], *(content.decode() for content in contents)]


def netlist(config: CoreConfig, top: str = "tile") -> str:
    """Verilog of a mapped design, with models of its cells.

    Raises
    ------
    InputError
        Yosys is missing.
    ToolError
        It failed.
    """
    files = read_library(DEMO)
    logic, memories = apart(design_rtlil(config, top))
    mapped = map_cells(logic, design_name(config, top), files, None)
    return mapped.netlist + cell_modules(mapped.netlist, files.library) + behaviour(memories)


def apart(rtlil: str) -> tuple[str, str]:
    """A design with memories that answer a cycle later as black boxes; and these memories."""
    macros = {module.name for module in read(rtlil) if _is_macro(module)}
    inside = [found[0] for found in _MODULE.finditer(rtlil) if found[1] in macros]

    def box(found: re.Match[str]) -> str:
        outside = "".join(_OUTSIDE.findall(found[0]))
        return f"attribute \\blackbox 1\n{outside}" if found[1] in macros else found[0]

    return _MODULE.sub(box, rtlil), "".join(inside)


def _is_macro(module: Module) -> bool:
    reads = [cell for cell in module.cells if cell.kind == "$memrd_v2"]
    return bool(reads) and all(cell.number("CLK_ENABLE") for cell in reads)


def behaviour(memories: str) -> str:
    """Verilog of modules in RTLIL; nothing in them has a value at power-on."""
    if not memories:
        return ""
    held = _HELD.sub("", memories)
    script = "read_rtlil memories.il\nwrite_verilog -noattr memories.v"
    return run_yosys(script, {"memories.il": held.encode()}, ("memories.v",))["memories.v"]


def outcomes(
    kind: Kind, config: CoreConfig, asked: Sequence[tuple[str, int]]
) -> list[dict[str, Any]]:
    """What became of each test and seed on the netlist (:func:`lutcore.gen.verify.batch.measure`).

    Errors as of :func:`netlist`, and where Icarus Verilog is missing or fails.
    """
    found = kind.with_x(config, asked, netlist)
    for outcome in found:
        outcome["problems"] = [f"mapped to gates: {text}" for text in outcome["problems"]]
    return found
