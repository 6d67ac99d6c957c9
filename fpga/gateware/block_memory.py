"""Memory on block RAM."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from lutcore.errors import InputError
from lutcore.fpga.gateware.memory import SharedMemory, store_signature
from lutcore.hdl.isa.pace import PAGE_BITS


def check_memory(size: int) -> None:
    """Raise an :class:`InputError` where no memory has so many bytes."""
    least = 1 << PAGE_BITS
    if size < least or size & (size - 1):
        raise InputError(f"memory must be a power of two of {least} or more, not {size}")


class BlockRam(wiring.Component):
    """A store in block RAM: a word read and a word written every cycle.

    Members
    -------
    words : In, :func:`~lutcore.fpga.gateware.memory.store_signature`
    """

    def __init__(self, bits: int, size: int):
        self._bits, self._depth = bits, size * 8 // bits
        super().__init__({"words": In(store_signature(bits, size))})

    def elaborate(self, platform: object) -> Module:
        """One port reads, one writes; an answer that waits stays at the output."""
        m = Module()
        reads, answers, writes = self.words.reads, self.words.answers, self.words.writes
        m.submodules.ram = ram = Memory(shape=self._bits, depth=self._depth, init=[])
        read, write = ram.read_port(), ram.write_port(granularity=8)
        m.d.comb += [
            reads.ready.eq(~answers.valid | answers.ready),
            read.addr.eq(reads.payload.address),
            read.en.eq(reads.valid & reads.ready),
            answers.payload.data.eq(read.data),
            writes.ready.eq(1),
            write.addr.eq(writes.payload.address),
            write.data.eq(writes.payload.data),
            write.en.eq(Mux(writes.valid, writes.payload.strb, 0)),
        ]
        with m.If(reads.ready):
            m.d.sync += [
                answers.valid.eq(reads.valid),
                answers.payload.tag.eq(reads.payload.tag),
            ]
        return m


def block_memory(bits: int, size: int) -> SharedMemory:
    """Memory of ``size`` bytes on block RAM behind a bus of ``bits``.

    Raises
    ------
    InputError
        The size is no power of two, or less than 4096.
    """
    check_memory(size)
    return SharedMemory(bits, size, BlockRam(bits, size))
