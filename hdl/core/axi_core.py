"""The core for a SoC: an AXI4 master for memory, an AXI4-Lite slave for the host."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from lutcore.hdl.bus.axi import (
    AxiMaster,
    axi4_signature,
    lite_signature,
    read_members,
    write_members,
)
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.core.control import Control, attach
from lutcore.hdl.core.core import Core
from lutcore.hdl.isa.registers import ADDRESS_WIDTH
from lutcore.hdl.parts.pieces import forward


def axi_core_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`AxiCore`, with flat names, so that tools recognise the buses."""
    buses = {"m_axi": axi4_signature(config.bus_bits), "s_axi": lite_signature(ADDRESS_WIDTH)}
    members = {
        f"{bus}_{name}": member
        for bus, signature in buses.items()
        for name, member in signature.members.items()
    }
    return wiring.Signature(members | {"irq": Out(1)})


class AxiCore(wiring.Component):
    """A LUT tensor core for a SoC: :class:`~lutcore.hdl.core.core.Core` with registers and buses.

    Parameters
    ----------
    config : CoreConfig
        One that :func:`~lutcore.hdl.config.rules.check_core` takes.

    Members
    -------
    m_axi_... : :func:`~lutcore.hdl.bus.axi.axi4_signature`
        Memory: programs, activations, weights, scales, results.
    s_axi_... : :func:`~lutcore.hdl.bus.axi.lite_signature`
        Registers (:mod:`lutcore.hdl.isa.registers`).
    irq : Out
        An enabled event has happened; level.

    Raises
    ------
    InputError
        (a :class:`ValueError`) where no core can be built from the configuration.
    """

    def __init__(self, config: CoreConfig):
        check_core(config)
        self.config = config
        super().__init__(axi_core_signature(config))

    def elaborate(self, platform: object) -> Module:
        """Registers on one side of the core, memory on the other."""
        m = Module()
        bits = self.config.bus_bits
        m.submodules.control = control = Control(self.config)
        m.submodules.core = core = Core(self.config)
        m.submodules.master = master = AxiMaster(bits)
        for name in read_members(bits) | write_members(bits):
            connect(m, getattr(core, name), getattr(master, name))
        for bus, inner in (("s_axi", control.host), ("m_axi", master.bus)):
            for name, member in inner.signature.members.items():
                forward(m, getattr(self, f"{bus}_{name}"), getattr(inner, name), member.flow)
        attach(m, control, core)
        m.d.comb += self.irq.eq(control.irq)
        return m
