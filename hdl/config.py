"""The configuration that everything reads: RTL, packing, golden model, benches and reports."""

import dataclasses
import json
import tomllib
from dataclasses import dataclass, fields
from typing import Any

from hdl.errors import InputError

#: Activation formats: name -> (least value, greatest value) of the integer that the datapath sees.
ACTIVATIONS: dict[str, tuple[int, int]] = {"int8": (-128, 127), "int16": (-32768, 32767)}

#: The shortest scale group in common use (Q4_0, Q8_0, MXFP4); automatic ``result_columns`` keep
#: even one-bit groups of this size free of drain stalls.
SHORTEST_GROUP = 32

#: Most lookup units of one tile; a larger core is made of several tiles.
MOST_UNITS = 8192

_CHOICES: dict[str, tuple[str, ...]] = {
    "engine": ("lut",),
    "table_form": ("symmetric", "subset"),
    "activation": tuple(ACTIVATIONS),
    "precompute": ("inline",),
    "zero_points": ("shared", "column", "external"),
}

_RANGES: dict[str, tuple[int, int]] = {
    "m": (1, 256),
    "n": (1, 4096),
    "k": (1, 6),
    "lookups": (1, 64),
    "max_weight_bits": (1, 8),
    "group_size": (0, 1 << 20),
    "max_k": (1, 1 << 20),
    "result_columns": (0, 4096),
    "pipeline": (0, 1),
}


def signed_bits(low: int, high: int) -> int:
    """Width of the narrowest two's-complement integer that holds ``low..high``."""
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """One LUT Tensor Core, described completely.

    Parameters
    ----------
    name : str
        Name of the emitted design: a Verilog identifier.
    engine : {"lut"}
        Datapath that computes the dot products.
    m, n : int
        Activation rows and weight columns of the tile (paper, section 3.2.2).
    k : int
        Activations that one table covers, 1..6.
    lookups : int
        Tables that a unit reads and sums per cycle: ``k * lookups`` products per unit and cycle.
    table_form : {"symmetric", "subset"}
        ``symmetric`` stores the 2^(k-1) entries of the paper's equation 5; ``subset`` the 2^k - 1
        subset sums of the activations. Results are equal.
    max_weight_bits : int
        Widest weight code, 1..8; every slice may use fewer.
    activation : {"int8", "int16"}
        Format of the activations, two's complement, full range.
    group_size : int
        Most K elements that one accumulator run sums; 0 means a whole row of ``max_k``. It sets the
        accumulator's width. Longer scale groups are run in pieces that the reader adds.
    max_k : int
        Longest row (K) that the core must hold without overflow.
    precompute : {"inline"}
        Where tables come from: built in the tile from the activation stream.
    zero_points : {"shared", "column", "external"}
        ``shared`` subtracts one zero point of all columns of a run in the drain (symmetric and
        ternary formats), ``column`` one of each column; ``external`` leaves that to the reader,
        who gets the row sums beside the results.
    result_columns : int
        Columns per beat of the result stream, a divisor of ``n``; 0 chooses the fewest that never
        stall one-bit runs of ``group_size`` (or of 32 elements).
    pipeline : int
        Extra register stages between the sum of the lookups and the accumulator (0 or 1).

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
    table_form: str = "symmetric"
    max_weight_bits: int = 2
    activation: str = "int8"
    group_size: int = 0
    max_k: int = 16384
    precompute: str = "inline"
    zero_points: str = "shared"
    result_columns: int = 0
    pipeline: int = 0

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
        if self.m * self.n > MOST_UNITS:
            raise InputError(
                f"a tile holds at most {MOST_UNITS} units, not m * n = {self.m * self.n}"
            )
        if self.run_length < self.depth:
            field = "group_size" if self.group_size else "max_k"
            raise InputError(
                f"{field} must be at least k * lookups = {self.depth}, not {self.run_length}"
            )
        if self.group_size > self.max_k:
            raise InputError(
                f"group_size must be at most max_k = {self.max_k}, not {self.group_size}"
            )
        if self.result_columns and self.n % self.result_columns:
            raise InputError(
                f"result_columns must divide n = {self.n}, not {self.result_columns!r}"
            )
        if self.accumulator_bits > 64 or self.dot_bits > 64:
            raise InputError(
                f"max_k = {self.max_k} needs results of {self.dot_bits} bits; at most 64 fit: "
                "lower max_k, group_size or max_weight_bits"
            )

    # Shape ---------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """K elements that one weight slice covers: ``k * lookups``."""
        return self.k * self.lookups

    @property
    def products_per_cycle(self) -> int:
        """One-bit products of one slice: ``m * n * depth``."""
        return self.m * self.n * self.depth

    @property
    def run_length(self) -> int:
        """Most K elements that one accumulator run sums."""
        return self.group_size or self.max_k

    @property
    def entries(self) -> int:
        """Stored entries of one table; the subset form's entry 0 is zero and not stored."""
        return 1 << (self.k - 1) if self.table_form == "symmetric" else (1 << self.k) - 1

    @property
    def slice_bits(self) -> int:
        """Weight bits of one slice: ``n * lookups * k``."""
        return self.n * self.depth

    # Widths, each the exact range of what the signal can hold ------------------------------------

    @property
    def activation_range(self) -> tuple[int, int]:
        """Least and greatest activation."""
        return ACTIVATIONS[self.activation]

    @property
    def activation_bits(self) -> int:
        """Width of one activation."""
        return signed_bits(*self.activation_range)

    def _sum_range(self, count: int) -> tuple[int, int]:
        """Range of a sum of ``count`` activations as a table entry sees them."""
        low, high = self.activation_range
        if self.table_form == "symmetric":  # either sign of every activation
            return count * low, count * -low
        return count * low, count * high

    @property
    def entry_bits(self) -> int:
        """Width of a table entry."""
        return signed_bits(*self._sum_range(self.k))

    @property
    def shifts_in_unit(self) -> bool:
        """Where a slice is weighed by 2^plane: in each unit, after its sum; else in the tables.

        One lookup reads tables that are shifted already, which all columns share; with several,
        shifting their sum widens fewer adders.
        """
        return self.lookups > 1 and self.max_weight_bits > 1

    @property
    def table_shift(self) -> int:
        """Greatest left shift of a table before it is looked up."""
        return 0 if self.lookups > 1 else self.max_weight_bits - 1

    @property
    def operand_bits(self) -> int:
        """Width of a table entry as the units read it, weighed by its plane."""
        low, high = self._sum_range(self.k)
        return signed_bits(low << self.table_shift, high << self.table_shift)

    @property
    def unit_bits(self) -> int:
        """Width of the sum of a unit's lookups."""
        low, high = self._sum_range(self.depth)
        return signed_bits(low << self.table_shift, high << self.table_shift)

    @property
    def max_code(self) -> int:
        """Greatest weight code: ``2^max_weight_bits - 1``."""
        return (1 << self.max_weight_bits) - 1

    @property
    def accumulator_bits(self) -> int:
        """Width of an accumulator: a full run of extreme activations and weights fits."""
        low, high = self._sum_range(self.run_length)
        return signed_bits(low * self.max_code, high * self.max_code)

    @property
    def row_sum_bits(self) -> int:
        """Width of a row sum over one run."""
        low, high = self.activation_range
        return signed_bits(low * self.run_length, high * self.run_length)

    @property
    def zero_point_range(self) -> tuple[int, int]:
        """Range of z' = 2z + 1 - 2^b for 0 <= z <= 2^b, b up to ``max_weight_bits``."""
        return 1 - (1 << self.max_weight_bits), 1 + (1 << self.max_weight_bits)

    @property
    def zero_point_bits(self) -> int:
        """Width of one z'."""
        return signed_bits(*self.zero_point_range)

    @property
    def raw_dot_bits(self) -> int:
        """Width of D' = sum A q', the result before zero points."""
        bound = -self.activation_range[0] * self.run_length * self.max_code
        return signed_bits(-bound, bound)

    @property
    def dot_bits(self) -> int:
        """Width of one result: D', or P = D' - z' R unless zero points are external."""
        if self.zero_points == "external":
            return self.raw_dot_bits
        bound = -self.activation_range[0] * self.run_length * (2 << self.max_weight_bits)
        return signed_bits(-bound, bound)

    @property
    def plane_bits(self) -> int:
        """Width of a plane number; 0 where only one-bit weights are built in."""
        return (self.max_weight_bits - 1).bit_length()

    # Time ----------------------------------------------------------------------------------------

    @property
    def drain_columns(self) -> int:
        """Columns per result beat: ``result_columns``, or the fewest that never stall (see there).

        A run of S slices drains without a stall if its beats number at most S - 1 - pipeline.
        """
        if self.result_columns:
            return self.result_columns
        slices = min(self.run_length, SHORTEST_GROUP) // self.depth
        beats = max(1, slices - 1 - self.pipeline)
        return next(c for c in range(1, self.n + 1) if self.n % c == 0 and self.n // c <= beats)

    @property
    def zero_point_lanes(self) -> int:
        """Zero points of one result beat: one for each of its columns, or one for all."""
        return self.drain_columns if self.zero_points == "column" else 1

    @property
    def drain_beats(self) -> int:
        """Result beats of one run."""
        return self.n // self.drain_columns

    @property
    def full_rate_slices(self) -> int:
        """Fewest slices of a run that never stalls: shorter runs wait for the drain."""
        return self.drain_beats + 1 + self.pipeline

    @property
    def latency(self) -> int:
        """Cycles from the last slice of a run being taken to its first result beat being valid."""
        return 3 + self.pipeline + (self.zero_points != "external")

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
