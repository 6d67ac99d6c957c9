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
        Activations of the table.
    select : In
        Activation that the next cycle adds or subtracts.
    step : In
        Add or subtract; else start again from zero.
    add : In
        Add rather than subtract.
    halve : In
        The sum is that of all activations: from now on their multiples of one change an entry by
        two, and its lowest bit stays.
    entry : Out
        The entry in offset binary, without its lowest bit, once halved.
    parity : Out
        The lowest bit of all entries.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "go": In(1),
                "activations": In(data.ArrayLayout(signed(config.activation_bits), config.k)),
                "select": In(range(config.k)),
                "step": In(1),  # add or subtract; else start again from zero
                "add": In(1),
                "halve": In(1),  # the sum is that of all activations: keep half of it
                "entry": Out(entry_bits(config) - 1),  # entry in offset binary but its lowest bit
                "parity": Out(1),  # lowest bit of all entries of the table
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """Choose; add."""
        m = Module()
        bits = entry_bits(self._config)
        # activation that this cycle adds or subtracts
        chosen = Signal(signed(self._config.activation_bits), reset_less=True)
        group = [self.activations[t] for t in range(self._config.k)]
        m.d.sync += chosen.eq(choose(group, self.select))
        addend = Signal(signed(bits))  # the same, as wide as an entry
        m.d.comb += addend.eq(chosen)
        total = Signal(bits)  # the sum with this activation, in offset binary
        # the sum so far in offset binary, halved from the first entry on
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
        Activations of the next step, taken when its last entry is under way.
    write : Out, :func:`write_layout`
        An entry of every table; the lowest bit, the same in a whole table, is not stored.
    bank : Out
        Bank that slices read.
    valid : Out
        The bank that slices read is filled, from the cycle after its last entry was written.
    release : In
        The bank that slices read is not read after this cycle.
    parities : Out, ``[m][tables]``
        Lowest bits of the entries in the bank that slices read.
    sums : Out, ``[m]``
        Sums of the activations behind the bank that slices read.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._sum = signed_bits(*(config.depth * end for end in config.activation_range))
        super().__init__(
            {
                "go": In(1),
                "activations": In(stream.Signature(values_layout(config))),
                "write": Out(write_layout(config)),
                "bank": Out(1),  # bank that slices read
                "valid": Out(1),
                "release": In(1),  # the bank that slices read is not read after this cycle
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
        starts = Signal()  # activations are there, and a bank to be filled
        ends = Signal()  # the last entry is written
        filling = Signal()  # bank that is filled
        full = Signal(2)  # banks that are filled, a bit each
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
        select = Signal(range(self._config.k))  # activation that is chosen
        add = Signal()  # the activation chosen before is added
        address = Signal(self._config.k - 1)  # entry that is written
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
        # lowest bits of entries, or sums of activations, of the tables in this bank
        banks = [Signal(len(value), name=f"{name}_{b}", reset_less=True) for b in range(2)]
        for number, bank in enumerate(banks):
            with m.If(there & (filling == number)):
                m.d.sync += bank.eq(value)
        m.d.comb += shown.as_value().eq(Mux(self.bank, banks[1], banks[0]))
