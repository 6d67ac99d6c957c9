"""Units for FPGAs without distributed RAM: small tables in registers, sums in carry chains."""

from amaranth.hdl import Cat, Elaboratable, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.parities import entry_bits, levels, parities_layout
from lutcore.hdl.parts.lookup import tree_sum
from lutcore.hdl.parts.pieces import choose, delayed
from lutcore.hdl.tile.tables import values_layout


def chain_tables_layout(config: CoreConfig) -> data.ArrayLayout:
    """Tables of a step without the entries' lowest bits: ``[m][tables][2^(k-1)]``."""
    table = data.ArrayLayout(signed(entry_bits(config) - 1), 1 << config.k - 1)
    return data.ArrayLayout(data.ArrayLayout(table, config.tables), config.m)


class ChainTables(wiring.Component):
    """Builds the tables of a step and holds them for the slice that uses them.

    Entries are those of :class:`~lutcore.hdl.fabric.table_writer.TableWriter`.

    Members
    -------
    go : In
        The pipeline moves.
    activations : In, :func:`~lutcore.hdl.tile.tables.values_layout`
        One step of activations.
    tables : Out, :func:`chain_tables_layout`, one cycle later
        Entries of the step's tables, without their lowest bits.
    parities : Out, ``[m][tables]``, one cycle later
        The entries' lowest bits.
    sums : Out, ``[m]``, at once
        Sums of each row's activations.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._sum = signed_bits(*(config.depth * end for end in config.activation_range))
        super().__init__(
            {
                "go": In(1),
                "activations": In(values_layout(config)),
                "tables": Out(chain_tables_layout(config)),
                "parities": Out(data.ArrayLayout(config.tables, config.m)),
                "sums": Out(data.ArrayLayout(signed(self._sum), config.m)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """Each entry from one of half as many activations."""
        m = Module()
        config = self._config
        bits = entry_bits(config)
        tables: list[Value] = []
        parities: list[Value] = []
        for row in range(config.m):
            sums: list[Value] = []
            for table in range(config.tables):
                group = [self.activations[row][table * config.k + t] for t in range(config.k)]
                entries: list[Value] = [group[-1]]
                for a in reversed(group[:-1]):
                    entries = [entry for e in entries for entry in (e + a, e - a)]
                name = f"{row}_{table}"
                # lowest bit of all entries of the table
                parity = Signal(name=f"parity_{name}", reset_less=True)
                # entry of the table without its lowest bit
                held = [
                    Signal(signed(bits - 1), name=f"entry_{name}_{x}", reset_less=True)
                    for x in range(len(entries))
                ]
                m.d.sync += parity.eq(Cat(a[0] for a in group).xor())
                m.d.sync += [h.eq(e[1:bits]) for h, e in zip(held, entries, strict=True)]
                tables += held
                parities.append(parity)
                sums.append(entries[0])
            m.d.comb += self.sums[row].eq(tree_sum(sums))
        m.d.comb += [
            self.tables.as_value().eq(Cat(*tables)),
            self.parities.as_value().eq(Cat(*parities)),
        ]
        return EnableInserter(self.go)(m)


class ChainColumn(wiring.Component):
    """One weight column: its indices select from the tables of all M rows.

    A selected entry and a sum are inverted where their sign differs from that of their neighbour,
    in LUTs that are there anyway; carries complete the two's complements. The sign of a sum is that
    of its first entry.

    S is ``config.stages``.

    Members
    -------
    go : In
        The pipeline moves.
    index : In, ``tables`` fields of ``k``, table 0 lowest
        Weight indices of a slice, as packed.
    tables : In, :func:`chain_tables_layout`, one cycle after ``index``
        Entries of the slice's tables, without their lowest bits.
    parities : In, :func:`~lutcore.hdl.fabric.parities.parities_layout`, from two cycles after it on
        Lowest bits of the entries that are looked up, and of their partial sums.
    valid : In, S cycles after it
        There is a slice.
    clear : In
        Clear the accumulators: when a run ends, and after a reset.
    weight : In, only where ``shifts_in_unit`` or ``doubles``
        The slice counts 2^weight (one cycle before ``valid``); or it starts a plane, before which
        accumulators double (together with ``valid``).
    dots : Out, ``[m]`` signed of ``accumulator_bits``, together with ``valid``
        Sums of the run so far.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = {
            "go": In(1),
            "index": In(config.tables * config.k),
            "tables": In(chain_tables_layout(config)),
            "parities": In(parities_layout(config)),
            "valid": In(1),
            "clear": In(1),  # clear the accumulators: when a run ends, and after a reset
            "dots": Out(data.ArrayLayout(signed(config.accumulator_bits), config.m)),
        }
        if config.shifts_in_unit:
            members["weight"] = In(config.plane_bits)
        if config.doubles:
            members["weight"] = In(1)
        super().__init__(members)

    def _look_up(self, m: Module) -> tuple[list[list[Value]], list[Value]]:
        """Selected entries ``[m][tables]``, and whether they count positively."""
        config = self._config
        rows: list[list[Value]] = [[] for _ in range(config.m)]
        positive: list[Value] = []
        for table in range(config.tables):
            index = delayed(m, self.index.word_select(table, config.k), 1, f"index_{table}")
            positive.append(index[-1])
            for row in range(config.m):
                entries = self.tables[row][table]
                options = [entries[x] for x in range(1 << config.k - 1)]
                rows[row].append(choose(options, index[:-1]))
        return rows, positive

    def _register(
        self, m: Module, rows: list[list[Value]], positive: list[Value], depth: int
    ) -> tuple[list[list[Value]], list[Value], list[Value]]:
        """Registers a level, right terms being inverted where their sign differs from the left.

        Returns the terms, the signs of the left ones, and whether neighbours' signs are the same.
        """
        same = [~(a ^ b) for a, b in zip(positive[::2], positive[1::2], strict=False)]
        registered = []
        for row, terms in enumerate(rows):
            held = []
            for i, term in enumerate(terms):
                name = f"term_{depth}_{row}_{i}"
                # term of this level of the row's sum, right ones inverted where signs differ
                held.append(Signal(signed(len(term)), name=name, reset_less=True))
                inverted = (~same[i // 2]).replicate(len(term)) if i % 2 else 0
                m.d.sync += held[-1].eq(term ^ inverted)
            registered.append(held)
        signs = delayed(m, Cat(*positive[::2]), 1, f"positive_{depth}")
        return registered, list(signs), list(delayed(m, Cat(*same), 1, f"same_{depth}"))

    def _sum(self, m: Module) -> tuple[list[Value], list[Value], Value]:
        """Sum of each row, inverted where negative, without its lowest bit; that bit as it is
        before; and whether the sums count positively.
        """
        config = self._config
        rows, positive = self._look_up(m)
        low = 0  # where a level's parities start
        for depth, count in enumerate(levels(config)[:-1]):
            rows, positive, same = self._register(m, rows, positive, depth)
            for row, terms in enumerate(rows):
                parity = self.parities[row][low : low + count]
                rows[row] = [
                    _sum(terms[i], terms[i + 1], parity[i], parity[i + 1], same[i // 2])
                    if i + 1 < count
                    else terms[i]
                    for i in range(0, count, 2)
                ]
            low += count
        sums = [row[0] for row in rows]
        lows: list[Value] = [parities[low] for parities in self.parities]
        sign = positive[0]
        if config.shifts_in_unit:
            sums = [delayed(m, total, 1, f"sum_{row}") for row, total in enumerate(sums)]
            sign = delayed(m, sign, 1, "positive_sum")
            weighed = [
                (Cat(low, total).as_signed() << self.weight)[: config.accumulator_bits]
                for low, total in zip(lows, sums, strict=True)
            ]
            sums = [total[1:].as_signed() for total in weighed]
            lows = [delayed(m, total[0], 1, f"low_{r}") for r, total in enumerate(weighed)]
        held = []
        for row, total in enumerate(sums):
            # sum of the slice without its lowest bit, inverted where it counts negatively
            held.append(Signal(signed(len(total)), name=f"signed_sum_{row}", reset_less=True))
            m.d.sync += held[-1].eq(total ^ (~sign).replicate(len(total)))
        return held, lows, delayed(m, sign, 1, "positive")

    def elaborate(self, platform: object) -> Elaboratable:
        """Select, sum, accumulate; a run's end clears for the next one."""
        m = Module()
        config = self._config
        bits = config.accumulator_bits
        sums, lows, positive = self._sum(m)
        for row, (total, low) in enumerate(zip(sums, lows, strict=True)):
            # sum of the run so far
            accumulator = Signal(signed(bits), name=f"accumulator_{row}", reset_less=True)
            before: Value = accumulator
            if config.doubles:
                before = Mux(self.weight, Cat(0, accumulator[:-1]), accumulator)
            high = _sum(before[1:].as_signed(), total, before[0], low, positive)
            after = Signal(signed(bits), name=f"after_{row}")  # sum of the run with this slice
            m.d.comb += [after.eq(Cat(before[0] ^ low, high)), self.dots[row].eq(after)]
            with m.If(self.clear):
                m.d.sync += accumulator.eq(0)
            with m.Elif(self.valid):
                m.d.sync += accumulator.eq(after)
        return EnableInserter(self.go)(m)


def _sum(a: Value, b: Value, a_low: Value, b_low: Value, same: Value) -> Value:
    """Sum of two terms without their lowest bits, ``b`` being inverted unless ``same``."""
    carry = Mux(b_low, a_low, ~same)
    return (Cat(1, a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()
