"""What a column does with the operands of a row: look up or multiply, in integers or floats."""

import functools
import operator

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed

from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.floats.convert import IntegerToFloat
from lutcore.hdl.floats.multiply import FloatMultiplier
from lutcore.hdl.parts.lookup import Select, negated, tree_sum
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.tables import converted

FP32 = FORMATS["fp32"]


class Lookups:
    """Weights as selects: a row's terms are entries of its tables, with their signs.

    Built once a column; the selects serve all rows.
    """

    def __init__(self, m: Module, platform: object, config: CoreConfig, index: Value):
        self._m = m
        self._platform = platform
        self._config = config
        self._selects = [
            Select(m, config, index.word_select(i, config.index_bits), f"{i}")
            for i in range(config.tables)
        ]

    def terms(self, tables: list[list[Value]], row: int) -> list[Value]:
        """Terms that sum to the row's dot product: integers with carry-ins, or FP32 numbers."""
        config = self._config
        terms: list[Value] = []
        carries: list[Value] = []
        for i, (select, table) in enumerate(zip(self._selects, tables, strict=True)):
            entry = select.read(table)
            if config.exact_floats:
                if select.negate is not None:
                    entry = Cat(entry[:-1], entry[-1] ^ select.negate)
                name = f"widen_{row}_{i}"
                source = config.table_format
                terms.append(converted(self._m, self._platform, entry, source, FP32, name))
            else:
                term, *carry = negated(entry, select.negate)
                terms.append(term)
                carries += carry
        return terms + carries


class SignedBits:
    """A registered weight in two's complement, one partial product a bit.

    Baugh and Wooley: products with one sign bit count negatively, so they are inverted and a
    constant makes up for it. Nothing needs sign extension, in contrast to a synthesis tool's own
    way with sums of signed products, which is twice as large. The weight is stored inverted, as NOR
    gates are smaller than AND gates.
    """

    def __init__(self, m: Module, code: Value, name: str):
        # weight in two's complement, inverted
        self._inverted = Signal(len(code), name=f"weight_{name}", reset_less=True)
        m.d.sync += self._inverted.eq(~code)

    def times(self, a: Value) -> tuple[list[Value], int]:
        """Unsigned rows and a constant that sum to the product with ``a``, which comes inverted."""
        w = self._inverted
        top_a, top_w = len(a) - 1, len(w) - 1
        rows: list[Value] = []
        for i in range(top_w):
            bit = w[i].replicate(top_a)
            rows.append(Cat(Const(0, i), ~(a[:-1] | bit), a[-1] | w[i]))
        last = Cat(a[:-1] | w[-1].replicate(top_a), ~(a[-1] | w[-1]))
        rows.append(Cat(Const(0, top_w), last))
        return rows, (1 << top_a) + (1 << top_w) - (1 << top_a + top_w + 1)


class BoothDigits:
    """A registered weight as radix-4 digits -2..2 (Booth), one partial product a digit.

    A digit is a sign and two sizes, one-hot.
    """

    def __init__(self, m: Module, code: Value, name: str):
        wide = Cat(Const(0, 1), code, code[-1])
        self._digits: list[tuple[Signal, Signal, Signal]] = []
        for i in range(0, len(code), 2):
            # digit of the weight: once, it is 1 or -1; twice, it is 2 or -2; sign, it is negated
            once, twice, sign = (
                Signal(name=f"{kind}_{name}_{i // 2}", reset_less=True)
                for kind in ("once", "twice", "sign")
            )
            low, middle, high = wide[i : i + 3]
            m.d.sync += [
                once.eq(low ^ middle),
                twice.eq((low == middle) & (high != middle)),
                sign.eq(high),
            ]
            self._digits.append((once, twice, sign))

    def times(self, a: Value) -> tuple[list[Value], int]:
        """As :meth:`SignedBits.times`."""
        a = (~a).as_signed()
        size = len(a) + 1
        once_a, twice_a = Cat(a, a[-1]), Cat(Const(0, 1), a)
        rows: list[Value] = []
        signs: list[Value] = []
        constant = 0
        for i, (once, twice, sign) in enumerate(self._digits):
            chosen = once_a & once.replicate(size) | twice_a & twice.replicate(size)
            row = chosen ^ sign.replicate(size)
            rows.append(Cat(Const(0, 2 * i), row[:-1], ~row[-1]))
            signs += [sign, Const(0, 1)]  # completes the two's complement
            constant -= 1 << size - 1 + 2 * i
        return [*rows, Cat(*signs)], constant


class Multiples:
    """A registered weight of one or two bits as the one multiple that it chooses: a, -a or -2a.

    Of ternary weights -2a is no choice.

    The selects are one-hot. A multiple that is negated is chosen inverted, and the select itself
    completes its two's complement.
    """

    def __init__(self, m: Module, code: Value, name: str, ternary: bool = False):
        if len(code) == 1:  # 0 or -1
            wanted = {"minus": code[0]}
        else:
            low, high = code
            wanted = {"plus": low & ~high, "minus": high if ternary else low & high}
            wanted |= {} if ternary else {"twice": ~low & high}
        # the weight is 1, -1 or -2
        self._selects = {kind: Signal(name=f"{kind}_{name}", reset_less=True) for kind in wanted}
        m.d.sync += [self._selects[kind].eq(value) for kind, value in wanted.items()]

    def times(self, a: Value) -> tuple[list[Value], int]:
        """As :meth:`SignedBits.times`."""
        inverted = a.as_signed()
        size = len(a) + ("twice" in self._selects)
        multiples = {
            "plus": Cat(~inverted, ~inverted[-1])[:size],
            "minus": Cat(inverted, inverted[-1])[:size],
            "twice": Cat(Const(1, 1), inverted),
        }
        chosen = [multiples[kind] & s.replicate(size) for kind, s in self._selects.items()]
        row = functools.reduce(operator.or_, chosen)
        negative = [s for kind, s in self._selects.items() if kind != "plus"]
        # at most one of them is set
        completes = functools.reduce(operator.or_, negative)
        return [Cat(row[:-1], ~row[-1]), completes], -(1 << size - 1)


#: Weights of more bits than this are recoded: half the partial products outweigh the selection.
_PLAIN_BITS = 4
#: ``multiplier`` of a configuration -> what makes partial products.
_KINDS = {"rows": SignedBits, "booth": BoothDigits, "select": Multiples}
#: Partial products that a pipeline stage adds.
_STAGE_ROWS = 10


class Products:
    """Weights as two's-complement numbers: a row's terms are its activations times them."""

    def __init__(self, m: Module, platform: object, config: CoreConfig, index: Value):
        self._m = m
        self._platform = platform
        self._config = config
        codes = [index.word_select(i, config.index_bits) for i in range(config.tables)]
        if config.exact_floats:
            self._weights = [self._as_float(code, i) for i, code in enumerate(codes)]
        else:
            auto = "booth" if config.index_bits > _PLAIN_BITS else "rows"
            kind = _KINDS[auto if config.multiplier == "auto" else config.multiplier]
            if config.weight_coding == "ternary":
                kind = functools.partial(Multiples, ternary=True)
            self._factors = [kind(m, code, f"{i}") for i, code in enumerate(codes)]

    def _as_float(self, code: Value, i: int) -> Value:
        """The weight in the activations' format, which holds it exactly."""
        # weight in two's complement
        weight = Signal(signed(len(code)), name=f"weight_{i}", reset_less=True)
        self._m.d.sync += weight.eq(code)
        format, bits = self._config.float_format, max(2, len(weight))
        name = f"int{bits}_to_{format.name}".replace("-", "_")
        converter = add_shared(
            self._m, self._platform, f"weigh_{i}", name, lambda: IntegerToFloat(bits, format)
        )
        self._m.d.comb += converter.a.eq(weight)
        return converter.result

    def _integers(self, activations: list[Value]) -> list[Value]:
        """All rows of all products for one compressor tree, or sums to be registered."""
        config = self._config
        products = [w.times(a) for a, w in zip(activations, self._factors, strict=True)]
        together = len(products)
        if config.pipeline > 1:
            together = max(1, _STAGE_ROWS // len(products[0][0]))
        terms: list[Value] = []
        for start in range(0, len(products), together):
            group = products[start : start + together]
            constant = sum(c for _, c in group)
            rows = [row for rows, _ in group for row in rows]
            rows.append(Const(constant, signed(signed_bits(constant, 0))))
            if together < len(products):
                bits = signed_bits(*config.products_range(together))
                rows = [tree_sum(rows)[:bits].as_signed()]
            terms += rows
        return terms

    def terms(self, tables: list[list[Value]], row: int) -> list[Value]:
        """Products that sum to the row's dot product: integers, or exact FP32 products."""
        if not self._config.exact_floats:
            return self._integers([table[0] for table in tables])
        terms: list[Value] = []
        for i, (weight, (activation,)) in enumerate(zip(self._weights, tables, strict=True)):
            format = self._config.float_format
            multiplier = add_shared(
                self._m,
                self._platform,
                f"multiplier_{row}_{i}",
                f"{format.name}_multiplier".replace("-", "_"),
                lambda: FloatMultiplier(format, FP32),  # noqa: B023 (called at once)
            )
            self._m.d.comb += [multiplier.a.eq(activation), multiplier.b.eq(weight)]
            terms.append(multiplier.result)
        return terms
