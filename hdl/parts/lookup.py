"""Select an entry by a weight index, and give it its sign: the unit that replaces a multiplier."""

import functools
import operator

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.pieces import choose

#: Up to this many entries a one-hot select and an AND-OR are smaller than a multiplexer tree.
ONE_HOT_ENTRIES = 8


class Select:
    """Registered index of one table, decoded once for all rows of a column.

    ``index`` is the weight index as packed: in forms with signed entries its top bit negates, the
    rest selects; index 0 selects nothing (zero) except in the symmetric form. Selects and tables
    are inverted where ``config.inverted``.
    """

    def __init__(self, m: Module, config: CoreConfig, index: Value, name: str):
        self._entries = config.entries
        self._inverted = config.inverted
        #: Value of the index that selects entry 0.
        self._first = 0 if config.form.name == "symmetric" else 1
        self._one_hot = config.entries <= ONE_HOT_ENTRIES
        # A ternary index has hardly fewer bits than it has selects: those are what is registered.
        self._early = early = self._one_hot and config.form.name == "ternary"
        if early:
            index = Cat(self._selects(index[:-1]), index[-1])
        # weight index that selects an entry of this table
        held = Signal(len(index), name=f"index_{name}", reset_less=True)
        m.d.sync += held.eq(index)
        self.negate: Value | None = None
        chosen: Value = held
        if config.form.signed_entries:
            self.negate, chosen = held[-1], held[:-1]
        if self._one_hot and not early:
            chosen = self._selects(chosen)
        # entry that is selected: one-hot of small tables, else its number
        self._select = Signal(len(chosen), name=f"select_{name}")
        m.d.comb += self._select.eq(~chosen if self._inverted else chosen)

    def _selects(self, number: Value) -> Value:
        """One-hot, of the number that selects an entry; all zero where there is none."""
        return Cat(number == self._first + e for e in range(self._entries))

    def read(self, table: list[Value]) -> Value:
        """Raw bits of the selected entry, its sign not yet applied (see :func:`negated`)."""
        table = [entry.as_unsigned() for entry in table]
        if self._inverted:
            width = len(table[0])
            masked = [e | s.replicate(width) for e, s in zip(table, self._select, strict=True)]
            return ~functools.reduce(operator.and_, masked)
        if self._one_hot:
            gated = [entry & self._select[e].replicate(len(entry)) for e, entry in enumerate(table)]
            if self._early and len(gated) == 4:  # pairs: two AND-ORs of two and a NAND, not a chain
                return (gated[0] | gated[1]) | (gated[2] | gated[3])
            return functools.reduce(operator.or_, gated)
        zero = Const(0, len(table[0]))
        options = [zero] * self._first + table
        options += [zero] * ((1 << len(self._select)) - len(options))
        return choose(options, self._select)


def negated(value: Value, negate: Value | None) -> list[Value]:
    """Terms that sum to ``-value`` where ``negate`` is 1: one's complement and a carry-in.

    Returns a signed term, followed by the one-bit carry where there is a sign.
    """
    if negate is None:
        return [value.as_signed()]
    return [(value ^ negate.replicate(len(value))).as_signed(), negate]


def without_sign_extension(terms: list[Value]) -> list[Value]:
    """Terms of the same sum that need no sign extension where many are added.

    A sign bit counts ``-2^(w-1)``; inverted it counts ``+2^(w-1)``, less a constant.
    """
    unsigned = [Cat(term[:-1], ~term[-1]) if term.shape().signed else term for term in terms]
    constant = -sum(1 << len(term) - 1 for term in terms if term.shape().signed)
    return [*unsigned, Const(constant, signed(constant.bit_length() + 1))]


def tree_sum(terms: list[Value]) -> Value:
    """Sum as a balanced tree: shallow expressions and narrow partial sums."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
    return terms[0]
