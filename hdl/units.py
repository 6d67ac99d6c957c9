"""What a column does with the operands of a row: look up or multiply, in integers or floats."""

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed

from hdl.config import CoreConfig, signed_bits
from hdl.float_convert import IntegerToFloat
from hdl.float_multiply import FloatMultiplier
from hdl.formats import FORMATS
from hdl.lookup import Select, negated, tree_sum
from hdl.sharing import add_shared
from hdl.tables import converted

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


def partial_products(a: Value, w: Value) -> tuple[list[Value], int]:
    """Unsigned rows and a constant that sum to ``a * w``, both in two's complement.

    Baugh and Wooley: products with one sign bit count negatively, so they are inverted and a
    constant makes up for it. Nothing needs sign extension, in contrast to a synthesis tool's own
    way with sums of signed products, which is twice as large. ``a`` and ``w`` come inverted, as
    NOR gates are smaller than AND gates.
    """
    top_a, top_w = len(a) - 1, len(w) - 1
    rows: list[Value] = []
    for i in range(top_w):
        bit = w[i].replicate(top_a)
        rows.append(Cat(Const(0, i), ~(a[:-1] | bit), a[-1] | w[i]))
    last = Cat(a[:-1] | w[-1].replicate(top_a), ~(a[-1] | w[-1]))
    rows.append(Cat(Const(0, top_w), last))
    return rows, (1 << top_a) + (1 << top_w) - (1 << top_a + top_w + 1)


class Products:
    """Weights as two's-complement numbers: a row's terms are its activations times them."""

    def __init__(self, m: Module, platform: object, config: CoreConfig, index: Value):
        self._m = m
        self._platform = platform
        self._config = config
        self._weights: list[Value] = []
        for i in range(config.tables):
            weight = Signal(signed(config.index_bits), name=f"weight_{i}", reset_less=True)
            code = index.word_select(i, config.index_bits)
            m.d.sync += weight.eq(~code if config.inverted else code)
            self._weights.append(self._as_float(weight, i) if config.exact_floats else weight)

    def _as_float(self, weight: Value, i: int) -> Value:
        """The weight in the activations' format, which holds it exactly."""
        format, bits = self._config.float_format, max(2, len(weight))
        name = f"int{bits}_to_{format.name}".replace("-", "_")
        converter = add_shared(
            self._m, self._platform, f"weigh_{i}", name, lambda: IntegerToFloat(bits, format)
        )
        self._m.d.comb += converter.a.eq(weight)
        return converter.result

    def _integers(self, activations: list[Value]) -> list[Value]:
        """All rows of all products for one compressor tree, or products to be registered."""
        products = [partial_products(a, w) for a, w in zip(activations, self._weights, strict=True)]
        if self._config.pipeline > 1:
            return [
                tree_sum([*rows, Const(c, signed(len(a) + len(w)))])[: len(a) + len(w)].as_signed()
                for (rows, c), a, w in zip(products, activations, self._weights, strict=True)
            ]
        constant = sum(c for _, c in products)
        shape = signed(signed_bits(constant, 0))
        return [row for rows, _ in products for row in rows] + [Const(constant, shape)]

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
