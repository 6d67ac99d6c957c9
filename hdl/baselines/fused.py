"""FP16 products and an FP32 number, added at one exponent and rounded once."""

# Amaranth has no types for Cat and slices: pyright takes them for I/O values, without operators.
# pyright: reportOperatorIssue=false, reportReturnType=false

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.errors import InputError
from lutcore.hdl.baselines.products import (
    FP16,
    FP32,
    PRODUCT_OFFSET,
    Infinities,
    Places,
    Product,
    Term,
    add_constant,
    carry_save,
    check_depth,
    move_up,
    product,
)
from lutcore.hdl.floats.numbers import keep, pack, unpack

#: Places of registers in the order of the data.
_IN_ORDER = ("product", "aligned", "rows", "sum", "coarse", "result")
#: Levels of the later part of the shifter that takes the sum's leading 1 to the top.
_FINE = 3


class _Sum(NamedTuple):
    """The sum, its terms counted with the sign of ``c``, and what belongs to it."""

    total: Value  #: two's complement
    exponent: Value  #: FP32 exponent of the window's top bit
    reference: Value  #: sign of ``c``
    alike: Value  #: no term has another sign
    lone: Value  #: the sum is ``c``, and that is subnormal


class FusedDotProduct(wiring.Component):
    """``c + a0 b0 + a1 b1 + a2 b2 + a3 b3``, or of more products, normalised and rounded once.

    Products are exact. The exponent of a term is that of the top digit that its format allows:
    ``e_a + e_b + 1`` of a product, subnormals counting as ``e = -14``, and ``e_c`` of ``c``. All
    terms are aligned to the largest such exponent E of ``c`` and of the products that are not zero,
    and what lies below ``2^(E - 23 - guard)`` is cut off their magnitudes. The rest is added
    exactly and rounded to FP32, to nearest, ties to even. So the error is below five units of that
    last place and half a unit of the result's; with the default 3 guard bits, below 1.2 FP32 units
    at E.

    Subnormals count in full, in ``c`` and result too. A sum of zero is +0, but -0 if every term is
    -0. Zero times infinity, NaN operands and opposite infinities give the canonical NaN, other
    infinities themselves. Finite sums cannot overflow.

    A new sum may start every cycle. Nothing feeds back: ``c`` is taken :attr:`addend_delay` cycles
    after its products, and an accumulation through ``result`` is a loop of ``latency -
    addend_delay`` cycles, for as many sums in turn.

    Parameters
    ----------
    guard : int
        Bits kept below FP32's last place at the largest exponent, 0..8.
    pipeline : int
        Register stages, 0..6, the last one being the result: cycles from ``a`` and ``b`` to it.
    terms : int
        Products, 1..64: with more of them each has a smaller part of the rest.
    booth : bool
        Products by radix-4 Booth digits.

    Members
    -------
    a, b : In, ``[terms]`` FP16 bit patterns
        Factors.
    c : In, FP32 bit pattern, :attr:`addend_delay` cycles later
        What the products are added to.
    result : Out, FP32 bit pattern, :attr:`latency` cycles later
        The sum.

    Raises
    ------
    InputError
        (a :class:`ValueError`) naming the parameter and what is allowed.
    """

    #: Register stages, first the ones that shorten the longest path most.
    RANKED = ("result", "aligned", "sum", "product", "coarse", "rows")

    def __init__(
        self, guard: int = 3, pipeline: int = len(RANKED), terms: int = 4, booth: bool = False
    ):
        if isinstance(guard, bool) or not isinstance(guard, int) or not 0 <= guard <= 8:
            raise InputError(f"guard must be an integer in 0..8, not {guard!r}")
        if isinstance(terms, bool) or not isinstance(terms, int) or not 1 <= terms <= 64:
            raise InputError(f"terms must be an integer in 1..64, not {terms!r}")
        self._terms, self._booth = terms, booth
        self.latency = check_depth(self.RANKED, pipeline)
        self.addend_delay = int("product" in self.RANKED[:pipeline])
        self._window = FP32.precision + guard
        ports = data.ArrayLayout(FP16.bits, terms)
        super().__init__({"a": In(ports), "b": In(ports), "c": In(32), "result": Out(32)})

    def elaborate(self, platform: object) -> Module:
        """Multiply, align, add, normalise, round."""
        m = Module()
        places = Places(m, self.RANKED, self.latency)
        products = [
            product(m, self.a[i], self.b[i], f"{i}", self._booth) for i in range(self._terms)
        ]
        infinities = Infinities.merged(m, (p.infinities for p in products), "products")
        c = unpack(m, self.c, FP32, "c")
        infinities = Infinities.merged(
            m,
            [
                infinities.held(places, "product", "infinite"),
                Infinities.of(m, c.sign, c.special, c.nan, "c"),
            ],
            "all",
        )
        for place in _IN_ORDER[1:-1]:
            infinities = infinities.held(places, place, "infinite")
        addend = Term(c.sign, self.c[FP32.fraction_bits : -1], c.significand)
        found = self._sum(m, places, products, addend)
        number = infinities.mark(*_normalised(m, places, found, _headroom(self._terms)))
        # Next to FP32's greatest numbers products are all cut off: no sum overflows.
        result = pack(m, number, FP32, highest=FP32.max_exponent)
        m.d.comb += self.result.eq(places.held("result", "result", result))
        return m

    def _sum(self, m: Module, places: Places, products: list[Product], c: Term) -> _Sum:
        """All terms in one window, added. A subnormal ``c`` has exponent 0."""
        exponents, signs, factors = [], [], []
        for i, found in enumerate(products):
            own = found.term.exponent
            own = keep(m, own & ~found.zero.replicate(len(own)), f"present_{i}")
            exponents.append(own)
            signs.append(places.held("product", f"sign_{i}", found.term.sign))
            factors.append(places.held("product", f"factor_{i}", found.term.significand))
        largest = places.held("product", "largest", _largest(m, exponents))
        exponents = [places.held("product", f"exponent_{i}", e) for i, e in enumerate(exponents)]

        # Exponents of products are FP32's less an offset; 0 is none at all.
        own = keep(m, (c.exponent - PRODUCT_OFFSET).as_signed(), "c_exponent")
        none = keep(m, ~largest.any(), "no_product")
        leads = keep(m, none | (own > largest), "c_leads")
        top = Mux(leads, c.exponent, largest + PRODUCT_OFFSET)[: FP32.exponent_bits]
        aligned = []
        for i, (own_i, factor) in enumerate(zip(exponents, factors, strict=True)):
            # Both differences at once: which one counts is known only after the comparison.
            distance = Mux(leads, (own - own_i)[:8], (largest - own_i)[:8])
            distance = keep(m, distance, f"distance_{i}")
            aligned.append(self._shifted(m, factor, distance, f"aligned_{i}"))
        distance = keep(m, (largest - own)[:8] & ~leads.replicate(8), "distance_c")
        # A subnormal that is the sum must stay in its place: a 1 holds it there.
        lone = keep(m, none & ~c.significand[-1], "lone")
        significand = Cat(c.significand[:-1], c.significand[-1] | none)
        addend = self._shifted(m, significand, distance, "aligned_c")

        def held(name: str, value: Value) -> Value:
            return places.held("aligned", name, value)

        addend = held("addend", addend)
        # With the sign of c for reference, c itself needs no negation.
        opposite = [held(f"opposite_{i}", s ^ c.sign) for i, s in enumerate(signs)]
        bits = self._window + _headroom(self._terms) + 1
        terms = [
            held(f"term_{i}", term) ^ flip.replicate(self._window)
            for i, (term, flip) in enumerate(zip(aligned, opposite, strict=True))
        ]
        columns = _columns(addend, terms, opposite, bits)
        rows = [
            places.held("rows", f"row_{i}", keep(m, row, f"row_{i}"))
            for i, row in enumerate(carry_save(m, columns, "terms"))
        ]

        def summed(name: str, value: Value) -> Value:
            return places.held("sum", name, places.held("rows", name, value))

        total = keep(m, (rows[0] + rows[1])[:bits], "total")
        return _Sum(
            total=places.held("sum", "total", total),
            exponent=summed("exponent", held("exponent", keep(m, top, "top"))),
            reference=summed("reference", held("reference", c.sign)),
            alike=summed("alike", ~Cat(*opposite).any()),
            lone=summed("lone", held("lone", lone)),
        )

    def _shifted(self, m: Module, significand: Value, distance: Value, name: str) -> Value:
        """``significand`` at the top of the window, then down by ``distance``, cut off."""
        value: Value = Cat(Const(0, self._window - len(significand)), significand)
        levels = (self._window - 1).bit_length()
        for i in range(levels):
            value = keep(m, Mux(distance[i], value[1 << i :], value), f"{name}_{i}")
        far = distance[levels:].any()
        return keep(m, value & ~far.replicate(len(value)), name)


def _columns(
    addend: Value, terms: list[Value], opposite: list[Value], bits: int
) -> list[list[Value]]:
    """Bits of a sum by weight, of terms that are inverted where they count negatively.

    -t is ~t + 1: the inverted sign bit and a constant make the sum unsigned.
    """
    columns: list[list[Value]] = [[] for _ in range(bits)]
    for term, flip in zip(terms, opposite, strict=True):
        for column, bit in enumerate([*term, ~flip]):
            columns[column].append(bit)
        columns[0].append(flip)
    for column, bit in enumerate(addend):
        columns[column].append(bit)
    add_constant(columns, -len(terms) << len(addend))
    return columns


def _headroom(terms: int) -> int:
    """Bits that a sum of ``terms`` products and one more term has above the window."""
    return terms.bit_length()


def _largest(m: Module, values: list[Value]) -> Value:
    while len(values) > 1:
        pairs = list(zip(values[::2], values[1::2], strict=False))
        values = [
            *(
                keep(m, Mux(a > b, a, b), f"largest_{len(values)}_{i}")
                for i, (a, b) in enumerate(pairs)
            ),
            *values[2 * len(pairs) :],
        ]
    return values[0]


def _normalised(
    m: Module, places: Places, found: _Sum, headroom: int
) -> tuple[Value, Value, Value]:
    """Sign, exponent and significand of the sum, for :func:`~lutcore.hdl.floats.numbers.pack`."""
    negative, bits = found.total[-1], len(found.total) - 1
    magnitude = (found.total[:-1] ^ negative.replicate(bits)) + negative
    magnitude = keep(m, magnitude[:bits], "magnitude")
    held_bit = bits - 1 - headroom
    digits = Cat(
        found.total[:held_bit], found.total[held_bit] & ~found.lone, found.total[held_bit + 1 :]
    )
    sign = Mux(digits.any(), negative ^ found.reference, found.alike & found.reference)
    coarse, moved = move_up(m, magnitude, range(_FINE, (bits - 1).bit_length()), "coarse")
    exponent = found.exponent + headroom - (moved << _FINE)
    exponent = keep(m, exponent[: FP32.exponent_bits + 2], "moved_exponent")
    sign = places.held("coarse", "sign", keep(m, sign, "sign"))
    exponent = places.held("coarse", "exponent", exponent)
    coarse = places.held("coarse", "significand", coarse)
    significand, moved = move_up(m, coarse, range(_FINE), "fine")
    exponent = keep(m, (exponent - moved)[: len(exponent)], "fine_exponent")
    return sign, exponent, significand
