"""Frames on a line of bytes: delimiting, escaping, CRC."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from lutcore.fpga.link.protocol import CRC_BYTES, ESCAPE, ESCAPED, FLAG


class FrameReceiver(wiring.Component):
    """Takes frames apart.

    Members
    -------
    raw, raw_valid : In
        A byte of the line.
    data, valid : Out
        A byte of a frame, its CRC too.
    end, good : Out
        A frame has ended, and whether its CRC is right.
    """

    raw: In(8)
    raw_valid: In(1)
    data: Out(8)
    valid: Out(1)
    end: Out(1)
    good: Out(1)

    def elaborate(self, platform: object) -> Module:
        """Undo escapes."""
        m = Module()
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=8).create()
        escaped = Signal()
        flag = self.raw == FLAG
        escape = self.raw == ESCAPE
        m.d.comb += [
            self.data.eq(self.raw ^ Mux(escaped, ESCAPED, 0)),
            self.valid.eq(self.raw_valid & ~flag & ~escape),
            self.end.eq(self.raw_valid & flag),
            self.good.eq(crc.match_detected & ~escaped),
            crc.start.eq(self.end),
            crc.data.eq(self.data),
            crc.valid.eq(self.valid),
        ]
        with m.If(self.raw_valid):
            m.d.sync += escaped.eq(escape)
        return m


class FrameTransmitter(wiring.Component):
    """Makes frames.

    Members
    -------
    contents : In stream
        ``data``, and ``last`` of the frame.
    raw : Out stream, 8 bits
        Bytes of the line.
    """

    contents: In(stream.Signature(data.StructLayout({"data": 8, "last": 1})))
    raw: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        """Flag, contents, CRC, flag."""
        m = Module()
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=8).create()
        escaped = Signal()
        byte = Signal(8)
        number = Signal(range(CRC_BYTES))
        special = ((byte == FLAG) | (byte == ESCAPE)) & ~escaped
        taken = Signal()
        escapable = Signal()
        with m.If(~escapable):
            m.d.comb += self.raw.payload.eq(FLAG)
        with m.Elif(special):
            m.d.comb += self.raw.payload.eq(ESCAPE)
        with m.Else():
            m.d.comb += self.raw.payload.eq(byte ^ Mux(escaped, ESCAPED, 0))
        sent = self.raw.valid & self.raw.ready
        m.d.comb += [
            taken.eq(sent & escapable & ~special),
            crc.data.eq(self.contents.payload.data),
        ]
        with m.If(sent):
            m.d.sync += escaped.eq(escapable & special)
        with m.FSM():
            with m.State("OPEN"):
                m.d.comb += [self.raw.valid.eq(self.contents.valid), crc.start.eq(1)]
                with m.If(sent):
                    m.next = "CONTENTS"
            with m.State("CONTENTS"):
                m.d.comb += [
                    self.raw.valid.eq(self.contents.valid),
                    self.contents.ready.eq(taken),
                    escapable.eq(1),
                    byte.eq(self.contents.payload.data),
                    crc.valid.eq(taken),
                ]
                with m.If(taken & self.contents.payload.last):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [
                    self.raw.valid.eq(1),
                    escapable.eq(1),
                    byte.eq(crc.crc.word_select(number, 8)),
                ]
                with m.If(taken):
                    m.d.sync += number.eq(number + 1)
                    with m.If(number == CRC_BYTES - 1):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += self.raw.valid.eq(1)
                with m.If(sent):
                    m.next = "OPEN"
        return m
