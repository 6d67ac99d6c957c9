"""Entries of tables, and the lowest bits of their sums, which all columns share."""

from amaranth.hdl import Cat, Elaboratable, EnableInserter, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig


def entry_bits(config: CoreConfig) -> int:
    """Width of an entry: ``k`` activations, the last one counted positively.

    That is the symmetric form's (:mod:`lutcore.hdl.parts.entries`) with the opposite sign, which
    saves a bit.
    """
    low, _ = config.activation_range
    return signed_bits(config.k * low, -config.k * low - 1)


def levels(config: CoreConfig) -> list[int]:
    """Numbers of partial sums of a row, from its looked-up entries down to one."""
    counts = [config.tables]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // 2))
    return counts


def parities_layout(config: CoreConfig) -> data.ArrayLayout:
    """Lowest bits of a row's entries and partial sums, level by level: ``[m]`` of their number.

    They are the same whatever the signs, so for all columns. Those of a level come with its sums.
    """
    return data.ArrayLayout(sum(levels(config)), config.m)


class Parities(wiring.Component):
    """Lowest bits of all entries and partial sums of a slice.

    Members
    -------
    go : In
        The pipeline moves.
    entries : In, ``[m][tables]``
        Lowest bits of the entries of the slice's tables, together with them.
    sums : Out, :func:`parities_layout`
        Lowest bits of the entries at once, those of each level of sums one cycle after the last.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "go": In(1),
                "entries": In(data.ArrayLayout(config.tables, config.m)),
                "sums": Out(parities_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """The columns' trees, of one bit."""
        m = Module()
        for row in range(self._config.m):
            level: Value = self.entries[row]
            parts = [level]
            for depth, count in enumerate(levels(self._config)[1:]):
                pairs = Cat(level[2 * i : 2 * i + 2].xor() for i in range(count))
                # lowest bits of this level of the row's sums
                level = Signal(count, name=f"level_{row}_{depth + 1}", reset_less=True)
                m.d.sync += level.eq(pairs)
                parts.append(level)
            m.d.comb += self.sums[row].eq(Cat(*parts))
        return EnableInserter(self.go)(m)
