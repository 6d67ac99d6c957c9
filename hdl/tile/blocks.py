"""Blocks of activations that share a scale: alignment of floats, and eight-bit tables.

Both need the greatest of a whole run before its first step can go on, so a run is buffered while
the one before it is read (:class:`RunBuffer`).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.floats.numbers import keep, shift_right, ties_to_even, unpack
from lutcore.hdl.tile.tables import tables_layout, values_layout


def scale_layout(config: CoreConfig) -> data.StructLayout:
    """Scale of one row of a run: integers count ``2^(exponent - config.scale_offset)``.

    ``invalid``: the run holds an infinity or NaN, its results are NaN.
    """
    return data.StructLayout({"exponent": config.exponent_bits, "invalid": 1})


class RunBuffer(wiring.Component):
    """Holds a run until its greatest key is known, while the run before it leaves.

    Parameters
    ----------
    config : CoreConfig
        Reads ``m`` and ``run_steps``, the most steps of a run; a run that is longer is cut.
    payload_bits : int
        Width of a step.
    key_bits : int
        Width of a key.

    Members
    -------
    steps : In stream
        Steps of a run, the keys of their rows, and the last one marked.
    results : Out stream
        The same steps, with the greatest keys of the run.
    """

    def __init__(self, config: CoreConfig, payload_bits: int, key_bits: int):
        self._config = config
        self._bits = payload_bits
        self._keys = data.ArrayLayout(unsigned(key_bits), config.m)
        layout = data.StructLayout({"payload": payload_bits, "keys": self._keys, "last": 1})
        super().__init__(
            {"steps": In(stream.Signature(layout)), "results": Out(stream.Signature(layout))}
        )

    def elaborate(self, platform: object) -> Module:
        """Two banks, written and read in turn."""
        m = Module()
        size = self._config.run_steps
        # steps of two runs, each with whether it is the last one
        m.submodules.memory = memory = Memory(shape=self._bits + 1, depth=2 * size, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")

        full = Signal(2)  # banks that hold a whole run, a bit each
        # greatest keys of the run in this bank, row 0 lowest
        keys = [Signal(self._keys, name=f"keys_{bank}", reset_less=True) for bank in range(2)]
        bank_in = Signal()  # bank that is written
        bank_out = Signal()  # bank that is read
        index_in = Signal(range(size))  # step of the run that is written
        index_out = Signal(range(size))  # step of the run that is read
        taken = self.steps.valid & self.steps.ready
        sent = self.results.valid & self.results.ready
        ends = self.steps.payload.last | (index_in == size - 1)
        m.d.comb += [
            self.steps.ready.eq(~full.bit_select(bank_in, 1)),
            write.en.eq(taken),
            write.addr.eq(Mux(bank_in, size, 0) + index_in),
            write.data.eq(Cat(self.steps.payload.payload, ends)),
            read.addr.eq(Mux(bank_out, size, 0) + index_out),
            self.results.valid.eq(full.bit_select(bank_out, 1)),
            self.results.payload.payload.eq(read.data[:-1]),
            self.results.payload.last.eq(read.data[-1]),
            self.results.payload.keys.eq(Mux(bank_out, keys[1], keys[0])),
        ]
        fills = Mux(taken & ends, Const(1, 2) << bank_in, 0)
        empties = Mux(sent & read.data[-1], Const(1, 2) << bank_out, 0)
        m.d.sync += full.eq((full | fills) & ~empties)
        with m.If(taken):
            m.d.sync += [index_in.eq(Mux(ends, 0, index_in + 1)), bank_in.eq(bank_in ^ ends)]
            for bank, greatest in enumerate(keys):
                with m.If(bank_in == bank):
                    for row in range(self._config.m):
                        key = self.steps.payload.keys[row]
                        larger = (index_in == 0) | (key > greatest[row])
                        m.d.sync += greatest[row].eq(Mux(larger, key, greatest[row]))
        with m.If(sent):
            last = read.data[-1]
            m.d.sync += [index_out.eq(Mux(last, 0, index_out + 1)), bank_out.eq(bank_out ^ last)]
        return m


class ExponentKeys(wiring.Component):
    """Keys for alignment: a row's greatest exponent of a step, above it whether any is special.

    Members
    -------
    activations : In, ``[m][depth]`` bit patterns
        One step of activations.
    keys : Out, ``[m]``
        The greatest exponent of each row; above it, whether any is infinite or NaN.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        row = data.ArrayLayout(unsigned(config.activation_bits), config.depth)
        key = unsigned(config.float_format.exponent_bits + 1)
        super().__init__(
            {
                "activations": In(data.ArrayLayout(row, config.m)),
                "keys": Out(data.ArrayLayout(key, config.m)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A tree of maxima a row."""
        m = Module()
        config = self._config
        for row in range(config.m):
            values = self.activations[row]
            exponents, special = [], []
            for i in range(config.depth):
                fields = unpack(m, values[i], config.float_format, f"a_{row}_{i}")
                exponents.append(fields.exponent)
                special.append(fields.special)
            key = Cat(_greatest(m, exponents, f"exponent_{row}"), Cat(special).any())
            m.d.comb += self.keys[row].eq(key)
        return m


def _greatest(m: Module, values: list[Value], name: str) -> Value:
    while len(values) > 1:
        pairs = [
            keep(m, Mux(a > b, a, b), f"{name}_{len(values)}_{i}")
            for i, (a, b) in enumerate(zip(values[::2], values[1::2], strict=False))
        ]
        values = pairs + values[len(pairs) * 2 :]
    return values[0]


class Aligner(wiring.Component):
    """Floats to integers that share the greatest exponent of their run (combinational).

    ``a = value * 2^(exponent - bias - (align_bits - 2))``, rounded to nearest even: the greatest
    magnitude of the run fills ``align_bits`` bits and is exact.

    Members
    -------
    activations : In, ``[m][depth]`` bit patterns
        One step of activations, as floats.
    keys : In, ``[m]`` as of :class:`ExponentKeys`
        The greatest exponent of each row of the run; above it, whether any is infinite or NaN.
    values : Out, :func:`~lutcore.hdl.tile.tables.values_layout`
        The step's activations, as integers.
    scales : Out, ``[m]`` of :func:`scale_layout`
        What the integers of each row count, and whether its results are NaN.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        row = data.ArrayLayout(unsigned(config.activation_bits), config.depth)
        key = unsigned(config.float_format.exponent_bits + 1)
        super().__init__(
            {
                "activations": In(data.ArrayLayout(row, config.m)),
                "keys": In(data.ArrayLayout(key, config.m)),
                "values": Out(values_layout(config)),
                "scales": Out(data.ArrayLayout(scale_layout(config), config.m)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One shifter an activation."""
        m = Module()
        config = self._config
        format = config.float_format
        # One bit more than the magnitude needs, to round by.
        room = config.align_bits - format.precision
        aligned = []
        for row in range(config.m):
            exponent = self.keys[row][:-1]
            m.d.comb += [
                self.scales[row].exponent.eq(exponent),
                self.scales[row].invalid.eq(self.keys[row][-1]),
            ]
            values = self.activations[row]
            for i in range(config.depth):
                name = f"{row}_{i}"
                fields = unpack(m, values[i], format, f"a_{name}")
                distance = keep(m, (exponent - fields.exponent)[: len(exponent)], f"by_{name}")
                wide = Cat(Const(0, room), fields.significand)
                shifted = shift_right(m, wide, distance, Const(0, 1), f"shift_{name}")
                sticky, guard, kept = shifted[0], shifted[1], shifted[2:]
                magnitude = kept + ties_to_even(kept[0], guard, sticky)
                # the activation as an integer
                value = Signal(signed(config.value_bits), name=f"value_{name}")
                m.d.comb += value.eq(Mux(fields.sign, -magnitude, magnitude))
                aligned.append(value)
        m.d.comb += self.values.as_value().eq(Cat(*aligned))
        return m


class MagnitudeKeys(wiring.Component):
    """Keys for eight-bit tables: a row's greatest table entry of a step, ``sum |a|`` of a table.

    Members
    -------
    values : In, :func:`~lutcore.hdl.tile.tables.values_layout`
        One step of activations, as integers.
    keys : Out, ``[m]`` unsigned
        The greatest entry of each row's tables.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "values": In(values_layout(config)),
                "keys": Out(data.ArrayLayout(unsigned(config.entry_bits), config.m)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A sum of magnitudes a table, their greatest a row."""
        m = Module()
        config = self._config
        for row in range(config.m):
            values = self.values[row]
            sums = []
            for table in range(config.tables):
                total: Value = Const(0, 1)
                for t in range(config.k):
                    value = values[table * config.k + t]
                    total = total + Mux(value < 0, -value, value).as_unsigned()
                sums.append(keep(m, total[: config.entry_bits], f"sum_{row}_{table}"))
            m.d.comb += self.keys[row].eq(_greatest(m, sums, f"greatest_{row}"))
        return m


class TableRounder(wiring.Component):
    """Table entries to eight bits: ``T8 = round_half_even(T / 2^h)`` (paper, section 3.1.3).

    h is the least shift for which the greatest ``sum |a|`` of the run's row fits 127, so rounded
    entries never need to saturate.

    Members
    -------
    tables : In, :func:`~lutcore.hdl.tile.tables.tables_layout` of ``entry_bits``
        Tables of one step, exact.
    keys : In, ``[m]`` as of :class:`MagnitudeKeys`
        The greatest entry of each row's tables in the run.
    rounded : Out, :func:`~lutcore.hdl.tile.tables.tables_layout` of ``stored_bits``
        The tables in eight bits.
    shifts : Out, ``[m]``
        By how many bits the entries of each row are shifted right.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "tables": In(tables_layout(config, config.entry_bits)),
                "keys": In(data.ArrayLayout(unsigned(config.entry_bits), config.m)),
                "rounded": Out(tables_layout(config, config.stored_bits)),
                "shifts": Out(data.ArrayLayout(unsigned(config.table_round_bits), config.m)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Compare once a row, shift and round every entry."""
        m = Module()
        config = self._config
        rounded = []
        for row in range(config.m):
            key = self.keys[row]
            exceeded = [key > 127 << i for i in range(config.most_table_round)]
            # by how many bits entries of the row are shifted
            shift = Signal(config.table_round_bits, name=f"shift_{row}")
            m.d.comb += [shift.eq(sum(exceeded, Const(0, 1))), self.shifts[row].eq(shift)]
            for table in range(config.tables):
                for x in range(config.entries):
                    name = f"{row}_{table}_{x}"
                    entry = self.tables[row][table][x]
                    # the entry shifted, with one bit to round by
                    halves = Signal(signed(config.entry_bits + 1), name=f"halves_{name}")
                    # the entry shifted, not rounded
                    kept = Signal(signed(config.entry_bits), name=f"kept_{name}")
                    m.d.comb += [
                        halves.eq(Cat(Const(0, 1), entry).as_signed() >> shift),
                        kept.eq(halves >> 1),
                    ]
                    below = ((Const(1, 1) << shift) - 1).as_unsigned() >> 1
                    sticky = (entry & below).any()
                    # the entry in eight bits
                    value = Signal(signed(config.stored_bits), name=f"rounded_{name}")
                    m.d.comb += value.eq(kept + ties_to_even(kept[0], halves[0], sticky))
                    rounded.append(value)
        m.d.comb += self.rounded.as_value().eq(Cat(*rounded))
        return m
