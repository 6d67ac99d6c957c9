"""The configuration that everything reads: RTL, packing, golden model, benches and reports."""

import dataclasses
import json
import tomllib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from lutcore.errors import InputError
from lutcore.hdl.config.formats import FORMATS, FloatFormat
from lutcore.hdl.config.forms import FORMS, Form
from lutcore.hdl.config.rules import rules

#: Integer activation formats and their bits.
INTEGERS = {"int8": 8, "int16": 16}

#: Float activation formats, and the format that exact tables hold their sums in.
FLOATS = {"fp8-e4m3": "fp16", "fp8-e5m2": "bf16", "fp16": "fp16", "bf16": "bf16"}

#: The shortest scale group in common use (Q4_0, Q8_0, MXFP4); automatic ``result_columns`` keep
#: even one-bit groups of this size free of drain stalls.
SHORTEST_GROUP = 32

_CHOICES: dict[str, tuple[str, ...]] = {
    "engine": ("lut", "mac", "add", "conventional-lut"),
    "table_form": ("symmetric", "subset"),
    "activation": (*INTEGERS, *FLOATS),
    "float_mode": ("aligned", "exact"),
    "table": ("exact", "int8"),
    "weight_coding": ("binary", "ternary"),
    "precompute": ("inline", "buffered", "external"),
    "table_storage": ("mux", "lutram", "chain"),
    "zero_points": ("shared", "column", "external"),
    "plane_order": ("any", "descending"),
}

_RANGES: dict[str, tuple[int, int]] = {
    "m": (1, 256),
    "n": (1, 4096),
    "k": (1, 6),
    "lookups": (1, 64),
    "tiles": (1, 64),
    "max_weight_bits": (1, 8),
    "group_size": (0, 1 << 20),
    "max_k": (1, 1 << 20),
    "passes": (1, 255),
    "result_columns": (0, 4096),
    "pipeline": (0, 2),
    "align_bits": (6, 24),
    "bus_bits": (64, 512),
    "activation_buffer": (64, 1 << 20),
    "weight_buffer": (64, 1 << 24),
    "scale_buffer": (64, 1 << 20),
    "output_buffer": (64, 1 << 24),
    "program_buffer": (16, 1 << 16),
}


def signed_bits(low: int, high: int) -> int:
    """Width of the narrowest two's-complement integer that holds ``low..high``."""
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """One tensor core, described completely.

    Parameters
    ----------
    name : str
        Name of the emitted design: a Verilog identifier.
    engine : {"lut", "mac", "add", "conventional-lut"}
        Datapath that computes the dot products: lookup tables; multipliers; one conditional add per
        weight bit; full tables with two's-complement weights as earlier LUT accelerators have them.
    m, n : int
        Activation rows and weight columns of a tile (paper, section 3.2.2).
    k : int
        Activations that one table covers, 1..6 (engines without tables: ``k * lookups`` counts).
    lookups : int
        Tables that a unit reads and sums per cycle: ``k * lookups`` products per unit and cycle.
    tiles : int
        Tiles side by side, 1..64: ``n`` columns each, in lockstep, which share tables, row sums and
        drain. A table is computed once and broadcast to a register in every tile. A slice and a
        run cover ``columns = tiles * n`` columns.
    table_form : {"symmetric", "subset"}
        ``symmetric`` stores the 2^(k-1) entries of the paper's equation 5; ``subset`` the 2^k - 1
        subset sums of the activations. Results are equal. Engine ``lut`` only.
    max_weight_bits : int
        Widest weight code, 1..8; every slice may use fewer.
    activation : {"int8", "int16", "fp8-e4m3", "fp8-e5m2", "fp16", "bf16"}
        Format of the activations: two's complement over the full range, OCP OFP8, IEEE 754, BF16.
    float_mode : {"aligned", "exact"}
        Float activations become integers that share the exponent of a run, or float tables are
        accumulated in FP32.
    align_bits : int
        Width of aligned activations, two's complement.
    table : {"exact", "int8"}
        ``int8`` rounds table entries to eight bits with one power of two per row and run.
    weight_coding : {"binary", "ternary"}
        ``ternary`` reads three weights of -1, 0, 1 in five bits and one cycle (k = 3).
    group_size : int
        Most K elements that one accumulator run sums; 0 means a whole row of ``max_k``. It sets the
        accumulator's width. Longer scale groups are run in pieces that the reader adds.
    max_k : int
        Longest row (K) that the core must hold without overflow.
    precompute : {"inline", "buffered", "external"}
        Where tables come from: built from the activation stream for every pass; built once a run
        and kept for all planes and N tiles; or arriving on a stream.
    table_storage : {"mux", "lutram", "chain"}
        ``mux`` holds tables once, read by multiplexers into one sum. For FPGAs, every sum being a
        carry chain with registers behind: ``lutram`` gives each column its own copy in distributed
        RAM, written entry by entry while the copy before it is read; ``chain`` is for families
        without such RAM and holds tables once. Integer activations, symmetric tables.
    passes : int
        With ``lutram``, N tiles that read the tables of a step, one after the other, into
        accumulators of their own, while the next tables are written: ``write_cycles`` or more.
    zero_points : {"shared", "column", "external"}
        ``shared`` subtracts one zero point of all columns of a run in the drain (symmetric and
        ternary formats), ``column`` one of each column; ``external`` leaves that to the reader,
        who gets the accumulators as they are (:class:`~lutcore.hdl.config.forms.Form`) and the row
        sums.
    plane_order : {"any", "descending"}
        ``any``: each slice is weighed by its plane. ``descending``: a run takes all its steps of
        the highest plane first, and accumulators double at a plane's start, which is smaller.
        Exact floats always do so.
    result_columns : int
        Columns per beat of the result stream, a divisor of ``columns``; 0 chooses the fewest that
        never stall one-bit runs of ``group_size`` (or of 32 elements).
    pipeline : int
        Extra register stages of a unit: 1 between the sum of its lookups and the accumulator, 2
        also before that sum.
    bus_bits : int
        Data width of the core's memory bus, a power of two, 64..512.
    activation_buffer, weight_buffer, scale_buffer, output_buffer : int
        Bytes of the core's buffers, powers of two (:func:`~lutcore.hdl.config.rules.check_core`).
    program_buffer : int
        Instructions of the longest program, a power of two.

    Raises
    ------
    InputError
        (a :class:`ValueError`) naming the field, the value and what is allowed.
    """

    name: str = "lut_tile"
    engine: str = "lut"
    m: int = 2
    n: int = 64
    k: int = 4
    lookups: int = 1
    tiles: int = 1
    table_form: str = "symmetric"
    max_weight_bits: int = 2
    activation: str = "int8"
    float_mode: str = "aligned"
    align_bits: int = 14
    table: str = "exact"
    weight_coding: str = "binary"
    group_size: int = 0
    max_k: int = 16384
    precompute: str = "inline"
    table_storage: str = "mux"
    passes: int = 1
    zero_points: str = "shared"
    plane_order: str = "any"
    result_columns: int = 0
    pipeline: int = 0
    bus_bits: int = 128
    activation_buffer: int = 1 << 14
    weight_buffer: int = 1 << 14
    scale_buffer: int = 1 << 12
    output_buffer: int = 1 << 15
    program_buffer: int = 512

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.isidentifier()):
            raise InputError(f"name must be a Verilog identifier, not {self.name!r}")
        for field, choices in _CHOICES.items():
            if (value := getattr(self, field)) not in choices:
                raise InputError(f"{field} must be one of {', '.join(choices)}, not {value!r}")
        for field, (low, high) in _RANGES.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{field} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise InputError(f"{field} must be in {low}..{high}, not {value!r}")
        for broken, message in rules(self):
            if broken:
                raise InputError(message)

    # What kind of core ---------------------------------------------------------------------------

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
            return FORMS["ternary"]
        own = {"mac": "product", "add": "subset", "conventional-lut": "twos-complement"}
        return FORMS[own.get(self.engine, self.table_form)]

    # Shape ---------------------------------------------------------------------------------------

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

    def planes(self, bits: int) -> int:
        """Slices of a step of b-bit weights: bit planes, or 1 where a slice holds whole codes."""
        return bits if self.form.bit_serial else 1

    # Widths, each the exact range of what the signal can hold ------------------------------------

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
    def entry_bits(self) -> int:
        """Width of a table entry as built."""
        if self.exact_floats:
            return self.table_format.bits
        return signed_bits(*self._range(self.table_k, self.form.digits))

    @property
    def stored_range(self) -> tuple[int, int]:
        """Range of a table entry as looked up, before its plane counts."""
        if self.table == "int8":
            return -127, 127
        return self._range(self.table_k, self.form.digits)

    @property
    def stored_bits(self) -> int:
        """Width of a table entry as looked up, before its plane counts."""
        return self.entry_bits if self.exact_floats else signed_bits(*self.stored_range)

    def operand_width(self, entry: int) -> int:
        """Width that an entry really needs as an operand: those of few activations are narrower."""
        if self.exact_floats or self.table == "int8" or self.negates_tables:
            return self.operand_bits
        count = self.form.counts(self.table_k)[entry]
        return signed_bits(*self._range(count, self.form.digits)) + self.table_shift

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
        return self.stored_bits if self.exact_floats else signed_bits(*self._looked_up(1))

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

    # Time ----------------------------------------------------------------------------------------

    @property
    def drain_columns(self) -> int:
        """Columns per result beat: ``result_columns``, or the fewest that never stall (see there).

        A run of S slices drains without a stall if its beats number at most S - 1 - pipeline.
        """
        if self.result_columns:
            return self.result_columns
        if self.passes > 1:  # their runs end one right after the other
            return self.columns
        slices = min(self.run_length, SHORTEST_GROUP) // self.depth
        beats = max(1, slices - 1 - self.pipeline)
        return next(
            c
            for c in range(1, self.columns + 1)
            if self.columns % c == 0 and self.columns // c <= beats
        )

    @property
    def zero_point_lanes(self) -> int:
        """Zero points of one result beat: one for each of its columns, or one for all."""
        return self.drain_columns if self.zero_points == "column" else 1

    @property
    def drain_beats(self) -> int:
        """Result beats of one run."""
        return self.columns // self.drain_columns

    @property
    def full_rate_slices(self) -> int:
        """Fewest slices of a run that never stalls: shorter runs wait for the drain."""
        return self.drain_beats + (1 + self.pipeline if self.table_storage == "mux" else 0)

    @property
    def write_cycles(self) -> int:
        """Cycles that writing the tables of a step into distributed RAM takes."""
        return self.k + self.entries + 1

    @property
    def tree_levels(self) -> int:
        """Levels of the tree that sums the lookups of a unit."""
        return (self.tables - 1).bit_length()

    @property
    def stages(self) -> int:
        """Cycles from a slice being taken to its sums entering the accumulators."""
        if self.table_storage == "mux":
            return 2 + self.pipeline
        return self.tree_levels + self.shifts_in_unit + (1 if self.table_storage == "lutram" else 2)

    @property
    def latency(self) -> int:
        """Cycles from the last slice of a run being taken to its first result beat being valid."""
        return 1 + self.stages + (self.zero_points != "external")

    # Files ---------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, in declaration order."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CoreConfig":
        """Build from plain values; unknown names are an error."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(
                f"unknown configuration field {unknown[0]!r}; known: {', '.join(sorted(known))}"
            )
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "CoreConfig":
        """Inverse of :meth:`to_json`."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_toml(cls, text: str) -> "CoreConfig":
        """Build from TOML text with the fields at top level."""
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"not valid TOML: {error}") from error

    def replace(self, **changes: Any) -> "CoreConfig":
        """Build a copy with some fields changed, validated again."""
        return self.from_dict(self.to_dict() | changes)


def check_config(config: object) -> None:
    """Refuse what is no configuration, a preset's name above all.

    Raises
    ------
    InputError
    """
    if not isinstance(config, CoreConfig):
        raise InputError(
            f"config must be a CoreConfig, not {config!r}: lutcore.preset(name) gives one"
        )
