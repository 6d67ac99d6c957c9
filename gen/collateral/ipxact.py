"""Designs as components of IP-XACT, IEEE 1685-2014: ports, buses, registers, files.

Buses are known by the names of their ports. Their definitions are those of Arm's bundle of IP-XACT
definitions of AMBA (``amba.com``, AMBA 4: AXI4, AXI4-Lite and APB4 ``r0p0_0``, AXI4-Stream
``r0p0_1``), of AMD's Vivado for single wires (``xilinx.com``, library ``signal``), and for Wishbone
B4 of the example library of Kactus2 (``opencores.org``). None of them is part of what is written.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from lutcore.gen.collateral.fusesoc import ROLES
from lutcore.gen.emit.interfaces import LIBRARY, VENDOR, ports
from lutcore.gen.emit.rtl import header
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.hdl.isa.registers import ADDRESS_WIDTH, REGISTERS, Register, constants

NAMESPACE = "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"
#: Names within a component: what a host sees, what a master sees, what is synthesised.
_MAP, _SPACE, _VIEW = "registers", "memory", "rtl"
#: Clocks, and resets with their polarity.
_CLOCKS = ("clk", "aclk")
_RESETS = {"rst": "ACTIVE_HIGH", "aresetn": "ACTIVE_LOW"}


@dataclass(frozen=True)
class Bus:
    """A bus that ports may make up.

    Attributes
    ----------
    pattern : str
        Of the names of its ports: first the interface, then the signal.
    mode : {"master", "slave"}
    definition : tuple of str
        Vendor, library, name and version of the bus definition.
    abstraction : str
        Name of the abstraction definition, which is the definition's in the rest.
    names : mapping of str to str
        Signal -> name in the definition, where that is not its own in capitals.
    clock : tuple of str
        Clock and reset, active low, in the definition; none: it has none for a master or a slave.
    reaches : str
        The address space or the memory map that it leads to.
    parameters : mapping of str to str
        What tools want to know of a single wire.
    """

    pattern: str
    mode: str
    definition: tuple[str, str, str, str]
    abstraction: str
    names: Mapping[str, str] = field(default_factory=dict)
    clock: tuple[str, ...] = ()
    reaches: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def _amba(pattern: str, mode: str, name: str, version: str = "r0p0_0", **more: Any) -> Bus:
    more.setdefault("clock", ("ACLK", "ARESETn"))
    return Bus(pattern, mode, ("amba.com", "AMBA4", name, version), f"{name}_rtl", **more)


def _wire(pattern: str, mode: str, name: str, signal: str, **parameters: str) -> Bus:
    definition = ("xilinx.com", "signal", name, "1.0")
    return Bus(
        rf"({pattern})()", mode, definition, f"{name}_rtl", {"": signal}, parameters=parameters
    )


#: All buses that tops have.
BUSES = (
    _amba(r"(m_axi)_(\w+)", "master", "AXI4", reaches=_SPACE),
    _amba(r"(s_axi)_(\w+)", "slave", "AXI4-Lite", reaches=_MAP),
    _amba(
        r"(s_apb)_(\w+)",
        "slave",
        "APB4",
        names={"psel": "PSELx"},
        clock=("PCLK", "PRESETn"),
        reaches=_MAP,
    ),
    Bus(
        r"(s_wb)_(\w+)",
        "slave",
        ("opencores.org", "interface", "wishbone", "b4"),
        "wishbone.absDef",
        {name: name for name in ("cyc", "stb", "we", "adr", "sel", "ack", "err", "stall")}
        | {"dat_w": "dat_ms", "dat_r": "dat_sm"},
        reaches=_MAP,
    ),
    _amba(r"(s_axis_\w+)_(t\w+)", "slave", "AXI4Stream", "r0p0_1"),
    _amba(r"(m_axis_\w+)_(t\w+)", "master", "AXI4Stream", "r0p0_1"),
    _wire("|".join(_CLOCKS), "slave", "clock", "CLK"),
    *(_wire(name, "slave", "reset", "RST", POLARITY=level) for name, level in _RESETS.items()),
    _wire("irq", "master", "interrupt", "INTERRUPT", SENSITIVITY="LEVEL_HIGH"),
)


def component_xml(
    config: CoreConfig,
    top: str,
    name: str,
    version: str,
    files: Mapping[str, str] | None = None,
) -> str:
    """Text of ``<name>.xml``.

    The register block is as wide as its widest register, since the standard has no wider registers
    in a block; the bus is of 32 bits, and takes two accesses for one of 64, the lower half first.

    Parameters
    ----------
    name : str
        Of the component and its top module.
    version : str
    files : mapping of str to str
        Names -> roles, as :data:`lutcore.gen.collateral.fusesoc.ROLES` has them; default the
        Verilog, ``<name>.v``.
    """
    found = ports(config, top)
    buses = list(_interfaces([port["name"] for port in found]))
    reached = {bus.reaches for _, bus, _ in buses}
    parts = [
        *_vlnv(VENDOR, LIBRARY, name, version),
        _tag("busInterfaces", *(_bus_interface(*it, found) for it in buses)),
    ]
    if _SPACE in reached:
        parts.append(_tag("addressSpaces", _address_space(config)))
    if _MAP in reached:
        parts.append(_tag("memoryMaps", _memory_map(config)))
    sets = _file_sets(files or {f"{name}.v": "rtl"})
    parts += [_model(name, found), _tag("fileSets", *sets)]
    # A comment may not have the two dashes of the command's options.
    facts = f"\n{header(config, top, '   ')}  "
    root = _tag("component", *parts, _tag("description", facts))
    root.set("xmlns:ipxact", NAMESPACE)
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:schemaLocation", f"{NAMESPACE} {NAMESPACE}/index.xsd")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _tag(kind: str, /, *content: ET.Element | str | int, **attributes: str) -> ET.Element:
    """An element of elements, or of a text."""
    element = ET.Element(f"ipxact:{kind}", attributes)
    for part in content:
        if isinstance(part, ET.Element):
            element.append(part)
        else:
            element.text = str(part)
    return element


def _vlnv(*values: str) -> list[ET.Element]:
    names = ("vendor", "library", "name", "version")
    return [_tag(name, value) for name, value in zip(names, values, strict=True)]


def _reference(name: str, vendor: str, library: str, of: str, version: str) -> ET.Element:
    return _tag(name, vendor=vendor, library=library, name=of, version=version)


def _interfaces(names: Iterable[str]) -> Iterator[tuple[str, Bus, dict[str, str]]]:
    """Name of each interface, its bus, and its ports by the names of the definition."""
    names = list(names)
    for bus in BUSES:
        found: dict[str, dict[str, str]] = {}
        for port in names:
            if match := re.fullmatch(bus.pattern, port):
                logical = bus.names.get(match[2], match[2].upper())
                found.setdefault(match[1], {})[logical] = port
        yield from ((name, bus, signals) for name, signals in found.items())


def _bus_interface(
    name: str, bus: Bus, signals: dict[str, str], found: list[dict[str, Any]]
) -> ET.Element:
    names = [port["name"] for port in found]
    maps = [_port_map(logical, port) for logical, port in signals.items()]
    for logical, port in zip(bus.clock, _clocking(names), strict=False):
        maps.append(_port_map(logical, port, invert=_RESETS.get(port) == "ACTIVE_HIGH"))
    vendor, library, _, version = bus.definition
    abstraction = _reference("abstractionRef", vendor, library, bus.abstraction, version)
    parameters = dict(bus.parameters)
    if name in _CLOCKS:
        parameters |= _of_clock(names)
    told = [
        _tag(
            "parameter",
            _tag("name", key),
            _tag("value", f'"{value}"'),
            parameterId=f"{name}_{key}",
        )
        for key, value in parameters.items()
    ]
    return _tag(
        "busInterface",
        _tag("name", name),
        _reference("busType", *bus.definition),
        _tag("abstractionTypes", _tag("abstractionType", abstraction, _tag("portMaps", *maps))),
        _tag(bus.mode, *_leads_to(bus)),
        *([_tag("parameters", *told)] if told else []),
    )


def _clocking(names: Iterable[str]) -> list[str]:
    """The clock and the reset among ports."""
    names = list(names)
    return [name for kind in (_CLOCKS, _RESETS) for name in kind if name in names]


def _of_clock(names: list[str]) -> dict[str, str]:
    """What a clock's interface says: the buses that it clocks, and its reset."""
    buses = [name for name, bus, _ in _interfaces(names) if "" not in bus.names]
    told = {"ASSOCIATED_BUSIF": ":".join(buses), "ASSOCIATED_RESET": _clocking(names)[1]}
    return {key: value for key, value in told.items() if value}


def _port_map(logical: str, physical: str, invert: bool = False) -> ET.Element:
    return _tag(
        "portMap",
        _tag("logicalPort", _tag("name", logical)),
        _tag("physicalPort", _tag("name", physical)),
        **({"invert": "true"} if invert else {}),
    )


def _leads_to(bus: Bus) -> list[ET.Element]:
    if bus.reaches == _SPACE:
        return [_tag("addressSpaceRef", addressSpaceRef=_SPACE)]
    return [_tag("memoryMapRef", memoryMapRef=_MAP)] if bus.reaches else []


def _address_space(config: CoreConfig) -> ET.Element:
    return _tag(
        "addressSpace",
        _tag("name", _SPACE),
        _tag("range", f"'h{1 << ADDRESS_BITS:X}"),
        _tag("width", config.bus_bits),
        _tag("addressUnitBits", 8),
    )


def _memory_map(config: CoreConfig) -> ET.Element:
    fixed = constants(config)
    block = _tag(
        "addressBlock",
        _tag("name", _MAP),
        _tag("baseAddress", "'h0"),
        _tag("range", 1 << ADDRESS_WIDTH),
        _tag("width", max(register.size for _, register in REGISTERS.values())),
        _tag("usage", "register"),
    )
    for offset, register in REGISTERS.values():
        block.append(_register(offset, register, fixed.get(register.name)))
    return _tag("memoryMap", _tag("name", _MAP), block, _tag("addressUnitBits", 8))


#: Access of a register -> that of its fields, and what a write does.
_ACCESS = {
    "ro": ("read-only", ""),
    "rw": ("read-write", ""),
    "wo": ("write-only", ""),
    "w1c": ("read-write", "oneToClear"),
}


def _register(offset: int, register: Register, fixed: int | None) -> ET.Element:
    """A register; ``fixed`` is its value, if that never changes."""
    fields = register.fields or (("value", 0, register.bits, register.text),)
    changes = register.access in ("ro", "w1c") and fixed is None
    access, write = _ACCESS[register.access]
    element = _tag(
        "register",
        _tag("name", register.name),
        _tag("description", register.text),
        _tag("addressOffset", f"'h{offset:X}"),
        _tag("size", register.size),
        *_behaviour(access, changes),
    )
    for name, low, bits, text in fields:
        parts = [_tag("name", name), _tag("description", text), _tag("bitOffset", low)]
        if fixed is not None:
            value = f"'h{fixed >> low & (1 << bits) - 1:X}"
            parts.append(_tag("resets", _tag("reset", _tag("value", value))))
        parts += [_tag("bitWidth", bits), *_behaviour(access, changes)]
        if name == "cause":
            parts.append(_tag("enumeratedValues", *(_named(cause) for cause in Cause)))
        if write:
            parts.append(_tag("modifiedWriteValue", write))
        element.append(_tag("field", *parts))
    return element


def _behaviour(access: str, changes: bool) -> list[ET.Element]:
    """What registers and fields say alike."""
    return [_tag("volatile", str(changes).lower()), _tag("access", access)]


def _named(cause: Cause) -> ET.Element:
    return _tag("enumeratedValue", _tag("name", cause.name), _tag("value", cause.value))


def _model(name: str, found: list[dict[str, Any]]) -> ET.Element:
    view = _tag(
        "view",
        _tag("name", _VIEW),
        *(_tag("envIdentifier", f"verilog:*{use}:") for use in ("Simulation", "Synthesis")),
        _tag("componentInstantiationRef", _VIEW),
    )
    instantiation = _tag(
        "componentInstantiation",
        _tag("name", _VIEW),
        _tag("language", "verilog"),
        _tag("moduleName", name),
        _tag("fileSetRef", _tag("localName", "rtl")),
    )
    return _tag(
        "model",
        _tag("views", view),
        _tag("instantiations", instantiation),
        _tag("ports", *(_port(port) for port in found)),
    )


def _port(port: dict[str, Any]) -> ET.Element:
    ends = [_tag("left", port["width"] - 1), _tag("right", 0)]
    vectors = [_tag("vectors", _tag("vector", *ends))] if port["width"] > 1 else []
    direction = {"input": "in", "output": "out"}[port["direction"]]
    fields = ", ".join(_field_text(it) for it in port.get("fields", ()))
    return _tag(
        "port",
        _tag("name", port["name"]),
        *([_tag("description", f"fields: {fields}")] if fields else []),
        _tag("wire", _tag("direction", direction), *vectors),
    )


def _field_text(it: dict[str, Any]) -> str:
    low, bits = it["offset"], it["width"] * prod(it["dims"])
    dims = "".join(f"[{length}]" for length in it["dims"])
    return f"{it['name']}{dims} {low if bits == 1 else f'{low + bits - 1}..{low}'}"


def _file_sets(files: Mapping[str, str]) -> list[ET.Element]:
    sets: dict[str, ET.Element] = {}
    for file, role in files.items():
        group, kind = ROLES[role]
        known = kind.endswith("Source") or kind == "SDC"
        user = {} if known else {"user": file.rpartition(".")[2]}
        element = sets.setdefault(group, _tag("fileSet", _tag("name", group)))
        told = _tag("fileType", kind if known else "user", **user)
        element.append(_tag("file", _tag("name", file), told))
    return list(sets.values())
