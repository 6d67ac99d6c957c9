"""Short runs of designs in Amaranth's simulator, every port sampled in every cycle."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from amaranth.hdl import Cat, Value
from amaranth.lib import wiring

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.program import Program
from lutcore.errors import ToolError
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import Bench, get, put
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.sim.fields import from_words, result_bits, result_fields, to_words
from lutcore.verif.sim.job import TileJob, tile_job

#: Cycles in which a producer or the consumer pauses; those that memory takes to answer.
PAUSE, LATENCY = 2, 3


@dataclass(frozen=True)
class Samples:
    """Ports of a design, and the values of each as the clock's edges saw them."""

    ports: list[dict[str, Any]]
    values: dict[str, list[int]]


def _record(dut: wiring.Component, ended: list[bool], *benches: Bench) -> dict[str, list[int]]:
    """Values of all ports while benches run, until something is in ``ended``."""
    paths = ((path, value) for path, _, value in dut.signature.flatten(dut))
    signals = {"__".join(map(str, path)): Value.cast(value) for path, value in paths}
    rows: list[tuple[int, ...]] = []

    async def recorder(ctx: Any) -> None:
        while not ended:
            _, _, *row = await ctx.tick().sample(*signals.values())
            rows.append(tuple(row))

    simulate(dut, recorder, *benches)
    return {
        name: list(column) for name, column in zip(signals, zip(*rows, strict=True), strict=True)
    }


def _plain(stream: Any) -> Any:
    """A stream whose payload is a number."""
    payload = Value.cast(stream.payload)
    return SimpleNamespace(valid=stream.valid, ready=stream.ready, payload=payload)


# A tile ------------------------------------------------------------------------------------------


def tile_problem(config: CoreConfig) -> TileJob:
    """Two runs at full rate of one M tile, with the widest weights."""
    bits, rng = config.max_weight_bits, np.random.default_rng(0)
    steps = max(2, math.ceil(max(4, config.full_rate_slices) / config.planes(bits)))
    length = min(steps, config.run_length // config.depth) * config.depth
    shape = (config.columns * config.passes, 2 * length)
    shared, ternary = config.zero_points == "shared", config.weight_coding == "ternary"
    tensor = random_tensor(shape, bits, length, rng, shared, ternary)
    return tile_job(config, random_activations(config, config.m, 2 * length, rng), tensor)


def run_tile(config: CoreConfig) -> Samples:
    """A tile between streams: a pause of the weights, and one of the reader of results.

    Raises
    ------
    ToolError
        It gives other results than the golden model.
    """
    job, dut, ended = tile_problem(config), TOPS["tile"].component(config), []
    found: list[int] = []

    def send(name: str) -> Bench:
        stream, words = _plain(getattr(dut, name)), to_words(job.inputs[name])
        early = 3 if name == "weights" else len(words)

        async def bench(ctx: Any) -> None:
            await put(stream, words[:early], stall=0)(ctx)
            if words[early:]:
                await ctx.tick().repeat(PAUSE)
                await put(stream, words[early:], stall=0)(ctx)

        return bench

    async def receive(ctx: Any) -> None:
        stream = _plain(dut.results)
        await ctx.tick().until(stream.valid)
        await ctx.tick().repeat(PAUSE - 1)
        found.extend(await get(stream, job.beats, stall=0)(ctx))
        await ctx.tick().repeat(2)
        ended.append(True)

    values = _record(dut, ended, receive, *map(send, job.inputs))
    fields = result_fields(config, from_words(found, result_bits(config)))
    for name, wanted in job.expected.items():
        if (fields[name] != wanted)[job.checked[name]].any():
            raise ToolError(f"the simulated tile gives a wrong {name}: no datasheet is made of it")
    return Samples(ports(config, "tile"), values)


# A core ------------------------------------------------------------------------------------------


class _Memory(NamedTuple):
    """Streams to a memory, payloads as numbers, and the bits above the data of its last word."""

    reads: Any
    words: Any
    writes: Any
    written: Any
    answers: Any
    last: int


def _streams(dut: Any) -> _Memory:
    """Of a core between streams."""
    names = ("reads", "words", "writes", "written", "answers")
    return _Memory(*(_plain(getattr(dut, name)) for name in names), last=0)


def _channel(dut: Any, name: str, *parts: str) -> Any:
    """A channel of AXI as a stream."""
    found = {part: getattr(dut, f"{name}{part}") for part in ("valid", "ready", *parts)}
    payload = Cat(found[part] for part in parts)
    return SimpleNamespace(valid=found["valid"], ready=found["ready"], payload=payload)


def _axi(dut: Any) -> _Memory:
    """Of a core with AXI."""
    channels = (
        _channel(dut, "m_axi_ar", "addr", "len"),
        _channel(dut, "m_axi_r", "data", "resp", "last"),
        _channel(dut, "m_axi_aw", "addr", "len"),
        _channel(dut, "m_axi_w", "data", "strb", "last"),
        _channel(dut, "m_axi_b", "resp"),
    )
    return _Memory(*channels, last=4)


async def _take(ctx: Any, stream: Any, ended: list[bool]) -> int | None:
    """The next payload, None when all has ended."""
    ctx.set(stream.ready, 1)
    while not ended:
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if valid:
            ctx.set(stream.ready, 0)
            return payload
    return None


def _serve(bus: _Memory, content: bytearray, size: int, ended: list[bool]) -> tuple[Bench, Bench]:
    """A memory that answers requests in their order; words have ``size`` bytes."""

    def burst(request: int) -> range:
        first, beats = request % (1 << ADDRESS_BITS), (request >> ADDRESS_BITS) + 1
        return range(first, first + beats * size, size)

    async def read(ctx: Any) -> None:
        while (request := await _take(ctx, bus.reads, ended)) is not None:
            await ctx.tick().repeat(LATENCY)
            places = burst(request)
            words = [int.from_bytes(content[at : at + size], "little") for at in places]
            words[-1] |= bus.last << 8 * size
            await put(bus.words, words, stall=0)(ctx)

    async def write(ctx: Any) -> None:
        while (request := await _take(ctx, bus.writes, ended)) is not None:
            for at in burst(request):
                word = await _take(ctx, bus.written, ended) or 0
                lanes = (lane for lane in range(size) if word >> (8 * size + lane) & 1)
                for lane in lanes:
                    content[at + lane] = word >> 8 * lane & 0xFF
            await ctx.tick().repeat(LATENCY)
            await put(bus.answers, [0], stall=0)(ctx)

    return read, write


def core_program(config: CoreConfig) -> Program:
    """A product of one tile of the shortest interest: four steps of K, the narrowest weights."""
    bits, rng = config.weight_bits_range[0], np.random.default_rng(0)
    shape = (config.columns, 4 * config.depth)
    ternary = config.weight_coding == "ternary"
    tensor = random_tensor(shape, bits, shape[1], rng, shared=True, ternary=ternary)
    tensor.zero_points[:] = 1
    return gemm(config, tensor, random_activations(config, config.m, shape[1], rng))


def _host(dut: Any, program: Program) -> Bench:
    """A host between streams."""

    async def bench(ctx: Any) -> None:
        ctx.set(dut.window_high, -1)
        await ctx.tick()
        payload = program.address | len(program.words) << ADDRESS_BITS
        await put(_plain(dut.programs), [payload], stall=0)(ctx)
        await ctx.tick().until(~dut.busy)

    return bench


def _lite_host(dut: Any, program: Program) -> Bench:
    """A host of AXI4-Lite: it rings, waits for the interrupt, and clears it."""
    address, word = _channel(dut, "s_axi_aw", "addr"), _channel(dut, "s_axi_w", "data", "strb")
    asked = _channel(dut, "s_axi_ar", "addr")

    async def write(ctx: Any, name: str, value: int, half: int = 0) -> None:
        ctx.set(address.payload, REGISTERS[name][0] + 4 * half)
        ctx.set(word.payload, value >> 32 * half & 0xFFFFFFFF | 15 << 32)
        ctx.set(Cat(address.valid, word.valid), 3)
        await ctx.tick().until(address.ready & word.ready)
        ctx.set(Cat(address.valid, word.valid), 0)
        await ctx.tick().until(dut.s_axi_bvalid)

    async def bench(ctx: Any) -> None:
        ctx.set(Cat(dut.s_axi_bready, dut.s_axi_rready), 3)
        for half in range(2):
            await write(ctx, "program", program.address, half)
        await write(ctx, "irq_enable", 1)
        await write(ctx, "length", len(program.words))
        await write(ctx, "control", 1)
        await ctx.tick().until(dut.irq)
        await put(asked, [REGISTERS["status"][0]], stall=0)(ctx)
        await ctx.tick().until(dut.s_axi_rvalid)
        await write(ctx, "irq_status", 1)

    return bench


def _run_core(
    config: CoreConfig, top: str, memory: Callable[[Any], _Memory], host: Callable[..., Bench]
) -> Samples:
    """A core, its memory and its host.

    Raises
    ------
    ToolError
        It leaves another memory than the ISA model.
    """
    dut, program, ended = TOPS[top].component(config), core_program(config), []
    wanted = program.image()
    content = bytearray(wanted.tobytes())
    IsaModel(config, wanted).run(program.address, len(program.words))

    async def whole(ctx: Any) -> None:
        await host(dut, program)(ctx)
        await ctx.tick().repeat(4)
        ended.append(True)

    served = _serve(memory(dut), content, config.bus_bits // 8, ended)
    values = _record(dut, ended, whole, *served)
    if bytes(content) != wanted.tobytes():
        raise ToolError("the simulated core leaves a wrong memory: no datasheet is made of it")
    return Samples(ports(config, top), values)


#: Kind of a top -> a short run of it.
RUNS: dict[str, Callable[[CoreConfig], Samples]] = {
    "tile": run_tile,
    "core": lambda config: _run_core(config, "core", _streams, _host),
    "axi": lambda config: _run_core(config, "axi", _axi, _lite_host),
}
