"""Activations that share a scale: keys, aligned integers, rounded tables, the runs they wait in.

Rounding is claimed without shifting right: the result is nearest to what is rounded, and even where
two are.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.blocks import (
    Aligner,
    ExponentKeys,
    MagnitudeKeys,
    RunBuffer,
    TableRounder,
)
from lutcore.verif.formal.harness import BLOCK, BlockHarness, Harness


class _OfOneRow(BlockHarness):
    """A block of a configuration with one row: all rows are the same."""

    reduced = ("of one row",)

    def __init__(self, config: CoreConfig, make: Callable[[CoreConfig], wiring.Component]):
        self._config = config.replace(m=1)
        super().__init__(make(self._config))


def _nearest(rounded: Value, shift: Value, exact: Value) -> tuple[Value, Value]:
    """Whether ``rounded * 2^shift`` is nearest to ``exact``, and whether another is as near."""
    twice = (exact << 1) - (rounded << (shift + 1))
    unit = Const(1, 2) << shift  # half of a place, twice
    magnitude = Mux(twice < 0, -twice, twice)
    return magnitude <= unit, magnitude == unit


class RoundingProperties(_OfOneRow):
    """Tables of eight bits: the least shift that fits; entries rounded to nearest, ties to even."""

    def __init__(self, config: CoreConfig):
        super().__init__(config, TableRounder)

    def describe(self, m: Module) -> None:
        """Of every entry of every table."""
        self.put(m)
        config, block, key = self._config, self._block, self.keys[0]
        places = [(table, x) for table in range(config.tables) for x in range(config.entries)]
        entries = {place: self.tables[0][place[0]][place[1]] for place in places}
        within = [(entry <= key) & (-entry <= key) for entry in entries.values()]
        most = 127 << config.most_table_round
        self.assume(m, "a key is the greatest magnitude of entries", Cat(within).all())
        self.assume(m, "keys are sums of magnitudes of activations", key <= most)
        shift = block.shifts[0]
        self.hold(m, "the greatest entry fits after the shift", key <= Const(127) << shift)
        least = (shift == 0) | (key > Const(127) << (shift - 1)[: len(shift)])
        self.hold(m, "no smaller shift would do", least)
        for (table, x), entry in entries.items():
            rounded = block.rounded[0][table][x]
            near, tie = _nearest(rounded, shift, entry)
            name = f"entry {x} of table {table}"
            self.hold(m, f"{name} is rounded to the nearest", near)
            self.hold(m, f"{name} is even where two are near", ~rounded[0], when=tie)
            self.hold(m, f"{name} has eight bits", (rounded <= 127) & (rounded >= -127))
        _, tie = _nearest(block.rounded[0][0][0], shift, entries[0, 0])
        self.happen(m, "an entry between two", tie & (shift > 1))


class AlignmentProperties(_OfOneRow):
    """Aligned integers: each activation rounded to nearest, ties to even, at its run's exponent."""

    def __init__(self, config: CoreConfig):
        super().__init__(config, Aligner)

    def describe(self, m: Module) -> None:
        """Of every activation."""
        self.put(m)
        config, key = self._config, self.keys[0]
        for i in range(config.depth):
            self._nearest_integer(m, i)
        scale = self._block.scales[0]
        self.hold(m, "the scale is the run's exponent", scale.exponent == key[:-1])
        self.hold(m, "the run is invalid as its key says", scale.invalid == key[-1])

    def _nearest_integer(self, m: Module, i: int) -> None:
        config, pattern = self._config, self.activations[0][i]
        format = config.float_format
        biased = pattern[format.fraction_bits : -1]
        exponent = Mux(biased == 0, 1, biased)
        significand = Cat(pattern[: format.fraction_bits], biased != 0)
        greatest = self.keys[0][:-1]
        name = f"activation {i}"
        self.assume(m, f"{name} has no exponent above its run's", exponent <= greatest)
        distance = Signal(range(1 << format.exponent_bits), name=f"distance_{i}")
        m.d.comb += distance.eq(greatest - exponent)
        value = self._block.values[0][i]
        magnitude = Mux(pattern[-1], -value, value)
        exact = significand << config.align_bits - 1 - format.precision
        bits = config.align_bits + 1
        far = distance > bits
        shift = Signal(range(bits + 1), name=f"shift_{i}")
        m.d.comb += shift.eq(Mux(far, 0, distance))
        nearest, tie = _nearest(magnitude, shift, exact)
        self.hold(m, f"{name} is rounded to the nearest", nearest, when=~far)
        self.hold(m, f"{name} is even where two are near", ~magnitude[0], when=tie & ~far)
        self.hold(m, f"{name} is nothing far below", value == 0, when=far)
        if i == 0:
            self.happen(m, "an activation between two", tie & (distance > 2) & pattern[-1])


class ExponentKeyProperties(_OfOneRow):
    """A row's key is its greatest exponent, and whether one is infinite or NaN."""

    def __init__(self, config: CoreConfig):
        super().__init__(config, ExponentKeys)

    def describe(self, m: Module) -> None:
        """No exponent is greater, one is as great."""
        self.put(m)
        config, key = self._config, self._block.keys[0]
        format = config.float_format
        biased = [self.activations[0][i][format.fraction_bits : -1] for i in range(config.depth)]
        exponents = [Mux(field == 0, 1, field) for field in biased]
        self.hold(m, "no exponent is above", Cat(e <= key[:-1] for e in exponents).all())
        self.hold(m, "one is as great", Cat(e == key[:-1] for e in exponents).any())
        magnitudes = [self.activations[0][i][:-1] for i in range(config.depth)]
        special = Cat(each > format.max_finite for each in magnitudes).any()
        self.hold(m, "special is one that is above all finite ones", key[-1] == special)
        self.happen(m, "one is special", key[-1])


class MagnitudeKeyProperties(_OfOneRow):
    """A row's key for eight-bit tables is the greatest sum of magnitudes of a table."""

    def __init__(self, config: CoreConfig):
        super().__init__(config, MagnitudeKeys)

    def describe(self, m: Module) -> None:
        """No sum is greater, one is as great."""
        self.put(m)
        config, key = self._config, self._block.keys[0]
        sums = []
        for table in range(config.tables):
            group = [self.values[0][table * config.k + t] for t in range(config.k)]
            magnitudes = [Mux(value < 0, -value, value) for value in group]
            sums.append(sum(magnitudes[1:], magnitudes[0]))
        self.hold(m, "no table's sum is above", Cat(each <= key for each in sums).all())
        self.hold(m, "one is as great", Cat(each == key for each in sums).any())
        self.happen(m, "a key of more than seven bits", key > 127)


class RunBufferProperties(Harness):
    """A buffer of short runs: all comes out as it went in, with its run's keys, and nothing stays.

    Steps are kept by what is seen from outside: of each its payload, its end, and its run's keys.
    """

    _STEPS, _BITS, _KEY, _ROWS = 3, 1, 2, 2
    reduced = (f"of {_ROWS} rows, runs of at most {_STEPS} steps and payloads of one bit",)

    def __init__(self, config: CoreConfig):
        shape: Any = SimpleNamespace(m=self._ROWS, run_steps=self._STEPS)
        self._block = RunBuffer(shape, self._BITS, self._KEY)
        super().__init__(
            {
                "payload": In(self._BITS),
                "key": In(data.ArrayLayout(self._KEY, self._ROWS)),
                "last": In(1),
                "valid": In(1),
                "ready": In(1),
            }
        )

    def describe(self, m: Module) -> None:
        """The buffer, and what it was given in the order in which it was."""
        block = self._block
        setattr(m.submodules, BLOCK, block)
        m.d.comb += [
            block.steps.valid.eq(self.valid),
            block.steps.payload.payload.eq(self.payload),
            block.steps.payload.keys.eq(self.key),
            block.steps.payload.last.eq(self.last),
            block.results.ready.eq(self.ready),
        ]
        places = 2 * self._STEPS
        given = [Signal(self._BITS + 1, name=f"given_{i}") for i in range(places)]
        keys = [Signal.like(self.key, name=f"key_{i}") for i in range(places)]
        put, got = Signal(range(places), name="put"), Signal(range(places), name="got")
        level, runs = Signal(range(places + 1), name="level"), Signal(range(3), name="runs")
        length, greatest = Signal(range(self._STEPS + 1)), Signal.like(self.key, name="greatest")
        ends = self.last | (length == self._STEPS - 1)
        now = Signal.like(self.key, name="now")
        for row in range(self._ROWS):
            key, most = self.key[row], greatest[row]
            m.d.comb += now[row].eq(Mux((length == 0) | (key > most), key, most))
        taken = self.valid & block.steps.ready
        sent = block.results.valid & self.ready
        for place, (held, key) in enumerate(zip(given, keys, strict=True)):
            with m.If(taken & (put == place)):
                m.d.sync += [held.eq(Cat(self.payload, ends)), key.eq(now)]
            for back in range(1, self._STEPS):  # the run's steps have the keys that it has so far
                with m.If(taken & (put == (place + back) % places) & (length >= back)):
                    m.d.sync += key.eq(now)
        leaves = sent & block.results.payload.last
        m.d.sync += [level.eq(level + taken - sent), runs.eq(runs + (taken & ends) - leaves)]
        with m.If(taken):
            m.d.sync += [
                put.eq(Mux(put == places - 1, 0, put + 1)),
                length.eq(Mux(ends, 0, length + 1)),
                greatest.eq(now),
            ]
        with m.If(sent):
            m.d.sync += got.eq(Mux(got == places - 1, 0, got + 1))
        result = block.results.payload
        kept, kept_keys = Array(given)[got], Array(key.as_value() for key in keys)[got]
        offered = block.results.valid
        whole, found = Cat(result.payload, result.last), result.keys.as_value()
        self.hold(m, "steps come out in order", whole == kept, when=offered)
        self.hold(m, "with their run's greatest keys", found == kept_keys, when=offered)
        self.hold(m, "steps are offered while a whole run is there", offered == (runs != 0))
        self.hold(m, "steps are taken while a run is free", block.steps.ready == (runs != 2))
        self.hold(m, "no more is taken than there are places", level <= places)
        self.stays(m, "steps", offered, self.ready, Cat(whole, found))
        self.happen(m, "both banks are full", level == places)
        self.happen(m, "a second run comes out", sent & (got == self._STEPS))
