"""The core on Wishbone (classic): ``python examples/wishbone.py`` runs a GEMM through it.

A master of the core's bus width for memory, a slave of 32 bits for the registers. One word is under
way at a time: a place to start from, not a fast one. Its Verilog:
``lutcore.gen.emit.rtl.component_verilog(WishboneCore(config), "name")``.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.program import Program
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.bus.wishbone import WishboneSlave, registers_signature, wishbone_signature
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset
from lutcore.hdl.core.control import Control, attach
from lutcore.hdl.core.core import Core
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.registers import ADDRESS_WIDTH, REGISTERS
from lutcore.verif.isa.model import IsaModel


class WishboneCore(wiring.Component):
    """A LUT tensor core for a Wishbone SoC.

    Members
    -------
    memory : In, :func:`~lutcore.hdl.bus.wishbone.wishbone_signature` of the bus width
        Memory that the core reads and writes.
    host : Out, :func:`~lutcore.hdl.bus.wishbone.registers_signature`
        Registers (:mod:`lutcore.hdl.isa.registers`), whole words.
    irq : Out
        An enabled event has happened; level.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "memory": In(wishbone_signature(ADDRESS_BITS, config.bus_bits)),
                "host": Out(registers_signature(ADDRESS_WIDTH)),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The core between streams, its registers, and what puts both on Wishbone."""
        m = Module()
        m.submodules.core = core = Core(self._config)
        m.submodules.control = control = Control(self._config)
        m.submodules.registers = registers = WishboneSlave(ADDRESS_WIDTH)
        attach(m, control, core)
        connect(m, registers.lite, control.host)
        connect(m, flipped(self.host), registers.bus)
        m.d.comb += self.irq.eq(control.irq)
        self._transfers(m, core)
        return m

    def _transfers(self, m: Module, core: Core) -> None:
        """One burst after the other, word by word."""
        bus = self.memory
        word = self._config.bus_bits // 8
        address = Signal(ADDRESS_BITS)  # byte address of the word that is next
        left = Signal(8)  # words after this one
        failed = Signal()  # a word of the burst could not be written
        done = bus.ack | bus.err
        m.d.comb += [
            bus.adr.eq(address),
            bus.cyc.eq(bus.stb),
            bus.dat_w.eq(core.written.payload.data),
            core.answers.payload.error.eq(failed),
        ]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(core.reads.valid):
                    m.d.comb += core.reads.ready.eq(1)
                    m.d.sync += [
                        address.eq(core.reads.payload.addr),
                        left.eq(core.reads.payload.len),
                    ]
                    m.next = "READ"
                with m.Elif(core.writes.valid):
                    m.d.comb += core.writes.ready.eq(1)
                    m.d.sync += [address.eq(core.writes.payload.addr), failed.eq(0)]
                    m.next = "WRITE"
            with m.State("READ"):
                m.d.comb += [bus.stb.eq(1), bus.sel.eq(-1)]
                with m.If(done):
                    m.d.sync += [
                        core.words.payload.data.eq(bus.dat_r),
                        core.words.payload.error.eq(bus.err),
                    ]
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += core.words.valid.eq(1)
                with m.If(core.words.ready):
                    m.d.sync += [address.eq(address + word), left.eq(left - 1)]
                    m.next = "READ"
                    with m.If(left == 0):
                        m.next = "IDLE"
            with m.State("WRITE"):
                m.d.comb += [
                    bus.stb.eq(core.written.valid),
                    bus.we.eq(1),
                    bus.sel.eq(core.written.payload.strb),
                    core.written.ready.eq(done),
                ]
                with m.If(core.written.valid & done):
                    m.d.sync += [address.eq(address + word), failed.eq(failed | bus.err)]
                    with m.If(core.written.payload.last):
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += core.answers.valid.eq(1)
                with m.If(core.answers.ready):
                    m.next = "IDLE"


def run(program: Program, wait: int = 1) -> tuple[np.ndarray, int]:
    """Memory and cause that a program leaves, in Amaranth's simulator.

    The memory answers ``wait`` cycles after a request, beyond its end with an error.
    """
    core = WishboneCore(program.config)
    memory = bytearray(program.image().tobytes())
    found: dict[str, int] = {}

    async def access(ctx: Any, name: str, half: int = 0, value: int | None = None) -> int:
        host = core.host
        ctx.set(host.adr, REGISTERS[name][0] + 4 * half)
        ctx.set(host.we, value is not None)
        ctx.set(host.sel, 15)
        ctx.set(host.dat_w, (value or 0) >> 32 * half & 0xFFFFFFFF)
        ctx.set(host.cyc, 1)
        ctx.set(host.stb, 1)
        *_, result, err = await ctx.tick().sample(host.dat_r, host.err).until(host.ack | host.err)
        ctx.set(host.stb, 0)
        assert not err, f"register {name} was refused"
        await ctx.tick()
        return result

    async def host(ctx: Any) -> None:
        for half in range(2):
            await access(ctx, "program", half, program.address)
        await access(ctx, "length", 0, len(program.words))
        await access(ctx, "irq_enable", 0, 1)
        await access(ctx, "control", 0, 1)
        await ctx.tick().until(core.irq)
        found["cause"] = await access(ctx, "status") >> 8

    async def slave(ctx: Any) -> None:
        bus, size = core.memory, program.config.bus_bits // 8
        while not found:
            await ctx.tick()
            if not ctx.get(bus.stb):
                continue
            await ctx.tick().repeat(wait)
            place = ctx.get(bus.adr)
            inside = place + size <= len(memory)
            if inside and ctx.get(bus.we):
                data = ctx.get(bus.dat_w).to_bytes(size, "little")
                for lane in range(size):
                    if ctx.get(bus.sel) >> lane & 1:
                        memory[place + lane] = data[lane]
            ctx.set(bus.dat_r, int.from_bytes(memory[place : place + size], "little"))
            ctx.set(bus.ack if inside else bus.err, 1)
            await ctx.tick()
            ctx.set(bus.ack, 0)
            ctx.set(bus.err, 0)

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(host)
    simulator.add_testbench(slave)
    simulator.run()
    return np.frombuffer(bytes(memory), np.uint8), found["cause"]


def main() -> None:
    """A small GEMM, compared with the ISA model."""
    config = preset("edge").replace(n=8, result_columns=2, group_size=32)
    rng = np.random.default_rng(0)
    tensor = random_tensor((8, 64), 2, 32, rng, shared=True)
    tensor.zero_points[:] = 1
    program = gemm(config, tensor, random_activations(config, 2, 64, rng))
    memory, cause = run(program)
    expected = program.image()
    IsaModel(config, expected).run(program.address, len(program.words))
    print(f"cause {cause}, {(memory != expected).sum()} bytes differ from the ISA model")
    print(program.output.read(memory).view(np.float32)[:, :4])


if __name__ == "__main__":
    main()
