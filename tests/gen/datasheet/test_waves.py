"""Waves: of a right run, by the rules of streams, drawn as they are; a wrong sample is found."""

import functools
import xml.etree.ElementTree as ElementTree

import pytest

from lutcore import tools
from lutcore.errors import InputError, ToolError
from lutcore.gen.datasheet import runs, waves
from lutcore.gen.datasheet.blocks import interfaces
from lutcore.gen.datasheet.lanes import Lane, check, lanes, taken
from lutcore.gen.datasheet.runs import RUNS
from lutcore.gen.datasheet.views import CYCLES, VIEWS
from lutcore.gen.datasheet.waves import Diagram, diagrams, wavejson
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.bench.streams import ProtocolError
from lutcore.verif.samples.cores import SMALL_CORES

SVG = "{http://www.w3.org/2000/svg}"
TILE = preset("w2a8").replace(n=4, result_columns=2)
TILES = {
    "integers": TILE,
    "aligned floats": preset("w4-fp16").replace(n=4, result_columns=2),
    "exact floats": preset("w2-fp16-exact").replace(n=4, result_columns=2),
    "buffered": preset("w2a8-buffered").replace(n=4, result_columns=2),
    "external": preset("w2a8-external").replace(n=4, result_columns=2),
    "ternary": preset("ternary-a8").replace(n=4, result_columns=2),
    "mac": preset("mac-int8").replace(n=2, lookups=2, result_columns=1),
    "carry chains": preset("board-tile").replace(n=3),
}


DESIGNS = {name: SMALL_CORES["w4a8"] if top.is_core else TILE for name, top in TOPS.items()}


def cycles_of(parts, name):
    return [cycle for cycle, value in enumerate(parts[name].values) if value]


@pytest.mark.parametrize("config", TILES.values(), ids=TILES)
def test_a_tile_has_its_latency_and_both_pauses(config):
    found = lanes(RUNS["tile"](config))
    weights, results = found["weights"], found["results"]
    ends = [cycle for cycle in taken(weights) if weights["last"].values[cycle]]
    offered = cycles_of(results, "valid")
    assert offered[0] - ends[0] == config.latency
    held = [cycle for cycle in offered if not results["ready"].values[cycle]]
    assert held == [offered[0], offered[0] + 1]
    sent = taken(weights)
    idle = [c for c in range(sent[0], sent[-1]) if not weights["valid"].values[c]]
    assert idle == [sent[2] + 1, sent[2] + 2]


@functools.cache
def samples_of(top):
    return RUNS[top](DESIGNS[top])


@functools.cache
def diagrams_of(top):
    return diagrams(DESIGNS[top], top)


def names(group, parts):
    """Ports that parts of an interface are, fields of a payload as that payload."""
    for part in parts:
        port = part.partition(".")[0]
        yield from {group + port, f"{group}_{port}", f"{group}__{port}", f"{group}__payload"}


@pytest.mark.parametrize("top", TOPS)
def test_every_port_is_sampled(top):
    samples = samples_of(top)
    named = {port["name"] for port in ports(DESIGNS[top], top)}
    assert samples.values.keys() == named - {"clk", "rst", "aclk", "aresetn"}
    assert len({len(values) for values in samples.values.values()}) == 1


@pytest.mark.parametrize("top", TOPS)
def test_rows_are_ports_of_the_top(top):
    """Of each stream and bus of the top something is shown, and nothing that it has not."""
    own = {port["name"] for port in ports(DESIGNS[top], top)}
    found = diagrams_of(top)
    shown = {group: {} for diagram in found for group in diagram.lanes}
    for diagram in found:
        assert diagram.clock in own
        for group, parts in diagram.lanes.items():
            shown[group] |= parts
            assert all(own & {*names(group, [part])} for part in parts), group
    buses = {name for name in interfaces(ports(DESIGNS[top], top)) if name}
    assert all(any(group.startswith(bus) for group in shown) for bus in buses)


@pytest.mark.slow
@pytest.mark.parametrize("top", ["core", "axi"])
@pytest.mark.parametrize("name", ["w4a8", "w2a16", "ternary", "fp16-exact", "bus-256"])
def test_cores_keep_the_rules(top, name):
    found = lanes(RUNS[top](SMALL_CORES[name]))
    check(found)
    asked, given = ("reads", "words") if top == "core" else ("m_axi_ar", "m_axi_r")
    beats = sum(found[asked]["len"].values[c] + 1 for c in taken(found[asked]))
    assert beats == len(taken(found[given])) > 0


@pytest.mark.parametrize(("part", "value"), [("valid", 0), ("dot", 1)])
def test_a_wrong_sample_is_found(part, value):
    found = lanes(RUNS["tile"](TILE))
    check(found)
    lane = found["results"][part]
    held = cycles_of(found["results"], "valid")[1]
    changed = value if part == "valid" else lane.values[held] ^ value
    values = (*lane.values[:held], changed, *lane.values[held + 1 :])
    found["results"][part] = Lane(lane.width, values)
    with pytest.raises(ProtocolError):
        check(found)


def test_a_wrong_product_is_no_picture(monkeypatch):
    real = runs.sample_job

    def other(*args):
        job = real(*args)
        job.expected["dot"][0, 0, 0] ^= 1
        return job

    monkeypatch.setattr(runs, "sample_job", other)
    for top in ("tile", "axi-stream"):
        with pytest.raises(ToolError, match="wrong dot"):
            diagrams(TILE, top)


def test_a_wrong_memory_is_no_picture(monkeypatch):
    real = runs.memories

    def changed(*args):
        before, after = real(*args)
        after[-1] ^= 1
        return before, after

    monkeypatch.setattr(runs, "memories", changed)
    with pytest.raises(ToolError, match="wrong memory"):
        diagrams(SMALL_CORES["w4a8"], "axi")


#: Top -> interface and part of a written register's address, and cycles in which it is written.
WRITES = {
    "axi": ("s_axi_aw", "addr", ("valid", "ready")),
    "axi-aclk": ("s_axi_aw", "addr", ("valid", "ready")),
    "axi-apb": ("s_apb", "paddr", ("penable", "pready", "pwrite")),
    "axi-wishbone": ("s_wb", "adr", ("cyc", "stb", "we", "ack")),
}


@pytest.mark.parametrize("top", WRITES)
def test_diagrams_of_a_core_show_what_they_say(top):
    shown = {diagram.name: diagram.lanes for diagram in diagrams_of(top)}
    interface, address, marks = WRITES[top]

    def written(diagram):
        parts = shown[diagram][interface]
        both = zip(*(parts[mark].values for mark in marks), strict=True)
        return [parts[address].values[cycle] for cycle, of in enumerate(both) if all(of)]

    places = {name: offset for name, (offset, _) in REGISTERS.items()}
    assert written("doorbell")[-2:] == [places["length"], places["control"]]
    assert taken(shown["doorbell"]["m_axi_ar"])
    assert written("interrupt") == [places["irq_status"]]
    for name, bus in (("read", "m_axi_r"), ("write", "m_axi_w")):
        parts = shown[name][bus]
        assert any(parts["last"].values[cycle] for cycle in taken(parts))
    irq = shown["interrupt"][""]["irq"].values
    assert irq[0] == irq[-1] == 0 and any(irq)


def test_axi_streams_are_the_streams_of_the_tile():
    """The same beats in the same cycles; a packet of an input is all of it, of results a run."""
    plain, axi = (lanes(samples_of(top)) for top in ("tile", "axi-stream"))
    for name, parts in plain.items():
        side = "m" if name == "results" else "s"
        found = dict(axi[f"{side}_axis_{name}_t"])
        last, beats = found.pop("last").values, taken(parts)
        whole = [int(cycle == beats[-1]) for cycle in beats]
        runs_end = [parts["last"].values[cycle] for cycle in beats] if side == "m" else whole
        assert [last[cycle] for cycle in beats] == runs_end
        assert [lane.values for lane in found.values()] == [lane.values for lane in parts.values()]


def test_wavejson_is_what_was_sampled():
    stream = {
        "valid": Lane(1, (0, 1, 1, 1, 0)),
        "ready": Lane(1, (1, 0, 1, 1, 1)),
        "word": Lane(32, (7, 0xABCDE, 0xABCDE, 0x12345678, 7)),
        "last": Lane(1, (1, 0, 0, 1, 1)),
    }
    alone = {"": {"irq": Lane(1, (0, 0, 1, 1, 1))}}
    drawn = wavejson(Diagram("d", "text", 40, {"s": stream, **alone}))
    assert drawn == {
        "signal": [
            {"name": "clk", "wave": "p...."},
            [
                "s",
                {"name": "valid", "wave": "01..0"},
                {"name": "ready", "wave": "101.."},
                {"name": "word", "wave": "x=.=x", "data": ["abcde", "..678"]},
                {"name": "last", "wave": "x0.1x"},
            ],
            {"name": "irq", "wave": "0.1.."},
        ],
        "head": {"tick": 40, "every": 1},
    }
    drawn = wavejson(Diagram("d", "text", 0, {"s_axis_x_t": stream}, "aclk"))["signal"]
    assert drawn[0]["name"] == "aclk" and drawn[1][0] == "s_axis_x"
    assert [row["name"] for row in drawn[1][1:]] == ["tvalid", "tready", "tword", "tlast"]
    picture = waves.svg(Diagram("d", "text", 40, {"s": stream, **alone}))
    root = ElementTree.fromstring(picture)
    texts = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert {"clk", "valid", "irq", "abcde", "..678", "40"} <= texts
    used = {
        u.get("{http://www.w3.org/1999/xlink}href") for u in root.iter() if u.tag.endswith("use")
    }
    assert used <= {f"#{element.get('id')}" for element in root.iter()}
    assert "prefers-color-scheme" not in picture


@pytest.mark.parametrize("top", TOPS)
def test_every_view_is_one_window_at_most(top):
    for diagram in diagrams_of(top):
        shown = [lane for parts in diagram.lanes.values() for lane in parts.values()]
        lengths = {len(lane.values) for lane in shown}
        assert len(lengths) == 1 and lengths.pop() <= CYCLES


def test_a_missing_program_is_one_line(monkeypatch):
    monkeypatch.setattr(tools, "find", lambda *args, **options: None)
    with pytest.raises(InputError, match=r"yowasp-wavedrom is missing: pip install"):
        waves.svg(diagrams(TILE, "tile")[0])


def test_large_designs_say_why_they_have_none():
    large = CoreConfig(**preset("w2a8").replace(n=4096).to_dict())
    assert not diagrams(large, "tile")
    assert "takes minutes" in waves.unsimulated(large, "tile")


def test_every_top_is_run_and_shown():
    assert RUNS.keys() == VIEWS.keys() == TOPS.keys()
