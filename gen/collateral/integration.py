"""What goes into the design of a user: an instance to copy, clock constraints for ASIC and FPGA."""

from lutcore.gen.emit.interfaces import ports
from lutcore.gen.emit.rtl import design_name, header
from lutcore.hdl.config.core import CoreConfig

#: Default clock periods in ns: of a small ASIC process, of an FPGA.
_ASIC, _FPGA = 1.0, 10.0
#: Part of a period that inputs come late, and outputs must be early.
_SHARE = 0.3


def clock_and_reset(config: CoreConfig, top: str) -> tuple[str, str]:
    """Names of the clock's and the reset's port."""
    names = [port["name"] for port in ports(config, top)]
    return ("aclk", "aresetn") if "aclk" in names else ("clk", "rst")


def instance(config: CoreConfig, top: str) -> str:
    """``<design>_instance.vh``: a net for every port but clock and reset, and the instance."""
    name, taken = design_name(config, top), clock_and_reset(config, top)
    described = ports(config, top)
    nets = []
    for port in described:
        if port["name"] not in taken:
            size = f"[{port['width'] - 1}:0]" if port["width"] > 1 else ""
            arrow = "to" if port["direction"] == "input" else "from"
            nets.append(f"wire {size:8} {port['name']};  // {arrow} {name}")
    pins = ",\n".join(f"  .{port['name']}({port['name']})" for port in described)
    said = "// To be copied or included where the clock and the reset are nets of these names."
    return header(config, top) + "\n".join(
        ["", said, *nets, "", f"{name} {name}_0 (", pins, ");", ""]
    )


def sdc(config: CoreConfig, top: str) -> str:
    """``<design>.sdc``: clock, and delays of inputs and outputs; Tcl, for ASIC tools."""
    return _constraints(config, top, _ASIC)


def xdc(config: CoreConfig, top: str) -> str:
    """``<design>.xdc``: the same in the part of Tcl that Vivado takes."""
    return _constraints(config, top, _FPGA)


def yosys_script(config: CoreConfig, top: str) -> str:
    """``<design>.ys``, which Yosys runs beside the Verilog: to generic gates, memories kept.

    The netlist goes to ``<design>_gates.json``.
    """
    name = design_name(config, top)
    commands = [
        f"read_verilog {name}.v",
        f"synth -top {name} -run :fine",
        "opt -fast -full",
        "opt -undriven -fine",
        "techmap",
        "opt -fast",
        "abc",
        "opt_clean",
        "check -assert",
        f"stat -top {name}",
        f"write_json {name}_gates.json",
    ]
    said = "\n# To generic gates. Memories stay: map them to those of your process or FPGA.\n"
    return header(config, top, "#") + said + "\n".join([*commands, ""])


def _constraints(config: CoreConfig, top: str, period: float) -> str:
    clock, _ = clock_and_reset(config, top)
    sides: dict[str, list[str]] = {"input": [], "output": []}
    for port in ports(config, top):
        if port["name"] != clock:
            sides[port["direction"]].append(port["name"] + ("[*]" if port["width"] > 1 else ""))
    lines = [
        "",
        "# Nanoseconds. The reset is synchronous: it is timed as every input.",
        f"set period {period}",
        f"create_clock -name {clock} -period $period [get_ports {clock}]",
    ]
    for side, names in sides.items():
        command = f"set_{side}_delay -clock {clock} [expr {{{_SHARE} * $period}}] [get_ports {{"
        lines += ["", command, *(f"  {name}" for name in names), "}]"]
    return header(config, top, "#") + "\n".join([*lines, ""])
