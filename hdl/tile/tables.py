"""Lookup tables: their layouts, the builder, and the register between tables and columns."""

import itertools

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FloatFormat
from lutcore.hdl.floats.add import FloatAdder
from lutcore.hdl.floats.convert import FloatConverter
from lutcore.hdl.floats.numbers import negate
from lutcore.hdl.parts.entries import ENTRIES
from lutcore.hdl.parts.sharing import add_shared


def number(config: CoreConfig, bits: int) -> Shape:
    """Shape of one number of the datapath: a signed integer, or a float's bit pattern."""
    return unsigned(bits) if config.exact_floats else signed(bits)


def tables_layout(config: CoreConfig, bits: int) -> data.ArrayLayout:
    """Layout of one step's tables: ``[m][tables][entries]`` numbers of ``bits``, first lowest."""
    table = data.ArrayLayout(number(config, bits), config.entries)
    return data.ArrayLayout(data.ArrayLayout(table, config.tables), config.m)


def values_layout(config: CoreConfig) -> data.ArrayLayout:
    """Layout of one step's activations as tables see them: ``[m][depth]``, first lowest."""
    row = data.ArrayLayout(number(config, config.value_bits), config.depth)
    return data.ArrayLayout(row, config.m)


class _Integers:
    """Exact integer sums, each a signal of its own."""

    def __init__(self, m: Module):
        self._m = m
        self._numbers = itertools.count()

    def _keep(self, value: Value) -> Value:
        held = Signal(value.shape(), name=f"sum_{next(self._numbers)}")
        self._m.d.comb += held.eq(value)
        return held

    def add(self, a: Value, b: Value) -> Value:
        return self._keep(a + b)

    def subtract(self, a: Value, b: Value) -> Value:
        return self._keep(a - b)

    def negate(self, a: Value) -> Value:
        return -a


class Floats:
    """Float sums in one format, each rounded to nearest even by an adder of its own."""

    def __init__(self, m: Module, platform: object, format: FloatFormat, name: str = "adder"):
        self._m = m
        self._platform = platform
        self._format = format
        self._name = name
        self._numbers = itertools.count()

    def add(self, a: Value, b: Value) -> Value:
        """``a + b``."""
        adder = add_shared(
            self._m,
            self._platform,
            f"{self._name}_{next(self._numbers)}",
            f"{self._format.name.replace('-', '_')}_adder",
            lambda: FloatAdder(self._format),
        )
        self._m.d.comb += [adder.a.eq(a), adder.b.eq(b)]
        return adder.result

    def subtract(self, a: Value, b: Value) -> Value:
        """``a - b``."""
        return self.add(a, negate(b))

    def negate(self, a: Value) -> Value:
        """``-a``."""
        return negate(a)

    def sum(self, terms: list[Value]) -> Value:
        """Sum of neighbours, then of their sums: a balanced tree."""
        while len(terms) > 1:
            pairs = [self.add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
            terms = pairs + terms[len(pairs) * 2 :]
        return terms[0]


def converted(
    m: Module, platform: object, value: Value, source: FloatFormat, target: FloatFormat, name: str
) -> Value:
    """``value`` in another format, through a converter named ``name`` if they differ."""
    if source == target:
        return value
    module = f"{source.name}_to_{target.name}".replace("-", "_")
    make = lambda: FloatConverter(source, target)  # noqa: E731
    converter = add_shared(m, platform, name, module, make)
    m.d.comb += converter.a.eq(value)
    return converter.result


class TableBuilder(wiring.Component):
    """Tables of one step (combinational): every entry of every table of every row.

    Integer entries are exact. Exact floats are summed in ``config.table_format``, each addition
    rounded to nearest even, in the order of :mod:`lutcore.hdl.parts.entries`.

    Members
    -------
    activations : In, :func:`values_layout`
        Table j of row m covers activations ``[m][j*k .. j*k + k-1]``.
    tables : Out, :func:`tables_layout` of ``entry_bits``
        Entries of all tables of the step.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "activations": In(values_layout(config)),
                "tables": Out(tables_layout(config, config.entry_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build each table from halves of its group."""
        m = Module()
        config = self._config
        math = _Integers(m)
        if config.exact_floats:
            math = Floats(m, platform, config.table_format)
        entries: list[Value] = []
        for row in range(config.m):
            for table in range(config.tables):
                first = table * config.table_k
                group = [self.activations[row][first + t] for t in range(config.table_k)]
                if config.exact_floats:
                    source, target = config.float_format, config.table_format
                    group = [
                        converted(m, platform, a, source, target, f"convert_{row}_{first + t}")
                        for t, a in enumerate(group)
                    ]
                for x, value in enumerate(ENTRIES[config.form.name](group, math)):
                    shape = number(config, config.entry_bits)
                    # entry of this row, table and index
                    entry = Signal(shape, name=f"table_{row}_{table}_{x}")
                    m.d.comb += entry.eq(value)
                    entries.append(entry)
        m.d.comb += self.tables.as_value().eq(Cat(*entries))
        return m


class TableStage(wiring.Component):
    """Register between the tables and the columns: gates bubbles and weighs by the plane.

    A bubble registers zeros, which every unit adds without harm, so neither the columns' selects
    nor their accumulators need an enable.

    Members
    -------
    tables : In, :func:`tables_layout` of ``stored_bits``
        Tables of the slice's step.
    plane : In, only where ``table_shift``
        Entries are shifted left by this much.
    negative : In, only where ``negates_tables``
        Entries are negated.
    fire : In
        A slice is taken in this cycle.
    operands : Out, :func:`tables_layout` of ``operand_bits``
        Entries as columns read them, one cycle later; zeros in a bubble. With three entries or
        fewer, integers have all their bits inverted.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = {
            "tables": In(tables_layout(config, config.stored_bits)),
            "fire": In(1),
            "operands": Out(tables_layout(config, config.operand_bits)),
        }
        if config.table_shift:
            members["plane"] = In(config.plane_bits)
        if config.negates_tables:
            members["negative"] = In(1)
        super().__init__(members)

    def _weighed(self, entry: Value) -> Value:
        if self._config.negates_tables and not self._config.exact_floats:
            flipped = entry.as_unsigned() ^ self.negative.replicate(len(entry))
            entry = flipped.as_signed() + self.negative
        if self._config.negates_tables and self._config.exact_floats:
            entry = Cat(entry[:-1], entry[-1] ^ self.negative)
        return entry << self.plane if self._config.table_shift else entry

    def elaborate(self, platform: object) -> Module:
        """Negate, shift, gate, register."""
        m = Module()
        config = self._config
        operands = []
        for row in range(config.m):
            for table in range(config.tables):
                for x in range(config.entries):
                    shape = number(config, config.operand_width(x))
                    name = f"operand_{row}_{table}_{x}"
                    # entry as columns read it: negated and shifted as its plane asks
                    operand = Signal(shape, name=name, reset_less=True)
                    weighed = self._weighed(self.tables[row][table][x])
                    gated = Mux(self.fire, weighed, 0)
                    m.d.sync += operand.eq(~gated if config.inverted else gated)
                    # the same, as wide as the widest entry
                    wide = Signal(number(config, config.operand_bits), name=f"wide_{name}")
                    m.d.comb += wide.eq(operand)
                    operands.append(wide)
        m.d.comb += self.operands.as_value().eq(Cat(*operands))
        return m
