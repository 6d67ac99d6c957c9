"""Decoder: what an instruction word asks for, and whether this core can do it."""

from collections.abc import Callable

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.compute import lmma_layout
from lutcore.hdl.core.load import Target, load_layout
from lutcore.hdl.core.store import store_layout
from lutcore.hdl.isa.limits import alignments, limits
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BITS,
    BY_NAME,
    BY_OPCODE,
    OPCODE_BITS,
    REGISTERS,
    SCALES,
    WAITS,
    Cause,
    Field,
    Instruction,
    Queue,
    ScaleRecord,
)

#: Instructions that the sequencer executes, each a bit of ``control``.
CONTROL = tuple(i for i in BY_OPCODE.values() if i.queue is Queue.CONTROL)
#: Loads and what they fill.
LOADS = {"load.act": Target.ACTIVATIONS, "load.wgt": Target.WEIGHTS, "load.scale": Target.SCALES}


def wait_bits(kind: Queue) -> int:
    """Tokens that an instruction of a queue may wait for."""
    return len(WAITS[kind])


class Decoder(wiring.Component):
    """Combinational.

    Members
    -------
    word : In
        The instruction.
    registers : In
        Address registers of the program, r0 lowest.
    cause : Out, :class:`~lutcore.hdl.isa.lmma.Cause`
        What is wrong with the instruction; 0 if nothing.
    control : Out, a bit for each of :data:`CONTROL`
        Which instruction it is, if the sequencer executes it itself; a bit each.
    to_load : Out
        The instruction goes to the queue of load.
    to_compute : Out
        The instruction goes to the queue of compute.
    to_store : Out
        The instruction goes to the queue of store.
    load : Out
        Operands of a load.
    lmma : Out
        Operands of a product.
    store : Out
        Operands of a store.
    load_waits : Out, in the order of :data:`~lutcore.hdl.isa.lmma.WAITS`
        A load takes a token of compute first.
    compute_waits : Out, in the order of :data:`~lutcore.hdl.isa.lmma.WAITS`
        A product takes tokens first: bit 0 of load, bit 1 of store.
    store_waits : Out, in the order of :data:`~lutcore.hdl.isa.lmma.WAITS`
        A store takes a token of compute first.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "word": In(BITS),
                "registers": In(ADDRESS_BITS * REGISTERS),
                "cause": Out(Cause),
                "control": Out(len(CONTROL)),
                "to_load": Out(1),  # the instruction goes to the queue of load
                "to_compute": Out(1),  # the instruction goes to the queue of compute
                "to_store": Out(1),  # the instruction goes to the queue of store
                "load": Out(load_layout()),
                "lmma": Out(lmma_layout()),
                "store": Out(store_layout()),
                "load_waits": Out(wait_bits(Queue.LOAD)),
                "compute_waits": Out(wait_bits(Queue.COMPUTE)),
                "store_waits": Out(wait_bits(Queue.STORE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Comparisons made from the definition of each instruction."""
        m = Module()
        registers = Array(self.registers.word_select(i, ADDRESS_BITS) for i in range(REGISTERS))
        read: dict[int, Signal] = {}

        def value(field: Field) -> Value:
            """A field, or the register that it names: one read port for each place."""
            if field.kind != "register":
                return self._bits(field)
            if field.low not in read:
                # address register that the word's field from this bit on names
                read[field.low] = Signal(ADDRESS_BITS, name=f"register_at_{field.low}")
                m.d.comb += read[field.low].eq(registers[self._bits(field)])
            return read[field.low]

        matches = {}
        for instruction in BY_OPCODE.values():
            # the opcode is that of this instruction
            matches[instruction.name] = match = Signal(name=f"is_{instruction.name}")
            m.d.comb += match.eq(self.word[:OPCODE_BITS] == instruction.opcode)
        self._faults(m, matches, value)
        m.d.comb += [
            self.control.eq(Cat(matches[i.name] for i in CONTROL)),
            self.to_load.eq(Cat(matches[name] for name in LOADS).any()),
            self.to_compute.eq(matches["lmma"]),
            self.to_store.eq(matches["store"]),
        ]
        self._operands(m, matches, value)
        return m

    def _bits(self, field: Field) -> Value:
        """A field of the word."""
        found = self.word[field.low : field.low + field.bits]
        return found.as_signed() if field.kind == "signed" else found

    def _operands(self, m: Module, matches: dict, value: Callable) -> None:
        """Fields of one name and width move alike; the rest is named here."""
        bits = self._bits
        load = BY_NAME["load.act"].by_name
        for name in ("mem", "local", "rows", "bytes", "pitch"):
            m.d.comb += getattr(self.load, name).eq(value(load[name]))
        for name, target in LOADS.items():
            with m.If(matches[name]):
                m.d.comb += self.load.target.eq(target.value)
        lmma = BY_NAME["lmma"].by_name
        for name in ("m", "n", "k", "bits", "act", "wgt", "scale", "acc", "zero", "accumulate"):
            m.d.comb += getattr(self.lmma, name).eq(value(lmma[name]))
        store = BY_NAME["store"].by_name
        for name in ("mem", "local", "rows", "columns", "pitch", "type"):
            m.d.comb += getattr(self.store, name).eq(value(store[name]))

        def among(has: Callable[[ScaleRecord], bool]) -> Value:
            """Whether the scale records are of a format that has some property."""
            formats = (number for number, record in enumerate(SCALES.values()) if has(record))
            return Cat(bits(lmma["scales"]) == number for number in formats).any()

        m.d.comb += [
            self.load.signal.eq(bits(load["signal_compute"])),
            self.lmma.integer.eq(bits(lmma["accumulator"])),
            self.lmma.half.eq(among(lambda record: record.half)),
            self.lmma.fixed_zero.eq(among(lambda record: not record.zero)),
            self.lmma.signal_load.eq(bits(lmma["signal_load"])),
            self.lmma.signal_store.eq(bits(lmma["signal_store"])),
            self.store.signal.eq(bits(store["signal_compute"])),
            self.load_waits.eq(Cat(bits(load[n]) for n, _ in WAITS[Queue.LOAD])),
            self.compute_waits.eq(Cat(bits(lmma[n]) for n, _ in WAITS[Queue.COMPUTE])),
            self.store_waits.eq(Cat(bits(store[n]) for n, _ in WAITS[Queue.STORE])),
        ]

    def _faults(self, m: Module, matches: dict, value: Callable) -> None:
        """What is wrong with the word, the worst of it."""
        illegal: Value = ~Cat(*matches.values()).any()
        unsupported: Value = Const(0, 1)
        misaligned: Value = Const(0, 1)
        for instruction in BY_OPCODE.values():
            match = matches[instruction.name]
            unused = instruction.mask.bit_length()
            if unused < BITS:
                illegal |= match & self.word[unused:].any()
            unsupported |= match & self._out_of_bounds(instruction)
            for name, unit in alignments(instruction, self._config).items():
                low = value(instruction.by_name[name])[: unit.bit_length() - 1]
                misaligned |= match & low.any()
        m.d.comb += self.cause.eq(
            Mux(
                illegal,
                Cause.ILLEGAL,
                Mux(
                    unsupported,
                    Cause.UNSUPPORTED,
                    Mux(misaligned, Cause.MISALIGNED, Cause.NONE),
                ),
            )
        )

    def _out_of_bounds(self, instruction: Instruction) -> Value:
        """Whether a field is beyond what this core can do."""
        broken: Value = Const(0, 1)
        for name, (low, high) in limits(instruction, self._config).items():
            field = instruction.by_name[name]
            found = self._bits(field)
            if low > 0:
                broken |= found < low
            if high < (1 << field.bits) - 1:
                broken |= found > high
        return broken
