"""A program on the core in Amaranth's simulator, with ports inside of it seen in every cycle.

The manual's walk through the core (docs, page "architecture") reads its numbers here.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportCallIssue=false

from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Fragment
from amaranth.sim import Simulator

from lutcore.compiler.program.program import Program
from lutcore.hdl.core.core import Core
from lutcore.hdl.isa.pace import PAGE_BITS


def watch(program: Program, **ports: str) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Run a program; the memory that it leaves, and what ports held in each cycle.

    The memory answers at once. A core of the size of ``edge`` takes seconds for a thousand cycles.

    Parameters
    ----------
    program : Program
    **ports : str
        Ports, by names of the caller's choice: ``compute.tile.results`` is one of the tile in the
        compute engine. Blocks have the names of the submodules. A stream holds its payload in the
        cycles in which that moves, and None in the others.
    """
    core = Core(program.config)
    fragment = Fragment.get(core, None)
    watched = {name: _port(fragment, path) for name, path in ports.items()}
    memory = bytearray(program.image().tobytes())
    word = program.config.bus_bits // 8
    cycles: list[dict[str, Any]] = []

    async def host(ctx: Any) -> None:
        await _start(ctx, core, program, len(memory))
        async for held in _until_done(ctx, core, watched):
            cycles.append(held)

    async def read(ctx: Any) -> None:
        await _answer_reads(ctx, core, memory, word)

    async def write(ctx: Any) -> None:
        await _take_writes(ctx, core, memory, word)

    simulator = Simulator(fragment)
    simulator.add_clock(1e-8)
    simulator.add_testbench(host)
    simulator.add_testbench(read, background=True)
    simulator.add_testbench(write, background=True)
    simulator.run()
    return np.frombuffer(bytes(memory), np.uint8), cycles


async def _start(ctx: Any, core: Core, program: Program, size: int) -> None:
    ctx.set(core.window_high, size >> PAGE_BITS)
    ctx.set(core.programs.payload.address, program.address)
    ctx.set(core.programs.payload.length, len(program.words))
    ctx.set(core.programs.valid, 1)
    await ctx.tick()
    ctx.set(core.programs.valid, 0)


async def _until_done(
    ctx: Any, core: Core, ports: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """What ports hold in each cycle, streams None where they do not move."""
    values = [getattr(port, "payload", port) for port in ports.values()]
    moves = [getattr(port, "valid", 1) & getattr(port, "ready", 1) for port in ports.values()]
    async for _, _, busy, *now in ctx.tick().sample(core.busy, *moves, *values):
        if not busy:
            return
        moved = zip(ports, now[: len(moves)], now[len(moves) :], strict=True)
        yield {name: value if moving else None for name, moving, value in moved}


def _places(burst: Any, word: int) -> range:
    """Addresses of a burst's words."""
    return range(burst.addr, burst.addr + (burst.len + 1) * word, word)


async def _answer_reads(ctx: Any, core: Core, memory: bytearray, word: int) -> None:
    ctx.set(core.reads.ready, 1)
    places: list[int] = []
    asked = ctx.tick().sample(core.reads.valid, core.reads.payload, core.words.ready)
    async for _, _, valid, burst, ready in asked:
        if places and ready:
            del places[0]
        if valid:
            places += _places(burst, word)
        ctx.set(core.words.valid, bool(places))
        if places:
            data = memory[places[0] : places[0] + word]
            ctx.set(core.words.payload.data, int.from_bytes(data, "little"))


async def _take_writes(ctx: Any, core: Core, memory: bytearray, word: int) -> None:
    ctx.set(core.writes.ready, 1)
    ctx.set(core.written.ready, 1)
    places: list[int] = []
    sent = ctx.tick().sample(core.writes.valid, core.writes.payload)
    async for _, _, valid, burst, came, written in sent.sample(
        core.written.valid, core.written.payload
    ):
        if valid:
            places += _places(burst, word)
        if came:
            place = places.pop(0)
            for lane, byte in enumerate(written.data.to_bytes(word, "little")):
                if written.strb >> lane & 1:
                    memory[place + lane] = byte
        ctx.set(core.answers.valid, came & written.last)


def _port(fragment: Fragment, path: str) -> Any:
    """A port by the submodules on the way to it, and its own name."""
    names = path.split(".")
    while inner := [part for part, name, *_ in fragment.subfragments if name == names[0]]:
        fragment = inner[0]
        del names[0]
    origins: Any = fragment.origins
    # What is only put around a component, as its reset, has no ports.
    port = next(origin for origin in origins if hasattr(origin, names[0]))
    for name in names:
        port = getattr(port, name)
    return port
