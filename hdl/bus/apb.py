"""APB4 for control: signature, and an adapter to AXI4-Lite."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from lutcore.hdl.bus.axi import lite_signature
from lutcore.hdl.bus.lite import LiteAccess


def apb_signature(address_bits: int) -> wiring.Signature:
    """APB4 slave, 32 bits of data."""
    return wiring.Signature(
        {
            "psel": In(1),  # a transfer is set up, or under way
            "penable": In(1),  # the transfer is under way: second cycle of it, up to the last
            "paddr": In(address_bits),  # byte address of the register
            "pwrite": In(1),  # the transfer is a write
            "pwdata": In(32),  # data to be written
            "pstrb": In(4),  # bytes that are written: all four, or the write is refused
            "pprot": In(3),  # protection; nothing reads it: all may access registers
            "pready": Out(1),  # the transfer ends with this cycle
            "prdata": Out(32),  # what the register holds, in the last cycle of a read
            "pslverr": Out(1),  # in the last cycle: no such register, or not all of its bytes
        }
    )


class ApbSlave(wiring.Component):
    """An AXI4-Lite slave on APB4; one that answers at once makes two wait states.

    A transfer that AXI4-Lite answers with an error ends with ``pslverr``.

    Parameters
    ----------
    address_bits : int

    Members
    -------
    bus : Out, :func:`apb_signature`
        APB4 slave: the host reads and writes registers.
    lite : In, :func:`~lutcore.hdl.bus.axi.lite_signature`
        AXI4-Lite slave that does what is asked for.
    """

    def __init__(self, address_bits: int):
        self._address_bits = address_bits
        members = {"bus": Out(apb_signature(address_bits))}
        super().__init__(members | {"lite": In(lite_signature(address_bits))})

    def elaborate(self, platform: object) -> Module:
        """The bus holds a transfer until it ends, and leaves a cycle before the next."""
        m = Module()
        bus = self.bus
        m.submodules.access = access = LiteAccess(self._address_bits)
        connect(m, access.lite, flipped(self.lite))
        m.d.comb += [
            access.begin.eq(bus.psel & bus.penable),
            access.write.eq(bus.pwrite),
            access.address.eq(bus.paddr),
            access.data.eq(bus.pwdata),
            access.strobes.eq(bus.pstrb),
            bus.pready.eq(access.done),
            bus.prdata.eq(access.found),
            bus.pslverr.eq(access.error),
        ]
        return m
