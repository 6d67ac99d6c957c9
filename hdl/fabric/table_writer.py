"""Writes tables into distributed RAM, one entry of every table a cycle."""

from typing import Any, NamedTuple

from amaranth.hdl import (
    Cat,
    Const,
    Elaboratable,
    EnableInserter,
    Module,
    Mux,
    Signal,
    Value,
    signed,
)
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.carry_chains import add_subtract, offset_value
from lutcore.hdl.fabric.parities import entry_bits
from lutcore.hdl.parts.lookup import tree_sum
from lutcore.hdl.parts.pieces import choose
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.tables import values_layout


def entries_layout(config: CoreConfig) -> data.ArrayLayout:
    """One entry of each table without its lowest bit: ``[m][tables]``, in offset binary."""
    row = data.ArrayLayout(entry_bits(config) - 1, config.tables)
    return data.ArrayLayout(row, config.m)


def write_layout(config: CoreConfig) -> data.StructLayout:
    """What is written into all tables at once: ``enable``, ``address`` and ``entries``.

    The address is the entry's index, with the bank above it.
    """
    return data.StructLayout({"enable": 1, "address": config.k, "entries": entries_layout(config)})


class EntryAdder(wiring.Component):
    """The entries of one table, one after the other, with one adder.

    Members
    -------
    go : In
        The pipeline moves.
    activations : In, ``[k]`` signed
    select : In
        Activation that the next cycle adds or subtracts.
    step, add : In
        Add or subtract, or start again from zero; add.
    halve : In
        The sum is that of all activations: from now on their multiples of one change an entry by
        two, and its lowest bit stays.
    entry : Out, in offset binary
        Without its lowest bit, once halved.
    parity : Out
        That bit.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "go": In(1),
                "activations": In(data.ArrayLayout(signed(config.activation_bits), config.k)),
                "select": In(range(config.k)),
                "step": In(1),
                "add": In(1),
                "halve": In(1),
                "entry": Out(entry_bits(config) - 1),
                "parity": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """Choose; add."""
        m = Module()
        bits = entry_bits(self._config)
        chosen = Signal(signed(self._config.activation_bits), reset_less=True)
        group = [self.activations[t] for t in range(self._config.k)]
        m.d.sync += chosen.eq(choose(group, self.select))
        addend = Signal(signed(bits))
        m.d.comb += addend.eq(chosen)
        total = Signal(bits)
        code = Signal(bits, reset_less=True)
        high = add_subtract(m, platform, "adder", code, addend, self.add, bits)
        m.d.comb += total.eq(Cat(code[0] ^ addend[0], high))
        # Half as much above an offset that stays.
        half = Cat(total[1:-1], ~total[-1], total[-1])
        m.d.sync += code.eq(Mux(self.step, Mux(self.halve, half, total), 1 << bits - 1))
        with m.If(self.halve):
            m.d.sync += self.parity.eq(total[0])
        m.d.comb += self.entry.eq(Cat(code[:-2], code[-1]))
        return EnableInserter(self.go)(m)


class _Operation(NamedTuple):
    """One addition: of what, added or subtracted, and the entry that results."""

    activation: int
    add: bool
    entry: int


class TableWriter(wiring.Component):
    """Fills one bank of the tables while slices read the other.

    Entry x of a table is ``sum_{t<k-1} (x_t ? -a_t : a_t) + a_{k-1}``: the symmetric form's with
    the opposite sign, which saves a bit. Entry 0, the sum of all activations, takes k additions;
    the others follow in the order of a Gray code with one addition each. A step takes
    ``config.write_cycles``.

    Members
    -------
    go : In
        The pipeline moves.
    activations : In stream, :func:`~lutcore.hdl.tile.tables.values_layout`
    write : Out, :func:`write_layout`
        The lowest bit, the same in all entries of a table, is not stored.
    bank : Out
        Bank that slices read,
    valid : Out
        if it is filled: from the cycle after the last entry was written,
    release : In
        until this cycle.
    parities : Out, ``[m][tables]``
        Lowest bits of that bank's entries.
    sums : Out, ``[m]``
        Sums of its activations.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._sum = signed_bits(*(config.depth * end for end in config.activation_range))
        super().__init__(
            {
                "go": In(1),
                "activations": In(stream.Signature(values_layout(config))),
                "write": Out(write_layout(config)),
                "bank": Out(1),
                "valid": Out(1),
                "release": In(1),
                "parities": Out(data.ArrayLayout(config.tables, config.m)),
                "sums": Out(data.ArrayLayout(signed(self._sum), config.m)),
            }
        )

    def _program(self) -> list[_Operation]:
        k = self._config.k
        program = [_Operation(t, True, 0) for t in range(k)]
        for i in range(1, 1 << k - 1):
            entry, before = i ^ i >> 1, i - 1 ^ i - 1 >> 1
            turned = entry ^ before
            program.append(_Operation(turned.bit_length() - 1, not entry & turned, entry))
        return program

    def elaborate(self, platform: object) -> Elaboratable:
        """A counter, and an adder for each table."""
        m = Module()
        config = self._config
        program = self._program()
        last = len(program) + 1
        # Operation i is chosen at count i and done at i + 1, its entry written at i + 2.
        count = Signal(range(last + 1))
        starts = Signal()
        ends = Signal()
        filling = Signal()
        full = Signal(2)
        m.d.comb += [
            starts.eq(self.activations.valid & ~full.bit_select(filling, 1)),
            ends.eq(count == last),
            self.activations.ready.eq(self.go & (count == len(program) - 1)),
            self.valid.eq(full.bit_select(self.bank, 1)),
            self.write.enable.eq(count > config.k),
        ]
        with m.If(ends):
            m.d.sync += count.eq(0)
        with m.Elif(starts | (count != 0)):
            m.d.sync += count.eq(count + 1)
        fills = ends << filling
        empties = self.release << self.bank
        m.d.sync += [
            full.eq((full | fills) & ~empties),
            filling.eq(filling ^ ends),
            self.bank.eq(self.bank ^ self.release),
        ]
        select, add, address = self._operation(m, program, count)
        m.d.comb += self.write.address.eq(Cat(address, filling))
        entries, parities = self._adders(m, platform, count, select, add)
        m.d.comb += self.write.entries.as_value().eq(Cat(*entries))
        sums = []
        for row in range(config.m):
            tables = range(row * config.tables, (row + 1) * config.tables)
            sums.append(tree_sum([offset_value(Cat(parities[t], entries[t])) for t in tables]))
        total = Cat(*(s[: self._sum] for s in sums))
        self._keep(m, "parities", self.parities, Cat(*parities), ends, filling)
        self._keep(m, "sums", self.sums, total, count == config.k + 1, filling)
        return EnableInserter(self.go)(m)

    def _operation(
        self, m: Module, program: list[_Operation], count: Signal
    ) -> tuple[Signal, Signal, Signal]:
        """What is chosen, whether it is added, and the entry that is written, at this count."""
        select = Signal(range(self._config.k))
        add = Signal()
        address = Signal(self._config.k - 1)
        constants = [
            (select, [Const(operation.activation, len(select)) for operation in program]),
            (add, [Const(1), *(Const(operation.add) for operation in program)]),
            (
                address,
                [Const(0, len(address))] * 2 + [Const(o.entry, len(address)) for o in program],
            ),
        ]
        for signal, values in constants:
            m.d.comb += signal.eq(choose(values, count))
        return select, add, address

    def _adders(
        self, m: Module, platform: object, count: Signal, select: Signal, add: Signal
    ) -> tuple[list[Signal], list[Signal]]:
        """An adder for each table; returns their entries and parities."""
        config = self._config
        entries: list[Signal] = []
        parities: list[Signal] = []
        for place in range(config.m * config.tables):
            row, table = divmod(place, config.tables)
            adder = add_shared(
                m,
                platform,
                f"entry_adder_{row}_{table}",
                "entry_adder",
                lambda: EntryAdder(config),
            )
            first = table * config.k
            group = [self.activations.payload[row][first + t] for t in range(config.k)]
            m.d.comb += [
                adder.go.eq(self.go),
                adder.activations.as_value().eq(Cat(*group)),
                adder.select.eq(select),
                adder.add.eq(add),
                adder.halve.eq(count == config.k),
                adder.step.eq(count != 0),
            ]
            entries.append(adder.entry)
            parities.append(adder.parity)
        return entries, parities

    def _keep(self, m: Module, name: str, shown: Any, value: Value, there: Value, filling: Signal):
        """``value`` of the bank that is filled, taken when it is ``there``, shown with its bank."""
        banks = [Signal(len(value), name=f"{name}_{b}", reset_less=True) for b in range(2)]
        for number, bank in enumerate(banks):
            with m.If(there & (filling == number)):
                m.d.sync += bank.eq(value)
        m.d.comb += shown.as_value().eq(Mux(self.bank, banks[1], banks[0]))
