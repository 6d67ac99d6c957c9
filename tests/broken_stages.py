"""A stage between two streams, sound or broken on purpose."""

# pyright: reportArgumentType=false, reportGeneralTypeIssues=false

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

WORDS = list(range(100, 130))
#: Fault -> what a bench says of it.
FAULTS = {
    "drops a beat": "payload 3 is 104, expected 103",
    "changes while stalled": "payload changed",
    "withdraws valid": "valid withdrawn",
    "waits for ready": "never came while ready waits",
    "sends nothing": "payload 0 of 30 never came",
    "sends too much": "left over after 30",
    "takes nothing": "payload 0 of 30 was never taken",
}


class Stage(wiring.Component):
    """A register for one word; ``fault`` is one of :data:`FAULTS`, or empty."""

    def __init__(self, fault=""):
        self._fault = fault
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        full, word, count = Signal(), Signal(8), Signal(8)
        taken, sent = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.comb += [
            self.i.ready.eq(~full | self.o.ready),
            self.o.valid.eq(full),
            self.o.payload.eq(word),
        ]
        with m.If(sent):
            m.d.sync += full.eq(0)
        with m.If(taken):
            m.d.sync += [full.eq(1), word.eq(self.i.payload), count.eq(count + 1)]
        match self._fault:
            case "drops a beat":
                with m.If(taken & (count == 3)):
                    m.d.sync += full.eq(0)
            case "changes while stalled":
                with m.If(full & ~self.o.ready):
                    m.d.sync += word.eq(word ^ 1)
            case "withdraws valid":
                with m.If(full & ~self.o.ready):
                    m.d.sync += full.eq(0)
            case "waits for ready":
                m.d.comb += self.o.valid.eq(full & self.o.ready)
            case "sends nothing":
                m.d.comb += [self.i.ready.eq(1), self.o.valid.eq(0)]
            case "sends too much":
                with m.If(sent & ~taken & (count == len(WORDS))):
                    m.d.sync += [full.eq(1), count.eq(0)]
            case "takes nothing":
                m.d.comb += self.i.ready.eq(0)
        return m


class Stages(wiring.Component):
    """All of them side by side, their ports numbered: 0 is sound."""

    def __init__(self):
        super().__init__(
            {f"i{n}": In(stream.Signature(8)) for n in range(1 + len(FAULTS))}
            | {f"o{n}": Out(stream.Signature(8)) for n in range(1 + len(FAULTS))}
        )

    def elaborate(self, platform):
        m = Module()
        for n, fault in enumerate(["", *FAULTS]):
            m.submodules[f"stage_{n}"] = stage = Stage(fault)
            connect(m, flipped(getattr(self, f"i{n}")), stage.i)
            connect(m, stage.o, flipped(getattr(self, f"o{n}")))
        return m
