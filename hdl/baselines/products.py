"""Products of FP16 numbers, exact in FP32, and what units that add them have in common.

Built to be small: whatever only other FP32 operands would need is left out.
"""

# Amaranth has no types for Cat and slices: pyright takes them for I/O values, without operators.
# pyright: reportOperatorIssue=false, reportReturnType=false

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from lutcore.errors import InputError
from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.floats.numbers import Number, keep, unpack

FP16, FP32 = FORMATS["fp16"], FORMATS["fp32"]

#: Bits of the product of two FP16 significands.
PRODUCT_BITS = 2 * FP16.precision
#: What to add to the sum of two FP16 exponents for the FP32 exponent of a product whose top bit
#: is 1: that bit counts 2^1.
PRODUCT_OFFSET = FP32.bias - 2 * FP16.bias + 1


class Places:
    """Where a unit has registers: the first few of a list that is sorted by what they are worth.

    Parameters
    ----------
    m : Module
        Where the registers go: domain ``sync``, without reset or enable.
    ranked : sequence of str
    depth : int
        How many of them are used.

    Raises
    ------
    InputError
        There are not so many.
    """

    def __init__(self, m: Module, ranked: Sequence[str], depth: int):
        self._m = m
        self._used = ranked[: check_depth(ranked, depth)]

    def held(self, place: str, name: str, value: Value) -> Value:
        """``value``, one cycle later if ``place`` has registers."""
        if place not in self._used or isinstance(value, Const):
            return value
        # part of a term at this place of the pipeline
        register = Signal(value.shape(), name=f"{place}_{name}", reset_less=True)
        self._m.d.sync += register.eq(value)
        return register


def check_depth(ranked: Sequence[str], depth: int) -> int:
    """``depth``, if it is a number of registers that the unit can have."""
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth <= len(ranked):
        raise InputError(f"pipeline must be an integer in 0..{len(ranked)}, not {depth!r}")
    return depth


class Infinities(NamedTuple):
    """What is not finite in a sum: NaN is both infinities at once, as their sum is.

    Sums of products of finite FP16 numbers do not overflow FP32, so these flags are all that the
    stages before the last one need to know of infinities and NaN.
    """

    plus: Value
    minus: Value

    @classmethod
    def of(cls, m: Module, sign: Value, special: Value, nan: Value, name: str) -> "Infinities":
        """Those of one number."""
        return cls(
            keep(m, special & (nan | ~sign), f"{name}_plus"),
            keep(m, special & (nan | sign), f"{name}_minus"),
        )

    @classmethod
    def merged(cls, m: Module, parts: Iterable["Infinities"], name: str) -> "Infinities":
        """Those of a sum."""
        pluses, minuses = zip(*parts, strict=True)
        return cls(
            keep(m, Cat(*pluses).any(), f"{name}_plus"),
            keep(m, Cat(*minuses).any(), f"{name}_minus"),
        )

    def held(self, places: Places, place: str, name: str) -> "Infinities":
        """Both flags, later where ``place`` has registers."""
        return Infinities(
            places.held(place, f"{name}_plus", self.plus),
            places.held(place, f"{name}_minus", self.minus),
        )

    def mark(self, sign: Value, exponent: Value, significand: Value) -> Number:
        """The result for :func:`~lutcore.hdl.floats.numbers.pack`, which these flags may
        replace.
        """
        special = self.plus | self.minus
        sign = Mux(special, self.minus, sign)
        return Number(sign, exponent, significand, special, self.plus & self.minus)


class Term(NamedTuple):
    """A finite number, sign and magnitude; ``exponent`` is the biased one of the top bit."""

    sign: Value
    exponent: Value
    significand: Value

    def held(self, places: Places, place: str, name: str) -> "Term":
        """The fields, later where ``place`` has registers."""
        fields = self._asdict().items()
        return Term(*(places.held(place, f"{name}_{field}", value) for field, value in fields))


def _bit_products(m: Module, a: Value, b: Value, name: str) -> list[list[Value]]:
    """Columns of ``a * b``: each bit of one with each of the other."""
    columns: list[list[Value]] = [[] for _ in range(len(a) + len(b))]
    for i in range(len(a)):
        for j in range(len(b)):
            columns[i + j].append(a[i] & b[j])
    return columns


def _booth_rows(m: Module, a: Value, b: Value, name: str) -> list[list[Value]]:
    """Columns of ``a * b``: a multiple of ``a`` from -2 to 2 for every two bits of ``b``."""
    width, bits = len(a) + len(b), len(a) + 1
    columns: list[list[Value]] = [[] for _ in range(width)]
    constant = 0
    padded = Cat(Const(0, 1), b, Const(0, 2))
    for i in range(len(b) // 2 + 1):
        low, middle, high = (padded[2 * i + j] for j in range(3))
        one = keep(m, low ^ middle, f"{name}_one_{i}")
        two = keep(m, (low == middle) & (middle != high), f"{name}_two_{i}")
        row = (Cat(a, Const(0, 1)) & one.replicate(bits)) | (
            Cat(Const(0, 1), a) & two.replicate(bits)
        )
        last = 2 * i + 1 >= len(b)  # never negative
        row = row if last else row ^ high.replicate(bits)
        # -t is ~t + 1: the sign bit, inverted, and a constant.
        for j, bit in enumerate([*row, *([] if last else [~high])]):
            if 2 * i + j < width:
                columns[2 * i + j].append(bit)
        if not last:
            columns[2 * i].append(high)
            constant -= 1 << 2 * i + bits
    add_constant(columns, constant)
    return columns


def add_constant(columns: Sequence[list[Value]], constant: int) -> None:
    """Add a number, modulo 2^columns, to columns of bits."""
    for column, bits in enumerate(columns):
        if constant >> column & 1:
            bits.append(Const(1, 1))


def carry_save(m: Module, columns: Sequence[Sequence[Value]], name: str) -> list[Value]:
    """Two numbers that have the sum of columns of bits, modulo 2^columns: Dadda's tree."""
    heights = [2]
    while heights[-1] * 3 // 2 < max(map(len, columns)):
        heights.append(heights[-1] * 3 // 2)
    for height in reversed(heights):
        reduced: list[list[Value]] = [[] for _ in range(len(columns) + 1)]
        for column, found in enumerate(columns):
            bits = list(found)
            while len(bits) + len(reduced[column]) > height:
                count = 3 if len(bits) + len(reduced[column]) > height + 1 else 2
                taken, bits = bits[:count], bits[count:]
                label = f"{name}_{height}_{column}_{len(bits)}"
                half = keep(m, taken[0] ^ taken[1], f"{label}_half")
                carry = taken[0] & taken[1]
                if count == 3:
                    carry = carry | (half & taken[2])
                    half = half ^ taken[2]
                reduced[column].append(keep(m, half, f"{label}_sum"))
                reduced[column + 1].append(keep(m, carry, f"{label}_carry"))
            reduced[column] += bits
        columns = reduced[: len(columns)]
    return [
        Cat(bits[row] if row < len(bits) else Const(0, 1) for bits in columns) for row in range(2)
    ]


def multiply(m: Module, a: Value, b: Value, name: str, booth: bool = False) -> Value:
    """``a * b``, unsigned, by Dadda's tree of full adders.

    Its rows are bits of ``a`` for each of ``b``, or multiples for two bits each (``booth``).
    Carries meet one adder at the end. Written out, because neither a multiplication nor a sum of
    rows comes out of the synthesis tool as small at this speed.
    """
    rows = carry_save(m, (_booth_rows if booth else _bit_products)(m, a, b, name), name)
    return keep(m, (rows[0] + rows[1])[: len(a) + len(b)], name)


class Product(NamedTuple):
    """A product of two FP16 numbers, not normalised."""

    term: Term  #: exponent is the sum of both, 2..60
    zero: Value
    infinities: Infinities


def product(m: Module, a: Value, b: Value, name: str, booth: bool = False) -> Product:
    """The exact product of two FP16 numbers; ``booth`` as of :func:`multiply`."""
    left, right = unpack(m, a, FP16, f"a_{name}"), unpack(m, b, FP16, f"b_{name}")
    left_zero = keep(m, ~left.significand.any(), f"a_{name}_zero")
    right_zero = keep(m, ~right.significand.any(), f"b_{name}_zero")
    invalid = (left.special & right_zero) | (right.special & left_zero)
    sign = keep(m, left.sign ^ right.sign, f"sign_{name}")
    exponent = keep(m, left.exponent + right.exponent, f"exponent_{name}")
    significand = multiply(m, left.significand, right.significand, f"product_{name}", booth)
    special, nan = left.special | right.special, left.nan | right.nan | invalid
    infinities = Infinities.of(m, sign, special, nan, name)
    return Product(Term(sign, exponent, significand), left_zero | right_zero, infinities)


def move_up(m: Module, significand: Value, levels: range, name: str) -> tuple[Value, Value]:
    """``significand`` left by the powers of two whose exponents are ``levels`` where zeros lead.

    Returns it, and by how many units of the least of these powers it moved.
    """
    moved = []
    for i in reversed(levels):
        move = keep(m, ~significand[-(1 << i) :].any(), f"{name}_by_{1 << i}")
        shifted = Mux(move, significand << (1 << i), significand)[: len(significand)]
        significand = keep(m, shifted, f"{name}_{i}")
        moved.insert(0, move)
    return significand, Cat(*moved)
