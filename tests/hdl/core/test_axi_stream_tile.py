"""Tiles between AXI-Streams: dot products written out, packets, and what tools of others say."""

from types import SimpleNamespace

import pytest
from amaranth.hdl import ClockSignal, Module, ResetSignal, Value
from amaranth.lib.wiring import In
from cocotb_plan import run
from plain_tile import streams

from lutcore.gen.emit.lint import lint
from lutcore.gen.emit.rtl import component_verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset
from lutcore.hdl.core.axi_stream_tile import AxiStreamTile, bytes_layout
from lutcore.hdl.tile.tile import tile_signature
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put

COMMON = {"m": 2, "group_size": 16, "result_columns": 2, "zero_points": "column"}
TILES = {
    "mux": {"n": 4, "k": 4},
    "lutram": {"n": 2, "k": 2, "lookups": 2, "table_storage": "lutram", "passes": 5},
    "chain": {"n": 2, "k": 2, "lookups": 2, "table_storage": "chain"},
}
RUNS = (4, 1, 3, 2, 4)


def flat(word):
    """A payload as fields of its beat."""
    return word if isinstance(word, dict) else {"elements": word}


def layouts(config):
    """Stream -> its beat, and whether it goes into the tile."""
    members = tile_signature(config).members.items()
    payload = lambda member: member.signature.members["payload"].shape  # noqa: E731
    return {name: (bytes_layout(payload(m)), m.flow == In) for name, m in members}


def port(dut, name, goes_in):
    """A stream of the tile, and its ``tlast``."""
    prefix = f"{'s' if goes_in else 'm'}_axis_{name}_t"
    valid, ready, payload, last = (
        getattr(dut, prefix + part) for part in ("valid", "ready", "data", "last")
    )
    return SimpleNamespace(valid=valid, ready=ready, payload=payload, last=last)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("name", TILES)
def test_runs(name, last):
    """Padding and ``tlast`` of inputs count for nothing; padding of results is 0."""
    config, m, ends = CoreConfig(**(COMMON | TILES[name])), Module(), []
    m.submodules.tile = dut = AxiStreamTile(config)
    m.d.comb += [dut.aclk.eq(ClockSignal()), dut.aresetn.eq(~ResetSignal())]
    words = streams(config, RUNS)
    padded = {n for n, (layout, _) in layouts(config).items() if "padding" in layout.members}
    assert {"weights", "results"} <= padded
    ports = {n: port(dut, n, goes_in) for n, (_, goes_in) in layouts(config).items()}
    results = ports.pop("results")
    benches = []
    for stream, ends_of in ports.items():
        extra = {"padding": -last} if stream in padded else {}
        benches.append(put(ends_of, [flat(word) | extra for word in words[stream]]))
        m.d.comb += ends_of.last.eq(last)

    async def watch(ctx):
        while len(ends) < len(words["results"]):
            handles = (results.valid, results.ready, results.last)
            *_, valid, ready, end = await ctx.tick().sample(*handles)
            ends.extend([end] * (valid and ready))

    simulate(m, *benches, expect(results, words["results"]), watch)
    assert ends == [word["last"] for word in words["results"]]
    assert sum(ends) == len(RUNS) * config.passes


def test_aresetn_resets_the_tile():
    """Results that wait to be taken are gone after it."""
    m, offered = Module(), []
    m.submodules.tile = dut = AxiStreamTile(CoreConfig(**(COMMON | TILES["mux"])))
    m.d.comb += dut.aclk.eq(ClockSignal())
    results = port(dut, "results", False)

    async def reset(ctx):
        ctx.set(dut.aresetn, 1)
        for aresetn in (1, 0, 1):
            ctx.set(dut.aresetn, aresetn)
            await ctx.tick().repeat(20 if aresetn else 1)
            offered.append(ctx.get(results.valid))

    words, counts = streams(dut.config, (1,)), {"activations": 1, "weights": 2, "zero_points": 1}
    sent = [
        put(port(dut, name, True), map(flat, words[name][:count]), 0)
        for name, count in counts.items()
    ]
    simulate(m, reset, *sent)
    assert offered == [1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mux", "lutram"])
def test_streams_of_others(name, tmp_path):
    """Inputs in packets of three beats; of results, one packet a run."""
    config = CoreConfig(**(COMMON | TILES[name]))
    words, plan = streams(config, RUNS), {}
    for stream, (layout, goes_in) in layouts(config).items():
        beats = [
            Value.cast(layout.const(flat(word))).value.to_bytes(layout.size // 8, "little")
            for word in words[stream]
        ]
        size = 3 if goes_in else config.drain_beats
        plan[stream] = [b"".join(beats[i : i + size]).hex() for i in range(0, len(beats), size)]
    text = component_verilog(AxiStreamTile(config), "tile")
    assert run("axi_stream_in_cocotb", text, "tile", plan, tmp_path) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["w2a8", "fpga-xilinx-w1a8", "ternary-a8"])
def test_linters_have_nothing_to_say(name):
    text = component_verilog(AxiStreamTile(preset(name)), "tile")
    assert [opinion.messages for opinion in lint(text, "tile")] == [()] * 5
