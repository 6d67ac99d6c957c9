"""Project files for boards whose bitstreams only the vendor's tool makes: Verilog, XDC, Tcl."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore.files import write_files
from lutcore.fpga.boards.boards import Board, oscillator, pins
from lutcore.fpga.flow.bitstream import board_metadata, synthesised
from lutcore.fpga.flow.emit import TOP
from lutcore.fpga.flow.netlist import Netlist
from lutcore.gen.emit.verilog import verilog_text
from lutcore.hdl.config.core import CoreConfig

_TCL = """\
# vivado -mode batch -source {name}.tcl
create_project -in_memory -part {part}
read_verilog {name}.v
read_xdc {name}.xdc
synth_design -top {top}
opt_design
place_design
route_design
report_utilization -hierarchical -file {name}.utilisation.txt
report_timing_summary -file {name}.timing.txt
write_bitstream -force {name}.bit
"""


@dataclass(frozen=True)
class Project:
    """Files of a project, and what Yosys finds that its logic takes."""

    name: str
    files: dict[str, str]
    netlist: Netlist

    def write(self, folder: Path, force: bool = False) -> list[Path]:
        """Write them all, or none; errors as of :func:`~lutcore.files.write_files`."""
        return write_files(folder, self.files, f"bitstream {self.name}", force)

    def to_dict(self) -> dict[str, Any]:
        """The area as plain values."""
        return {
            "design": self.name,
            "synthesis": self.netlist.total,
            "blocks": self.netlist.blocks,
            "memories": self.netlist.memories,
            "seconds": self.netlist.seconds,
        }


def project(config: CoreConfig, board: Board, *, clock: float | None = None) -> Project:
    """The project of a board; area by Yosys, timing by nobody yet.

    Raises
    ------
    InputError
        No such board can be built, or it does not fit.
    ToolError
        Yosys failed.
    """
    design = synthesised(config, board, clock=clock)
    name = f"{config.name}-{board.name}"
    constraints = [f"create_clock -period {1000 / oscillator(board):g} [get_ports oscillator]"]
    for port, pin in pins(board).items():
        values = {"PACKAGE_PIN": pin.site, **pin.attributes}
        constraints += [f"set_property {k} {v} [get_ports {port}]" for k, v in values.items()]
    facts = board_metadata(config, board, design)
    files = {
        f"{name}.v": verilog_text(design.rtlil, initial=False),
        f"{name}.xdc": "\n".join(constraints) + "\n",
        f"{name}.tcl": _TCL.format(name=name, part=board.device[0], top=TOP),
        f"{name}.json": json.dumps(facts, indent=2) + "\n",
    }
    return Project(name, files, design.netlist)
