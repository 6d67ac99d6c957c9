"""The decoder, against the table of instructions: for all words and all registers.

It is combinational: what holds in one cycle holds always.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.decoder import CONTROL, LOADS, Decoder
from lutcore.hdl.isa.limits import alignments, limits
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BITS,
    BY_OPCODE,
    OPCODE_BITS,
    REGISTERS,
    SCALES,
    WAITS,
    Cause,
    Instruction,
    Queue,
)
from lutcore.verif.formal.harness import Harness, opened

#: Operand of the decoder -> what makes it of an instruction's fields, where names differ.
_RENAMED = {
    Queue.LOAD: {"signal": "signal_compute"},
    Queue.STORE: {"signal": "signal_compute"},
    Queue.COMPUTE: {"integer": "accumulator"},
}


class DecoderProperties(Harness):
    """Every word is refused for its worst fault, or sent where it belongs with its operands."""

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__({"word": In(BITS), "registers": In(ADDRESS_BITS * REGISTERS)})

    def describe(self, m: Module) -> None:
        """The block, and a claim for each instruction."""
        block = Decoder(self._config)
        opened(m, block)
        m.d.comb += [block.word.eq(self.word), block.registers.eq(self.registers)]
        known = []
        for instruction in BY_OPCODE.values():
            known.append(self._instruction(m, block, instruction))
        self.hold(
            m,
            "a word of no instruction is illegal",
            block.cause == Cause.ILLEGAL,
            when=~Cat(*known).any(),
        )
        self.happen(m, "a word of no instruction", ~Cat(*known).any())

    def _bits(self, low: int, count: int) -> Value:
        return (self.word >> low)[:count]

    def _value(self, field) -> Value:
        """What a field stands for: its number, or what the register holds that it names."""
        number = self._bits(field.low, field.bits)
        if field.kind == "register":
            return (self.registers >> (number * ADDRESS_BITS))[:ADDRESS_BITS]
        return number.as_signed() if field.kind == "signed" else number

    def _instruction(self, m: Module, block: Decoder, instruction: Instruction) -> Value:
        """What holds of a word with its opcode; whether it is one."""
        name = instruction.name
        fields = instruction.by_name
        match = Signal(name=f"spec_{name}")
        m.d.comb += match.eq(self._bits(0, OPCODE_BITS) == instruction.opcode)
        used = OPCODE_BITS + sum(field.bits for field in fields.values())
        surplus, beyond, crooked = Signal(), Signal(), Signal()
        outside = [Const(0, 1)]
        for field, (low, high) in limits(instruction, self._config).items():
            number = self._bits(fields[field].low, fields[field].bits)
            outside += [number < low, number > high]
        remainders = [
            self._value(fields[field]) & (unit - 1)
            for field, unit in alignments(instruction, self._config).items()
        ]
        m.d.comb += [
            surplus.eq(self._bits(used, BITS - used) != 0 if used < BITS else 0),
            beyond.eq(Cat(*outside).any()),
            crooked.eq(Cat(*remainders).any() if remainders else 0),
        ]
        cause = Signal(Cause, name=f"cause_{name}")
        with m.If(surplus):
            m.d.comb += cause.eq(Cause.ILLEGAL)
        with m.Elif(beyond):
            m.d.comb += cause.eq(Cause.UNSUPPORTED)
        with m.Elif(crooked):
            m.d.comb += cause.eq(Cause.MISALIGNED)
        self.hold(m, f"{name}: the worst fault is its cause", block.cause == cause, when=match)
        right = Signal(name=f"right_{name}")
        m.d.comb += right.eq(match & (cause == Cause.NONE))
        self.happen(m, f"{name} without a fault", right)
        for kind in (Cause.ILLEGAL, Cause.UNSUPPORTED, Cause.MISALIGNED):
            possible = {
                Cause.ILLEGAL: used < BITS,
                Cause.UNSUPPORTED: len(outside) > 1,
                Cause.MISALIGNED: bool(remainders),
            }
            if possible[kind]:
                self.happen(m, f"{name}: {kind.name.lower()}", match & (cause == kind))
        self._sent(m, block, instruction, right)
        return match

    def _sent(self, m: Module, block: Decoder, instruction: Instruction, right: Value) -> None:
        """Where a right instruction goes, and with what."""
        queue, name = instruction.queue, instruction.name
        chosen = Cat(block.control, block.to_load, block.to_compute, block.to_store)
        place = {
            Queue.LOAD: len(CONTROL),
            Queue.COMPUTE: len(CONTROL) + 1,
            Queue.STORE: len(CONTROL) + 2,
        }
        bit = place.get(queue, CONTROL.index(instruction) if queue is Queue.CONTROL else 0)
        self.hold(m, f"{name}: it goes where it belongs", chosen == 1 << bit, when=right)
        if queue is Queue.CONTROL:
            return
        operands = {Queue.LOAD: block.load, Queue.COMPUTE: block.lmma, Queue.STORE: block.store}[
            queue
        ]
        waits = {
            Queue.LOAD: block.load_waits,
            Queue.COMPUTE: block.compute_waits,
            Queue.STORE: block.store_waits,
        }[queue]
        made: dict[str, Value] = {}
        if queue is Queue.LOAD:
            made["target"] = Const(LOADS[name].value, 2)
        if queue is Queue.COMPUTE:
            scales = list(SCALES.values())
            number = self._bits(instruction.by_name["scales"].low, 2)
            for operand, has in (
                ("half", [s.half for s in scales]),
                ("fixed_zero", [not s.zero for s in scales]),
            ):
                table: Value = Const(0, 1)
                for index, yes in enumerate(has):
                    table = Mux(number == index, int(yes), table)
                made[operand] = table
        for operand in operands.shape().members:
            field = _RENAMED[queue].get(operand, operand)
            value = made[operand] if operand in made else self._value(instruction.by_name[field])
            found = Value.cast(getattr(operands, operand))
            expected = Signal(found.shape(), name=f"{name}_{operand}")
            m.d.comb += expected.eq(value)
            self.hold(m, f"{name}: operand {operand}", found == expected, when=right)
        tokens = Cat(self._value(instruction.by_name[field]) for field, _ in WAITS[queue])
        self.hold(m, f"{name}: tokens that it waits for", waits == tokens, when=right)
