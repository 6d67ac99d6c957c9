"""Datasheets: whole, well formed, alone, the same on every run, and of the design."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from lutcore.gen.asic.synth import AreaReport
from lutcore.gen.datasheet.datasheet import datasheet_files, remarks
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, design_rtlil, verilog
from lutcore.hdl.config.description import full_rate
from lutcore.hdl.config.presets import preset
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.samples.cores import SMALL_CORES

TILE = preset("w2a8").replace(n=4, result_columns=2)
CORE = SMALL_CORES["w4a8"]
DESIGNS = {"tile": TILE, "core": CORE, "axi": CORE}
VOID = {"meta", "img"}


def files(top, area=None):
    return datasheet_files(DESIGNS[top], top, "own", f"lutcore generate x --top {top} -o y", area)


class Reader(HTMLParser):
    """Sees that tags are closed in order, and keeps texts, links and sources."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.links, self.keys = [], [], [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("src", "href") if name in found]
        self.keys += [found["id"]] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


@pytest.mark.slow
@pytest.mark.parametrize("top", DESIGNS)
def test_the_page_is_well_formed_and_stands_alone(top):
    reader = page(files(top)["own.html"])
    images = [link for link in reader.links if link.startswith("data:image/svg+xml;base64,")]
    for image in images:
        ElementTree.fromstring(base64.b64decode(image.partition(",")[2]))
    assert len(images) == len([name for name in files(top) if name.endswith(".svg")]) >= 3
    anchors = [link for link in reader.links if link.startswith("#")]
    assert sorted(anchors) == sorted(f"#{key}" for key in reader.keys)
    assert len(anchors) + len(images) == len(reader.links)


@pytest.mark.parametrize("top", DESIGNS)
def test_every_port_field_and_register_is_told(top):
    config, found = DESIGNS[top], files(top)
    texts = set(page(found["own.html"]).texts)
    for port in ports(config, top):
        assert (
            port["name"] in texts
            and f"| `{port['name']}` | {port['direction']} |" in found["own.md"]
        )
        for field in port.get("fields", ()):
            assert field["name"] in texts
    _, told, registers = found["own.md"].partition("\n## Registers\n")
    assert bool(told) == TOPS[top].has_registers
    for name, (offset, register) in REGISTERS.items() if told else ():
        assert f"| 0x{offset:02X} | `{name}` |" in registers
        assert all(f"| `{name}.{field}` |" in registers for field, *_ in register.fields)
    for sentence in full_rate(config):
        assert sentence in texts
    assert {"Apache-2.0", design_name(config, top)} <= texts


@pytest.mark.parametrize("top", DESIGNS)
def test_markdown_has_pictures_beside_it_and_whole_tables(top):
    found = files(top)
    pictures = re.findall(r"^!\[[^]]+\]\(([^)]+)\)$", found["own.md"], re.MULTILINE)
    assert sorted(pictures) == sorted(name for name in found if name.endswith(".svg"))
    width = 0
    for line in found["own.md"].splitlines():
        columns = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (width and columns) or width == columns, line
        width = columns


@pytest.mark.parametrize("top", DESIGNS)
def test_remarks_are_those_of_the_verilog(top):
    config = DESIGNS[top]
    text = verilog(config, top)
    said = remarks(text)
    joined = re.sub(r"\s*\n\s*//\s+", " ", text)
    for port in ports(config, top):
        assert said[port["name"]] in joined
    alone = [port for port in ports(config, top) if not port["name"].endswith("__payload")]
    assert all(said[port["name"]] for port in alone)
    for stream in {p["name"].partition("__")[0] for p in ports(config, top) if "__" in p["name"]}:
        assert said[stream].endswith(".")


@pytest.mark.parametrize("top", DESIGNS)
def test_memories_are_those_of_the_design(top):
    config, found = DESIGNS[top], files(top)["own.md"]
    built = re.findall(r"^ *memory width (\d+) size (\d+)", design_rtlil(config, top), re.MULTILINE)
    total = sum(int(width) * int(size) for width, size in built)
    if top == "tile":
        assert not built and "There are none" in found
    else:  # every one of them once, in these
        assert f"Together {total:,} bits." in found
        for size, name in ((config.program_buffer, "program"), (8, "load_queue")):
            assert re.search(rf"`[\w.]*{name}[\w.]*` \| 1 \| {size} \|", found), name


def test_area_is_a_command_or_a_measurement():
    assert "`lutcore synth x`" in files("tile")["own.md"]
    report = AreaReport(
        design="own", config=TILE.to_dict(), target="asic", liberty="cells.lib",
        blocks={"columns": 75.0, "tile": 25.0}, area_um2=None, gate_equivalents=100.0,
        sequential_gate_equivalents=40.0, cells=50, period_ns=None, slack_ns=None, path=[],
        block_slack_ns={}, tool_versions={}, seconds=0.0,
    )  # fmt: skip
    measured = files("tile", report)["own.md"]
    assert "| columns | 75 | 75.0% |" in measured and "lutcore synth" not in measured
    assert "flip-flops are 40 of them" in measured


@pytest.mark.slow
def test_same_bytes():
    assert files("axi") == files("axi")
