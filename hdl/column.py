"""Accumulation: a weight column with its units, blocks of columns, and the row sums beside them."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.blocks import scale_layout
from hdl.config import CoreConfig
from hdl.floats import double
from hdl.lookup import tree_sum, without_sign_extension
from hdl.sharing import add_shared
from hdl.tables import Floats, converted, number, tables_layout
from hdl.units import FP32, Lookups, Products


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """``value`` some cycles later, in registers without reset."""
    for stage in range(cycles):
        held = Signal(value.shape(), name=f"{name}_{stage}", reset_less=True)
        m.d.sync += held.eq(value)
        value = held
    return value


class Accumulators:
    """Accumulators of one column and the copies that drain while the next run is summed.

    The controls enter together with a slice's weight indices, one cycle before its operands.

    Parameters
    ----------
    m, platform
        Where the logic goes.
    config : CoreConfig
    first : Value
        The slice starts a run.
    weight : Value or None
        Integers: the plane whose power of two the slice counts. Exact floats: the slice starts a
        plane, before which the accumulator doubles. None: neither.
    capture : Value
        Copy the accumulators.
    """

    def __init__(
        self,
        m: Module,
        platform: object,
        config: CoreConfig,
        first: Value,
        weight: Value | None,
        capture: Value,
    ):
        self._m = m
        self._platform = platform
        self._config = config
        self._capture = capture
        cycles = 1 + config.pipeline
        self._first = delayed(m, first, cycles, "first")
        self._weight = None if weight is None else delayed(m, weight, cycles, "weight")

    def add(self, terms: list[Value], bits: int, name: str) -> Signal:
        """Sum ``terms`` over a run in ``bits`` bits; returns the sum as last captured.

        A run's first slice overwrites instead of clearing, and a bubble adds zero: the accumulator
        needs neither reset nor enable.
        """
        m, config = self._m, self._config
        terms = [
            delayed(m, term, int(config.pipeline > 1), f"term_{name}_{i}")
            for i, term in enumerate(terms)
        ]
        shape = number(config, bits)
        accumulator = Signal(shape, name=f"accumulator_{name}", reset_less=True)
        held = Signal(shape, name=f"held_{name}", reset_less=True)
        summed = self._float if config.exact_floats else self._integer
        m.d.sync += accumulator.eq(summed(accumulator, terms, name))
        with m.If(self._capture):
            m.d.sync += held.eq(accumulator)
        return held

    def _integer(self, accumulator: Signal, terms: list[Value], name: str) -> Value:
        before = Mux(self._first, 0, accumulator)
        if sum(term.shape().signed for term in terms) > 1:
            terms = without_sign_extension(terms)
        if not self._config.pipeline and self._weight is None:
            return tree_sum([*terms, before])  # one sum: carry-ins cost nothing
        total = delayed(self._m, tree_sum(terms), min(1, self._config.pipeline), f"sum_{name}")
        return before + (total if self._weight is None else total << self._weight)

    def _float(self, accumulator: Signal, terms: list[Value], name: str) -> Value:
        math = Floats(self._m, self._platform, FP32, f"adder_{name}")
        total = math.sum(terms)
        total = delayed(self._m, total, min(1, self._config.pipeline), f"sum_{name}")
        before: Value = accumulator
        if self._weight is not None:
            before = Mux(self._weight, double(accumulator, FP32), accumulator)
        return math.add(Mux(self._first, 0, before), total)


def slice_members(config: CoreConfig) -> dict[str, wiring.Member]:
    """Ports that every consumer of a slice has."""
    members = {
        "first": In(1),
        "operands": In(tables_layout(config, config.operand_bits)),
        "capture": In(1),
    }
    if config.shifts_in_unit:
        members["weight"] = In(config.plane_bits)
    if config.doubles:
        members["weight"] = In(1)
    return members


def _rows(config: CoreConfig, operands: data.View) -> list[list[list[Value]]]:
    """Operands by row, table and entry."""
    return [
        [
            [table[e] for e in range(config.entries)]
            for table in (row[i] for i in range(config.tables))
        ]
        for row in (operands[r] for r in range(config.m))
    ]


class Column(wiring.Component):
    """One weight column: its indices meet the operands of all M rows.

    Members
    -------
    index : In, ``tables`` fields of ``index_bits``, table 0 lowest
        Weight indices of a slice, as packed.
    first : In
        The slice starts a run. Low in a bubble.
    weight : In, only where ``shifts_in_unit`` (plane) or ``doubles`` (a plane starts)
        See :class:`Accumulators`.
    operands : In, :func:`~hdl.tables.tables_layout` of ``operand_bits``
        The slice's tables, one cycle after ``index``; zeros in a bubble.
    capture : In
        Copy the accumulators to ``dots``.
    dots : Out, ``[m]`` numbers of ``accumulator_bits``
        Accumulators as last captured.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        dot = number(config, config.accumulator_bits)
        super().__init__(
            slice_members(config)
            | {
                "index": In(config.tables * config.index_bits),
                "dots": Out(data.ArrayLayout(dot, config.m)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One decoder a table, shared by M units; one accumulator a unit."""
        m = Module()
        config = self._config
        kind = Products if config.engine == "mac" else Lookups
        unit = kind(m, platform, config, self.index)
        accumulators = Accumulators(
            m, platform, config, self.first, getattr(self, "weight", None), self.capture
        )
        dots = [
            accumulators.add(unit.terms(tables, row), config.accumulator_bits, f"{row}")
            for row, tables in enumerate(_rows(config, self.operands))
        ]
        m.d.comb += self.dots.as_value().eq(Cat(*dots))
        return m


class ColumnBlock(wiring.Component):
    """The columns that drain in one result beat.

    Members
    -------
    index : In, ``[drain_columns]`` fields as of :class:`Column`, first column lowest
    first, weight, operands, capture : In
        As of :class:`Column`, for all of them.
    select : In
        Show the captured accumulators in ``dots``; else zeros, so that blocks can be ORed.
    dots : Out, ``[drain_columns][m]`` numbers of ``accumulator_bits``
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        column = data.ArrayLayout(number(config, config.accumulator_bits), config.m)
        super().__init__(
            slice_members(config)
            | {
                "index": In(config.drain_columns * config.tables * config.index_bits),
                "select": In(1),
                "dots": Out(data.ArrayLayout(column, config.drain_columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Fan out, gate."""
        m = Module()
        config = self._config
        dots = []
        for n in range(config.drain_columns):
            column = add_shared(m, platform, f"column_{n}", "column", lambda: Column(config))
            m.d.comb += [
                column.index.eq(self.index.word_select(n, config.tables * config.index_bits)),
                *(getattr(column, name).eq(getattr(self, name)) for name in slice_members(config)),
            ]
            dots.append(column.dots.as_value())
        m.d.comb += self.dots.as_value().eq(Mux(self.select, Cat(*dots), 0))
        return m


class RowSums(wiring.Component):
    """Row sums R of the activations of a run, read from the tables' all-ones entry.

    Computed once a row, not once a column, and once an activation group: in plane 0. The subset
    form also needs the sum over all planes, ``S = (2^b - 1) R``, to turn its sums into D'.

    Members
    -------
    first, weight, operands, capture : In
        As in :class:`Column`.
    counts : In
        The slice is of plane 0. Enters with ``first``.
    negative : In, only where ``negates_tables``
        The slice's tables are negated. Enters with ``first``.
    run_scales : In, ``[m]`` of :func:`~hdl.blocks.scale_layout`, only where block-scaled
        Scales of the slice's run. Enter with ``first``.
    sums : Out, ``[m]`` numbers of ``row_sum_bits``
        R as last captured.
    scales : Out
        Scales of the run last captured.
    plane_sums : Out, ``[m]`` signed of ``accumulator_bits``, only where ``corrects_planes``
        S as last captured.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = slice_members(config) | {
            "counts": In(1),
            "sums": Out(data.ArrayLayout(number(config, config.row_sum_bits), config.m)),
        }
        if config.negates_tables:
            members["negative"] = In(1)
        if config.block_scaled:
            scales = data.ArrayLayout(scale_layout(config), config.m)
            members |= {"run_scales": In(scales), "scales": Out(scales)}
        if config.corrects_planes:
            shape = signed(config.accumulator_bits)
            members["plane_sums"] = Out(data.ArrayLayout(shape, config.m))
        super().__init__(members)

    def _all_ones(self, table: list[Value], negative: Value | None) -> Value:
        """Sum of a table's activations, each counted once."""
        name = self._config.form.name
        # T[0] of the symmetric form takes every activation negatively; 1 + 3 + 9 has digits 1.
        entry = {"symmetric": 0, "ternary": 12}.get(name, len(table) - 1)
        value = table[entry]
        if self._config.exact_floats:
            flip = negative if negative is not None else int(name == "symmetric")
            return Cat(value[:-1], value[-1] ^ flip)
        if negative is not None:
            return Mux(negative, -value, value)
        return -value if name == "symmetric" else value

    def _captured_scales(self, m: Module) -> Value:
        """Scales that keep step with the accumulators of their run."""
        cycles = 1 + self._config.pipeline
        first = delayed(m, self.first, cycles, "scale_first")
        entering = delayed(m, self.run_scales.as_value(), cycles, "scale")
        current = Signal(len(entering), name="scale_current", reset_less=True)
        held = Signal(len(entering), name="scale_held", reset_less=True)
        with m.If(first):
            m.d.sync += current.eq(entering)
        with m.If(self.capture):
            m.d.sync += held.eq(current)
        return held

    def elaborate(self, platform: object) -> Module:
        """One sum a row, two where planes are corrected."""
        m = Module()
        config = self._config
        counts = delayed(m, self.counts, 1, "counts")
        negative = None
        if config.negates_tables:
            negative = delayed(m, self.negative, 1, "negative")
        rows = Accumulators(m, platform, config, self.first, None, self.capture)
        row_sums = []
        ones: list[list[Value]] = []
        for row, tables in enumerate(_rows(config, self.operands)):
            terms: list[Value] = [self._all_ones(table, negative) for table in tables]
            if config.exact_floats:
                terms = [
                    converted(m, platform, t, config.table_format, FP32, f"widen_{row}_{i}")
                    for i, t in enumerate(terms)
                ]
            ones.append(terms)
            counted = [Mux(counts, term, 0) for term in terms]
            row_sums.append(rows.add(counted, config.row_sum_bits, f"row_{row}"))
        m.d.comb += self.sums.as_value().eq(Cat(*row_sums))
        if config.block_scaled:
            m.d.comb += self.scales.as_value().eq(self._captured_scales(m))
        if config.corrects_planes:
            weight = getattr(self, "weight", None)
            planes = Accumulators(m, platform, config, self.first, weight, self.capture)
            plane_sums = [
                planes.add(terms, config.accumulator_bits, f"planes_{row}")
                for row, terms in enumerate(ones)
            ]
            m.d.comb += self.plane_sums.as_value().eq(Cat(*plane_sums))
        return m
