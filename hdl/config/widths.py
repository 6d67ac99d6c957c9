"""Widths of a core's signals, each from the exact range of what the signal can hold."""

from functools import cached_property

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.formats import FORMATS, INTEGERS
from lutcore.hdl.config.shape import Shape


class Widths(Shape):
    """A shape, and the ranges and widths that follow from it."""

    @property
    def activation_range(self) -> tuple[int, int]:
        """Least and greatest activation as the tables see it."""
        bits = self.align_bits if self.is_float else INTEGERS[self.activation]
        low = -(1 << bits - 1)
        return (low + 1 if self.is_float else low), -low - 1

    @property
    def activation_bits(self) -> int:
        """Width of one activation on its stream."""
        return self.float_format.bits if self.is_float else INTEGERS[self.activation]

    @property
    def value_bits(self) -> int:
        """Width of one activation as the tables see it."""
        return self.activation_bits if self.exact_floats else signed_bits(*self.activation_range)

    def _range(self, count: int, factors: tuple[int, int]) -> tuple[int, int]:
        """Range of a sum of ``count`` activations, each times one of ``factors``."""
        ends = [a * f for a in self.activation_range for f in factors]
        return count * min(ends), count * max(ends)

    @property
    def _pairs(self) -> bool:
        """Whether tables are of two trits."""
        return self.form.name == "ternary" and self.table_k == 2

    def _entry_range(self, count: int) -> tuple[int, int]:
        """Range of an entry that sums so many activations.

        The highest activation of an entry of trits counts positively. Tables of three trits keep
        the bit more that they have had.
        """
        low, high = self.activation_range
        if self._pairs:
            return count * low, high + (count - 1) * max(high, -low)
        return self._range(count, self.form.digits)

    @property
    def entry_bits(self) -> int:
        """Width of a table entry as built."""
        if self.exact_floats:
            return self.table_format.bits
        return signed_bits(*self._entry_range(self.table_k))

    @property
    def stored_range(self) -> tuple[int, int]:
        """Range of a table entry as looked up, before its plane counts."""
        if self.table == "int8":
            return -127, 127
        return self._entry_range(self.table_k)

    @property
    def stored_bits(self) -> int:
        """Width of a table entry as looked up, before its plane counts."""
        return self.entry_bits if self.exact_floats else signed_bits(*self.stored_range)

    def operand_width(self, entry: int) -> int:
        """Width that an entry really needs as an operand: those of few activations are narrower."""
        if self.exact_floats or self.table == "int8" or self.negates_tables:
            return self.operand_bits
        count = self.form.counts(self.table_k)[entry]
        return signed_bits(*self._entry_range(count)) + self.table_shift

    @property
    def inverted(self) -> bool:
        """Whether operands and selects are registered inverted.

        OR-AND-INVERT gates then give up to three selected entries their true polarity.
        """
        return self.entries <= 3 and not self.exact_floats

    @property
    def shifts_in_unit(self) -> bool:
        """Where a slice is weighed by 2^plane: in each unit, after its sum; else in the tables.

        One lookup reads tables that are shifted already, which all columns share; with several,
        shifting their sum widens fewer adders.
        """
        return self._weighs_planes and not self.table_shift

    @property
    def doubles(self) -> bool:
        """Whether accumulators double before a plane, planes coming highest first."""
        return self.form.bit_serial and self.max_weight_bits > 1 and not self._weighs_planes

    @property
    def _weighs_planes(self) -> bool:
        """Whether each slice is weighed by its plane, so that planes may come in any order."""
        several = self.form.bit_serial and self.max_weight_bits > 1
        return several and self.plane_order == "any" and not self.exact_floats

    @property
    def table_shift(self) -> int:
        """Greatest left shift of a table before it is looked up."""
        shifts = self._weighs_planes and self.tables == 1 and self.table_storage == "mux"
        return self.max_weight_bits - 1 if shifts else 0

    @property
    def negates_tables(self) -> bool:
        """Whether the top plane of a run is looked up in negated tables."""
        return self.engine == "conventional-lut"

    def _looked_up(self, count: int) -> tuple[int, int]:
        """Range of the sum of ``count`` looked-up entries, weighed by plane in the table or not."""
        low, high = self.stored_range
        signs = (-1, 1) if self.negates_tables else self.form.digits
        if signs[0] < 0:
            low, high = min(low, -high), max(high, -low)
        return (count * low) << self.table_shift, (count * high) << self.table_shift

    @property
    def operand_bits(self) -> int:
        """Width of a table entry as the units read it, weighed by its plane."""
        if self.exact_floats or self._pairs:  # whose sign is applied as the entry is added
            return self.stored_bits
        return signed_bits(*self._looked_up(1))

    @property
    def unit_bits(self) -> int:
        """Width of the sum of a unit's lookups, or of its products."""
        if self.engine == "mac":
            return signed_bits(*self.products_range(self.depth))
        return signed_bits(*self._looked_up(self.tables))

    def products_range(self, count: int) -> tuple[int, int]:
        """Range of the sum of so many products of activations and whole weights."""
        return self._range(count, self.form.weights(self.max_weight_bits))

    @property
    def accumulator_bits(self) -> int:
        """Width of an accumulator: a full run of extreme activations and weights fits."""
        if self.exact_floats:
            return FORMATS["fp32"].bits
        return signed_bits(*self.products_range(self.run_length))

    @property
    def row_sum_bits(self) -> int:
        """Width of a row sum over one run."""
        if self.exact_floats:
            return FORMATS["fp32"].bits
        return signed_bits(*self._range(self.run_length, (1, 1)))

    @property
    def most_table_round(self) -> int:
        """Greatest shift h of eight-bit tables."""
        largest = max(map(abs, self._range(self.table_k, self.form.digits)))
        return next(h for h in range(64) if largest <= 127 << h)

    @property
    def table_round_bits(self) -> int:
        """Width of h."""
        return max(1, self.most_table_round.bit_length())

    @property
    def scale_offset(self) -> int:
        """What to subtract from a run's exponent: its integers count 2^(exponent - offset)."""
        return self.float_format.bias + self.align_bits - 2 if self.aligned else 0

    @property
    def power_range(self) -> tuple[int, int]:
        """Bounds of the power of two that a run's results count: exponent minus offset."""
        most = (1 << self.exponent_bits) - 1 if self.block_scaled else 0
        return -self.scale_offset, most - self.scale_offset

    @property
    def exponent_bits(self) -> int:
        """Width of the exponent that leaves with block-scaled results."""
        aligned = self.float_format.exponent_bits if self.aligned else 0
        return max(aligned, 5) + 1

    @property
    def plane_bits(self) -> int:
        """Width of a plane number; 0 where only one-bit weights are built in."""
        return (self.planes(self.max_weight_bits) - 1).bit_length()

    @property
    def zero_point_range(self) -> tuple[int, int]:
        """Range of z'' = 2z + 1 - 2^b + offset(b), 0 <= z <= 2^b, b up to ``max_weight_bits``."""
        bits = range(1, self.max_weight_bits + 1)
        ends = [s * (1 << b) + 1 + self.form.offset(b) for b in bits for s in (-1, 1)]
        return min(ends), max(ends)

    @cached_property
    def zero_point_bits(self) -> int:
        """Width of one z''."""
        return signed_bits(*self.zero_point_range)

    @property
    def dot_bits(self) -> int:
        """Width of one result: P, or the accumulator D where zero points are external."""
        if self.zero_points == "external":
            return self.accumulator_bits
        widest = 2 << self.max_weight_bits
        return signed_bits(*self._range(self.run_length, (-widest, widest)))
