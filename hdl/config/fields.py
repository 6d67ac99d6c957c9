"""The fields of a configuration: each with its meaning, its default and the values it may have."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError
from lutcore.hdl.config.formats import FLOATS, INTEGERS
from lutcore.hdl.config.keywords import RESERVED


@dataclass(frozen=True)
class Domain:
    """What a field means, and which values it may have by itself.

    Attributes
    ----------
    meaning : str
        Whole sentences, for documentation and ``lutcore show``.
    choices : tuple of str
        The values of a field that is one of some words.
    low, high : int
        The inclusive range of a field that is an integer.
    """

    meaning: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0

    @property
    def text(self) -> str:
        """The values in words, as documentation has them."""
        if self.choices:
            return "{" + ", ".join(f'"{choice}"' for choice in self.choices) + "}"
        return f"int, {self.low}..{self.high}" if self.high else "str"

    def check(self, name: str, value: object) -> None:
        """Refuse what is no value of the field ``name``.

        Raises
        ------
        InputError
        """
        if self.choices:
            if value not in self.choices:
                raise InputError(f"{name} must be one of {', '.join(self.choices)}, not {value!r}")
        elif self.high:
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name} must be an integer, not {value!r}")
            if not self.low <= value <= self.high:
                raise InputError(f"{name} must be in {self.low}..{self.high}, not {value!r}")
        elif not (isinstance(value, str) and value.isascii() and value.isidentifier()):
            raise InputError(f"{name} must be a Verilog identifier, not {value!r}")
        elif "__" in str(value) or str(value).endswith("_"):
            raise InputError(
                f"{name} must have no two underscores together and none at its end, which tell "
                f"designs from their modules, not {value!r}"
            )
        elif value in RESERVED:
            raise InputError(
                f"{name} must not be {value!r}, a word of Verilog's or of every design"
            )


def _field(default: str | int, domain: Domain) -> Any:
    return dataclasses.field(default=default, metadata={"domain": domain})


def _choice(choices: tuple[str, ...], meaning: str) -> Any:
    """One of some words, the first of which is the default."""
    return _field(choices[0], Domain(meaning, choices))


def _integer(default: int, low: int, high: int, meaning: str) -> Any:
    return _field(default, Domain(meaning, low=low, high=high))


@dataclass(frozen=True, kw_only=True)
class Fields:
    """All that is chosen about a core; everything else follows from it."""

    name: str = _field("lut_tile", Domain("Name of the emitted design: a Verilog identifier."))
    engine: str = _choice(
        ("lut", "mac", "add", "conventional-lut"),
        "Datapath that computes the dot products: lookup tables; multipliers; one conditional add "
        "per weight bit; full tables with two's-complement weights as earlier LUT accelerators "
        "have them.",
    )
    m: int = _integer(2, 1, 256, "Activation rows of a tile (paper, section 3.2.2).")
    n: int = _integer(64, 1, 4096, "Weight columns of a tile (paper, section 3.2.2).")
    k: int = _integer(
        4,
        1,
        6,
        "Activations that one table covers (engines without tables: ``k * lookups`` counts).",
    )
    lookups: int = _integer(
        1,
        1,
        64,
        "Tables that a unit reads and sums per cycle: ``k * lookups`` products per unit and cycle.",
    )
    tiles: int = _integer(
        1,
        1,
        64,
        "Tiles side by side: ``n`` columns each, in lockstep, which share tables, row sums and "
        "drain. A table is computed once and broadcast to a register in every tile. A slice and a "
        "run cover ``columns = tiles * n`` columns.",
    )
    table_form: str = _choice(
        ("symmetric", "subset"),
        "``symmetric`` stores the 2^(k-1) entries of the paper's equation 5; ``subset`` the "
        "2^k - 1 subset sums of the activations. Results are equal. Engine ``lut`` only.",
    )
    max_weight_bits: int = _integer(
        2, 1, 8, "Bits of the widest weight code; every slice may use fewer."
    )
    activation: str = _choice(
        (*INTEGERS, *FLOATS),
        "Format of the activations: two's complement over the full range, OCP OFP8, IEEE 754, "
        "BF16.",
    )
    float_mode: str = _choice(
        ("aligned", "exact"),
        "Float activations become integers that share the exponent of a run, or float tables are "
        "accumulated in FP32.",
    )
    align_bits: int = _integer(14, 6, 24, "Width of aligned activations, two's complement.")
    table: str = _choice(
        ("exact", "int8"),
        "``int8`` rounds table entries to eight bits with one power of two per row and run.",
    )
    weight_coding: str = _choice(
        ("binary", "ternary"),
        "``ternary`` reads weights of -1, 0, 1 in one cycle: two in four bits (k = 2), the denser "
        "tile, or three in five (k = 3). Engine ``mac`` takes them by ``multiplier`` = ``select``.",
    )
    group_size: int = _integer(
        0,
        0,
        1 << 20,
        "Most K elements that one accumulator run sums; 0 means a whole row of ``max_k``. It sets "
        "the accumulator's width. Longer scale groups are run in pieces that the reader adds.",
    )
    max_k: int = _integer(
        16384, 1, 1 << 20, "Longest row (K) that the core must hold without overflow."
    )
    precompute: str = _choice(
        ("inline", "buffered", "external"),
        "Where tables come from: built from the activation stream for every pass; built once a "
        "run and kept for all planes and N tiles; or arriving on a stream.",
    )
    table_storage: str = _choice(
        ("mux", "lutram", "chain"),
        "``mux`` holds tables once, read by multiplexers into one sum. For FPGAs, every sum being "
        "a carry chain with registers behind: ``lutram`` gives each column its own copy in "
        "distributed RAM, written entry by entry while the copy before it is read; ``chain`` is "
        "for families without such RAM and holds tables once. Integer activations, symmetric "
        "tables.",
    )
    passes: int = _integer(
        1,
        1,
        255,
        "With ``lutram``, N tiles that read the tables of a step, one after the other, into "
        "accumulators of their own, while the next tables are written: ``write_cycles`` or more.",
    )
    zero_points: str = _choice(
        ("shared", "column", "external"),
        "``shared`` subtracts one zero point of all columns of a run in the drain (symmetric and "
        "ternary formats), ``column`` one of each column; ``external`` leaves that to the reader, "
        "who gets the accumulators as they are (:class:`~lutcore.hdl.config.forms.Form`) and the "
        "row sums.",
    )
    plane_order: str = _choice(
        ("any", "descending"),
        "``any``: each slice is weighed by its plane. ``descending``: a run takes all its steps "
        "of the highest plane first, and accumulators double at a plane's start, which is "
        "smaller. Exact floats always do so.",
    )
    result_columns: int = _integer(
        0,
        0,
        4096,
        "Columns per beat of the result stream, a divisor of ``columns``; 0 chooses the fewest "
        "that never stall one-bit runs of ``group_size`` (or of 32 elements).",
    )
    multiplier: str = _choice(
        ("auto", "rows", "booth", "select"),
        "How engine ``mac`` multiplies integers: ``rows`` has a partial product for each bit of "
        "the weight, ``booth`` one for each radix-4 digit, ``select`` only one, a multiple that "
        "weights of up to two bits, or of -1, 0, 1, choose; ``auto`` is ``booth`` above four bits, "
        "else ``rows``.",
    )
    pipeline: int = _integer(
        0,
        0,
        2,
        "Extra register stages of a unit: 1 between the sum of its lookups and the accumulator, 2 "
        "also before that sum.",
    )
    pipeline_cut: int = _integer(
        6,
        0,
        15,
        "With ``pipeline`` and integers, levels of full adders in front of the register between "
        "lookups and accumulator, which then holds the sum with its carries kept: two rows or "
        "more, what is left to add being added with the accumulator. 0 registers the whole sum, "
        "as suits FPGAs, whose carry chains are faster than full adders of LUTs.",
    )
    bus_bits: int = _integer(
        128, 64, 512, "Data width of the core's memory bus in bits, a power of two."
    )
    activation_buffer: int = _integer(
        1 << 14, 64, 1 << 20, "Bytes of the core's activation buffer, a power of two."
    )
    weight_buffer: int = _integer(
        1 << 14, 64, 1 << 24, "Bytes of the core's weight buffer, a power of two."
    )
    scale_buffer: int = _integer(
        1 << 12, 64, 1 << 20, "Bytes of the core's buffer of scales, a power of two."
    )
    output_buffer: int = _integer(
        1 << 15, 64, 1 << 24, "Bytes of the core's output buffer, a power of two."
    )
    program_buffer: int = _integer(
        512, 16, 1 << 16, "Instructions of the longest program, a power of two."
    )


#: Field name -> what it means and may be, in the order of declaration.
DOMAINS: dict[str, Domain] = {
    field.name: field.metadata["domain"] for field in dataclasses.fields(Fields)
}
