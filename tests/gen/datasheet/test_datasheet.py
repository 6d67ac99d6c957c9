"""Datasheets: whole, well formed, alone, the same on every run, and of the design."""

import base64
import functools
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from lutcore.gen.asic.synth import AreaReport, synthesise
from lutcore.gen.datasheet.datasheet import datasheet_files, remarks
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, design_rtlil, verilog
from lutcore.hdl.config.description import full_rate
from lutcore.hdl.config.presets import preset
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.samples.cores import SMALL_CORES

TILE = preset("w2a8").replace(n=4, result_columns=2)
CORE = SMALL_CORES["w4a8"]
DESIGNS = {name: CORE if top.is_core else TILE for name, top in TOPS.items()}
AREA = AreaReport(
    design="own", config=TILE.to_dict(), target="asic", liberty="some.lib",
    blocks={"columns": 75.0, "tile": 25.0}, area_um2=None, gate_equivalents=100.0,
    sequential_gate_equivalents=40.0, cells=50, period_ns=None, slack_ns=None, path=[],
    block_slack_ns={}, tool_versions={}, seconds=0.0,
)  # fmt: skip
VOID = {"meta", "img"}


def fresh(top):
    return datasheet_files(DESIGNS[top], top, "own", f"lutcore generate x --top {top} -o y", AREA)


files = functools.cache(fresh)


def tables(text, *heads):
    """Rows of all tables of Markdown with these headings."""
    found = []
    for part in text.split("\n\n"):
        lines = part.split("\n")
        head, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
        if head == [*heads]:
            found += rows[1:]
    return found


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
        assert all(f"|  | `{field}` |" in registers for field, *_ in register.fields)
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
    for stream in {p["name"].partition("__")[0] for p in ports(config, top) if "__" in p["name"]}:
        assert said[stream].endswith(".")


@pytest.mark.parametrize("top", DESIGNS)
def test_every_port_has_a_meaning(top):
    told = tables(files(top)["own.md"], "port", "direction", "bits", "meaning")
    assert {port for port, *_ in told} == {f"`{it['name']}`" for it in ports(DESIGNS[top], top)}
    assert all(meaning for *_, meaning in told)


@pytest.mark.parametrize("top", ["tile", "axi-stream"])
@pytest.mark.parametrize("name", ["w4-fp16", "w2-fp16-exact", "w2a8-buffered", "w2a8-external"])
def test_every_port_of_other_tiles_has_a_meaning(name, top):
    config = preset(name).replace(n=4, result_columns=2)
    said = remarks(verilog(config, top))
    assert all(said[port["name"]] or port["fields"] for port in ports(config, top))


@pytest.mark.parametrize("top", DESIGNS)
def test_pages_have_no_marks_of_other_documents(top):
    marks = ("``", ":class:", ":func:", "<code></code>", "](isa.md)", "_`", "::")
    pages = [text for name, text in files(top).items() if not name.endswith(".svg")]
    assert len(pages) == 2
    assert not [mark for mark in marks for page in pages if mark in page]


@pytest.mark.parametrize("top", DESIGNS)
def test_causes_are_told_of_cores(top):
    told = tables(files(top)["own.md"], "cause", "name", "meaning")
    assert len(told) == (11 if TOPS[top].is_core else 0)
    if told:
        assert told[6] == ["6", "`RANGE`", "a transfer outside of the window that the host allows"]
        assert all(meaning for *_, meaning in told)


@pytest.mark.parametrize("top", DESIGNS)
def test_memories_are_those_of_the_design(top):
    config, found = DESIGNS[top], files(top)["own.md"]
    built = re.findall(r"^ *memory width (\d+) size (\d+)", design_rtlil(config, top), re.MULTILINE)
    if not TOPS[top].is_core:
        assert not built and "There are none" in found
        return
    total = sum(int(width) * int(size) for width, size in built)
    assert f"Together {total:,} bits." in found  # every one of them once
    heads = ("memory, or the first one", "instances", "words", "bits", "write ports", "read ports")
    told = {row[0].strip("`"): row[1:] for row in tables(found, *heads, "bits of all")}
    clocked, at_once = "1, a cycle later", "1, in the same cycle"
    core = "" if top == "core" else "core."
    for name, size, reads in (
        ("program.memory", config.program_buffer, clocked),
        ("weights.memory", 8 * config.weight_buffer // config.bus_bits, clocked),
        ("sums.memory", None, "2, a cycle later"),
        ("load_queue.storage", 8, at_once),
    ):
        instances, words, _, writes, read, _ = told[core + name]
        assert (instances, writes, read) == ("1", "1", reads), name
        assert size is None or words == f"{size:,}", name
    assert all(int(row[3]) >= 1 and row[4] for row in told.values())


@pytest.mark.parametrize(
    ("top", "of"),
    [("tile", "the tile"), ("axi", "the tile of the core, without the core's other parts")],
)
def test_area_is_measured(top, of):
    measured = files(top)["own.md"]
    assert "| columns | 75 | 75.0% |" in measured
    assert (
        f"Gate equivalents of {of}, on the library `some.lib`; flip-flops are 40 of them."
        in measured
    )


@pytest.mark.slow
@pytest.mark.asic
def test_area_of_a_core_is_its_tile():
    area = synthesise(CORE)
    found = datasheet_files(CORE, "core", "own", "lutcore generate x", area)["own.md"]
    told = dict(row[:2] for row in tables(found, "block", "gate equivalents", "share"))
    assert f"on the library `{area.liberty}`;" in found
    assert {"table_buffer", "columns", "drain", "all"} <= told.keys()
    assert told["all"] == f"{area.gate_equivalents:,.0f}"


@pytest.mark.slow
def test_same_bytes():
    assert fresh("axi") == fresh("axi")
