"""Accumulation: a weight column with its units, and the row sums beside the columns."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.floats.numbers import double
from lutcore.hdl.parts.carry_save import Addend, CarrySave, Tree
from lutcore.hdl.parts.lookup import tree_sum, without_sign_extension
from lutcore.hdl.parts.pieces import captured, delayed
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.blocks import scale_layout
from lutcore.hdl.tile.tables import Floats, converted, number, tables_layout
from lutcore.hdl.tile.units import FP32, Lookups, Products


class Accumulators:
    """Accumulators of one column, or of the row sums.

    The controls enter together with a slice's weight indices, one cycle before its operands.

    Parameters
    ----------
    m, platform
        Where the logic goes.
    config : CoreConfig
    first : Value
        The slice starts a run.
    weight : Value or None
        The plane whose power of two the slice counts, where ``shifts_in_unit``; or that the slice
        starts a plane, before which the accumulator doubles, where ``doubles``. None: neither.
    counts : Value or None
        Add the slice, or not.
    adders : str
        Name of the module that all of them share where carries are kept.
    """

    def __init__(
        self,
        m: Module,
        platform: object,
        config: CoreConfig,
        first: Value,
        weight: Value | None = None,
        counts: Value | None = None,
        adders: str = "adders",
    ):
        self._m = m
        self._platform = platform
        self._config = config
        self._adders = adders
        cycles = 1 + config.pipeline
        self._weight = self._double = None
        keep = ~first
        if weight is not None and config.doubles:
            self._double = delayed(m, weight & keep, cycles, "double")
            keep &= ~weight
        elif weight is not None:
            self._weight = delayed(m, weight, cycles, "weight")
        self._keep = delayed(m, keep, cycles, "keep")
        self._counts = None if counts is None else delayed(m, counts, cycles, "counts")

    def add(self, terms: list[Value], bits: int, name: str) -> Signal:
        """Sum ``terms`` over a run in ``bits`` bits.

        A run's first slice overwrites instead of clearing, and a bubble adds zero: the accumulator
        needs neither reset nor enable. What it adds to is selected by two registers, one-hot, in an
        AND-OR, which is smaller than multiplexers.
        """
        m, config = self._m, self._config
        terms = [
            delayed(m, term, int(config.pipeline > 1), f"term_{name}_{i}")
            for i, term in enumerate(terms)
        ]
        # sum of the run so far
        accumulator = Signal(number(config, bits), name=f"accumulator_{name}", reset_less=True)
        totals = self._floats(terms, name) if config.exact_floats else self._integers(terms, name)
        before = Mux(self._keep, accumulator[:], 0)
        if self._double is not None:
            doubled = double(accumulator, FP32) if config.exact_floats else accumulator << 1
            before |= Mux(self._double, doubled[: len(before)], 0)
        if not config.exact_floats:
            after = tree_sum([before.as_signed(), *totals])
        else:
            after = Floats(m, self._platform, FP32, f"accumulate_{name}").sum([before, *totals])
        if self._counts is not None:
            after = Mux(self._counts, after, before)
        m.d.sync += accumulator.eq(after)
        return accumulator

    def _integers(self, terms: list[Value], name: str) -> list[Value]:
        """What to add to the accumulator, behind the register of ``pipeline``."""
        if self._config.carry_save_levels:
            totals = self._carry_save(terms, name)
        else:
            if sum(term.shape().signed for term in terms) > 1:
                terms = without_sign_extension(terms)
            totals = [self._registered(tree_sum(terms), name)]
        return totals if self._weight is None else [total << self._weight for total in totals]

    def _carry_save(self, terms: list[Value], name: str) -> list[Value]:
        """Rows and a constant of the same sum, behind the first levels of its full adders."""
        constant = sum(term.value for term in terms if isinstance(term, Const))
        terms = [term for term in terms if not isinstance(term, Const)]
        tree = Tree.of(map(Addend.of, terms), self._config.carry_save_levels)
        inputs = {f"addend_{i}": term for i, term in enumerate(terms)}
        adders = add_shared(
            *(self._m, self._platform, f"adders_{name}", self._adders, lambda: CarrySave(tree)),
            inputs,
        )
        rows: list[Value] = []
        for row in range(len(tree.rows)):
            bits = self._registered(
                getattr(adders, f"row_{row}"), name + (f"_{row}" if row else "")
            )
            rows.append(tree.weighted(row, bits))
        constant += tree.constant
        return [*rows, Const(constant, signed(signed_bits(constant, constant)))]

    def _registered(self, total: Value, name: str) -> Value:
        return delayed(self._m, total, min(1, self._config.pipeline), f"sum_{name}")

    def _floats(self, terms: list[Value], name: str) -> list[Value]:
        total = Floats(self._m, self._platform, FP32, f"adder_{name}").sum(terms)
        return [self._registered(total, name)]


def slice_members(config: CoreConfig) -> dict[str, wiring.Member]:
    """Ports that every consumer of a slice has."""
    members = {
        "first": In(1),
        "operands": In(tables_layout(config, config.operand_bits)),
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
    weight : In, only where ``shifts_in_unit`` or ``doubles``, as of :class:`Accumulators`
        The slice counts 2^weight; or it starts a plane, before which accumulators double.
    operands : In, :func:`~lutcore.hdl.tile.tables.tables_layout` of ``operand_bits``
        The slice's tables, one cycle after ``index``; zeros in a bubble.
    dots : Out, ``[m]`` numbers of ``accumulator_bits``
        Accumulators, ``2 + pipeline`` cycles after ``index``.
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
        weight = getattr(self, "weight", None)
        accumulators = Accumulators(m, platform, config, self.first, weight)
        dots = [
            accumulators.add(unit.terms(tables, row), config.accumulator_bits, f"{row}")
            for row, tables in enumerate(_rows(config, self.operands))
        ]
        m.d.comb += self.dots.as_value().eq(Cat(*dots))
        return m


class RowSums(wiring.Component):
    """Row sums R of the activations of a run, read from the tables' all-ones entry.

    Computed once a row, not once a column, and once an activation group: in plane 0.

    Members
    -------
    first : In
        The slice starts a run. Low in a bubble.
    operands : In, :func:`~lutcore.hdl.tile.tables.tables_layout` of ``operand_bits``
        The slice's tables, one cycle after ``first``; zeros in a bubble.
    capture : In
        Copy the sums of the run that stands in the accumulators.
    counts : In
        The slice is of plane 0. Enters with ``first``.
    negative : In, only where ``negates_tables``
        The slice's tables are negated. Enters with ``first``.
    run_scales : In, ``[m]`` of :func:`~lutcore.hdl.tile.blocks.scale_layout`
        Scales of the slice's run, only where block-scaled. Enter with ``first``.
    sums : Out, ``[m]`` numbers of ``row_sum_bits``
        R as last captured.
    scales : Out
        Scales of the run last captured.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = {
            "first": In(1),
            "operands": In(tables_layout(config, config.operand_bits)),
            "capture": In(1),  # copy the row sums of the run that stands in the accumulators
            "counts": In(1),  # the slice is of plane 0: its activations count
            "sums": Out(data.ArrayLayout(number(config, config.row_sum_bits), config.m)),
        }
        if config.negates_tables:
            members["negative"] = In(1)
        if config.block_scaled:
            scales = data.ArrayLayout(scale_layout(config), config.m)
            members |= {"run_scales": In(scales), "scales": Out(scales)}
        super().__init__(members)

    def _all_ones(self, table: list[Value], negative: Value | None) -> Value:
        """Sum of a table's activations, each counted once."""
        name = self._config.form.name
        # T[0] of the symmetric form takes every activation negatively, the last of others plainly.
        value = table[0 if name == "symmetric" else -1]
        if self._config.inverted:
            value = (~value).as_signed()
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
        current = captured(m, entering, first, "scale_current")
        return captured(m, current, self.capture, "scale")

    def elaborate(self, platform: object) -> Module:
        """One sum a row."""
        m = Module()
        config = self._config
        negative = None
        if config.negates_tables:
            negative = delayed(m, self.negative, 1, "negative")
        counts = self.counts if config.planes(config.max_weight_bits) > 1 else None
        adders = "row_sum_adders"
        rows = Accumulators(m, platform, config, self.first, counts=counts, adders=adders)
        for row, tables in enumerate(_rows(config, self.operands)):
            terms: list[Value] = [self._all_ones(table, negative) for table in tables]
            if config.exact_floats:
                terms = [
                    converted(m, platform, t, config.table_format, FP32, f"widen_{row}_{i}")
                    for i, t in enumerate(terms)
                ]
            elif config.pipeline > 1:
                terms = [tree_sum(terms[i : i + 8]) for i in range(0, len(terms), 8)]
            current = rows.add(terms, config.row_sum_bits, f"row_{row}")
            m.d.comb += self.sums[row].eq(captured(m, current, self.capture, f"row_{row}"))
        if config.block_scaled:
            m.d.comb += self.scales.as_value().eq(self._captured_scales(m))
        return m
