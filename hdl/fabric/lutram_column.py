"""Units for FPGAs: tables in distributed RAM, sums in carry chains, accumulators in memory."""

from amaranth.hdl import Cat, Elaboratable, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.carry_chains import add_subtract, offset_value
from lutcore.hdl.fabric.parities import entry_bits, levels, parities_layout
from lutcore.hdl.fabric.table_writer import write_layout

#: Attributes of memories that are never read where they are written in the same cycle, or whose
#: output is not used then: block RAM needs no logic for that case.
UNORDERED = {"no_rw_check": 1}


class LutRamColumn(wiring.Component):
    """One weight column: its own copy of the tables of all M rows, and M x ``passes`` accumulators.

    A slice's index selects an entry of every table; their signs meet in the tree that sums them,
    where ``a - b`` costs as much as ``a + b``; the sign of a sum is that of its first entry. Only
    the tree's carry chains are logic.

    Times below count from ``index``; S is ``config.stages``.

    Members
    -------
    go : In
        The pipeline moves.
    index : In, ``tables`` fields of ``k``, table 0 lowest
        Weight indices of a slice, as packed.
    bank : In, at 1
        Bank of the tables that the slice reads.
    parities : In, :func:`parities_layout`, from 1 on
        Lowest bits of the entries that are looked up, and of their partial sums.
    weight : In, only where ``shifts_in_unit`` or ``doubles``, at S - 1
        The slice counts 2^weight; or accumulators are doubled before.
    read : In, at S - 1
        Number of the accumulators that the slice adds to.
    first : In, at S - 1
        The slice starts a run: accumulators count as zero.
    store : In, at S
        Write the sums. Low in a bubble.
    stored : In, at S
        Number of the accumulators that the sums go to. Consecutive slices must differ in it.
    write : In, :func:`~lutcore.hdl.fabric.table_writer.write_layout`
        Writes all tables.
    dots : Out, ``[m]`` signed of ``accumulator_bits``, at S
        The accumulators as written.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        dot = signed(config.accumulator_bits)
        members = {
            "go": In(1),
            "index": In(config.tables * config.k),
            "bank": In(1),
            "parities": In(parities_layout(config)),
            "read": In(range(config.passes)),
            "first": In(1),
            "store": In(1),
            "stored": In(range(config.passes)),
            "write": In(write_layout(config)),
            "dots": Out(data.ArrayLayout(dot, config.m)),
        }
        if config.shifts_in_unit:
            members["weight"] = In(config.plane_bits)
        if config.doubles:
            members["weight"] = In(1)
        super().__init__(members)

    def _look_up(self, m: Module) -> tuple[list[list[Value]], list[Value]]:
        """Entries without their lowest bits ``[m][tables]``, and whether they count positively."""
        config = self._config
        width = entry_bits(config) - 1
        rows: list[list[Value]] = [[] for _ in range(config.m)]
        positive: list[Value] = []
        for table in range(config.tables):
            index = self.index.word_select(table, config.k)
            # entry of the table that the slice's index selects, its sign apart
            address = Signal(config.k - 1, name=f"address_{table}", reset_less=True)
            m.d.sync += address.eq(index)
            positive.append(index[-1])
            shape = config.m * width
            # the table of each row in two banks, entries without their lowest bits
            memory = Memory(shape=shape, depth=1 << config.k, init=[], attrs=UNORDERED)
            m.submodules[f"table_{table}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            entries = [self.write.entries[row][table] for row in range(config.m)]
            m.d.comb += [
                write.en.eq(self.write.enable),
                write.addr.eq(self.write.address),
                write.data.eq(Cat(*entries)),
                read.addr.eq(Cat(address, self.bank)),
            ]
            for row in range(config.m):
                rows[row].append(read.data.word_select(row, width))
        return rows, positive

    def _tree(
        self, m: Module, platform: object, rows: list[list[Value]], positive: list[Value]
    ) -> tuple[list[Value], Value]:
        """Sum of each row's entries, its lowest bit included, and whether it counts positively."""
        config = self._config
        low = 0  # where a level's parities start
        for depth, count in enumerate(levels(config)):
            # The signs of a level enter with the registers before it.
            same = [~(positive[2 * i] ^ positive[2 * i + 1]) for i in range(len(positive) // 2)]
            # for each pair of terms whether their signs agree; on top, whether the sum is positive
            signs = Signal(len(same) + 1, name=f"signs_{depth}", reset_less=True)
            m.d.sync += signs.eq(Cat(*same, positive[0]))
            following = []
            for i in range(0, len(positive), 2):
                # whether the sum of this pair counts positively
                held = Signal(name=f"positive_{depth}_{i}", reset_less=True)
                m.d.sync += held.eq(positive[i])
                following.append(held)
            if count == 1:
                sums = [
                    offset_value(Cat(self.parities[row][low], rows[row][0]))
                    for row in range(config.m)
                ]
                return sums, signs[-1]
            for row, terms in enumerate(rows):
                full = [Cat(self.parities[row][low + i], term) for i, term in enumerate(terms)]
                bits = len(full[0])
                held = []
                for i in range(0, count, 2):
                    name = f"sum_{depth}_{row}_{i // 2}"
                    # sum of a pair of terms in offset binary, without its lowest bit
                    total = Signal(bits, name=name, reset_less=True)
                    if i + 1 < count:
                        a, b = full[i], full[i + 1]
                        high = add_subtract(
                            m, platform, f"add_{name}", a, b, signs[i // 2], bits + 1
                        )
                        m.d.sync += total.eq(high)
                    else:
                        # Half of the next width's offset more.
                        wider = Cat(terms[i][:-1], ~terms[i][-1], terms[i][-1])
                        m.d.sync += total.eq(wider)
                    held.append(total)
                rows[row] = held
            positive = following
            low += count
        raise AssertionError("a tree ends with one sum")

    def elaborate(self, platform: object) -> Elaboratable:
        """Look up, sum, accumulate."""
        m = Module()
        config = self._config
        bits = config.accumulator_bits
        sums, positive = self._tree(m, platform, *self._look_up(m))
        if config.shifts_in_unit:
            weighed = []
            for row, total in enumerate(sums):
                # sum of the slice times 2^plane
                shifted = Signal(signed(bits), name=f"weighed_{row}", reset_less=True)
                m.d.sync += shifted.eq(total << self.weight)
                weighed.append(shifted)
            held = Signal(name="positive_weighed", reset_less=True)  # the sums count positively
            m.d.sync += held.eq(positive)
            sums, positive = weighed, held

        # accumulators of all rows, a word for each pass
        m.submodules.accumulators = memory = Memory(
            shape=config.m * bits, depth=config.passes, init=[], attrs=UNORDERED
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        # accumulators that the slice adds to; 0 where it starts a run
        before = Signal(config.m * bits, reset_less=True)
        after = Signal(config.m * bits)  # accumulators with the slice
        old: Value = read.data
        if config.doubles:
            parts = [read.data.word_select(row, bits) for row in range(config.m)]
            doubled = Cat(Cat(0, part[:-1]) for part in parts)
            old = Mux(self.weight, doubled, old)
        m.d.sync += before.eq(Mux(self.first, 0, old))
        parts = []
        for row, total in enumerate(sums):
            own = before.word_select(row, bits)
            term = Signal(signed(bits), name=f"term_{row}")  # the slice's sum of this row
            m.d.comb += term.eq(total)
            high = add_subtract(m, platform, f"accumulate_{row}", own, term, positive, bits)
            parts.append(Cat(own[0] ^ term[0], high))
        m.d.comb += [
            read.addr.eq(self.read),
            after.eq(Cat(*parts)),
            write.en.eq(self.store),
            write.addr.eq(self.stored),
            write.data.eq(after),
            self.dots.as_value().eq(after),
        ]
        return EnableInserter(self.go)(m)
