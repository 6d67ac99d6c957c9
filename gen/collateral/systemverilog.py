"""SystemVerilog of a design: a package of its structures and constants, a wrapper that has them."""

from lutcore.gen.collateral.structures import Structure, structures, types
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, header
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.description import DERIVED
from lutcore.hdl.isa.lmma import Cause
from lutcore.hdl.isa.registers import ADDRESS_WIDTH, REGISTERS


def systemverilog(config: CoreConfig, top: str) -> dict[str, str]:
    """Names and texts of a design's SystemVerilog files, the package first."""
    name = design_name(config, top)
    return {f"{name}_pkg.sv": package(config, top), f"{name}_wrapper.sv": wrapper(config, top)}


def package(config: CoreConfig, top: str) -> str:
    """The package ``<design>_pkg``: configuration, structures of ports, registers, causes."""
    name = f"{design_name(config, top)}_pkg"
    lines = [*_constants(config), *types(structures(config, top))]
    if TOPS[top].is_core:
        lines += _causes()
    if TOPS[top].has_registers:
        lines += _registers()
    body = [f"  {line}".rstrip() for line in lines]
    return header(config, top) + "\n".join(
        ["", f"package {name};", *body, "", f"endpackage : {name}", ""]
    )


def _constants(config: CoreConfig) -> list[str]:
    """Parameters of the configuration, numbers and words."""
    values = config.to_dict() | {name: getattr(config, name) for name in DERIVED}
    if config.block_scaled:
        values["scale_offset"] = config.scale_offset
    lines = ["// The configuration, and what follows from it."]
    for name, value in values.items():
        if isinstance(value, str):
            lines.append(f'localparam string {name.upper()} = "{value}";')
        else:
            lines.append(f"localparam int {name.upper()} = {int(value)};")
    return lines


def _causes() -> list[str]:
    causes = [f"  CAUSE_{cause.name} = 4'd{cause.value}" for cause in Cause]
    listed = ",\n".join(causes).splitlines()
    return ["", "// Why a program ended.", "typedef enum logic [3:0] {", *listed, "} cause_t;"]


def _registers() -> list[str]:
    """Byte offsets of registers, and masks of their fields."""
    size = f"[{ADDRESS_WIDTH - 1}:0]"
    lines = []
    for name, (offset, register) in REGISTERS.items():
        upper = f"REG_{name.upper()}"
        value = f"{ADDRESS_WIDTH}'h{offset:02X}"
        lines += ["", f"// {register.text}", f"localparam logic {size} {upper} = {value};"]
        for field, low, bits, text in register.fields:
            mask = f"32'h{((1 << bits) - 1) << low:08X}"
            lines.append(f"// {upper}, {field}: {text}")
            lines.append(f"localparam logic [31:0] {upper}_{field.upper()} = {mask};")
    return lines


def wrapper(config: CoreConfig, top: str) -> str:
    """The module ``<design>_wrapper``: the design with structures of the package as ports."""
    design = design_name(config, top)
    given = {pin: of for of in structures(config, top) for pin in of.pins}
    declared: dict[str, str] = {}
    pins = []
    for port in ports(config, top):
        name = port["name"]
        of = given.get(name)
        declared |= dict([_structured(design, of) if of else _plain(port)])
        pins.append(f"    .{name}({of.pins[name] if of else name})")
    lines = [
        *("", f"module {design}_wrapper (", ",\n".join(declared.values()), ");"),
        *(f"  {design} inner (", ",\n".join(pins), "  );"),
        *(f"endmodule : {design}_wrapper", ""),
    ]
    return header(config, top) + "\n".join(lines)


def _structured(design: str, of: Structure) -> tuple[str, str]:
    return of.port, f"  {of.direction:6} {design}_pkg::{of.kind} {of.port}"


def _plain(port: dict) -> tuple[str, str]:
    size = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
    return port["name"], f"  {port['direction']:6} logic {size}{port['name']}"
