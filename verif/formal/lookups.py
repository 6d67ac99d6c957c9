"""The datapath of a slice: what tables, selects and accumulators give is the dot product.

Activations and indices are free: every table, every index, every plane. What an index means is
written here once more, from the numeric contract; packing is held against it by
:func:`factors` in a test.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.column import Column, RowSums
from lutcore.hdl.tile.tables import TableBuilder, TableStage, number, tables_layout
from lutcore.verif.formal.harness import BlockHarness

#: Forms whose indices are weights.
_WHOLE = ("product", "trit")


def factors(form: str, k: int, bits: int, index: int) -> list[int]:
    """What a table's index multiplies each of its activations by, before its plane counts.

    Symmetric: bits are -1 and +1, the lower ones inverted where the top one is 1. Subset and two's
    complement: 0 and 1. Ternary: sign and magnitude of a balanced ternary number, of more
    than k digits nothing. Product and trit: the whole weight of ``bits``.
    """
    places = [index >> t & 1 for t in range(k)]
    if form == "symmetric":
        top = places[-1]
        return [2 * (bit ^ top) - 1 for bit in places[:-1]] + [2 * top - 1]
    if form == "ternary":
        bits = _most(k).bit_length()  # of the magnitude
        return _trits(k, index & (1 << bits) - 1, -1 if index >> bits else 1)
    if form in _WHOLE:
        return [index - (1 << bits) if index >> bits - 1 else index]
    return places


def _most(k: int) -> int:
    """The number whose k balanced ternary digits are all 1."""
    return sum(3**place for place in range(k))


def _trits(k: int, magnitude: int, sign: int) -> list[int]:
    """Digits of a balanced ternary number of k places, lowest first."""
    found = []
    for _ in range(k):
        digit = (magnitude + 1) % 3 - 1
        found.append(sign * digit)
        magnitude = (magnitude - digit) // 3
    return found if magnitude == 0 else [0] * k


def entries(form: str, k: int, bits: int) -> list[list[int]]:
    """Factors of each stored entry: those of the indices that select without negating."""
    if form in _WHOLE:
        return [[1]]
    signed_ = {"symmetric": 1 << k - 1, "ternary": _most(k) + 1}
    numbers = range(form != "symmetric", signed_.get(form, 1 << k))
    return [factors(form, k, bits, number) for number in numbers]


def selected(form: str, k: int, bits: int, index: int) -> tuple[int, int]:
    """The entry that has what an index means, and what it is multiplied by: 1, -1 or 0."""
    wanted = factors(form, k, bits, index)
    stored = entries(form, k, bits)
    for sign in (1, -1):
        for place, found in enumerate(stored):
            if [sign * factor for factor in found] == wanted:
                return place, sign
    assert not any(wanted), f"no entry of {form} tables is what index {index} means"
    return 0, 0


class TableProperties(BlockHarness):
    """Every entry of every table is the sum of its activations, whatever they are."""

    reduced = ("of one row",)
    chosen = True

    def __init__(self, config: CoreConfig):
        self._config = config.replace(m=1)
        super().__init__(TableBuilder(self._config))

    def describe(self, m: Module) -> None:
        """The builder, and its sums once more."""
        config = self._config
        self.put(m)
        low, high = config.activation_range
        values = [self.activations[0][i] for i in range(config.depth)]
        legal = Cat((value >= low) & (value <= high) for value in values).all()
        self.assume(m, f"activations are {low} to {high}", legal)
        stored = entries(config.form.name, config.table_k, config.index_bits)
        for table in range(config.tables):
            group = values[table * config.table_k :][: config.table_k]
            for x, digits in enumerate(stored):
                terms = [a if d > 0 else -a for a, d in zip(group, digits, strict=True) if d]
                entry = self._block.tables[0][table][x]
                self.hold(m, f"entry {x} of table {table} is its sum", entry == _halves(terms))
        some = self._block.tables[0][0][0]
        self.happen(m, "a negative entry", some < -1)
        self.happen(m, "a positive one", some > 1)


class Datapath(wiring.Component):
    """Register, one column and the row sums, as a tile joins them."""

    def __init__(self, config: CoreConfig):
        self._config = config
        members = {
            "tables": In(tables_layout(config, config.stored_bits)),
            "index": In(config.tables * config.index_bits),
            "plane": In(max(1, config.plane_bits)),
            "negative": In(1),
            "starts": In(1),
            "first": In(1),
            "fire": In(1),
            "capture": In(1),
            "dots": Out(data.ArrayLayout(number(config, config.accumulator_bits), config.m)),
            "sums": Out(data.ArrayLayout(number(config, config.row_sum_bits), config.m)),
        }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Join them."""
        m = Module()
        config = self._config
        m.submodules.stage = stage = TableStage(config)
        m.submodules.column = column = Column(config)
        m.submodules.row_sums = row_sums = RowSums(config)
        first = self.first & self.fire
        m.d.comb += [
            stage.tables.eq(self.tables),
            stage.fire.eq(self.fire),
            column.index.eq(self.index),
            column.first.eq(first),
            column.operands.eq(stage.operands),
            row_sums.first.eq(first),
            row_sums.operands.eq(stage.operands),
            row_sums.capture.eq(self.capture),
            row_sums.counts.eq(self.plane == 0),
            self.dots.eq(column.dots),
            self.sums.eq(row_sums.sums),
        ]
        if config.table_shift:
            m.d.comb += stage.plane.eq(self.plane)
        if config.shifts_in_unit:
            m.d.comb += column.weight.eq(self.plane)
        if config.doubles:
            m.d.comb += column.weight.eq(self.starts & self.fire)
        if config.negates_tables:
            m.d.comb += [stage.negative.eq(self.negative), row_sums.negative.eq(self.negative)]
        return m


#: Entries of a table of which solvers decide sums of several.
_ENTRIES = 8


class LookupProperties(BlockHarness):
    """Two slices of a run, and of the next: each counts as its indices, planes and signs say."""

    reduced = ("of one row and one column",)

    def __init__(self, config: CoreConfig):
        self._config = config.replace(m=1)
        if config.entries > _ENTRIES and config.tables > 1:
            self._config = self._config.replace(lookups=1)
            self.reduced = ("of one row, one column and one table",)
        self._form = (config.form.name, config.table_k, config.index_bits)
        super().__init__(Datapath(self._config))

    def _looked_up(self, m: Module) -> Value:
        """What the slice's indices mean, in entries, before its plane counts."""
        config = self._config
        total: list[Value] = []
        for table in range(config.tables):
            index = self.index.word_select(table, config.index_bits)
            entry = self.tables[0][table]
            if config.form.name in _WHOLE:
                total.append(entry[0] * index.as_signed())
                continue
            term = Signal(signed(config.stored_bits + 1), name=f"term_{table}")
            with m.Switch(index):
                for value in range(1 << config.index_bits):
                    place, sign = selected(*self._form, value)
                    with m.Case(value):
                        m.d.comb += term.eq((0, entry[place], -entry[place])[sign])
            total.append(term)
        return _sum(total)

    def _assume_ranges(self, m: Module) -> None:
        """Entries are sums of activations, indices such as packing makes."""
        config = self._config
        ends = config.activation_range
        within = []
        for table in range(config.tables):
            for place, digits in enumerate(entries(*self._form)):
                reach = [[digit * end for end in ends] for digit in digits]
                low, high = sum(map(min, reach)), sum(map(max, reach))
                if config.table == "int8":
                    low, high = -127, 127
                entry = self.tables[0][table][place]
                within.append((entry >= low) & (entry <= high))
        self.assume(m, "table entries are sums of activations", Cat(within).all())
        if config.form.name == "ternary":
            indices = [
                self.index.word_select(table, config.index_bits) for table in range(config.tables)
            ]
            legal = Cat(index[:-1] <= _most(config.k) for index in indices).all()
            self.assume(m, "an index is sign and magnitude of a table's trits", legal)
        if config.form.name == "trit":
            trits = [self.index.word_select(i, 2) for i in range(config.tables)]
            self.assume(m, "weights are -1, 0, 1", Cat(trit != 0b10 for trit in trits).all())

    def _ones(self) -> Value:
        """The sum of the step's activations, in entries."""
        place, sign = next(
            (place, sign)
            for sign in (1, -1)
            for place, digits in enumerate(entries(*self._form))
            if digits == [sign] * len(digits)
        )
        found = [self.tables[0][table][place] for table in range(self._config.tables)]
        return _sum(found) if sign > 0 else -_sum(found)

    def describe(self, m: Module) -> None:
        """The datapath, and its sums once more."""
        config = self._config
        self.put(m)
        last = config.planes(config.max_weight_bits) - 1
        self.assume(m, "planes are those of the widest weights", self.plane <= last)
        self._assume_ranges(m)
        weighs = config.table_shift or config.shifts_in_unit
        dot = self._looked_up(m)
        dot = Mux(self.negative, -dot, dot) if config.negates_tables else dot
        dot = dot << self.plane if weighs else dot
        kept = lambda value, bits: value[:bits].as_signed()  # noqa: E731
        run = Signal(signed(config.accumulator_bits), name="run")
        before = Mux(self.starts, run << 1, run) if config.doubles else run
        first = self.first & self.fire
        ones = Signal(signed(config.row_sum_bits), name="ones")
        row = self._ones()
        counts = self.fire & (self.plane == 0) if last else self.fire
        with m.If(self.fire):
            m.d.sync += run.eq(kept(Mux(first, 0, before) + dot, len(run)))
        m.d.sync += ones.eq(kept(Mux(first, 0, ones) + Mux(counts, row, 0), len(ones)))
        ready, started = self._started(m)
        cycles = 1 + config.pipeline
        dots = _later(m, run, cycles, "run")
        self.hold(
            m, "an accumulator is the run's dot product", self._block.dots[0] == dots, when=ready
        )
        sums = Signal.like(ones, name="captured")
        arrived = _later(m, ones, cycles, "ones")
        with m.If(self.capture):
            m.d.sync += sums.eq(arrived)
        caught = Signal(name="caught")
        m.d.sync += caught.eq(caught | (self.capture & ready))
        self.hold(
            m, "a row sum is that of its activations", self._block.sums[0] == sums, when=caught
        )
        self.happen(m, "a negative dot product of two slices", ready & (dots < -2) & started)

    def _started(self, m: Module) -> tuple[Value, Value]:
        """Whether a run's sums have arrived, and whether one of several slices has."""
        config = self._config
        open_, second = Signal(name="open"), Signal(name="second")
        self.assume(m, "the first slice begins a run", self.first, when=self.fire & ~open_)
        with m.If(self.fire):
            m.d.sync += [open_.eq(1), second.eq(~self.first)]
        cycles = 1 + config.pipeline
        return _later(m, open_, cycles, "open"), _later(m, second, cycles, "second")


def _later(m: Module, value: Signal, cycles: int, name: str) -> Value:
    held: Value = value
    for stage in range(cycles):
        following = Signal(value.shape(), name=f"{name}_after_{stage}")
        m.d.sync += following.eq(held)
        held = following
    return held


def _halves(terms: list[Value]) -> Value:
    """The first half and the second one, as the contract adds floats: then solvers see equals."""
    half = len(terms) // 2
    return _halves(terms[:half]) + _halves(terms[half:]) if half else terms[0]


def _sum(terms: list[Value]) -> Value:
    """Neighbours first, as solvers like sums of many."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
    return terms[0]
