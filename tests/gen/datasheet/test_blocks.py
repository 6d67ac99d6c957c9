"""Block pictures: what is built is drawn, and nothing lies on anything else."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest

from lutcore.gen.datasheet.blocks import blocks_svg, interfaces, picture
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, design_rtlil
from lutcore.gen.emit.rtlil import read
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, preset

DESIGNS = [(name, top) for name in PRESETS for top in TOPS if not TOPS[top].is_core]
DESIGNS += [(name, top) for name in CORE_PRESETS for top in TOPS]
SVG = "{http://www.w3.org/2000/svg}"
#: Widths of Helvetica's characters in thousandths of its size, others than those of digits.
WIDTHS = {
    222: "ijl",
    278: "ft .,:/I",
    333: "r-",
    500: "ckszvxyJ",
    584: "+",
    667: "ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "mM",
    944: "W",
}
WIDE = {character: width for width, line in WIDTHS.items() for character in line}
#: Fonts that stand in for it may be wider.
MORE, GAP = 1.15, 0.5


def numbers(text):
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]


def hull(shapes):
    points = []
    for shape in shapes:
        found = numbers(shape.get("points") or shape.get("d") or "")
        points += zip(found[::2], found[1::2], strict=True)
    across, down = zip(*points, strict=True)
    return min(across), min(down), max(across), max(down)


def text_box(text):
    size, x, y = float(text.get("font-size")), float(text.get("x")), float(text.get("y"))
    half = MORE * size * sum(WIDE.get(c, 556) for c in (text.text or "").strip()) / 2000
    return x - half, y - 0.75 * size, x + half, y + 0.2 * size


def apart(one, other):
    return (
        one[2] <= other[0] + GAP
        or other[2] <= one[0] + GAP
        or one[3] <= other[1] + GAP
        or other[3] <= one[1] + GAP
    )


def elements(svg):
    """Boxes with their texts, and labels of arrows."""
    root = ElementTree.fromstring(svg)
    boxes, labels = [], []
    for group in root.iter(f"{SVG}g"):
        texts = group.findall(f"{SVG}text")
        if group.get("class") == "node":
            shapes = [*group.findall(f"{SVG}polygon"), *group.findall(f"{SVG}path")]
            boxes.append((hull(shapes), texts))
        elif group.get("class") == "edge":
            labels += map(text_box, texts)
    return root, boxes, labels


@pytest.mark.parametrize(("name", "top"), DESIGNS)
def test_nothing_overlaps(name, top):
    config = preset(name)
    svg = blocks_svg(config, top, "title")
    _, boxes, labels = elements(svg)
    drawn = picture(config, top)
    assert len(boxes) == len(drawn.blocks) + len(drawn.inputs) + len(drawn.outputs)
    areas = [box for box, _ in boxes]
    for one, other in itertools.combinations([*areas, *labels], 2):
        assert apart(one, other)
    for box, texts in boxes:
        assert texts
        for text in texts:
            assert float(text.get("font-size")) >= 12
            inside = text_box(text)
            assert box[0] <= inside[0] and inside[2] <= box[2], text.text
            assert box[1] <= inside[1] and inside[3] <= box[3], text.text


@pytest.mark.parametrize(("name", "top"), DESIGNS)
def test_every_interface_is_drawn_and_every_arrow_ends(name, top):
    config = preset(name)
    drawn = picture(config, top)
    boxes = {block.name for block in drawn.blocks} | {*drawn.inputs, *drawn.outputs}
    for arrow in drawn.arrows:
        assert {arrow.source, arrow.target} <= boxes
    ends = {end for arrow in drawn.arrows for end in (arrow.source, arrow.target)}
    assert ends == boxes
    words = " ".join([*drawn.inputs, *drawn.outputs])
    for interface, found in interfaces(ports(config, top)).items():
        signals = [
            port["name"] for port in found if not port["name"].endswith(("clk", "rst", "aresetn"))
        ]
        for wanted in [interface] if interface else signals:
            assert wanted in words


#: Block of the picture -> a module of the design that is there with it, and not without it.
MODULES = {
    "align": "aligner",
    "rounder": "rounder",
    "buffer": "table_buffer",
    "stage": "table_stage",
    "columns": "column",
    "row_sums": "row_sums",
    "drain": "drain",
    "zero": "zero_points",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_blocks_of_a_tile_are_those_of_the_design(name):
    config = preset(name)
    top = design_name(config, "tile")
    built = {module.name.removeprefix(f"\\{top}__") for module in read(design_rtlil(config))}
    drawn = {block.name for block in picture(config, "tile").blocks}
    for block, module in MODULES.items():
        assert (block in drawn) == (module in built), block
    assert ("builder" in drawn) == bool({"table_builder", "table_writer"} & built)


def test_widths_are_those_of_the_design():
    config = preset("w2a8")
    bits = {(a.source, a.target): a.bits for a in picture(config, "tile").arrows}
    modules = {module.name: module for module in read(design_rtlil(config))}

    def width(module, port):
        return modules[f"\\{design_name(config, 'tile')}{module}"].wires[f"\\{port}"].width

    assert bits["activations", "builder"] == width("", "activations__payload")
    assert bits["builder", "stage"] == width("__table_builder", "tables")
    assert bits["stage", "columns"] == width("__table_stage", "operands")
    assert bits["accumulators", "drain"] == config.columns * width("__column", "dots")


def test_same_bytes():
    config = preset("edge")
    assert blocks_svg(config, "axi", "edge") == blocks_svg(config, "axi", "edge")
