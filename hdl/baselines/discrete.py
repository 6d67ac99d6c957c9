"""Four FP16 products added to an FP32 number, by multipliers and adders: what tables replace.

Baselines of the paper's figures 12 and 13, built to be small: products of finite FP16 numbers are
exact in FP32, so whatever only other FP32 operands would need is left out.
"""

# Amaranth has no types for Cat and slices: pyright takes them for I/O values, without operators.
# pyright: reportOperatorIssue=false, reportReturnType=false

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.baselines.products import (
    FP16,
    FP32,
    PRODUCT_BITS,
    PRODUCT_OFFSET,
    Infinities,
    Places,
    Term,
    check_depth,
    move_up,
    product,
)
from lutcore.hdl.floats.numbers import keep, pack, shift_right, ties_to_even, unpack

#: Products of a unit.
TERMS = 4
#: Levels of a shifter by up to 31.
_LEVELS = 5
#: Stages of an adder, and the places of :class:`DotProduct4` in the order of the data.
_ADDER = ("aligned", "coarse", "rounded")
_IN_ORDER = (
    *("product", "normal"),
    *(f"{stage}_{level}" for level in (1, 2, 3) for stage in _ADDER),
)

#: An exponent field that holds the least product, 2^-48, as 1.
_FIELD_OFFSET = PRODUCT_BITS - 2
_FIELD_BITS = 7


class DotProduct4(wiring.Component):
    """``c + a0 b0 + a1 b1 + a2 b2 + a3 b3`` with four multipliers and four FP32 adders.

    Products are exact. Sums are ``((a0 b0 + a1 b1) + (a2 b2 + a3 b3)) + c``, each of the four
    additions rounded to FP32, to nearest, ties to even. Subnormals, infinities and signed zeros as
    in IEEE 754; zero times infinity is NaN; every NaN result is the canonical one.

    A new sum may start every cycle. Nothing feeds back: ``c`` is taken where the last addition
    needs it, :attr:`addend_delay` cycles after its products, so that whoever accumulates by
    connecting ``result`` to ``c`` has a loop of ``latency - addend_delay`` cycles, for as many sums
    in turn, and no path is longer than a stage.

    Parameters
    ----------
    pipeline : int
        Register stages, 0..11, the last one being the result: cycles from ``a`` and ``b`` to it.
    booth : bool
        Products by radix-4 Booth digits.

    Members
    -------
    a, b : In, ``[4]`` FP16 bit patterns
        Four factors.
    c : In, FP32 bit pattern, :attr:`addend_delay` cycles later
        What the products are added to.
    result : Out, FP32 bit pattern, :attr:`latency` cycles later
        The sum.

    Raises
    ------
    InputError
        (a :class:`ValueError`) if ``pipeline`` is out of range.
    """

    #: Register stages, first the ones that shorten the longest path most.
    RANKED = (
        *("rounded_3", "rounded_1", "rounded_2", "normal", "coarse_1", "coarse_2", "coarse_3"),
        *("aligned_3", "aligned_2", "aligned_1", "product"),
    )

    def __init__(self, pipeline: int = len(RANKED), booth: bool = False):
        self._booth = booth
        self.latency = check_depth(self.RANKED, pipeline)
        used = self.RANKED[:pipeline]
        self.addend_delay = sum(place in used for place in _IN_ORDER[: -len(_ADDER)])
        ports = data.ArrayLayout(FP16.bits, TERMS)
        super().__init__({"a": In(ports), "b": In(ports), "c": In(32), "result": Out(32)})

    def elaborate(self, platform: object) -> Module:
        """Multiply, add in three levels."""
        m = Module()
        places = Places(m, self.RANKED, self.latency)
        products = [product(m, self.a[i], self.b[i], f"{i}", self._booth) for i in range(TERMS)]
        infinities = Infinities.merged(m, (p.infinities for p in products), "products")
        for place in _IN_ORDER[: -len(_ADDER)]:
            infinities = infinities.held(places, place, "infinite")
        terms = [_normalised(m, places, p.term, f"{i}") for i, p in enumerate(products)]
        terms = [
            _rounded(_added(m, places, terms[i], terms[i + 1], 1, f"{i}"), m, places, 1, f"{i}")
            for i in range(0, TERMS, 2)
        ]
        total = _rounded(_added(m, places, terms[0], terms[1], 2, "4"), m, places, 2, "4")

        c = unpack(m, self.c, FP32, "c")
        addend = Term(c.sign, self.c[FP32.fraction_bits : -1], c.significand)
        infinities = Infinities.merged(
            m, [infinities, Infinities.of(m, c.sign, c.special, c.nan, "c")], "all"
        )
        for stage in _ADDER[:-1]:
            infinities = infinities.held(places, f"{stage}_3", "infinite")
        total = _added(m, places, total, addend, 3, "c")
        # Next to FP32's greatest numbers products are less than half a unit: no sum overflows.
        result = pack(m, infinities.mark(*total), FP32, highest=FP32.max_exponent)
        m.d.comb += self.result.eq(places.held("rounded_3", "result", result))
        return m


def _normalised(m: Module, places: Places, term: Term, name: str) -> Term:
    """A product with its leading 1 on top and an exponent of ``_FIELD_BITS``; 0 for zero."""
    exponent = keep(m, (term.exponent + _FIELD_OFFSET)[:_FIELD_BITS], f"field_{name}")
    term = term._replace(exponent=exponent).held(places, "product", name)
    significand, moved = move_up(m, term.significand, range(_LEVELS), f"normal_{name}")
    exponent = (term.exponent - moved)[:_FIELD_BITS] & significand[-1].replicate(_FIELD_BITS)
    exponent = keep(m, exponent, f"normal_exponent_{name}")
    return Term(term.sign, exponent, significand).held(places, "normal", name)


class _Aligned(NamedTuple):
    """Operands at the exponent of the larger one; ``small`` has guard, round and sticky bit."""

    larger: Term
    small: Value
    subtract: Value


def _aligned(m: Module, x: Term, y: Term, name: str) -> _Aligned:
    bits, width = len(x.significand), len(y.exponent)
    swap = Cat(x.significand[:-1], x.exponent) < Cat(y.significand[:-1], y.exponent)
    swap = keep(m, swap, f"swap_{name}")
    # Both differences at once: which one counts is known only after as long a comparison.
    up, down = (x.exponent - y.exponent)[:width], (y.exponent - x.exponent)[:width]
    distance = keep(m, Mux(swap, down, up), f"distance_{name}")
    larger = Term(
        *(
            keep(m, Mux(swap, v, u), f"larger_{name}_{field}")
            for field, u, v in zip(Term._fields, x, y, strict=True)
        )
    )
    smaller = keep(m, Mux(swap, x.significand, y.significand), f"smaller_{name}")
    wide = Cat(Const(0, FP32.precision + 2 - bits), smaller)
    small = shift_right(m, wide, distance, Const(0, 1), f"shifted_{name}")
    padded = Cat(Const(0, FP32.precision - bits), larger.significand)
    subtract = keep(m, x.sign ^ y.sign, f"subtract_{name}")
    return _Aligned(larger._replace(significand=padded), keep(m, small, f"small_{name}"), subtract)


def _added(m: Module, places: Places, x: Term, y: Term, level: int, name: str) -> Term:
    """``x + y``, normalised, not yet rounded: four bits more than the result has.

    The exponent is that of FP32 from level 2 on. In level 3 ``y`` may be subnormal, with exponent
    0. It is the larger operand only if ``x`` is zero, as no sum of products is as small, and then
    is the sum: a 1 that :func:`~lutcore.hdl.floats.numbers.pack` drops with exponent 0 holds it in
    its place.
    """
    operands = _aligned(m, x, y, name)
    larger = operands.larger.held(places, f"aligned_{level}", name)
    small = places.held(f"aligned_{level}", f"{name}_small", operands.small)
    subtract = places.held(f"aligned_{level}", f"{name}_subtract", operands.subtract)

    bits = len(small)
    addend = small ^ subtract.replicate(bits)
    # The lowest bits make the carry in.
    wide = Cat(subtract, Const(0, 3), larger.significand) + Cat(subtract, addend)
    total = keep(m, wide[1 : bits + 2], f"total_{name}")
    # The smaller magnitude is subtracted from the larger: never negative, the carry no digit.
    significand = keep(m, Cat(total[:-1], total[-1] & ~subtract), f"sum_{name}")
    some = keep(m, significand.any(), f"some_{name}")
    # x - x is +0, but -0 - 0 is -0.
    sign = larger.sign & (some | ~subtract)

    if level == 3:
        lone = keep(m, ~larger.significand[-1], f"lone_{name}")
        significand = Cat(significand[:-2], significand[-2] | lone, significand[-1])
        some = some | lone
    split = _LEVELS - 1
    significand, moved = move_up(m, significand, range(split, _LEVELS), f"coarse_{name}")
    offset = PRODUCT_OFFSET - _FIELD_OFFSET if level == 2 else 0
    exponent = (larger.exponent + (offset + 1) - (moved << split))[: FP32.exponent_bits + 1]
    # Zero moves through all finer levels, and then has exponent 0.
    finest = exponent[:split] | ~some.replicate(split)
    exponent = Cat(finest, exponent[split:] & some.replicate(len(exponent) - split))
    exponent = keep(m, exponent, f"coarse_exponent_{name}")
    term = Term(sign, exponent, significand).held(places, f"coarse_{level}", name)
    significand, moved = move_up(m, term.significand, range(split), f"fine_{name}")
    exponent = keep(m, (term.exponent - moved)[: len(exponent)], f"fine_exponent_{name}")
    return Term(term.sign, exponent, significand)


def _rounded(term: Term, m: Module, places: Places, level: int, name: str) -> Term:
    """A sum of products in FP32's precision; it cannot overflow."""
    extra = len(term.significand) - FP32.precision
    rest, significand = term.significand[:extra], term.significand[extra:]
    up = ties_to_even(significand[0], rest[-1], rest[:-1].any())
    fraction = keep(m, (significand[:-1] + up)[: FP32.precision], f"rounded_{name}")
    width = _FIELD_BITS if level == 1 else FP32.exponent_bits
    exponent = term.exponent[:width]
    exponent = Mux(fraction[-1], (exponent + 1)[:width], exponent)
    exponent = keep(m, exponent, f"rounded_exponent_{name}")
    significand = Cat(fraction[:-1], significand[-1])
    return Term(term.sign, exponent, significand).held(places, f"rounded_{level}", name)
