"""Two engines between the same activations and weights: tables and multipliers give one result.

Everything that a column needs stands in both: tables, register, selects, accumulator, row sum.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

import itertools

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.tables import TableBuilder
from lutcore.verif.formal.harness import BLOCK, Harness
from lutcore.verif.formal.lookups import Datapath, factors

#: Solvers decide sums of products of so few: activations of a table, weight bits, activation bits.
_K, _BITS, _ACTIVATION_BITS = 2, 2, 4
#: Steps of its longest run: they set the accumulator's width.
_STEPS = 64
#: What the plane bits of a form are, or its weights' codes, in the order of their numbers.
_DIGITS = {"symmetric": (-1, 1), "subset": (0, 1), "twos-complement": (0, 1), "ternary": (-1, 0, 1)}
#: What an engine is told of a slice besides its activations.
_CONTROLS = ("index", "plane", "negative", "starts", "first", "fire", "capture")


def of_one_column(config: CoreConfig, **changes: int) -> CoreConfig:
    """A configuration with one row and one column, whose results leave as they are."""
    column = {"m": 1, "n": 1, "tiles": 1, "result_columns": 0, "zero_points": "external"}
    return config.replace(**column | changes)


def of_one_table(config: CoreConfig) -> CoreConfig:
    """A configuration with one row, one column and one table of few activations and bits."""
    k = config.k if config.form.name == "ternary" else min(config.k, _K)
    run = _STEPS * k
    bits = min(config.max_weight_bits, _BITS)
    return of_one_column(config, k=k, lookups=1, max_k=run, group_size=run, max_weight_bits=bits)


def with_multipliers(config: CoreConfig) -> CoreConfig:
    """The same with the MAC engine."""
    return config.replace(
        **{"engine": "mac", "weight_coding": "binary", "table_form": "symmetric"},
        **{"precompute": "inline", "plane_order": "any"},
    )


class _Engine(wiring.Component):
    """Tables of a step's activations, and what they come to: all of a tile but its streams."""

    def __init__(self, config: CoreConfig):
        self.config = config
        self._builder = TableBuilder(config)
        self._path = Datapath(config)
        members = self._path.signature.members
        given = {"activations": self._builder.signature.members["activations"]}
        super().__init__(
            given | {name: member for name, member in members.items() if name != "tables"}
        )

    def elaborate(self, platform: object) -> Module:
        """One behind the other."""
        m = Module()
        m.submodules.builder, m.submodules.path = builder, path = self._builder, self._path
        m.d.comb += [
            builder.activations.eq(self.activations),
            path.tables.eq(builder.tables),
            self.dots.eq(path.dots),
            self.sums.eq(path.sums),
        ]
        m.d.comb += [getattr(path, name).eq(getattr(self, name)) for name in _CONTROLS]
        return m


class _Engines(wiring.Component):
    """Both, side by side; what they are given is given by the harness."""

    def __init__(self, config: CoreConfig):
        self.both = {"tables": _Engine(config), "multipliers": _Engine(with_multipliers(config))}
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        """Nothing joins them."""
        m = Module()
        for name, engine in self.both.items():
            setattr(m.submodules, name, engine)
        return m


class EngineProperties(Harness):
    """A run of one step, its planes one after the other: both results are the same."""

    reduced = (
        f"of one row, one column, one table of at most {_K} activations (three where ternary)",
        f"of weights of at most {_BITS} bits and activations of {_ACTIVATION_BITS}",
    )

    def __init__(self, config: CoreConfig):
        self._config = config = of_one_table(config)
        self._engines = _Engines(config)
        super().__init__(
            {
                "activations": self._engines.both["tables"].signature.members["activations"],
                "codes": In(config.depth * config.max_weight_bits),
            }
        )

    def describe(self, m: Module) -> None:
        """What each engine's form says of its sums (:class:`lutcore.hdl.config.forms.Form`)."""
        config = self._config
        setattr(m.submodules, BLOCK, self._engines)
        self.constant(m, "activations stay while planes pass", self.activations.as_value())
        self.constant(m, "so do weights", self.codes)
        most = 1 << _ACTIVATION_BITS - 1
        low, high = config.activation_range
        low, high = max(low, -most), min(high, most - 1)
        legal = [(a >= low) & (a <= high) for a in self.activations[0]]
        self.assume(m, f"activations are {low} to {high}", Cat(legal).all())
        codes = [self.codes.word_select(i, config.max_weight_bits) for i in range(config.depth)]
        if config.weight_coding == "ternary":
            self.assume(m, "codes are 0, 1, 2", Cat(code <= 2 for code in codes).all())
        last = config.planes(config.max_weight_bits) + config.pipeline + 2
        step = Signal(range(last + 1))
        m.d.sync += step.eq(Mux(step == last, step, step + 1))
        products = []
        for engine in self._engines.both.values():
            self._run(m, engine, codes, step)
            form = engine.config.form
            row = form.offset(config.max_weight_bits) * engine.sums[0]
            products.append(form.scale * engine.dots[0] - row)
        done = step == last
        self.hold(m, "both results are the same", products[0] == products[1], when=done)
        both = [engine.sums[0] for engine in self._engines.both.values()]
        self.hold(m, "both row sums are the same", both[0] == both[1], when=done)
        self.happen(m, "a negative result", done & (products[0] < -2))
        self.happen(m, "a positive one", done & (products[0] > 2))

    def _run(self, m: Module, engine: _Engine, codes: list[Value], step: Signal) -> None:
        """Give an engine the step's planes, from the meaning of its indices alone."""
        config = engine.config
        slices = _slices(m, config, codes)
        last = len(slices) - 1
        plane = Signal(range(len(slices) + 1))
        m.d.comb += [
            engine.activations.eq(self.activations),
            plane.eq(Mux(step > last, 0, last - step if config.doubles else step)),
            engine.plane.eq(plane),
            engine.negative.eq(config.negates_tables & (plane == last)),
            engine.starts.eq(1),
            engine.first.eq(step == 0),
            engine.fire.eq(step <= last),
            engine.capture.eq(1),
            engine.index.eq(Array(slices)[plane]),
        ]


def _slices(m: Module, config: CoreConfig, codes: list[Value]) -> list[Value]:
    """Indices of all tables, for each plane, of unsigned weight codes."""
    k, top = config.table_k, 1 << config.max_weight_bits - 1
    groups = [codes[at : at + k] for at in range(0, len(codes), k)]
    form = config.form.name
    if form == "product":
        return [Value.cast(Cat(code ^ top for code in codes))]
    if form == "trit":
        return [Value.cast(Cat((code - 1)[:2] for code in codes))]
    if form == "ternary":
        digits = [[[code[:2] for code in group] for group in groups]]
    else:
        inverted = top if form == "twos-complement" else 0
        digits = [
            [[(code ^ inverted)[plane] for code in group] for group in groups]
            for plane in range(config.max_weight_bits)
        ]
    return [Value.cast(Cat(_index(m, config, group) for group in plane)) for plane in digits]


def _index(m: Module, config: CoreConfig, given: list[Value]) -> Value:
    """The index that multiplies each activation of a table by the digit whose number is given."""
    form, bits = config.form.name, config.index_bits
    means = [tuple(factors(form, config.table_k, bits, index)) for index in range(1 << bits)]
    digits = _DIGITS[form]
    found = Signal(bits, name="index")
    for places in itertools.product(range(len(digits)), repeat=len(given)):
        index = means.index(tuple(digits[place] for place in places))
        with m.If(Cat(a == place for a, place in zip(given, places, strict=True)).all()):
            m.d.comb += found.eq(index)
    return found
