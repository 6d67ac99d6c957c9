"""Single words: how the link reaches memory, registers and facts."""

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.bus.axi import lite_signature
from lutcore.hdl.isa.registers import ADDRESS_WIDTH

#: A request, ``read`` or ``write``, stays until ``done``, which is when ``read_data`` and ``error``
#: count. Addresses are those of bytes, multiples of 4.
WORD_BUS = wiring.Signature(
    {
        "address": Out(32),
        "read": Out(1),
        "write": Out(1),
        "write_data": Out(32),
        "done": In(1),
        "read_data": In(32),
        "error": In(1),
    }
)


def decode(m: Module, host: Any, targets: Mapping[tuple[int, ...], Any]) -> None:
    """Pass the host's requests to the target that the two highest bits of the address name.

    ``targets``: values of these bits -> a :data:`WORD_BUS`; all see address and data.
    """
    with m.Switch(host.address[30:]):
        for places, target in targets.items():
            with m.Case(*places):
                m.d.comb += [
                    target.read.eq(host.read),
                    target.write.eq(host.write),
                    host.done.eq(target.done),
                    host.read_data.eq(target.read_data),
                    host.error.eq(target.error),
                ]
    for target in targets.values():
        m.d.comb += [
            target.address.eq(host.address),
            target.write_data.eq(host.write_data),
        ]


class LiteMaster(wiring.Component):
    """Words by AXI4-Lite.

    Members
    -------
    words : In, :data:`WORD_BUS`
    host : In, :func:`~lutcore.hdl.bus.axi.lite_signature`
        Of the slave.
    """

    words: In(WORD_BUS)
    host: In(lite_signature(ADDRESS_WIDTH))

    def elaborate(self, platform: object) -> Module:
        """Offer each channel until it is taken; the answer ends the access."""
        m = Module()
        words, host = self.words, self.host
        offers = {"aw": words.write, "w": words.write, "ar": words.read}
        for channel, wanted in offers.items():
            taken = Signal(name=f"{channel}_taken")
            valid = getattr(host, f"{channel}valid")
            m.d.comb += valid.eq(wanted & ~taken)
            with m.If(words.done):
                m.d.sync += taken.eq(0)
            with m.Elif(valid & getattr(host, f"{channel}ready")):
                m.d.sync += taken.eq(1)
        m.d.comb += [
            host.awaddr.eq(words.address),
            host.araddr.eq(words.address),
            host.wdata.eq(words.write_data),
            host.wstrb.eq(0b1111),
            host.bready.eq(1),
            host.rready.eq(1),
            words.read_data.eq(host.rdata),
            words.done.eq(host.bvalid | host.rvalid),
            words.error.eq((host.bvalid & host.bresp[1]) | (host.rvalid & host.rresp[1])),
        ]
        return m


class ConstantWords(wiring.Component):
    """Words that never change; a write is an error.

    Members
    -------
    words : In, :data:`WORD_BUS`
    """

    words: In(WORD_BUS)

    def __init__(self, values: Sequence[int]):
        self._values = [Const(value, 32) for value in values]
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        """Choose by address."""
        m = Module()
        place = self.words.address[2:10]
        m.d.comb += [
            self.words.read_data.eq(Array(self._values)[place]),
            self.words.done.eq(self.words.read | self.words.write),
            self.words.error.eq(self.words.write | (place >= len(self._values))),
        ]
        return m
