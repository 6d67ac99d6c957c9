"""Checks the floating-point units against :mod:`lutcore.verif.golden.formats`, millions of pairs a
second.

``python -m lutcore.gen.campaigns.floats --full`` runs the whole campaign, without ``--full`` a
slice of a few seconds. Exit status 1 if any result differs.

Operands of up to 16 bits together are tried exhaustively. Beyond that come all combinations of
boundary values (zeros, subnormal and normal limits, powers of two and their neighbours, infinities,
NaN), then random ones, of which half are drawn where rounding, cancellation, underflow and overflow
happen: uniform bit patterns of FP32 hardly ever meet within one another's precision.
"""

import argparse
import itertools
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lutcore import tools
from lutcore.errors import InputError, ToolError
from lutcore.gen.emit.rtl import component_verilog
from lutcore.hdl.config.formats import BF16, FORMATS, FP8_E4M3, FP8_E5M2, FP16, FP32, FloatFormat
from lutcore.hdl.floats.add import FloatAdder
from lutcore.hdl.floats.convert import FloatConverter, IntegerToFloat
from lutcore.hdl.floats.multiply import FloatMultiplier
from lutcore.hdl.floats.numbers import double
from lutcore.verif.golden import formats as reference
from lutcore.verif.sim.native import build_native

_HARNESS = Path(__file__).with_name("float_harness.cpp")
#: Operand sets that are in memory at a time.
_CHUNK = 1 << 20


class _Doubler(wiring.Component):
    """:func:`lutcore.hdl.floats.numbers.double` with ports."""

    def __init__(self, format: FloatFormat):
        self._format = format
        super().__init__({"a": In(format.bits), "result": Out(format.bits)})

    def elaborate(self, platform: object) -> Module:
        """A wire and :func:`lutcore.hdl.floats.numbers.double`."""
        m = Module()
        m.d.comb += self.result.eq(double(self.a, self._format))
        return m


@dataclass(frozen=True)
class Unit:
    """A unit under test.

    Parameters
    ----------
    operation : str
        What it does.
    formats : str
        Formats of operands and result.
    component : callable
        Makes the component: inputs ``a`` and, if binary, ``b``; output ``result``.
    expected : callable
        The reference, on bit patterns (of integers: on int64).
    operands : int
        1 or 2.
    operand : FloatFormat or int
        Format of the operands, or width of a signed integer.
    latency : int
        Cycles from operands to result.
    """

    operation: str
    formats: str
    component: Callable[[], wiring.Component]
    expected: Callable[..., NDArray]
    operands: int
    operand: FloatFormat | int
    latency: int = 0

    @property
    def name(self) -> str:
        """Operation and formats."""
        return f"{self.operation} {self.formats}"

    @property
    def operand_bits(self) -> int:
        """Width of one operand."""
        return self.operand if isinstance(self.operand, int) else self.operand.bits

    @property
    def word(self) -> np.dtype:
        """Type of an operand in the harness's file."""
        return np.dtype(np.uint64 if self.operand_bits > 32 else np.uint32)


@dataclass(frozen=True)
class Effort:
    """How much of the space of a unit too large to exhaust is tried."""

    boundary_sets: int
    random_sets: int


SLICE = Effort(boundary_sets=1 << 16, random_sets=1 << 17)
FULL = Effort(boundary_sets=4_000_000, random_sets=40_000_000)


@dataclass(frozen=True)
class Outcome:
    """What a unit's check found."""

    unit: Unit
    sets: int
    mismatches: int
    seconds: float
    example: str = ""


def adder(format: FloatFormat, pipeline: int = 0) -> Unit:
    """A :class:`~lutcore.hdl.floats.add.FloatAdder` under test."""
    make = partial(FloatAdder, format, pipeline)
    name = f"{format.name}, {pipeline} stages" if pipeline else format.name
    return Unit("add", name, make, partial(reference.add, format=format), 2, format, pipeline)


def multiplier(format: FloatFormat, result: FloatFormat) -> Unit:
    """A :class:`~lutcore.hdl.floats.multiply.FloatMultiplier` under test."""
    name = format.name if format is result else f"{format.name} to {result.name}"
    make = partial(FloatMultiplier, format, result)
    expected = partial(reference.multiply, format=format, result=result)
    return Unit("multiply", name, make, expected, 2, format)


def converter(source: FloatFormat, target: FloatFormat) -> Unit:
    """A :class:`~lutcore.hdl.floats.convert.FloatConverter` under test."""
    name = f"{source.name} to {target.name}"
    make = partial(FloatConverter, source, target)
    expected = partial(reference.convert, source=source, target=target)
    return Unit("convert", name, make, expected, 1, source)


def integer_converter(bits: int, target: FloatFormat) -> Unit:
    """An :class:`~lutcore.hdl.floats.convert.IntegerToFloat` under test."""
    name = f"int{bits} to {target.name}"
    make = partial(IntegerToFloat, bits, target)
    return Unit("convert", name, make, partial(reference.from_integer, target=target), 1, bits)


def doubler(format: FloatFormat) -> Unit:
    """:func:`lutcore.hdl.floats.numbers.double` under test."""
    expected = partial(reference.double, format=format)
    return Unit("double", format.name, partial(_Doubler, format), expected, 1, format)


#: Every unit that the campaign checks.
UNITS = (
    *map(adder, FORMATS.values()),
    adder(FP32, pipeline=4),
    *(multiplier(format, format) for format in FORMATS.values()),
    *(multiplier(format, FP32) for format in FORMATS.values() if format is not FP32),
    multiplier(FP8_E4M3, FP16),
    multiplier(FP8_E5M2, FP16),
    *itertools.starmap(converter, itertools.permutations(FORMATS.values(), 2)),
    *(integer_converter(bits, FP32) for bits in (8, 16, 24, 32, 64)),
    *(integer_converter(32, format) for format in (FP16, BF16, FP8_E4M3, FP8_E5M2)),
    *map(doubler, FORMATS.values()),
)


def build(unit: Unit) -> Path:
    """Compile the unit with its harness, or find it compiled.

    Raises
    ------
    InputError
        Verilator or the C++ compiler is missing.
    ToolError
        The build failed.
    """
    definitions = (
        f"WORD=uint{8 * unit.word.itemsize}_t",
        f"BINARY={unit.operands - 1}",
        f"LATENCY={unit.latency}",
    )
    text = component_verilog(unit.component(), "unit")
    return build_native(text, "unit", _HARNESS, definitions)


def evaluate(program: Path, unit: Unit, *operands: NDArray) -> NDArray[np.uint32]:
    """Results of a built unit for arrays of operands."""
    mask = np.uint64((1 << unit.operand_bits) - 1)
    sets = np.stack([np.asarray(o).astype(np.uint64) & mask for o in operands], axis=-1)
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        inputs, outputs = Path(scratch) / "operands", Path(scratch) / "results"
        sets.astype(unit.word).tofile(inputs)
        tools.run("the harness", [str(program), str(inputs), str(outputs)])
        results = np.fromfile(outputs, np.uint32)
    if len(results) != len(sets):
        raise ToolError(f"{unit.name} gave {len(results)} results for {len(sets)} operands")
    return results


def check(unit: Unit, effort: Effort, seed: int = 0) -> Outcome:
    """Compare a unit with its reference.

    Raises
    ------
    ToolError
        The unit could not be built or run.
    """
    program = build(unit)
    rng = np.random.default_rng([seed, zlib.crc32(unit.name.encode())])
    sets = mismatches = 0
    example = ""
    start = time.monotonic()
    for operands in _operand_sets(unit, effort, rng):
        got = evaluate(program, unit, *operands)
        want = unit.expected(*operands)
        wrong = np.flatnonzero(got != want)
        sets += len(got)
        mismatches += len(wrong)
        if len(wrong) and not example:
            first = wrong[0]
            given = ", ".join(f"{int(operand[first]):#x}" for operand in operands)
            example = f"{given}: {int(got[first]):#x}, not {int(want[first]):#x}"
    if not sets:
        raise ToolError(f"{unit.name}: nothing was compared")
    return Outcome(unit, sets, mismatches, time.monotonic() - start, example)


def _operand_sets(
    unit: Unit, effort: Effort, rng: np.random.Generator
) -> Iterator[tuple[NDArray, ...]]:
    """Operands in chunks, each array of the type that the reference takes."""
    bits, operand = unit.operand_bits, unit.operand
    if bits * unit.operands <= 16:
        every = np.arange(1 << bits)
        if isinstance(operand, int):
            yield (every - (1 << (bits - 1)),)
            return
        every = every.astype(reference.bits_type(operand))
        grid = np.meshgrid(*[every] * unit.operands, indexing="ij")
        yield tuple(axis.ravel() for axis in grid)
        return
    if isinstance(operand, int):
        boundary = [integer_boundary(bits)]
    else:
        side = int(effort.boundary_sets ** (1 / unit.operands))
        boundary = [boundary_values(operand, min(side, 1 << 16))] * unit.operands
    total = int(np.prod([len(values) for values in boundary]))
    for first in range(0, total, _CHUNK):
        index = np.arange(first, min(first + _CHUNK, total))
        picks = np.unravel_index(index, [len(values) for values in boundary])
        yield tuple(values[pick] for values, pick in zip(boundary, picks, strict=True))
    for first in range(0, effort.random_sets, _CHUNK):
        count = min(_CHUNK, effort.random_sets - first)
        if isinstance(operand, int):
            wide = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), count)
            yield (wide >> rng.integers(0, bits, count),)
        else:
            yield random_operands(operand, unit.operands, count, rng)


def boundary_values(format: FloatFormat, count: int) -> NDArray:
    """``count`` bit patterns around the boundaries of a format, half of them negative.

    Zero, the limits of the subnormals and of the normals, one, infinities and NaN with their
    neighbours; the rest powers of two with as many neighbours as there is room for.
    """
    positive, top = min(count // 2, format.sign_mask), format.magnitude_mask
    one = format.bias << format.fraction_bits
    centres = [0, format.min_normal, one, format.max_finite, format.quiet_nan, top]
    chosen = _around(centres, 2, top)[:positive]
    subnormal_powers = 1 << np.arange(format.fraction_bits)
    powers = np.arange(1 << format.exponent_bits) << format.fraction_bits
    centres = np.concatenate([subnormal_powers, powers])
    radius = -1
    while missing := positive - len(chosen):
        radius += max(1, missing // (2 * len(centres)))
        ring = np.setdiff1d(_around(centres, radius, top), chosen)
        evenly = np.linspace(0, len(ring) - 1, min(missing, len(ring))).astype(int)
        chosen = np.concatenate([chosen, ring[evenly]])
    patterns = np.concatenate([chosen, chosen | format.sign_mask])
    return patterns.astype(reference.bits_type(format))


def _around(centres: ArrayLike, radius: int, top: int) -> NDArray[np.int64]:
    """Distinct integers in 0..top within ``radius`` of one of the centres, ascending."""
    return np.unique(np.add.outer(centres, np.arange(-radius, radius + 1)).clip(0, top))


def integer_boundary(bits: int) -> NDArray[np.int64]:
    """Signed integers of a width: zero, the limits, powers of two, sums of two; all neighbours."""
    ones = np.uint64(1) << np.arange(bits, dtype=np.uint64)
    pairs = np.bitwise_or.outer(ones, ones).ravel()
    around = np.add.outer(pairs, np.arange(-2, 3).astype(np.uint64)).ravel()
    shift = np.int64(64 - bits)  # sign extension of what wraps
    return np.unique(np.concatenate([around, -around]).astype(np.int64) << shift >> shift)


def random_operands(
    format: FloatFormat, operands: int, count: int, rng: np.random.Generator
) -> tuple[NDArray, ...]:
    """Random bit patterns: half uniform; half where something is likely to happen.

    Of the latter, fractions end in zeros, for ties; the second operand's exponent is near the
    first's, for cancellation, or so that the product is near the least or the largest number.
    """
    fraction_bits, top = format.fraction_bits, (1 << format.exponent_bits) - 1
    drawn = [rng.integers(0, 1 << format.bits, count) for _ in range(operands)]
    chosen = rng.random(count) < 0.5
    near = rng.integers(-format.precision - 3, format.precision + 4, count)
    first = (drawn[0] >> fraction_bits) & top
    exponents = [first]
    if operands == 2:
        product = format.bias + rng.choice([0, top], count)
        second = np.where(rng.random(count) < 0.5, first, product - first)
        exponents.append(np.clip(second + near, 0, top))
    patterns = []
    for bits, exponent in zip(drawn, exponents, strict=True):
        zeros = rng.integers(0, fraction_bits + 1, count)
        fraction = (bits & ((1 << fraction_bits) - 1)) >> zeros << zeros
        shaped = (bits & format.sign_mask) | (exponent << fraction_bits) | fraction
        patterns.append(np.where(chosen, shaped, bits).astype(reference.bits_type(format)))
    return tuple(patterns)


def report(outcomes: Sequence[Outcome]) -> Table:
    """Table of outcomes."""
    table = Table(title="Floating-point units against the reference")
    for heading in ("unit", "formats"):
        table.add_column(heading, no_wrap=True)
    for heading in ("operands", "million/s", "mismatches"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(
            outcome.unit.operation,
            outcome.unit.formats,
            f"{outcome.sets:,}",
            f"{outcome.sets / max(outcome.seconds, 1e-9) / 1e6:.2f}",
            f"{outcome.mismatches:,}",
            style="red" if outcome.mismatches else None,
        )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lutcore.gen.campaigns.floats", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole campaign, minutes")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random operands")
    parser.add_argument("words", nargs="*", help="only units whose name has all of these words")
    options = parser.parse_args(arguments)
    units = [unit for unit in UNITS if all(word in unit.name for word in options.words)]
    console = Console()
    try:
        if not units:
            raise InputError(f"no unit has {' '.join(options.words)!r} in its name")
        effort = FULL if options.full else SLICE
        outcomes = [
            check(unit, effort, options.seed)
            for unit in track(units, "Checking", console=Console(stderr=True), transient=True)
        ]
    except (InputError, ToolError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    console.print(report(outcomes))
    failed = [outcome for outcome in outcomes if outcome.mismatches]
    for outcome in failed:
        console.print(f"{outcome.unit.name}: {outcome.example}", highlight=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
