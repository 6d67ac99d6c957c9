"""A whole core on its buses: registers, memory, interrupt; one program against plain numbers."""

from types import SimpleNamespace

from amaranth.hdl import Cat
from plain_core import LENGTH, image, results, serve

from lutcore.hdl.core.axi_core import AxiCore
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, get, put
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG = SMALL_CORES["w4a8"]
#: Offsets of registers, by hand from docs/core.md.
CONTROL, STATUS, IRQ_STATUS, IRQ_ENABLE, PROGRAM, LENGTH_AT = 8, 12, 16, 20, 24, 32
WINDOW_HIGH, SLICES = 0x2C, 0x4C


def channel(dut, name, *fields):
    """A channel of a bus as a stream; its payload is the fields, the first one lowest."""
    port = lambda end: getattr(dut, f"{name}{end}")  # noqa: E731
    parts = [port(f) if isinstance(f, str) else port(f[0])[f[1]] for f in fields]
    return SimpleNamespace(valid=port("valid"), ready=port("ready"), payload=Cat(*parts))


def test_a_program():
    dut, ended = AxiCore(CONFIG), []
    memory, wanted = image(CONFIG)
    addresses = channel(dut, "s_axi_aw", "addr"), channel(dut, "s_axi_ar", "addr")
    data, written = channel(dut, "s_axi_w", "data", "strb"), channel(dut, "s_axi_b", "resp")
    answer = channel(dut, "s_axi_r", "data", "resp")

    async def write(ctx, offset, value):
        ctx.set(data.payload, value | 15 << 32)
        ctx.set(data.valid, 1)
        await put(addresses[0], [offset])(ctx)
        ctx.set(data.valid, 0)
        await expect(written, [0])(ctx)

    async def read(ctx, offset):
        await put(addresses[1], [offset])(ctx)
        return (await get(answer, 1)(ctx))[0]

    async def host(ctx):
        registers = (
            (PROGRAM, 0),
            (LENGTH_AT, LENGTH),
            (WINDOW_HIGH, 8 << 12),
            (WINDOW_HIGH + 4, 0),
        )
        for offset, value in (*registers, (IRQ_ENABLE, 1), (CONTROL, 1)):
            await write(ctx, offset, value)
        assert await read(ctx, STATUS) == 1 and not ctx.get(dut.irq)
        for _ in range(2000):
            await ctx.tick()
            if ctx.get(dut.irq):
                break
        assert ctx.get(dut.irq)
        assert [await read(ctx, r) for r in (STATUS, IRQ_STATUS, SLICES)] == [0, 1, 16]
        await write(ctx, IRQ_STATUS, 1)
        assert not ctx.get(dut.irq)
        ended.append(True)

    buses = [
        *(channel(dut, "m_axi_ar", "addr", "len"), channel(dut, "m_axi_r", "data", ("resp", 1))),
        channel(dut, "m_axi_aw", "addr", "len"),
        *(channel(dut, "m_axi_w", "data", "strb"), channel(dut, "m_axi_b", ("resp", 1))),
    ]
    simulate(dut, host, *serve(memory, ended, *buses))
    assert results(memory) == wanted
