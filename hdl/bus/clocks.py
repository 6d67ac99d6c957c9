"""Clock and reset by their names in AXI's family of buses."""

from typing import Any

from amaranth.hdl import ClockDomain, DomainRenamer, Elaboratable, Module, Signal
from amaranth.lib.wiring import In, Member

#: Amaranth takes no domain inside of one of the same name: a user may have ``sync``, not this.
_DOMAIN = "lutcore_axi"


def axi_clock() -> dict[str, Member]:
    """Ports ``aclk`` and ``aresetn``, for components that :func:`clocked` makes whole."""
    return {
        "aclk": In(1),  # clock; all that is registered changes at its rising edge
        "aresetn": In(1),  # reset, synchronous, active low
    }


def clocked(m: Module, component: Any) -> Elaboratable:
    """``m`` with its ``sync`` driven by the component's ports of :func:`axi_clock`."""
    rst = Signal(name="rst")  # reset, synchronous, active high
    domain = ClockDomain(_DOMAIN, local=True)
    domain.clk, domain.rst = component.aclk, rst
    m.domains += domain
    m.d.comb += rst.eq(~component.aresetn)
    return DomainRenamer(_DOMAIN)(m)
