"""The host's side: an AXI4-Lite slave over the register table."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.bus.axi import lite_signature
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.hdl.isa.pace import PAGE_BITS
from lutcore.hdl.isa.registers import ADDRESS_WIDTH, COUNTERS, REGISTERS, constants

#: Reads and writes outside of the table are answered so.
_SLVERR = 2


class Control(wiring.Component):
    """Registers.

    Parameters
    ----------
    config : CoreConfig
    first : int
        What counters start from. Only benches, which do not live to see 2^32, have another than 0.

    Members
    -------
    host : Out, :func:`~lutcore.hdl.bus.axi.lite_signature`
        AXI4-Lite slave: the host reads and writes registers.
    irq : Out
        An enabled event has happened; level.
    start : Out
        Run the program, for a cycle.
    abort : Out
        End the program, for a cycle.
    program : Out
        Byte address of the program in memory.
    length : Out
        Instructions of the program.
    window_low : Out
        First page of 4 KiB that transfers may touch.
    window_high : Out
        First page above those that transfers may touch.
    busy : In
        A program runs.
    cause : In
        Why the last program ended.
    address : In
        Byte address of the instruction or transfer at fault.
    counts : In, a bit for each of :data:`~lutcore.hdl.isa.registers.COUNTERS`
        Counters that count this cycle.
    """

    def __init__(self, config: CoreConfig, first: int = 0):
        self._config, self._first = config, first
        super().__init__(
            {
                "host": Out(lite_signature(ADDRESS_WIDTH)),
                "irq": Out(1),
                "start": Out(1),
                "abort": Out(1),
                "program": Out(ADDRESS_BITS),  # byte address of the program in memory
                "length": Out(32),
                "window_low": Out(ADDRESS_BITS - PAGE_BITS),  # first 4 KiB page of the window
                "window_high": Out(ADDRESS_BITS - PAGE_BITS + 1),  # first page beyond the window
                "busy": In(1),
                "cause": In(Cause),
                "address": In(ADDRESS_BITS),
                "counts": In(len(COUNTERS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One access at a time, each way."""
        m = Module()
        pages = ADDRESS_BITS - PAGE_BITS
        high = Signal(pages + 1, init=1 << pages)  # first page above those that transfers may touch
        low = Signal(pages)  # first page of 4 KiB that transfers may touch
        program = Signal(ADDRESS_BITS)  # byte address of the program in memory
        length = Signal(32)  # instructions of the program
        # events since they were cleared: program ended, with a fault, doorbell refused
        irq_status = Signal(3)
        irq_enable = Signal(3)  # events that raise the interrupt
        was_busy = Signal()  # a program ran in the cycle before
        refused = Signal()  # the doorbell rings while a program runs
        ended = Signal()  # a program has ended
        values: dict[str, Value] = {
            name: Const(value, 32) for name, value in constants(self._config).items()
        }
        values |= {
            "control": Const(0, 32),
            "status": Cat(self.busy, Const(0, 7), self.cause),
            "irq_status": irq_status,
            "irq_enable": irq_enable,
            "program": program,
            "length": length,
            "window_low": Cat(Const(0, PAGE_BITS), low),
            "window_high": Cat(Const(0, PAGE_BITS), high),
            "error_address": self.address,
        }
        for place, name in enumerate(COUNTERS):
            # counter that a program starts from 0
            values[name] = counter = Signal(64, name=name, init=self._first)
            with m.If(self.start):
                m.d.sync += counter.eq(self._first)
            with m.Elif(self.counts[place]):
                m.d.sync += counter.eq(counter + 1)
        written = self._access(m, values)
        m.d.sync += was_busy.eq(self.busy)
        begin = written["control", 0] & self.host.wdata[0]
        m.d.comb += [
            ended.eq(was_busy & ~self.busy),
            refused.eq(begin & self.busy),
            self.start.eq(begin & ~self.busy),
            self.abort.eq(written["control", 0] & self.host.wdata[1]),
            self.program.eq(program),
            self.length.eq(length),
            self.window_low.eq(low),
            self.window_high.eq(high),
            self.irq.eq((irq_status & irq_enable).any()),
        ]
        cleared = irq_status & ~(self.host.wdata & written["irq_status", 0].replicate(32))[:3]
        events = Cat(ended, ended & (self.cause != Cause.NONE), refused)
        m.d.sync += irq_status.eq(cleared | events)
        targets = {"irq_enable": irq_enable, "length": length, "program": program}
        targets |= {"window_low": low, "window_high": high}
        for name, target in targets.items():
            self._hold(m, name, target, written)
        return m

    def _hold(self, m: Module, name: str, target: Signal, written: dict) -> None:
        """A register that keeps what the host writes."""
        skipped = PAGE_BITS if name.startswith("window") else 0
        # A program's address, length and window stay while it runs.
        free = Const(1) if name == "irq_enable" else ~self.busy
        for half in range(-(-(len(target) + skipped) // 32)):
            with m.If(written[name, half] & free):
                part = slice(max(0, 32 * half - skipped), 32 * half + 32 - skipped)
                data = self.host.wdata[skipped if half == 0 else 0 :]
                m.d.sync += target[part].eq(data)

    def _access(self, m: Module, values: dict[str, Value]) -> dict[tuple[str, int], Signal]:
        """Handshakes and reads; returns for each word whether it is written.

        What the host gets comes from registers alone, as AXI asks: no path leads through.
        """
        host = self.host
        words = {
            (name, half): offset // 4 + half
            for name, (offset, register) in REGISTERS.items()
            for half in range(-(-register.bits // 32))
        }
        count = len(words)
        ready = Signal()  # address and data of a write, which are both there, are taken
        take = Signal()  # a write is done
        place = host.awaddr[2:]
        whole = host.wstrb.all()
        both = host.awvalid & host.wvalid
        m.d.sync += ready.eq(both & ~ready & (~host.bvalid | host.bready))
        m.d.comb += [take.eq(ready & both), host.awready.eq(ready), host.wready.eq(ready)]
        with m.If(take):
            m.d.sync += [
                host.bvalid.eq(1),
                host.bresp.eq(Mux((place < count) & whole, 0, _SLVERR)),
            ]
        with m.Elif(host.bready):
            m.d.sync += host.bvalid.eq(0)
        written = {}
        for key, word in words.items():
            written[key] = Signal(name=f"write_{key[0]}_{key[1]}")  # the host writes this word
            m.d.comb += written[key].eq(take & whole & (place == word))
        read = Signal(32)  # word at the address that is read
        upper = Signal(32)  # upper half of the wide value whose lower half was read last
        beside = Signal(32)  # upper half of the wide value whose lower half is read
        keep = Signal()  # the lower half of a wide value is read
        with m.Switch(host.araddr[2:]):
            for (name, half), word in words.items():
                held = REGISTERS[name][1].held
                with m.Case(word):
                    part = values[name][32 * half : 32 * half + 32]
                    m.d.comb += read.eq(upper if held and half else part)
                    if held and not half:
                        m.d.comb += [beside.eq(values[name][32:]), keep.eq(1)]
        m.d.comb += host.arready.eq(~host.rvalid)
        with m.If(host.arvalid & host.arready):
            with m.If(keep):
                m.d.sync += upper.eq(beside)
            m.d.sync += [
                host.rvalid.eq(1),
                host.rdata.eq(read),
                host.rresp.eq(Mux(host.araddr[2:] < count, 0, _SLVERR)),
            ]
        with m.Elif(host.rready):
            m.d.sync += host.rvalid.eq(0)
        return written


def attach(m: Module, control: Control, core: Any) -> None:
    """Connect registers with the :class:`~lutcore.hdl.core.core.Core` that they start and watch."""
    m.d.comb += [
        core.programs.valid.eq(control.start),
        core.programs.payload.address.eq(control.program),
        core.programs.payload.length.eq(control.length),
        core.cancel.eq(control.abort),
        core.window_low.eq(control.window_low),
        core.window_high.eq(control.window_high),
        control.busy.eq(core.busy),
        control.cause.eq(core.cause),
        control.address.eq(core.address),
        control.counts.eq(core.counts),
    ]
