"""Wishbone B4: signature, and an adapter to AXI4-Lite."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from lutcore.hdl.bus.axi import lite_signature
from lutcore.hdl.bus.lite import LiteAccess


def wishbone_signature(address_bits: int, bits: int) -> wiring.Signature:
    """Wishbone B4 slave with ``bits`` of data, as classic masters see it."""
    return wiring.Signature(
        {
            "cyc": In(1),  # a cycle of the bus is under way
            "stb": In(1),  # a transfer is asked for
            "we": In(1),  # the transfer is a write
            "adr": In(address_bits),  # byte address
            "sel": In(bits // 8),  # bytes that are written
            "dat_w": In(bits),  # data to be written
            "dat_r": Out(bits),  # data that was read
            "ack": Out(1),  # the transfer ends well
            "err": Out(1),  # the transfer ends with an error
        }
    )


def registers_signature(address_bits: int) -> wiring.Signature:
    """Wishbone B4 slave for registers of 32 bits, for classic masters and pipelined ones."""
    members = {
        "sel": In(4),  # bytes that are written: all four, or the write is refused
        "err": Out(1),  # the transfer ends: no such register, or not all of its bytes
        "stall": Out(1),  # pipelined masters wait with the next transfer; classic ones ignore it
    }
    return wiring.Signature(dict(wishbone_signature(address_bits, 32).members) | members)


class WishboneSlave(wiring.Component):
    """An AXI4-Lite slave on Wishbone B4, one transfer at a time.

    A transfer is taken in the first cycle in which it is asked for and ``stall`` is low. A classic
    master asks until it ends; a pipelined one must not ask further. What AXI4-Lite answers with an
    error ends with ``err``. A transfer whose cycle the master ends before its answer is still done,
    and not answered.

    Parameters
    ----------
    address_bits : int

    Members
    -------
    bus : Out, :func:`registers_signature`
        Wishbone slave: the host reads and writes registers.
    lite : In, :func:`~lutcore.hdl.bus.axi.lite_signature`
        AXI4-Lite slave that does what is asked for.
    """

    def __init__(self, address_bits: int):
        self._address_bits = address_bits
        members = {"bus": Out(registers_signature(address_bits))}
        super().__init__(members | {"lite": In(lite_signature(address_bits))})

    def elaborate(self, platform: object) -> Module:
        """Take a transfer, and answer it if its cycle is still the same."""
        m = Module()
        bus = self.bus
        m.submodules.access = access = LiteAccess(self._address_bits)
        connect(m, access.lite, flipped(self.lite))
        left = Signal()  # the master has ended the cycle of the transfer that is under way
        answers = Signal()  # the transfer ends
        m.d.sync += left.eq(access.busy & ~access.done & (left | ~bus.cyc))
        m.d.comb += [
            access.begin.eq(bus.cyc & bus.stb),
            access.write.eq(bus.we),
            access.address.eq(bus.adr),
            access.data.eq(bus.dat_w),
            access.strobes.eq(bus.sel),
            answers.eq(access.done & bus.cyc & ~left),
            bus.dat_r.eq(access.found),
            bus.ack.eq(answers & ~access.error),
            bus.err.eq(answers & access.error),
            bus.stall.eq(access.busy),
        ]
        return m
