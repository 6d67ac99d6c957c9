"""On-chip buffers between the bus and the tile."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import is_power_of_two, power_of_two
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.pieces import choose


def _members(write_bits: int, read_bits: int, size: int) -> dict[str, wiring.Member]:
    """Ports of a buffer of so many bytes; ``read_data`` comes a cycle after its address."""
    address = size.bit_length() - 1
    return {
        "write_enable": In(1),  # write a word
        "write_address": In(address),  # byte address of the word that is written
        "write_data": In(write_bits),  # word that is written
        "read_enable": In(1),  # read; else what was read stays
        "read_address": In(address),  # byte address of what is read
        "read_data": Out(read_bits),  # what was read, one cycle after its address
    }


class RatioBuffer(wiring.Component):
    """A buffer that is written in words of one width and read in words of another.

    Addresses count bytes, are multiples of the word, and wrap.

    Parameters
    ----------
    write_bits, read_bits : int
        Powers of two, 8 or more.
    size : int
        Bytes, a power of two.

    Members
    -------
    write_enable : In
        Write a word.
    write_address : In
        Byte address of the word that is written.
    write_data : In
        Word that is written.
    read_enable : In
        Read a word.
    read_address : In
        Byte address of the word that is read.
    read_data : Out
        Word that was read, one cycle later, and held while ``read_enable`` is 0.
    """

    def __init__(self, write_bits: int, read_bits: int, size: int):
        self._write_bits, self._read_bits, self._size = write_bits, read_bits, size
        super().__init__(_members(write_bits, read_bits, size))

    def elaborate(self, platform: object) -> Module:
        """One memory of the wider words; the narrower side selects within them."""
        m = Module()
        wide, write, read = (
            max(self._write_bits, self._read_bits),
            self._write_bits,
            self._read_bits,
        )
        low = (wide // 8).bit_length() - 1
        parts = wide // write
        shape = data.ArrayLayout(write, parts)
        # the buffer, in words of its wider side
        m.submodules.memory = memory = Memory(shape=shape, depth=self._size * 8 // wide, init=[])
        writer = memory.write_port(granularity=1 if parts > 1 else None)
        reader = memory.read_port()  # word of the wider side that was read
        part = self.write_address[(write // 8).bit_length() - 1 : low]
        m.d.comb += [
            writer.addr.eq(self.write_address[low:]),
            writer.data.as_value().eq(self.write_data.replicate(parts)),
            writer.en.eq(self.write_enable << part if parts > 1 else self.write_enable),
            reader.addr.eq(self.read_address[low:]),
            reader.en.eq(self.read_enable),
        ]
        if read == wide:
            m.d.comb += self.read_data.eq(reader.data.as_value())
        else:
            select = Signal(range(wide // read))  # part of the wider word that is read
            with m.If(self.read_enable):
                m.d.sync += select.eq(self.read_address[(read // 8).bit_length() - 1 : low])
            m.d.comb += self.read_data.eq(reader.data.as_value().word_select(select, read))
        return m


class UnevenBuffer(wiring.Component):
    """A buffer that is written in words and read in pieces of any number of bytes.

    Parameters
    ----------
    write_bits : int
        A power of two, 8 or more.
    read_bits : int
        A multiple of 8.
    size : int
        Bytes, a power of two, at least two words of the wider of the two.

    Members
    -------
    As of :class:`RatioBuffer`; ``read_address`` is a multiple of the greatest power of two that
    divides both the write word and the piece.
    """

    def __init__(self, write_bits: int, read_bits: int, size: int):
        self._write_bits, self._read_bits, self._size = write_bits, read_bits, size
        self._word = max(write_bits, power_of_two(read_bits))
        super().__init__(_members(write_bits, read_bits, size))

    def elaborate(self, platform: object) -> Module:
        """Even and odd words in a bank each, so that a piece's two words are read at once."""
        m = Module()
        word, read = self._word, self._read_bits
        grain = min(read & -read, self._write_bits)
        low = (word // 8).bit_length() - 1
        fine = (grain // 8).bit_length() - 1
        first = self.read_address[low:]
        odd = Signal()  # the piece starts in the odd bank
        offset = Signal(low - fine)  # where in its first word the piece starts
        with m.If(self.read_enable):
            m.d.sync += [odd.eq(first[0]), offset.eq(self.read_address[fine:low])]
        banks = []
        for parity in range(2):
            bank = RatioBuffer(self._write_bits, word, self._size // 2)
            m.submodules[f"bank_{parity}"] = bank
            # Of the words `first` and `first + 1`, the one that is in this bank.
            index = Signal(len(first) - 1, name=f"index_{parity}")  # word of this bank to read
            m.d.comb += [
                index.eq((first if parity else first + 1) >> 1),
                bank.read_enable.eq(self.read_enable),
                bank.read_address.eq(index << low),
                bank.write_enable.eq(self.write_enable & (self.write_address[low] == parity)),
                bank.write_address.eq(Cat(self.write_address[:low], self.write_address[low + 1 :])),
                bank.write_data.eq(self.write_data),
            ]
            banks.append(bank.read_data)
        both = Signal(2 * word)  # the word that the piece starts in, and the next one
        m.d.comb += [
            both.eq(Mux(odd, Cat(banks[1], banks[0]), Cat(*banks))),
            self.read_data.eq(choose([both[i : i + read] for i in range(0, word, grain)], offset)),
        ]
        return m


def make_buffer(write_bits: int, read_bits: int, size: int) -> RatioBuffer | UnevenBuffer:
    """The buffer that those widths need."""
    kind = RatioBuffer if is_power_of_two(read_bits) else UnevenBuffer
    return kind(write_bits, read_bits, size)


class SumBuffer(wiring.Component):
    """The sums of blocks: read and written by the epilogue, read by the store engine.

    Members
    -------
    write_enable : In
        The epilogue writes a beat of sums.
    write_address : In
        Byte address of the beat that the epilogue writes.
    write_data : In
        Beat that the epilogue writes.
    read_address : In
        Byte address of the beat that the epilogue reads.
    read_data : Out
        Beat that the epilogue reads, one cycle after its address.
    store_enable : In
        The store engine reads a beat of sums.
    store_address : In
        Byte address of the beat that the store engine reads.
    store_data : Out
        Beat that the store engine reads, one cycle later, held while ``store_enable`` is 0.
    """

    def __init__(self, config: CoreConfig):
        self.bits = config.m * config.drain_columns * 32
        self._size = config.output_buffer
        address = self._size.bit_length() - 1
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address),
                "write_data": In(self.bits),
                "read_address": In(address),
                "read_data": Out(self.bits),
                "store_enable": In(1),  # the store engine reads a beat of sums
                "store_address": In(address),
                "store_data": Out(self.bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One memory with three ports."""
        m = Module()
        low = (self.bits // 8).bit_length() - 1
        depth = self._size * 8 // self.bits
        # sums, in beats of some columns of all rows of a block
        m.submodules.memory = memory = Memory(shape=self.bits, depth=depth, init=[])
        write, read, store = memory.write_port(), memory.read_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address[low:]),
            write.data.eq(self.write_data),
            read.addr.eq(self.read_address[low:]),
            self.read_data.eq(read.data),
            store.en.eq(self.store_enable),
            store.addr.eq(self.store_address[low:]),
            self.store_data.eq(store.data),
        ]
        return m
