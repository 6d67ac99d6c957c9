"""What kind of core a configuration is, and the shape of its tiles, slices and tables."""

from functools import cached_property

from lutcore.hdl.config.fields import Fields
from lutcore.hdl.config.formats import FLOATS, FORMATS, FloatFormat
from lutcore.hdl.config.forms import FORMS, Form


class Shape(Fields):
    """Fields, and the counts that follow from them."""

    @property
    def is_float(self) -> bool:
        """Whether activations are floats."""
        return self.activation in FLOATS

    @property
    def exact_floats(self) -> bool:
        """Whether tables and accumulators are floats."""
        return self.is_float and self.float_mode == "exact"

    @property
    def aligned(self) -> bool:
        """Whether float activations become integers of a shared exponent."""
        return self.is_float and self.float_mode == "aligned"

    @property
    def block_scaled(self) -> bool:
        """Whether a row's results of a run share an exponent, which leaves with them."""
        return self.aligned or self.table == "int8"

    @property
    def integer_results(self) -> bool:
        """Whether a run's results are integers that need no scale to be added."""
        return not (self.block_scaled or self.exact_floats)

    @property
    def marks_runs(self) -> bool:
        """Whether the stream of activations or tables marks the last step of a run."""
        return self.precompute == "buffered" or (
            self.block_scaled and self.precompute != "external"
        )

    @property
    def float_format(self) -> FloatFormat:
        """Format of float activations."""
        return FORMATS[self.activation]

    @property
    def table_format(self) -> FloatFormat:
        """Format of the entries of exact float tables; multipliers take activations as they are."""
        return FORMATS[self.activation if self.engine == "mac" else FLOATS[self.activation]]

    @cached_property
    def form(self) -> Form:
        """How weights are read and tables are made."""
        if self.weight_coding == "ternary":
            return FORMS["trit" if self.engine == "mac" else "ternary"]
        own = {"mac": "product", "add": "subset", "conventional-lut": "twos-complement"}
        return FORMS[own.get(self.engine, self.table_form)]

    @property
    def columns(self) -> int:
        """Weight columns of all tiles: ``tiles * n``."""
        return self.tiles * self.n

    @property
    def depth(self) -> int:
        """K elements that one weight slice covers: ``k * lookups``."""
        return self.k * self.lookups

    @property
    def table_k(self) -> int:
        """Activations of one table; engines without tables have one activation in its place."""
        return 1 if self.engine in ("mac", "add") else self.k

    @property
    def tables(self) -> int:
        """Tables (or single activations) that a unit reads in a cycle."""
        return self.depth // self.table_k

    @property
    def can_keep_carries(self) -> bool:
        """Whether units have a register that may hold a sum with its carries kept."""
        return self.pipeline > 0 and not self.exact_floats

    @property
    def carry_save_levels(self) -> int:
        """Most levels of full adders in front of a unit's register; 0: it holds the whole sum."""
        return self.pipeline_cut if self.can_keep_carries else 0

    @property
    def products_per_cycle(self) -> int:
        """Products of one slice, of one-bit weights if bit-serial: ``m * columns * depth``."""
        return self.m * self.columns * self.depth

    @property
    def run_length(self) -> int:
        """Most K elements that one accumulator run sums."""
        return self.group_size or self.max_k

    @property
    def run_steps(self) -> int:
        """Most steps of a run."""
        return self.run_length // self.depth

    @property
    def entries(self) -> int:
        """Stored entries of one table; entries that are zero are not stored."""
        return len(self.form.counts(self.table_k))

    @property
    def index_bits(self) -> int:
        """Bits of one weight index."""
        return self.form.index_bits(self.table_k, self.max_weight_bits)

    @property
    def slice_bits(self) -> int:
        """Weight bits of one slice: ``columns * tables * index_bits``."""
        return self.columns * self.tables * self.index_bits

    @property
    def weight_bits_range(self) -> tuple[int, int]:
        """Least and greatest bits of weights that a slice may be of."""
        least = 1 if self.weight_coding == "binary" else self.max_weight_bits
        return least, self.max_weight_bits

    def products_of(self, bits: int) -> float:
        """Products a cycle of whole weights of so many bits."""
        return self.products_per_cycle / self.planes(bits)

    def planes(self, bits: int) -> int:
        """Slices of a step of b-bit weights: bit planes, or 1 where a slice holds whole codes."""
        return bits if self.form.bit_serial else 1
