"""What a column does with the operands of a row: look up or multiply, in integers or floats."""

from amaranth.hdl import Cat, Module, Signal, Value, signed

from hdl.config import CoreConfig
from hdl.float_convert import IntegerToFloat
from hdl.float_multiply import FloatMultiplier
from hdl.formats import FORMATS
from hdl.lookup import Select, negated
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


class Products:
    """Weights as two's-complement numbers: a row's terms are its activations times them."""

    def __init__(self, m: Module, platform: object, config: CoreConfig, index: Value):
        self._m = m
        self._platform = platform
        self._config = config
        self._weights: list[Value] = []
        for i in range(config.tables):
            weight = Signal(signed(config.index_bits), name=f"weight_{i}", reset_less=True)
            m.d.sync += weight.eq(index.word_select(i, config.index_bits))
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

    def terms(self, tables: list[list[Value]], row: int) -> list[Value]:
        """Products that sum to the row's dot product: integers, or exact FP32 products."""
        terms: list[Value] = []
        for i, (weight, (activation,)) in enumerate(zip(self._weights, tables, strict=True)):
            if not self._config.exact_floats:
                terms.append(activation * weight)
                continue
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
