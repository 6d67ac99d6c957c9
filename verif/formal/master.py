"""The AXI4 master between streams and the bus: nothing is lost, changed or withdrawn."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In

from lutcore.hdl.bus.axi import AxiMaster, axi4_signature, burst_layout, write_members
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.formal.harness import Harness, drive, inputs, opened


class MasterProperties(Harness):
    """A master between free streams, which keep to their own rules, and a free bus."""

    def __init__(self, config: CoreConfig):
        self._bits = config.bus_bits
        ports = inputs("bus", axi4_signature(self._bits))
        word = write_members(self._bits)["written"].signature.members["payload"].shape
        streams = {
            "read": burst_layout(),
            "write": burst_layout(),
            "word": word,
            "read_valid": 1,
            "write_valid": 1,
            "word_valid": 1,
            "words_ready": 1,
            "answers_ready": 1,
        }
        super().__init__(ports | {name: In(shape) for name, shape in streams.items()})

    def describe(self, m: Module) -> None:
        """The master; requests to write by their own account, all else as it comes."""
        block = AxiMaster(self._bits)
        inside = opened(m, block)
        drive(m, self, "bus", block.bus)
        m.d.comb += [
            block.reads.valid.eq(self.read_valid),
            block.reads.payload.eq(self.read),
            block.writes.valid.eq(self.write_valid),
            block.writes.payload.eq(self.write),
            block.written.valid.eq(self.word_valid),
            block.written.payload.eq(self.word),
            block.words.ready.eq(self.words_ready),
            block.answers.ready.eq(self.answers_ready),
        ]
        # The engines keep what they offer, as is proved of them.
        for name, valid, ready, payload in (
            ("reads", self.read_valid, block.reads.ready, self.read.as_value()),
            ("writes", self.write_valid, block.writes.ready, self.write.as_value()),
            ("words", self.word_valid, block.written.ready, self.word.as_value()),
        ):
            self.stays(m, name, valid, ready, payload, assumed=True)
        self._requests(m, block, inside)
        self._wires(m, block)

    def _requests(self, m: Module, block: AxiMaster, inside: dict[str, Any]) -> None:
        """AW: a request is taken at once, and offered until the bus has it."""
        bus = block.bus
        kept, request = Signal(), Signal(burst_layout(), name="kept_request")
        taken = self.write_valid & block.writes.ready
        sent = bus.awvalid & self.bus_awready
        now = Signal(burst_layout())
        m.d.comb += now.eq(Mux(kept, request.as_value(), self.write.as_value()))
        m.d.sync += kept.eq(kept + taken - sent)
        with m.If(taken):
            m.d.sync += request.eq(self.write)
        self.hold(
            m,
            "a request to write is offered until the bus has it, and no other",
            bus.awvalid == (kept | self.write_valid),
        )
        same = (bus.awaddr == now.addr) & (bus.awlen == now.len)
        self.hold(
            m, "addresses of writes are those of the requests, in order", same, when=bus.awvalid
        )
        self.hold(m, "one request is kept", block.writes.ready == ~kept)
        address = Cat(bus.awaddr, bus.awlen, bus.awsize, bus.awburst)
        self.stays(m, "AW", bus.awvalid, self.bus_awready, address)
        self.hold(m, "invariant: held", inside["held"] == kept)
        held = inside["request"] == request.as_value()
        self.hold(m, "invariant: what is held", held, when=kept)
        self.happen(
            m, "a word leaves before the address of its burst", kept & bus.wvalid & self.bus_wready
        )
        self.happen(m, "a second request waits", kept & self.write_valid)

    def _wires(self, m: Module, block: AxiMaster) -> None:
        """AR, R, W and B pass as they are."""
        bus = block.bus
        size = (self._bits // 8).bit_length() - 1
        plain = size | 1 << 3 | 0b0011 << 6  # as the names stand, lowest first
        names = ("size", "burst", "lock", "cache", "prot")
        for channel in ("ar", "aw"):
            found = Cat(getattr(bus, f"{channel}{name}") for name in names)
            sentence = f"{channel.upper()}: whole words, addresses that go up, a plain access"
            self.hold(m, sentence, found == plain)
        for sentence, pairs in {
            "AR passes": (
                (bus.arvalid, self.read_valid),
                (block.reads.ready, self.bus_arready),
                (bus.araddr, self.read.addr),
                (bus.arlen, self.read.len),
            ),
            "R passes": (
                (block.words.valid, self.bus_rvalid),
                (bus.rready, self.words_ready),
                (block.words.payload.data, self.bus_rdata),
                (block.words.payload.error, self.bus_rresp[1]),
            ),
            "W passes": (
                (bus.wvalid, self.word_valid),
                (block.written.ready, self.bus_wready),
                (bus.wdata, self.word.data),
                (bus.wstrb, self.word.strb),
                (bus.wlast, self.word.last),
            ),
            "B passes": (
                (block.answers.valid, self.bus_bvalid),
                (bus.bready, self.answers_ready),
                (block.answers.payload.error, self.bus_bresp[1]),
            ),
        }.items():
            self.hold(m, sentence, Cat(one == other for one, other in pairs).all())
