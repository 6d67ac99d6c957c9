"""AXI4 for data and AXI4-Lite for control: signatures, and the cutting of transfers into bursts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import MOST_BEATS, PAGE_BITS


def axi4_signature(bits: int) -> wiring.Signature:
    """AXI4 master with ``bits`` of data: full-width INCR bursts, in order, no identifiers."""
    address = {
        "valid": Out(1),  # the address of a burst is offered
        "ready": In(1),  # the address of the burst is taken
        "addr": Out(ADDRESS_BITS),  # byte address of the burst's first beat
        "len": Out(8),  # beats of the burst, less one
        "size": Out(3),  # log2 of the bytes of a beat: always the whole bus
        "burst": Out(2),  # always 1: addresses go up
        "lock": Out(1),  # always 0: no exclusive access
        "cache": Out(4),  # always 0011: normal memory, not cacheable, writes may wait in buffers
        "prot": Out(3),  # always 000: an unprivileged, secure access to data
    }
    channels = {
        "ar": address,
        "r": {
            "valid": In(1),  # a beat of read data is there
            "ready": Out(1),  # the beat of read data is taken
            "data": In(bits),  # data that was read, lowest byte address lowest
            "resp": In(2),  # bit 1: the read failed
            "last": In(1),  # last beat of a burst of reads
        },
        "aw": address,
        "w": {
            "valid": Out(1),  # a beat of write data is offered
            "ready": In(1),  # the beat of write data is taken
            "data": Out(bits),  # data to be written, lowest byte address lowest
            "strb": Out(bits // 8),  # bytes of the beat that are written, a bit each
            "last": Out(1),  # last beat of a burst of writes
        },
        "b": {
            "valid": In(1),  # the answer to a burst of writes is there
            "ready": Out(1),  # the answer to the burst of writes is taken
            "resp": In(2),  # bit 1: the write failed
        },
    }
    return wiring.Signature(
        {
            f"{channel}{name}": member
            for channel, members in channels.items()
            for name, member in members.items()
        }
    )


def lite_signature(address_bits: int) -> wiring.Signature:
    """AXI4-Lite slave, 32 bits of data."""
    return wiring.Signature(
        {
            "awvalid": In(1),  # the address of a write is offered
            "awready": Out(1),  # address and data of a write, both there, are taken in one cycle
            "awaddr": In(address_bits),  # byte address of the register to be written
            "awprot": In(3),  # protection of a write; nothing reads it: all may write registers
            "wvalid": In(1),  # the data of a write is offered
            "wready": Out(1),  # address and data of a write, both there, are taken in one cycle
            "wdata": In(32),  # data to be written
            "wstrb": In(4),  # bytes that are written: all four, or the write is refused
            "bvalid": Out(1),  # the answer to a write is there
            "bready": In(1),  # the answer to the write is taken
            "bresp": Out(2),  # 0: good; 2: no such register, or not all of its bytes
            "arvalid": In(1),  # the address of a read is offered
            "arready": Out(1),  # the address of a read is taken
            "araddr": In(address_bits),  # byte address of the register to be read
            "arprot": In(3),  # protection of a read; nothing reads it: all may read registers
            "rvalid": Out(1),  # data that was read is there
            "rready": In(1),  # data that was read is taken
            "rdata": Out(32),  # what the register holds
            "rresp": Out(2),  # 0: good; 2: no such register
        }
    )


def transfer_layout() -> data.StructLayout:
    """A transfer of rows: address ``mem``, ``rows``, ``words`` of a row, ``pitch`` in bytes."""
    return data.StructLayout({"mem": ADDRESS_BITS, "rows": 16, "words": 24, "pitch": 32})


def burst_layout() -> data.StructLayout:
    """A burst: ``addr``, and ``beats`` less one."""
    return data.StructLayout({"addr": ADDRESS_BITS, "len": 8})


class RowBursts(wiring.Component):
    """Cuts transfers into bursts, one a cycle.

    Parameters
    ----------
    bus_bytes : int

    Members
    -------
    transfers : In stream, :func:`transfer_layout`
        Rows of bus words in memory that are to be read or written.
    bursts : Out stream, :func:`burst_layout`
        Bursts of the rows, each within one row and one page of 4 KiB; ``len`` is beats less one.
    window_low : In
        First page of 4 KiB that bursts may lie in.
    window_high : In
        First page above those that bursts may lie in.
    checked : In
        Bursts must lie in the window.
    stop : In
        Begin no more bursts.
    outside : Out
        The burst that is next lies outside of the window and is not begun.
    address : Out
        Byte address of the burst that is next.
    busy : Out
        A transfer is not all cut yet.
    """

    def __init__(self, bus_bytes: int):
        self._bus = bus_bytes
        super().__init__(
            {
                "transfers": In(stream.Signature(transfer_layout())),
                "bursts": Out(stream.Signature(burst_layout())),
                "window_low": In(ADDRESS_BITS - PAGE_BITS),
                "window_high": In(ADDRESS_BITS - PAGE_BITS + 1),
                "checked": In(1),
                "stop": In(1),
                "outside": Out(1),
                "address": Out(ADDRESS_BITS),  # byte address of the burst that is next
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count words of a row and rows."""
        m = Module()
        shift = self._bus.bit_length() - 1
        head = Signal(transfer_layout())  # transfer that is cut
        row = Signal(ADDRESS_BITS)  # byte address where the row starts
        here = Signal(ADDRESS_BITS)  # byte address of the burst that is next
        left = Signal(24)  # words of the row that are in no burst yet
        rows = Signal(16)  # rows that are not all cut, this one included
        room = Signal(PAGE_BITS - shift + 1)  # words up to the end of the page
        beats = Signal(range(MOST_BEATS + 1))  # most beats that the burst may have
        within = Signal()  # the burst lies in the window, or need not
        begun = Signal()  # the burst was offered and not taken: it must stay
        page = here[PAGE_BITS:]
        m.d.comb += [
            room.eq((1 << PAGE_BITS - shift) - here[shift:PAGE_BITS]),
            beats.eq(Mux(room > MOST_BEATS, MOST_BEATS, room)),
            within.eq(~self.checked | ((page >= self.window_low) & (page < self.window_high))),
            self.outside.eq(self.busy & ~within),
            self.address.eq(here),
            self.bursts.valid.eq(self.busy & within & (begun | ~self.stop)),
            self.bursts.payload.addr.eq(here),
            self.transfers.ready.eq(~self.busy),
        ]
        with m.If(left < beats):
            m.d.comb += self.bursts.payload.len.eq(left - 1)
        with m.Else():
            m.d.comb += self.bursts.payload.len.eq(beats - 1)
        with m.If(self.bursts.valid):  # what is offered stays, whatever stops
            m.d.sync += begun.eq(~self.bursts.ready)
        next_row = Signal(ADDRESS_BITS)  # byte address where the next row starts
        m.d.comb += next_row.eq(row + head.pitch)
        with m.If(self.transfers.valid & self.transfers.ready):
            m.d.sync += [
                self.busy.eq(1),
                head.eq(self.transfers.payload),
                row.eq(self.transfers.payload.mem),
                here.eq(self.transfers.payload.mem),
                left.eq(self.transfers.payload.words),
                rows.eq(self.transfers.payload.rows),
            ]
        with m.Elif(self.bursts.valid & self.bursts.ready):
            m.d.sync += [
                here.eq(here + (beats << shift)),
                left.eq(left - beats),
            ]
            with m.If(left <= beats):
                m.d.sync += [
                    row.eq(next_row),
                    here.eq(next_row),
                    left.eq(head.words),
                    rows.eq(rows - 1),
                    self.busy.eq(rows != 1),
                ]
        return m


def read_members(bits: int) -> dict[str, wiring.Member]:
    """Streams to a memory that is read: ``reads``, and ``words`` back in their order."""
    word = data.StructLayout({"data": bits, "error": 1})
    return {
        "reads": Out(stream.Signature(burst_layout())),  # bursts to be read from memory
        # words that were read, in the order of the bursts; whether the read failed
        "words": In(stream.Signature(word)),
    }


def write_members(bits: int) -> dict[str, wiring.Member]:
    """Streams to a memory that is written.

    ``writes``; the words of each as ``written``, of which only strobed bytes count; an answer to
    each of ``writes``, in their order.
    """
    word = data.StructLayout({"data": bits, "strb": bits // 8, "last": 1})
    return {
        "writes": Out(stream.Signature(burst_layout())),  # bursts to be written to memory
        # words to be written, the bytes of them that count, and the last one of a burst
        "written": Out(stream.Signature(word)),
        # whether a burst of writes failed, in the order of the bursts
        "answers": In(stream.Signature(data.StructLayout({"error": 1}))),
    }


class AxiMaster(wiring.Component):
    """Memory streams as an AXI4 master.

    All is combinational, but that a request to write is taken before its address is: the address is
    kept, so that data are offered to a slave that takes the address only with them.

    Members
    -------
    bus : Out, :func:`axi4_signature`
        AXI4 master: bursts as wide as the bus, in order, without identifiers.
    reads, words : of :func:`read_members`
    writes, written, answers : of :func:`write_members`
    """

    def __init__(self, bits: int):
        self._bits = bits
        streams = read_members(bits) | write_members(bits)
        flipped = {name: wiring.Member.flip(member) for name, member in streams.items()}
        super().__init__({"bus": Out(axi4_signature(bits))} | flipped)

    def elaborate(self, platform: object) -> Module:
        """Channel by channel."""
        m = Module()
        bus = self.bus
        size = (self._bits // 8).bit_length() - 1
        always = {"size": size, "burst": 1, "lock": 0, "cache": 0b0011, "prot": 0}
        for channel in ("ar", "aw"):
            m.d.comb += [getattr(bus, channel + name).eq(value) for name, value in always.items()]
        held = Signal()  # a request was taken whose address was not
        request = Signal(burst_layout(), reset_less=True)  # that request
        offered = self.writes.payload
        with m.If(~held):
            m.d.sync += request.eq(self.writes.payload)
        m.d.sync += held.eq((held | self.writes.valid) & ~bus.awready)
        m.d.comb += [
            bus.arvalid.eq(self.reads.valid),
            self.reads.ready.eq(bus.arready),
            bus.araddr.eq(self.reads.payload.addr),
            bus.arlen.eq(self.reads.payload.len),
            bus.awvalid.eq(held | self.writes.valid),
            self.writes.ready.eq(~held),
            bus.awaddr.eq(Mux(held, request.addr, offered.addr)),
            bus.awlen.eq(Mux(held, request.len, offered.len)),
            self.words.valid.eq(bus.rvalid),
            self.words.payload.data.eq(bus.rdata),
            self.words.payload.error.eq(bus.rresp[1]),
            bus.rready.eq(self.words.ready),
            bus.wvalid.eq(self.written.valid),
            bus.wdata.eq(self.written.payload.data),
            bus.wstrb.eq(self.written.payload.strb),
            bus.wlast.eq(self.written.payload.last),
            self.written.ready.eq(bus.wready),
            self.answers.valid.eq(bus.bvalid),
            self.answers.payload.error.eq(bus.bresp[1]),
            bus.bready.eq(self.answers.ready),
        ]
        return m
