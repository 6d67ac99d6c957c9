"""Bit-serial accumulation: a weight column with its lookup units, and the row sums beside them."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.config import CoreConfig
from hdl.lookup import Select, negated, tree_sum
from hdl.sharing import add_shared
from hdl.tables import tables_layout


def delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    """``value`` some cycles later, in registers without reset."""
    for stage in range(cycles):
        held = Signal(value.shape(), name=f"{name}_{stage}", reset_less=True)
        m.d.sync += held.eq(value)
        value = held
    return value


class Accumulators:
    """Accumulators of one column and the copies that drain while the next run is summed.

    The controls enter together with a slice's weight indices, one cycle before its tables.
    """

    def __init__(self, m: Module, config: CoreConfig, first: Value, plane: Value | None):
        self._m = m
        self._config = config
        cycles = 1 + config.pipeline
        self._first = delayed(m, first, cycles, "first")
        self._plane = None if plane is None else delayed(m, plane, cycles, "plane")

    def add(self, total: Value, bits: int, capture: Value, name: str) -> Signal:
        """Sum ``total`` over a run in ``bits`` bits; returns the sum as last captured.

        A run's first slice overwrites instead of clearing, and a bubble adds zero: the accumulator
        needs neither reset nor enable.
        """
        m = self._m
        total = delayed(m, total, self._config.pipeline, f"partial_{name}")
        if self._plane is not None:
            total = total << self._plane
        accumulator = Signal(signed(bits), name=f"accumulator_{name}", reset_less=True)
        held = Signal(signed(bits), name=f"held_{name}", reset_less=True)
        m.d.sync += accumulator.eq(Mux(self._first, 0, accumulator) + total)
        with m.If(capture):
            m.d.sync += held.eq(accumulator)
        return held


def _slice_members(config: CoreConfig) -> dict[str, wiring.Member]:
    members = {
        "first": In(1),
        "operands": In(tables_layout(config, config.operand_bits)),
        "capture": In(1),
    }
    if config.shifts_in_unit:
        members["plane"] = In(config.plane_bits)
    return members


class Column(wiring.Component):
    """One weight column: its indices are looked up in the tables of all M rows.

    Members
    -------
    index : In, ``lookups`` fields of ``k`` bits, lookup 0 lowest
        Weight indices of a slice, remapped offline for the symmetric form.
    first : In
        The slice starts a run. Low in a bubble.
    plane : In, only where ``shifts_in_unit``
        Bit plane of the slice: its sum counts 2^plane.
    operands : In, :func:`~hdl.tables.tables_layout` of ``operand_bits``
        The slice's tables, one cycle after ``index``; zeros in a bubble.
    capture : In
        Copy the accumulators to ``dots``.
    dots : Out, ``[m]`` signed of ``accumulator_bits``
        Accumulators as last captured.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        dot = signed(config.accumulator_bits)
        super().__init__(
            _slice_members(config)
            | {"index": In(config.depth), "dots": Out(data.ArrayLayout(dot, config.m))}
        )

    def elaborate(self, platform: object) -> Module:
        """One decoder a lookup, shared by M units; one accumulator a unit."""
        m = Module()
        config = self._config
        selects = [
            Select(m, config, self.index.word_select(lookup, config.k), f"{lookup}")
            for lookup in range(config.lookups)
        ]
        plane = self.plane if config.shifts_in_unit else None
        accumulators = Accumulators(m, config, self.first, plane)
        dots = []
        for row in range(config.m):
            terms: list[Value] = []
            carries: list[Value] = []
            for lookup, select in enumerate(selects):
                table = [self.operands[row][lookup][e] for e in range(config.entries)]
                term, *carry = negated(select.read(table), select.negate)
                terms.append(term)
                carries += carry
            unit = Signal(signed(config.unit_bits), name=f"unit_{row}")
            m.d.comb += unit.eq(tree_sum(terms + carries))
            dots.append(accumulators.add(unit, config.accumulator_bits, self.capture, f"{row}"))
        m.d.comb += self.dots.as_value().eq(Cat(*dots))
        return m


class ColumnBlock(wiring.Component):
    """The columns that drain in one result beat.

    Members
    -------
    index : In, ``[drain_columns]`` fields as of :class:`Column`, first column lowest
    first, plane, operands, capture : In
        As of :class:`Column`, for all of them.
    select : In
        Show the captured accumulators in ``dots``; else zeros, so that blocks can be ORed.
    dots : Out, ``[drain_columns][m]`` signed of ``accumulator_bits``
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        column = data.ArrayLayout(signed(config.accumulator_bits), config.m)
        super().__init__(
            _slice_members(config)
            | {
                "index": In(config.drain_columns * config.depth),
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
                column.index.eq(self.index.word_select(n, config.depth)),
                *(getattr(column, name).eq(getattr(self, name)) for name in _slice_members(config)),
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
    first, plane, operands, capture : In
        As in :class:`Column`.
    counts : In
        The slice is of plane 0. Enters with ``first``.
    sums : Out, ``[m]`` signed of ``row_sum_bits``
        R as last captured.
    plane_sums : Out, ``[m]`` signed of ``accumulator_bits``, only in the subset form
        S as last captured.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = _slice_members(config) | {
            "counts": In(1),
            "sums": Out(data.ArrayLayout(signed(config.row_sum_bits), config.m)),
        }
        if config.table_form == "subset":
            shape = signed(config.accumulator_bits)
            members["plane_sums"] = Out(data.ArrayLayout(shape, config.m))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """One adder a row, two in the subset form."""
        m = Module()
        config = self._config
        symmetric = config.table_form == "symmetric"
        counts = delayed(m, self.counts, 1, "counts")
        rows = Accumulators(m, config, self.first, None)
        planes = Accumulators(m, config, self.first, self.plane if config.shifts_in_unit else None)
        row_sums, plane_sums = [], []
        for row in range(config.m):
            tables = self.operands[row]
            # The symmetric form's T[0] takes every activation negatively.
            ones = tree_sum(
                [-tables[i][0] if symmetric else tables[i][-1] for i in range(config.lookups)]
            )
            total = Signal(signed(config.unit_bits), name=f"ones_{row}")
            counted = Signal(signed(config.unit_bits), name=f"counted_{row}")
            m.d.comb += [total.eq(ones), counted.eq(Mux(counts, total, 0))]
            row_sums.append(rows.add(counted, config.row_sum_bits, self.capture, f"row_{row}"))
            if not symmetric:
                plane_sums.append(
                    planes.add(total, config.accumulator_bits, self.capture, f"planes_{row}")
                )
        m.d.comb += self.sums.as_value().eq(Cat(*row_sums))
        if not symmetric:
            m.d.comb += self.plane_sums.as_value().eq(Cat(*plane_sums))
        return m
