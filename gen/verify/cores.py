"""Cores to run programs on: whichever top was generated, behind the same registers and memory."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from lutcore.gen.emit.registers import c_header
from lutcore.gen.emit.rtl import component_verilog, verilog
from lutcore.hdl.bus.axi import AxiMaster
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.control import Control
from lutcore.verif.sim.core import CoreSimulation

#: Tops that run programs here.
TOPS = ("axi", "core")

_PORT = re.compile(r"^  (input|output) +(?:wire|reg) +(\[\d+:0\])? *(\w+)", re.MULTILINE)
#: Port of the registers -> net; ports of buses begin otherwise, and all others are named as nets.
_NETS = {
    "start": "programs__valid",
    "abort": "cancel",
    "program_": "programs__payload[47:0]",
    "length": "programs__payload[79:48]",
}
_BUSES = {"host__": "s_axi_", "bus__": "m_axi_"}


def _net(port: str) -> str:
    for ours, theirs in _BUSES.items():
        port = port.replace(ours, theirs)
    return _NETS.get(port, port)


def around(config: CoreConfig, core: str) -> str:
    """Verilog of registers and AXI master around the core in Verilog, with ports as of ``axi``."""
    registers = component_verilog(Control(config), "registers_of_core")
    master = component_verilog(AxiMaster(config.bus_bits), "master_of_core")
    outside, wires, instances = [], {}, []
    for text in (registers, master, core):
        ports = _PORT.findall(text[: text.index(");")])
        name = re.findall(r"^module (\w+)", text, re.MULTILINE)[0]
        connected = ", ".join(f".{port}({_net(port)})" for _, _, port in ports)
        instances.append(f"  {name} the_{name}({connected});")
        for way, width, port in ports:
            net = _net(port)
            if net.startswith(tuple(_BUSES.values())) or net == "irq":
                outside.append(f"{way} {width} {net}")
            elif "[" not in net and net not in ("clk", "rst"):
                wires[net] = f"  wire {width} {net};"
    head = f"module core_axi(input clk, input rst, {', '.join(outside)});"
    return "\n".join([registers, master, head, *wires.values(), *instances, "endmodule", ""])


def design(config: CoreConfig, top: str) -> str:
    """Verilog of a core whose top module is ``core_axi``."""
    config = config.replace(name="core")
    text = verilog(config, top)
    return text + around(config, text) if top == "core" else text


def simulated(
    config: CoreConfig,
    top: str = "axi",
    edit: Callable[[str], str] | None = None,
    arguments: Sequence[str] = (),
    coverage_to: Path | None = None,
) -> CoreSimulation:
    """A core's RTL, compiled.

    Parameters
    ----------
    top : {"axi", "core"}
        The design: ``core``, between streams, stands between registers and AXI master of its own.
    edit : callable, optional
        What is done to the Verilog before.
    arguments : sequence of str
        As of :class:`~lutcore.verif.sim.core.CoreSimulation`, as is ``coverage_to``.
    """
    text = design(config, top)
    text = edit(text) if edit else text
    return CoreSimulation(config, text, c_header(), arguments, coverage_to)
