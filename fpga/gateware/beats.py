"""Beats of wide streams as words of the link."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from lutcore.errors import InputError
from lutcore.fpga.gateware.words import WORD_BUS
from lutcore.hdl.config.bits import is_power_of_two

WORD_BITS = 32


def beat_words(bits: int) -> int:
    """Words that a beat of so many bits takes, the first one lowest."""
    return -(-bits // WORD_BITS)


class BeatWriter(wiring.Component):
    """A stream of beats from words that are written, at any address, one after the other.

    Parameters
    ----------
    bits : int
        Of a beat.
    depth : int
        Words that may wait in block RAM; 0: none but those of a beat.

    Members
    -------
    words : In, :data:`~lutcore.fpga.gateware.words.WORD_BUS`
        A write is done when there is room for it; a read is an error.
    beats : Out stream of ``bits``
    """

    def __init__(self, bits: int, depth: int = 0):
        self._bits, self._depth = bits, depth
        super().__init__({"words": In(WORD_BUS), "beats": Out(stream.Signature(bits))})

    def elaborate(self, platform: object) -> Module:
        """Shift words in, and offer the beat."""
        m = Module()
        count = beat_words(self._bits)
        words, beats = self.words, self.beats
        held = Signal(count * WORD_BITS, reset_less=True)
        left = Signal(range(count), init=count - 1)
        word = words.write_data
        taken = accepted = words.write & ~beats.valid
        if self._depth:
            m.submodules.queue = queue = SyncFIFOBuffered(width=WORD_BITS, depth=self._depth)
            taken = words.write & queue.w_rdy
            word, accepted = queue.r_data, queue.r_rdy & ~beats.valid
            m.d.comb += [
                queue.w_en.eq(taken),
                queue.w_data.eq(words.write_data),
                queue.r_en.eq(accepted),
            ]
        m.d.comb += [
            words.done.eq(taken | words.read),
            words.error.eq(words.read),
            beats.payload.eq(held),
        ]
        with m.If(accepted):
            m.d.sync += [
                held.eq(Cat(held, word)[WORD_BITS:]),
                left.eq(Mux(left == 0, count - 1, left - 1)),
                beats.valid.eq(left == 0),
            ]
        with m.Elif(beats.ready):
            m.d.sync += beats.valid.eq(0)
        return m


class BeatReader(wiring.Component):
    """Keeps beats of a stream, in the order of their arrival, in a memory that words are read from.

    Parameters
    ----------
    bits : int
        Of a beat.
    size : int
        Bytes of memory, a power of two; beats that do not fit are dropped.

    Members
    -------
    beats : In stream of ``bits``
    words : In, :data:`~lutcore.fpga.gateware.words.WORD_BUS`
        Words of beats from address 0; one that is not there yet is an error, and so is a write.

    Raises
    ------
    InputError
        The size is no power of two.
    """

    def __init__(self, bits: int, size: int):
        if not is_power_of_two(size) or size < WORD_BITS:
            raise InputError(f"memory must be a power of two of {WORD_BITS} or more, not {size}")
        self._bits, self._size = bits, size
        super().__init__({"words": In(WORD_BUS), "beats": In(stream.Signature(bits))})

    def elaborate(self, platform: object) -> Module:
        """One port, which single-port RAM has: beats come first."""
        m = Module()
        count = beat_words(self._bits)
        words, beats = self.words, self.beats
        depth = self._size // 4
        m.submodules.ram = ram = Memory(shape=WORD_BITS, depth=depth, init=[])
        write, read = ram.write_port(), ram.read_port()
        stored = Signal(range(depth + 1))
        part = Signal(range(count))
        there = Signal()
        fetched = Signal()
        place = words.address[2:30]
        m.d.comb += [
            there.eq(place < stored),
            write.en.eq(beats.valid & (stored != depth)),
            write.addr.eq(Mux(write.en, stored, place)),
            write.data.eq(beats.payload.word_select(part, WORD_BITS)),
            beats.ready.eq(part == count - 1),
            read.addr.eq(write.addr),
            read.en.eq(words.read & ~write.en),
            words.read_data.eq(read.data),
            words.error.eq(words.write | ~there),
            words.done.eq(words.write | (words.read & (~there | fetched))),
        ]
        m.d.sync += fetched.eq(read.en & ~fetched)
        with m.If(beats.valid):
            m.d.sync += [
                part.eq(Mux(beats.ready, 0, part + 1)),
                stored.eq(stored + write.en),
            ]
        return m
