"""Binary floating-point formats: IEEE 754 and OCP 8-bit."""

from dataclasses import dataclass

from lutcore.errors import InputError


@dataclass(frozen=True)
class FloatFormat:
    """A binary format: sign bit on top, then the biased exponent, then the fraction.

    Subnormals, signed zeros and NaN are part of every format. Arithmetic rounds to nearest, ties to
    even, and gives one NaN, :attr:`quiet_nan`, wherever the result is NaN.

    Parameters
    ----------
    name : str
        Name of the format in configurations and reports.
    exponent_bits, fraction_bits : int
        Field widths, 2..11 and 1..52; the precision is ``fraction_bits + 1``.
    infinity : bool
        Whether the largest exponent is reserved for infinities and NaN, as in IEEE 754. Without it,
        as in OCP's E4M3, only the all-ones magnitude is NaN and there is no infinity: what exceeds
        :attr:`max_finite` after rounding, and every infinite operand of a conversion, becomes NaN
        (OCP OFP8, non-saturating mode).

    Raises
    ------
    InputError
        (a :class:`ValueError`) naming the width and what is allowed.
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    infinity: bool = True

    def __post_init__(self) -> None:
        for field, high in (("exponent_bits", 11), ("fraction_bits", 52)):
            low = 2 if field == "exponent_bits" else 1
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{field} must be an integer in {low}..{high}, not {value!r}")

    @property
    def bits(self) -> int:
        """Width of the format."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """The exponent field of 1.0."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def precision(self) -> int:
        """Significand bits, the hidden one included."""
        return self.fraction_bits + 1

    @property
    def max_exponent(self) -> int:
        """Largest exponent field of a finite number."""
        return (1 << self.exponent_bits) - (2 if self.infinity else 1)

    @property
    def max_finite(self) -> int:
        """Bit pattern of the largest finite number."""
        return self.magnitude_mask - (1 << self.fraction_bits if self.infinity else 1)

    @property
    def min_normal(self) -> int:
        """Bit pattern of the least positive normal number."""
        return 1 << self.fraction_bits

    @property
    def quiet_nan(self) -> int:
        """Bit pattern of the NaN that every NaN result has.

        Positive; of the fraction only the top bit set (0x7E00 in FP16), except where the format has
        a single NaN (0x7F in E4M3).
        """
        if not self.infinity:
            return self.magnitude_mask
        return self.overflow | 1 << (self.fraction_bits - 1)

    @property
    def overflow(self) -> int:
        """Bit pattern of a positive result too large to be finite: infinity, or the only NaN."""
        return self.max_finite + 1

    @property
    def sign_mask(self) -> int:
        """The sign bit."""
        return 1 << (self.bits - 1)

    @property
    def magnitude_mask(self) -> int:
        """All bits but the sign."""
        return self.sign_mask - 1


FP8_E4M3 = FloatFormat("fp8-e4m3", 4, 3, infinity=False)
FP8_E5M2 = FloatFormat("fp8-e5m2", 5, 2)
FP16 = FloatFormat("fp16", 5, 10)
BF16 = FloatFormat("bf16", 8, 7)
FP32 = FloatFormat("fp32", 8, 23)

#: Formats by name.
FORMATS = {format.name: format for format in (FP8_E4M3, FP8_E5M2, FP16, BF16, FP32)}

#: Integer activation formats and their bits.
INTEGERS = {"int8": 8, "int16": 16}

#: Float activation formats, and the format that exact tables hold their sums in.
FLOATS = {"fp8-e4m3": "fp16", "fp8-e5m2": "bf16", "fp16": "fp16", "bf16": "bf16"}
