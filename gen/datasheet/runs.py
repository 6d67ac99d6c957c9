"""Short runs of designs in Amaranth's simulator, every port sampled in every cycle."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from amaranth.hdl import Cat, ClockSignal, Module, ResetSignal, Value
from amaranth.lib import wiring

from lutcore.compiler.program.program import Program
from lutcore.errors import ToolError
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.run.samples import memories, sample_job, sample_program
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import Bench, get, put
from lutcore.verif.sim.fields import from_words, result_bits, result_fields, to_words
from lutcore.verif.sim.job import TileJob

#: Cycles in which a producer or the consumer pauses; those that memory takes to answer.
PAUSE, LATENCY = 2, 3

#: A host's access to a register, given context, address, and what is written, None for a read.
Access = Callable[[Any, int, int | None], Awaitable[None]]


@dataclass(frozen=True)
class Samples:
    """Ports of a design, and the values of each as the clock's edges saw them."""

    ports: list[dict[str, Any]]
    values: dict[str, list[int]]


def _record(dut: wiring.Component, ended: list[bool], *benches: Bench) -> dict[str, list[int]]:
    """Values of all ports but clock and reset, until something is in ``ended``."""
    paths = ((path, value) for path, _, value in dut.signature.flatten(dut))
    signals = {"__".join(map(str, path)): Value.cast(value) for path, value in paths}
    m = Module()
    m.submodules.dut = dut
    for name, driver in (("aclk", ClockSignal()), ("aresetn", ~ResetSignal())):
        if name in signals:
            m.d.comb += signals.pop(name).eq(driver)
    rows: list[tuple[int, ...]] = []

    async def recorder(ctx: Any) -> None:
        while not ended:
            _, _, *row = await ctx.tick().sample(*signals.values())
            rows.append(tuple(row))

    simulate(m, recorder, *benches)
    return {
        name: list(column) for name, column in zip(signals, zip(*rows, strict=True), strict=True)
    }


def _plain(stream: Any) -> Any:
    """A stream whose payload is a number."""
    payload = Value.cast(stream.payload)
    return SimpleNamespace(valid=stream.valid, ready=stream.ready, payload=payload)


def _channel(dut: Any, name: str, *parts: str) -> Any:
    """A channel of AXI as a stream."""
    found = {part: getattr(dut, f"{name}{part}") for part in ("valid", "ready", *parts)}
    payload = Cat(found[part] for part in parts)
    return SimpleNamespace(valid=found["valid"], ready=found["ready"], payload=payload)


# A tile ------------------------------------------------------------------------------------------


def _stream(dut: Any, name: str) -> Any:
    """A stream of a tile; ``last`` is above the payload of the last beat of an AXI-Stream."""
    if hasattr(dut, name):
        plain = _plain(getattr(dut, name))
        return SimpleNamespace(**vars(plain), last=0)
    side = "m" if name == "results" else "s"
    found = _channel(dut, f"{side}_axis_{name}_t", "data", "last")
    return SimpleNamespace(**vars(found), last=1 << len(found.payload) - 1)


def _job(config: CoreConfig) -> TileJob:
    """Two runs at full rate of one M tile, with the widest weights."""
    planes = config.planes(config.max_weight_bits)
    steps = max(2, math.ceil(max(4, config.full_rate_slices) / planes))
    length = min(steps, config.run_length // config.depth) * config.depth
    return sample_job(config, (config.m, config.columns * config.passes, 2 * length), length)


def _run_tile(config: CoreConfig, top: str) -> Samples:
    """A tile between streams: a pause of the weights, and one of the reader of results.

    Raises
    ------
    ToolError
        It gives other results than the golden model.
    """
    job, dut, ended = _job(config), TOPS[top].component(config), []
    found: list[int] = []

    def send(name: str) -> Bench:
        stream, words = _stream(dut, name), to_words(job.inputs[name])
        words[-1] |= stream.last
        early = 3 if name == "weights" else len(words)

        async def bench(ctx: Any) -> None:
            await put(stream, words[:early], stall=0)(ctx)
            if words[early:]:
                await ctx.tick().repeat(PAUSE)
                await put(stream, words[early:], stall=0)(ctx)

        return bench

    async def receive(ctx: Any) -> None:
        stream = _stream(dut, "results")
        await ctx.tick().until(stream.valid)
        await ctx.tick().repeat(PAUSE - 1)
        found.extend(await get(stream, job.beats, stall=0)(ctx))
        await ctx.tick().repeat(2)
        ended.append(True)

    values = _record(dut, ended, receive, *map(send, job.inputs))
    bits = result_bits(config)
    payloads = [word & (1 << bits) - 1 for word in found]
    fields = result_fields(config, from_words(payloads, bits))
    for name, wanted in job.expected.items():
        if (fields[name] != wanted)[job.checked[name]].any():
            raise ToolError(f"the simulated tile gives a wrong {name}: no datasheet is made of it")
    return Samples(ports(config, top), values)


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


def _program(config: CoreConfig) -> Program:
    """A product of one tile of the shortest interest: four steps of K, the narrowest weights."""
    length = 4 * config.depth
    shape = (config.m, config.columns, length)
    return sample_program(config, shape, length, config.weight_bits_range[0])


def _host(dut: Any, program: Program) -> Bench:
    """A host between streams."""

    async def bench(ctx: Any) -> None:
        ctx.set(dut.window_high, -1)
        await ctx.tick()
        payload = program.address | len(program.words) << ADDRESS_BITS
        await put(_plain(dut.programs), [payload], stall=0)(ctx)
        await ctx.tick().until(~dut.busy)

    return bench


def _lite(dut: Any) -> Access:
    """AXI4-Lite."""
    address, word = _channel(dut, "s_axi_aw", "addr"), _channel(dut, "s_axi_w", "data", "strb")
    asked = _channel(dut, "s_axi_ar", "addr")

    async def access(ctx: Any, place: int, value: int | None) -> None:
        ctx.set(Cat(dut.s_axi_bready, dut.s_axi_rready), 3)
        if value is None:
            await put(asked, [place], stall=0)(ctx)
            await ctx.tick().until(dut.s_axi_rvalid)
            return
        ctx.set(address.payload, place)
        ctx.set(word.payload, value | 15 << 32)
        ctx.set(Cat(address.valid, word.valid), 3)
        await ctx.tick().until(address.ready & word.ready)
        ctx.set(Cat(address.valid, word.valid), 0)
        await ctx.tick().until(dut.s_axi_bvalid)

    return access


def _apb(dut: Any) -> Access:
    """APB4."""

    async def access(ctx: Any, place: int, value: int | None) -> None:
        written = value is not None
        ctx.set(dut.s_apb_paddr, place)
        ctx.set(Cat(dut.s_apb_pwdata, dut.s_apb_pstrb), value | 15 << 32 if written else 0)
        ctx.set(Cat(dut.s_apb_psel, dut.s_apb_pwrite), 1 | written << 1)
        await ctx.tick()
        ctx.set(dut.s_apb_penable, 1)
        await ctx.tick().until(dut.s_apb_pready)
        ctx.set(Cat(dut.s_apb_psel, dut.s_apb_penable), 0)

    return access


def _wishbone(dut: Any) -> Access:
    """Wishbone, as classic masters use it: they ask until they are answered."""

    async def access(ctx: Any, place: int, value: int | None) -> None:
        ctx.set(dut.s_wb_adr, place)
        ctx.set(Cat(dut.s_wb_dat_w, dut.s_wb_sel), (value or 0) | 15 << 32)
        ctx.set(Cat(dut.s_wb_cyc, dut.s_wb_stb, dut.s_wb_we), 3 | (value is not None) << 2)
        await ctx.tick().until(dut.s_wb_ack)
        ctx.set(Cat(dut.s_wb_cyc, dut.s_wb_stb), 0)
        await ctx.tick()

    return access


def _register_host(bus: Callable[[Any], Access]) -> Callable[[Any, Program], Bench]:
    """A host with registers: it rings, waits for the interrupt, and clears it."""

    def host(dut: Any, program: Program) -> Bench:
        access, low = bus(dut), REGISTERS["program"][0]
        place = program.address
        writes = {low: place & 0xFFFFFFFF, low + 4: place >> 32}
        writes |= {
            REGISTERS[name][0]: value
            for name, value in (("irq_enable", 1), ("length", len(program.words)), ("control", 1))
        }

        async def bench(ctx: Any) -> None:
            for at, value in writes.items():
                await access(ctx, at, value)
            await ctx.tick().until(dut.irq)
            await access(ctx, REGISTERS["status"][0], None)
            await access(ctx, REGISTERS["irq_status"][0], 1)

        return bench

    return host


def _run_core(
    config: CoreConfig,
    top: str,
    host: Callable[[Any, Program], Bench],
    memory: Callable[[Any], _Memory] = _axi,
) -> Samples:
    """A core, its memory and its host.

    Raises
    ------
    ToolError
        It leaves another memory than the ISA model.
    """
    dut, program, ended = TOPS[top].component(config), _program(config), []
    before, wanted = memories(config, program)
    content = bytearray(before.tobytes())

    async def whole(ctx: Any) -> None:
        await host(dut, program)(ctx)
        await ctx.tick().repeat(4)
        ended.append(True)

    served = _serve(memory(dut), content, config.bus_bits // 8, ended)
    values = _record(dut, ended, whole, *served)
    if bytes(content) != wanted.tobytes():
        raise ToolError("the simulated core leaves a wrong memory: no datasheet is made of it")
    return Samples(ports(config, top), values)


#: Top with registers -> how its host reaches them.
_BUSES = {"axi": _lite, "axi-aclk": _lite, "axi-apb": _apb, "axi-wishbone": _wishbone}

#: Top -> a short run of it.
RUNS: dict[str, Callable[[CoreConfig], Samples]] = {
    "tile": partial(_run_tile, top="tile"),
    "axi-stream": partial(_run_tile, top="axi-stream"),
    "core": partial(_run_core, top="core", host=_host, memory=_streams),
} | {top: partial(_run_core, top=top, host=_register_host(bus)) for top, bus in _BUSES.items()}
