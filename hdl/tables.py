"""Lookup tables of signed sums of activations (paper, section 2.3 and equations 4-6)."""

import itertools
from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.config import CoreConfig

#: Gives an intermediate sum a signal of its own, so that it is built once.
Keep = Callable[[Value], Value]


def symmetric_entries(activations: list[Value], keep: Keep) -> list[Value]:
    """Entries ``T[x] = sum_{t<K-1} (x_t ? +a_t : -a_t) - a_{K-1}``, x ascending.

    Each is one addition of an entry of the lower half of the group and one of the upper half: K = 4
    takes four sums of pairs and eight additions.
    """
    if len(activations) == 1:
        return [-activations[0]]
    split = len(activations) // 2
    lower = symmetric_entries(activations[:split], keep)
    upper = symmetric_entries(activations[split:], keep)
    # All 2^split signed sums of the lower half, of which those with a positive top are negations.
    entries = []
    for high in upper:
        entries += [keep(high + low) for low in lower]
        entries += [keep(high - low) for low in reversed(lower)]
    return entries


def subset_entries(activations: list[Value], keep: Keep) -> list[Value]:
    """Subset sums ``T[x] = sum_t x_t a_t`` for x = 1 .. 2^K - 1 (entry 0 is zero, not stored)."""
    if len(activations) == 1:
        return activations
    split = len(activations) // 2
    lower = subset_entries(activations[:split], keep)
    upper = subset_entries(activations[split:], keep)
    entries = lower
    for high in upper:
        entries = [*entries, high, *(keep(high + low) for low in lower)]
    return entries


#: Table form -> the entries of one group of activations.
ENTRIES = {"symmetric": symmetric_entries, "subset": subset_entries}


def tables_layout(config: CoreConfig, bits: int) -> data.ArrayLayout:
    """Layout of one step's tables: ``[m][lookups][entries]`` signed of ``bits``, first lowest."""
    table = data.ArrayLayout(signed(bits), config.entries)
    return data.ArrayLayout(data.ArrayLayout(table, config.lookups), config.m)


def activations_layout(config: CoreConfig) -> data.ArrayLayout:
    """Layout of one step's activations: ``[m][depth]`` signed integers, first lowest."""
    return data.ArrayLayout(
        data.ArrayLayout(signed(config.activation_bits), config.depth), config.m
    )


class TableBuilder(wiring.Component):
    """Tables of one step (combinational): every entry of every lookup of every row.

    Parameters
    ----------
    config : CoreConfig
        Reads ``m``, ``k``, ``lookups``, ``table_form`` and ``activation``.

    Members
    -------
    activations : In, :func:`activations_layout`
        Lookup j of row m covers activations ``[m][j*k .. j*k + k-1]``.
    tables : Out, :func:`tables_layout` of ``entry_bits``
        Exact sums; nothing rounds.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "activations": In(activations_layout(config)),
                "tables": Out(tables_layout(config, config.entry_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build each table from halves of its group."""
        m = Module()
        config = self._config

        numbers = itertools.count()

        def keep(value: Value) -> Value:
            held = Signal(value.shape(), name=f"sum_{next(numbers)}")
            m.d.comb += held.eq(value)
            return held

        entries: list[Value] = []
        for row in range(config.m):
            for lookup in range(config.lookups):
                first = lookup * config.k
                group = [self.activations[row][first + t] for t in range(config.k)]
                for x, value in enumerate(ENTRIES[config.table_form](group, keep)):
                    entry = Signal(signed(config.entry_bits), name=f"table_{row}_{lookup}_{x}")
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
    tables : In, :func:`tables_layout` of ``entry_bits``
    plane : In, only where ``table_shift``
        Entries are shifted left by this much.
    fire : In
        A slice is taken in this cycle.
    operands : Out, :func:`tables_layout` of ``operand_bits``
        One cycle later; zeros in a bubble.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        members = {
            "tables": In(tables_layout(config, config.entry_bits)),
            "fire": In(1),
            "operands": Out(tables_layout(config, config.operand_bits)),
        }
        if config.table_shift:
            members["plane"] = In(config.plane_bits)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Shift, gate, register."""
        m = Module()
        config = self._config
        operands = []
        for row in range(config.m):
            for lookup in range(config.lookups):
                for x in range(config.entries):
                    entry = self.tables[row][lookup][x]
                    operand = Signal(
                        signed(config.operand_bits),
                        name=f"operand_{row}_{lookup}_{x}",
                        reset_less=True,
                    )
                    weighed = entry << self.plane if config.table_shift else entry
                    m.d.sync += operand.eq(Mux(self.fire, weighed, 0))
                    operands.append(operand)
        m.d.comb += self.operands.as_value().eq(Cat(*operands))
        return m
