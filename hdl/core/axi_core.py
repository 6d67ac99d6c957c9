"""The core for a SoC: an AXI4 master for memory, a slave of one of several buses for the host."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from lutcore.hdl.bus.apb import ApbSlave, apb_signature
from lutcore.hdl.bus.axi import (
    AxiMaster,
    axi4_signature,
    lite_signature,
    read_members,
    write_members,
)
from lutcore.hdl.bus.clocks import axi_clock, clocked
from lutcore.hdl.bus.wishbone import WishboneSlave, registers_signature
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.core.control import Control, attach
from lutcore.hdl.core.core import Core
from lutcore.hdl.isa.registers import ADDRESS_WIDTH
from lutcore.hdl.parts.pieces import forward


@dataclass(frozen=True)
class ControlBus:
    """How a host reaches the registers.

    Attributes
    ----------
    prefix : str
        What names of its ports begin with.
    signature : wiring.Signature
        Of a slave.
    adapter : callable, optional
        Makes a component with ``bus``, such a slave, and ``lite``, an AXI4-Lite slave that it uses.
    own_clock : bool
        Clock and reset of the core are ports named as AXI names them.
    """

    prefix: str
    signature: wiring.Signature
    adapter: Callable[[int], Any] | None = None
    own_clock: bool = True

    def ports(self, bits: int) -> wiring.Signature:
        """Ports of a core of that bus width, with flat names, so that tools recognise the buses."""
        buses = {"m_axi": axi4_signature(bits), self.prefix: self.signature}
        members = {
            f"{bus}_{name}": member
            for bus, signature in buses.items()
            for name, member in signature.members.items()
        }
        clock = axi_clock() if self.own_clock else {}
        return wiring.Signature(clock | members | {"irq": Out(1)})

    def slave(self, m: Module, lite: Any) -> Any:
        """The slave's side of ``lite``, which is AXI4-Lite."""
        if not self.adapter:
            return lite
        m.submodules.adapter = adapter = self.adapter(ADDRESS_WIDTH)
        connect(m, adapter.lite, lite)
        return adapter.bus


_LITE = lite_signature(ADDRESS_WIDTH)
#: Name of a variant of the core -> how its host reaches the registers.
CONTROL_BUSES = {
    "axi": ControlBus("s_axi", _LITE, own_clock=False),
    "axi-aclk": ControlBus("s_axi", _LITE),
    "axi-apb": ControlBus("s_apb", apb_signature(ADDRESS_WIDTH), ApbSlave),
    "axi-wishbone": ControlBus(
        "s_wb", registers_signature(ADDRESS_WIDTH), WishboneSlave, own_clock=False
    ),
}


def axi_core_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`AxiCore`."""
    return CONTROL_BUSES["axi"].ports(config.bus_bits)


def axi_aclk_core_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`AxiAclkCore`."""
    return CONTROL_BUSES["axi-aclk"].ports(config.bus_bits)


def axi_apb_core_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`AxiApbCore`."""
    return CONTROL_BUSES["axi-apb"].ports(config.bus_bits)


def axi_wishbone_core_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`AxiWishboneCore`."""
    return CONTROL_BUSES["axi-wishbone"].ports(config.bus_bits)


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

    #: Which of :data:`CONTROL_BUSES` the host has.
    variant = "axi"

    def __init__(self, config: CoreConfig):
        check_core(config)
        self.config = config
        self._control = CONTROL_BUSES[self.variant]
        super().__init__(self._control.ports(config.bus_bits))

    def elaborate(self, platform: object) -> Elaboratable:
        """Registers on one side of the core, memory on the other."""
        m = Module()
        bits = self.config.bus_bits
        m.submodules.control = control = Control(self.config)
        m.submodules.core = core = Core(self.config)
        m.submodules.master = master = AxiMaster(bits)
        for name in read_members(bits) | write_members(bits):
            connect(m, getattr(core, name), getattr(master, name))
        slave = self._control.slave(m, control.host)
        for bus, inner in ((self._control.prefix, slave), ("m_axi", master.bus)):
            for name, member in inner.signature.members.items():
                forward(m, getattr(self, f"{bus}_{name}"), getattr(inner, name), member.flow)
        attach(m, control, core)
        m.d.comb += self.irq.eq(control.irq)
        return clocked(m, self) if self._control.own_clock else m


class AxiAclkCore(AxiCore):
    """As :class:`AxiCore`, with ``aclk`` and ``aresetn`` in place of ``clk`` and ``rst``.

    They are those of :func:`~lutcore.hdl.bus.clocks.axi_clock`.
    """

    variant = "axi-aclk"


class AxiApbCore(AxiCore):
    """As :class:`AxiAclkCore`, with registers on APB4.

    ``s_apb_...``, of :func:`~lutcore.hdl.bus.apb.apb_signature`, stand for ``s_axi_...``.
    """

    variant = "axi-apb"


class AxiWishboneCore(AxiCore):
    """As :class:`AxiCore`, with registers on Wishbone B4.

    ``s_wb_...``, of :func:`~lutcore.hdl.bus.wishbone.registers_signature`, stand for ``s_axi_...``.
    """

    variant = "axi-wishbone"
