"""The host's registers: AXI4-Lite clause by clause, and what every word holds, unbounded.

Registers are held against a model of the table (:mod:`lutcore.hdl.isa.registers`).
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.bus.axi import lite_signature
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.control import Control
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.hdl.isa.registers import ADDRESS_WIDTH, COUNTERS, REGISTERS, constants
from lutcore.verif.formal.harness import Harness, drive, inputs, opened

#: Bits that a register keeps. Windows are whole pages of 4 KiB, and their end may lie behind the
#: last address.
_KEPT = {
    "irq_enable": range(3),
    "program": range(ADDRESS_BITS),
    "length": range(32),
    "window_low": range(12, ADDRESS_BITS),
    "window_high": range(12, ADDRESS_BITS + 1),
}
#: Registers that stay while a program runs.
_LOCKED = ("program", "length", "window_low", "window_high")
#: What the block calls its registers, for the invariants.
_INSIDE = {"window_low": "low", "window_high": "high"}
_OKAY, _SLVERR = 0, 2


class HostProperties(Harness):
    """AXI4-Lite, events, counters and what programs run with."""

    def __init__(self, config: CoreConfig):
        self._config = config
        host = inputs("host", lite_signature(ADDRESS_WIDTH))
        core = {"busy": 1, "cause": Cause, "address": ADDRESS_BITS, "counts": len(COUNTERS)}
        super().__init__(host | {name: In(shape) for name, shape in core.items()})

    def describe(self, m: Module) -> None:
        """The block with free inputs, and a model of its registers."""
        block = Control(self._config)
        inside = opened(m, block)
        host = block.host
        drive(m, self, "host", host)
        for name in ("busy", "cause", "address", "counts"):
            m.d.comb += getattr(block, name).eq(getattr(self, name))
        write = Signal()  # a write is done
        m.d.comb += write.eq(host.awvalid & host.awready)
        values = self._registers(m, block, inside, write)
        self._writes(m, block, inside, write)
        self._reads(m, block, inside, values)

    def _writes(self, m: Module, block: Control, inside: dict, write: Value) -> None:
        """AW, W and B."""
        host = block.host
        self.stays(m, "AW", host.awvalid, host.awready, host.awaddr, assumed=True)
        data = Cat(host.wdata, host.wstrb)
        self.stays(m, "W", host.wvalid, host.wready, data, assumed=True)
        self.hold(
            m,
            "address and data of a write are taken together",
            write == (host.wvalid & host.wready),
        )
        due, refused = Signal(), Signal()
        words = sum(register.size for _, register in REGISTERS.values()) // 32
        good = (host.awaddr[2:] < words) & (host.wstrb == 15)
        with m.If(write):
            m.d.sync += [due.eq(1), refused.eq(~good)]
        with m.Elif(host.bready):
            m.d.sync += due.eq(0)
        self.hold(m, "each write is answered once, and nothing else is", host.bvalid == due)
        self.hold(
            m,
            "writes behind the table, and of parts of words, are refused, and no others",
            host.bresp == Mux(refused, _SLVERR, _OKAY),
            when=host.bvalid,
        )
        self.hold(m, "a write is not taken before the last one is answered", ~due, when=write)
        self.stays(m, "answer to a write", host.bvalid, host.bready, host.bresp)
        since = Signal(2)
        both = host.awvalid & host.wvalid & (~host.bvalid | host.bready)
        m.d.sync += since.eq(Mux(write | ~both, 0, since + (since != 3)))
        self.hold(m, "a write that can be done is taken in the next cycle", since < 2)
        self.hold(m, "invariant: ready follows", inside["ready"] == (since == 1))
        self.happen(
            m, "writes one after the other", write & host.awaddr.any() & self.happened(m, write)
        )
        self.happen(m, "an answer waits", host.bvalid & ~host.bready & host.awvalid & host.wvalid)

    def _registers(self, m: Module, block: Control, inside: dict, write: Value) -> dict[str, Value]:
        """A model of every register: name -> its value."""
        host = block.host
        whole = write & (host.wstrb == 15)

        def hit(name: str, half: int = 0) -> Value:
            return whole & (host.awaddr[2:] == REGISTERS[name][0] // 4 + half)

        start = hit("control") & host.wdata[0]
        self.hold(
            m,
            "a program starts when the doorbell rings and none runs",
            block.start == (start & ~self.busy),
        )
        self.hold(m, "an abort is passed on", block.abort == (hit("control") & host.wdata[1]))
        values: dict[str, Value] = {
            name: Const(value, 32) for name, value in constants(self._config).items()
        }
        for name, bits in _KEPT.items():
            first = 1 << ADDRESS_BITS if name == "window_high" else 0
            values[name] = model = Signal(64, init=first, name=f"model_{name}")
            for half in range(REGISTERS[name][1].size // 32):
                free = ~self.busy if name in _LOCKED else Const(1, 1)
                with m.If(hit(name, half) & free):
                    for bit in range(32):
                        if 32 * half + bit in bits:
                            m.d.sync += model[32 * half + bit].eq(host.wdata[bit])
            mine = inside.get(_INSIDE.get(name, name))
            self.hold(m, f"invariant: {name}", mine == model[bits.start : bits.stop])
            rest = Cat(model[: bits.start], model[bits.stop :])
            self.hold(m, f"invariant: other bits of {name} are 0", ~rest.any())
        outputs = {"program": block.program, "length": block.length}
        for name, output in outputs.items():
            self.hold(m, f"{name} is what the host wrote", output == values[name])
        for name in ("window_low", "window_high"):
            output = getattr(block, name)
            self.hold(
                m, f"{name} is what the host wrote", Cat(Const(0, 12), output) == values[name]
            )
        values["irq_status"] = self._events(m, block, inside, start, hit("irq_status"))
        values["control"] = Const(0, 32)
        values["status"] = Cat(self.busy, Const(0, 7), self.cause)
        values["error_address"] = self.address
        for place, name in enumerate(COUNTERS):
            values[name] = model = Signal(64, name=f"model_{name}")
            m.d.sync += model.eq(Mux(block.start, 0, model + self.counts[place]))
            self.hold(m, f"invariant: {name}", inside[name] == model)
        assert set(values) == set(REGISTERS)
        return values

    def _events(
        self, m: Module, block: Control, inside: dict, start: Value, clears: Value
    ) -> Value:
        """Events since they were cleared; what happens while it is cleared is kept."""
        ran = Signal()
        events = Signal(3)
        m.d.sync += ran.eq(self.busy)
        ended = ran & ~self.busy
        for bit, happens in enumerate((ended, ended & (self.cause != 0), start & self.busy)):
            with m.If(happens):
                m.d.sync += events[bit].eq(1)
            with m.Elif(clears & block.host.wdata[bit]):
                m.d.sync += events[bit].eq(0)
        self.hold(m, "invariant: was_busy", inside["was_busy"] == ran)
        self.hold(m, "invariant: events", inside["irq_status"] == events)
        enabled = inside["irq_enable"]
        self.hold(m, "the interrupt is an enabled event", block.irq == (events & enabled).any())
        self.happen(m, "the doorbell rings while a program runs", start & self.busy)
        self.happen(
            m, "a program ends with a fault while it is cleared", ended & (self.cause != 0) & clears
        )
        return events

    def _reads(self, m: Module, block: Control, inside: dict, values: dict[str, Value]) -> None:
        """AR and R."""
        host = block.host
        self.stays(m, "AR", host.arvalid, host.arready, host.araddr, assumed=True)
        read = host.arvalid & host.arready
        due, data, answer = Signal(), Signal(32), Signal(2)
        kept = Signal(32)  # upper half of what was read last in two halves
        found, beside, known, lower = Signal(32), Signal(32), Signal(), Signal()
        with m.Switch(host.araddr[2:]):
            for name, (offset, register) in REGISTERS.items():
                for half in range(register.size // 32):
                    with m.Case(offset // 4 + half):
                        value = Value.cast(values[name])
                        held = register.access == "ro" and register.bits > 32
                        m.d.comb += known.eq(1)
                        m.d.comb += found.eq(
                            kept if held and half else value[32 * half : 32 * half + 32]
                        )
                        if held and not half:
                            m.d.comb += [lower.eq(1), beside.eq(value[32:64])]
        with m.If(read):
            m.d.sync += [due.eq(1), data.eq(found), answer.eq(Mux(known, _OKAY, _SLVERR))]
            with m.If(lower):
                m.d.sync += kept.eq(beside)
        with m.Elif(host.rready):
            m.d.sync += due.eq(0)
        self.hold(m, "each read is answered once, and nothing else is", host.rvalid == due)
        self.hold(
            m,
            "a read gives what the register held when it was taken",
            (host.rdata == data) & (host.rresp == answer),
            when=host.rvalid,
        )
        self.hold(m, "invariant: upper half", inside["upper"] == kept)
        self.hold(m, "a read is not taken before the last one is answered", ~due, when=read)
        self.hold(m, "a read is taken when none is to be answered", host.arready == ~due)
        self.stays(m, "answer to a read", host.rvalid, host.rready, Cat(host.rdata, host.rresp))
        self.happen(m, "an upper half that has changed since", read & (kept != 0) & known & ~lower)
        self.happen(m, "a read behind the table", host.rvalid & (host.rresp == _SLVERR))
