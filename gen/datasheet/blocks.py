"""The picture of a design: its interfaces, and its blocks in the order in which data passes them.

Drawn from the configuration and the ports; Graphviz finds the places.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from amaranth.hdl import Shape

from lutcore.compiler.graph.draw import rendered
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.tables import tables_layout

_HEAD = """digraph blocks {
graph [rankdir=LR ranksep=0.2 nodesep=0.18 bgcolor="#ffffff" pad=0.15 fontname="Helvetica"]
node [shape=box style="filled,rounded" fillcolor="#ffffff" fontname="Helvetica" fontsize=12]
node [margin="0.15,0.08"]
edge [arrowsize=0.6 fontname="Helvetica" fontsize=11]
"""
_PORT = 'shape=box style=filled fillcolor="#dfe9f7" color="#2d5ea3"'
#: Looks of a block, by what it is for.
_LOOKS = {
    "": 'fillcolor="#d8ecdc" color="#2c7a3d"',
    "memory": 'fillcolor="#f7f1cf" color="#8f7400" style=filled',
    "control": 'fillcolor="#f8e7d6" color="#b35c12"',
}
#: A port of a stream, ours or of AXI.
_STREAM = re.compile(r"(\w+)__\w+|([ms]_axis_\w+)_t\w+")
#: Where clocks and resets go is not drawn.
_CLOCKS = ("clk", "rst", "aclk", "aresetn")


class Block(NamedTuple):
    """A box: its name in the picture's text, what stands in it, line by comma, and its look."""

    name: str
    title: str
    text: str = ""
    look: str = ""


class Arrow(NamedTuple):
    """Data between two boxes, ``bits`` wide where that is one number.

    ``back`` goes from the target to the source, which stands left of it all the same.
    """

    source: str
    target: str
    bits: int | None = None
    control: bool = False
    back: bool = False


class Picture(NamedTuple):
    """Interfaces on the left and on the right, blocks, arrows."""

    inputs: list[str]
    outputs: list[str]
    blocks: list[Block]
    arrows: list[Arrow]


def interfaces(found: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Ports by interface: streams, buses of a common prefix, and clocks and single signals as "".

    A prefix of two words makes a bus where three ports have it.
    """
    found = list(found)
    prefixes = ["_".join(port["name"].split("_")[:2]) for port in found]
    groups: dict[str, list[dict[str, Any]]] = {}
    for port, prefix in zip(found, prefixes, strict=True):
        stream = _STREAM.fullmatch(port["name"])
        bus = prefix if prefixes.count(prefix) > 2 else ""
        groups.setdefault((stream[1] or stream[2]) if stream else bus, []).append(port)
    return groups


def picture(config: CoreConfig, top: str) -> Picture:
    """What is drawn of a top."""
    return _core(config, top) if TOPS[top].is_core else _tile(config, top)


# A tile ------------------------------------------------------------------------------------------


def _tables(config: CoreConfig, bits: int) -> int | None:
    """Bits of the tables of a step, of entries of ``bits``; those of FPGAs are other ones."""
    mux = config.table_storage == "mux"
    return Shape.cast(tables_layout(config, bits)).width if mux else None


def _payloads(config: CoreConfig) -> dict[str, int]:
    """Stream of the tile -> bits of its payload."""
    return {
        port["name"].removesuffix("__payload"): port["width"]
        for port in ports(config, "tile")
        if port["name"].endswith("__payload")
    }


def _frontend(config: CoreConfig) -> Iterator[tuple[Block, int | None]]:
    """Blocks up to the columns, and bits that leave each."""
    tables = f"{config.m} x {config.tables} tables, {config.entries} entries each"
    if config.aligned:
        bits = config.m * config.depth * config.align_bits
        text = f"a run is kept, one exponent a row, {config.align_bits}-bit integers"
        yield Block("align", "Alignment", text), bits
    if config.precompute != "external":
        plain = config.engine in ("mac", "add")
        title, text = ("Operands", "") if plain else ("Table builder", tables)
        yield Block("builder", title, text), _tables(config, config.entry_bits)
    if config.table == "int8" and config.precompute != "external":
        text = "a run is kept, 8-bit entries, a shift a row"
        yield Block("rounder", "Rounding", text), _tables(config, config.stored_bits)
    if config.precompute == "buffered":
        text = f"{config.run_steps} steps of a run, of the next as well"
        yield Block("buffer", "Table buffer", text, "memory"), _tables(config, config.stored_bits)
    if config.table_storage == "mux":
        title = "Table registers" if config.engine not in ("mac", "add") else "Registers"
        yield Block("stage", title), _tables(config, config.operand_bits)


def _column(config: CoreConfig) -> tuple[str, str]:
    """Title and text of the columns."""
    what = {"mac": "multiply", "add": "select"}.get(config.engine, "look up")
    stored = {"lutram": ", tables in LUT memory", "chain": ", carry chains"}
    work = f"{config.m} x {config.tables} units, {what} and sum"
    return f"{config.columns} columns", work + stored.get(config.table_storage, "")


def _tile(config: CoreConfig, top: str) -> Picture:
    payloads = _payloads(config)
    source = "tables" if config.precompute == "external" else "activations"
    blocks: list[Block] = []
    arrows: list[Arrow] = []
    before, bits = source, payloads[source]
    for block, width in _frontend(config):
        blocks.append(block)
        arrows.append(Arrow(before, block.name, bits))
        before, bits = block.name, width
    sums = f"{config.m * config.columns * config.passes:,} of {config.accumulator_bits} bits"
    zero = config.zero_points != "external"
    blocks += [
        Block("columns", *_column(config)),
        Block("accumulators", "Accumulators", sums),
        Block("row_sums", "Row sums", f"{config.m} of {config.row_sum_bits} bits"),
        Block("drain", "Drain", f"{config.drain_columns} columns a beat"),
    ]
    finished = config.columns * config.m * config.accumulator_bits
    arrows += [
        Arrow(before, "columns", bits),
        Arrow("weights", "columns", payloads["weights"]),
        Arrow("columns", "accumulators"),
        Arrow(before, "row_sums"),
        Arrow("accumulators", "drain", finished),
    ]
    last = "drain"
    if zero:
        text = {"shared": "one for all columns"}.get(config.zero_points, "one a column")
        blocks.append(Block("zero", "Zero points", text))
        arrows += [Arrow("drain", "zero"), Arrow("zero_points", "zero", payloads["zero_points"])]
        last = "zero"
    arrows += [Arrow("row_sums", last), Arrow(last, "results", payloads["results"])]
    titles = {
        name: next(title for title in interfaces(ports(config, top)) if title.endswith(name))
        for name in payloads
    }
    named = [
        arrow._replace(
            source=titles.get(arrow.source, arrow.source),
            target=titles.get(arrow.target, arrow.target),
        )
        for arrow in arrows
    ]
    *inputs, result = sorted(titles, key="results".__eq__)
    return Picture([titles[name] for name in inputs], [titles[result]], blocks, named)


# A core ------------------------------------------------------------------------------------------

#: Streams to memory: the engine that has them, and whether they are as wide as the bus.
_MEMORY = {
    "reads": ("load", False),
    "words": ("load", True),
    "writes": ("store", False),
    "written": ("store", True),
    "answers": ("store", False),
}


def _buffers(config: CoreConfig) -> list[Block]:
    sizes = {
        "activations": ("Activations", config.activation_buffer),
        "weights": ("Weights", config.weight_buffer),
        "scales": ("Scales", config.scale_buffer),
    }
    return [
        Block(name, title, f"{size:,} bytes", "memory") for name, (title, size) in sizes.items()
    ]


def _core(config: CoreConfig, top: str) -> Picture:
    lanes = f"{config.drain_columns} columns a cycle"
    shape = f"M{config.m} N{config.columns} K{config.depth}"
    program = f"{config.program_buffer:,} instructions"
    blocks = [
        Block("load", "Load", "bursts into buffers"),
        *_buffers(config),
        Block("program", "Program", program, "memory"),
        Block("sequencer", "Sequencer", "fetch and decode", "control"),
        Block("tile", "Tile", f"{shape}, {config.products_per_cycle:,} products a cycle"),
        Block("epilogue", "Epilogue", f"scaled FP32 sums, {lanes}"),
        Block("sums", "Sums", f"{config.output_buffer:,} bytes", "memory"),
        Block("store", "Store", "bursts into memory"),
    ]
    word = config.bus_bits
    arrows = [
        *(Arrow("load", name, word) for name in ("activations", "weights", "scales", "program")),
        Arrow("activations", "tile", config.m * config.depth * config.activation_bits),
        Arrow("weights", "tile", config.slice_bits),
        Arrow("scales", "epilogue"),
        Arrow("tile", "epilogue"),
        Arrow("epilogue", "sums"),
        Arrow("sums", "store"),
        Arrow("program", "sequencer"),
        Arrow("load", "sequencer", control=True, back=True),
        *(Arrow("sequencer", name, control=True) for name in ("tile", "store")),
    ]
    inputs: list[str] = []
    outputs: list[str] = []
    to = "sequencer"
    if TOPS[top].has_registers:
        blocks.append(Block("control", "Registers", "status and counters", "control"))
        arrows.append(Arrow("control", "sequencer", control=True))
        to = "control"
    for name, found in interfaces(ports(config, top)).items():
        _attach(name, found, to, word, Picture(inputs, outputs, blocks, arrows))
    return Picture(inputs, outputs, blocks, arrows)


def _attach(name: str, found: list[dict[str, Any]], host: str, word: int, drawn: Picture) -> None:
    """Draw an interface of a core: on the left what asks or brings, on the right what leaves."""
    if not name:
        signals = [port for port in found if port["name"] not in _CLOCKS]
        for way, side in (("input", drawn.inputs), ("output", drawn.outputs)):
            if names := [port["name"] for port in signals if port["direction"] == way]:
                title = ", ".join(names)
                side.append(title)
                ends = (title, host) if way == "input" else (host, title)
                drawn.arrows.append(Arrow(*ends, control=True))
    elif name in _MEMORY:
        engine, wide = _MEMORY[name]
        brings = any(port["direction"] == "input" for port in found if "payload" in port["name"])
        side = drawn.inputs if engine == "load" else drawn.outputs
        side.append(name)
        ends = (name, engine) if engine == "load" else (engine, name)
        bits = word if wide else None
        drawn.arrows.append(Arrow(*ends, bits, back=brings == (engine == "store")))
    elif name.startswith("m_"):
        drawn.inputs.append(f"{name}: read")
        drawn.outputs.append(f"{name}: write")
        drawn.arrows.append(Arrow(f"{name}: read", "load", word))
        drawn.arrows.append(Arrow("store", f"{name}: write", word))
    else:
        drawn.inputs.append(name)
        drawn.arrows.append(Arrow(name, host, control=True))


# Drawing -----------------------------------------------------------------------------------------


def dot(drawn: Picture, title: str) -> str:
    """A picture in the DOT language."""
    lines = [_HEAD, f'label="{title}" labelloc=t fontsize=14']
    for place, names in (("source", drawn.inputs), ("sink", drawn.outputs)):
        inside = " ".join(f'"{name}" [label="{_lines(name)}" {_PORT}];' for name in names)
        lines.append(f"{{ rank={place}; {inside} }}")
    for block in drawn.blocks:
        label = _lines(f"{block.title}, {block.text}" if block.text else block.title)
        lines.append(f'"{block.name}" [label="{label}" {_LOOKS[block.look]}]')
    for arrow in drawn.arrows:
        label = f'label=" {arrow.bits:,} "' if arrow.bits else ""
        style = 'style=dashed color="#b35c12"' if arrow.control else ""
        way = "dir=back" if arrow.back else ""
        lines.append(f'"{arrow.source}" -> "{arrow.target}" [{label} {style} {way}]')
    return "\n".join([*lines, "}", ""])


def _lines(name: str) -> str:
    return name.replace(", ", "\\n")


def blocks_svg(config: CoreConfig, top: str, title: str) -> str:
    """The picture as SVG; numbers at arrows are bits.

    Raises
    ------
    InputError
        Graphviz is not installed.
    """
    text = rendered(dot(picture(config, top), title))
    return text[text.index("<svg") :]
