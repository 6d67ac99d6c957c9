"""Single accesses to an AXI4-Lite slave, which adapters of other buses make."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.bus.axi import lite_signature


class LiteAccess(wiring.Component):
    """Accesses to an AXI4-Lite slave, one after the other.

    Parameters
    ----------
    address_bits : int

    Members
    -------
    begin : In
        An access is asked for; it begins if none is under way.
    write : In
        The access that is asked for is a write.
    address : In
        Byte address of the access that is asked for.
    data : In
        Data to be written.
    strobes : In
        Bytes that are written.
    busy : Out
        An access is under way, up to and including the cycle in which it is done.
    done : Out
        The access is done, for a cycle.
    found : Out
        Data that was read, in the cycle in which a read is done.
    error : Out
        The slave refused the access, in the cycle in which it is done.
    lite : In, :func:`~lutcore.hdl.bus.axi.lite_signature`
        AXI4-Lite slave that is accessed.
    """

    def __init__(self, address_bits: int):
        super().__init__(
            {
                "begin": In(1),
                "write": In(1),
                "address": In(address_bits),
                "data": In(32),
                "strobes": In(4),
                "busy": Out(1),
                "done": Out(1),
                "found": Out(32),
                "error": Out(1),
                "lite": In(lite_signature(address_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Each channel offers until it is taken; the answer ends the access."""
        m = Module()
        lite = self.lite
        place = Signal.like(self.address)  # byte address of the access
        begins = Signal()  # an access begins
        m.d.comb += [
            begins.eq(self.begin & ~self.busy),
            lite.awaddr.eq(place),
            lite.araddr.eq(place),
            lite.bready.eq(1),
            lite.rready.eq(1),
            self.done.eq(lite.bvalid | lite.rvalid),
            self.found.eq(lite.rdata),
            self.error.eq(self.done & Mux(lite.bvalid, lite.bresp[1], lite.rresp[1])),
        ]
        for channel, wanted in (("aw", self.write), ("w", self.write), ("ar", ~self.write)):
            valid = getattr(lite, f"{channel}valid")
            with m.If(begins):
                m.d.sync += valid.eq(wanted)
            with m.Elif(getattr(lite, f"{channel}ready")):
                m.d.sync += valid.eq(0)
        with m.If(begins):
            m.d.sync += [
                self.busy.eq(1),
                place.eq(self.address),
                lite.wdata.eq(self.data),
                lite.wstrb.eq(self.strobes),
            ]
        with m.Elif(self.done):
            m.d.sync += self.busy.eq(0)
        return m
