"""Parts that floating-point units share: unpack, shift, normalise, round, pack; doubling, negation.

A unit brings its result into the form of a :class:`Number`, :func:`fit` moves that number to where
the target format's bits are, and :func:`pack` rounds it. Units are area-lean: one path for all
cases, one rounding, subnormals handled by limiting a shift that is there anyway.
"""

# Amaranth has no types for Cat and slices: pyright takes them for I/O values, without operators.
# pyright: reportOperatorIssue=false, reportReturnType=false

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from lutcore.errors import InputError
from lutcore.hdl.config.formats import FloatFormat

_Values = TypeVar("_Values", bound=Any)  # a named tuple of Amaranth values


def keep(m: Module, value: Value, name: str) -> Signal:
    """A signal of its own for ``value``, so that it is built once and has a name in the Verilog."""
    signal = Signal(value.shape(), name=name)
    m.d.comb += signal.eq(value)
    return signal


class Pipeline:
    """Registers at the chosen places of a unit.

    Parameters
    ----------
    m : Module
        Where the registers go: domain ``sync``, neither reset nor enable. A unit that must stall
        is wrapped in :class:`amaranth.hdl.EnableInserter`.
    choices : sequence of tuples of str
        Places with registers, for each depth from 0.
    depth : int
        Registers between the operands and the result.

    Raises
    ------
    InputError
        The unit cannot be pipelined that deeply.
    """

    def __init__(self, m: Module, choices: Sequence[tuple[str, ...]], depth: int):
        self._m = m
        self._places = choices[check_pipeline(choices, depth)]

    def cut(self, place: str, values: _Values) -> _Values:
        """A named tuple of values, one cycle later if ``place`` has registers."""
        if place not in self._places:
            return values
        held = {}
        for name, value in values._asdict().items():
            if not isinstance(value, Const):
                # part of a number at this place of the pipeline
                held[name] = Signal(value.shape(), name=f"{place}_{name}", reset_less=True)
                self._m.d.sync += held[name].eq(value)
        return values._replace(**held)


def check_pipeline(choices: Sequence[tuple[str, ...]], depth: int) -> int:
    """``depth``, if the unit can be pipelined that deeply."""
    if isinstance(depth, bool) or not isinstance(depth, int) or not 0 <= depth < len(choices):
        raise InputError(f"pipeline must be an integer in 0..{len(choices) - 1}, not {depth!r}")
    return depth


class Unpacked(NamedTuple):
    """The fields of a number, subnormals no longer special.

    The value is ``significand * 2^(exponent - bias - fraction_bits)`` unless ``special``.
    """

    sign: Value
    exponent: Value  #: biased; 1 for subnormals and zero
    significand: Value  #: ``precision`` bits, the top one 0 for subnormals and zero
    special: Value  #: infinite or NaN
    nan: Value


def unpack(m: Module, value: Value, format: FloatFormat, name: str) -> Unpacked:
    """Fields of the bit pattern ``value``."""
    fraction = value[: format.fraction_bits]
    field = value[format.fraction_bits : -1]
    normal = keep(m, field.any(), f"{name}_normal")
    if format.infinity:
        special = keep(m, field.all(), f"{name}_special")
        nan = special & fraction.any()
    else:
        nan = special = keep(m, value[:-1].all(), f"{name}_special")
    return Unpacked(
        sign=value[-1],
        exponent=Cat(field[0] | ~normal, field[1:]),
        significand=Cat(fraction, normal),
        special=special,
        nan=nan,
    )


class Number(NamedTuple):
    """A result on its way into a format.

    ``exponent`` is the biased exponent, in that format, which the number has if the top bit of
    ``significand`` is 1. It may lie outside of the format. Both are ignored where ``special``.
    """

    sign: Value
    exponent: Value
    significand: Value
    special: Value  #: infinite or NaN
    nan: Value


def shift_right(m: Module, value: Value, amount: Value, sticky: Value, name: str) -> Value:
    """``value >> amount`` with one more bit below: whether a 1 was shifted out, or ``sticky``."""
    bits = len(value)
    stages = min((bits - 1).bit_length(), len(amount))
    for i in range(stages):
        out = value[: 1 << i].any()
        sticky = keep(m, sticky | (amount[i] & out), f"{name}_sticky_{i}")
        value = keep(m, Mux(amount[i], value[1 << i :], value), f"{name}_{i}")
    if stages < len(amount):
        far = keep(m, amount[stages:].any(), f"{name}_far")
        sticky = sticky | (far & value.any())
        value = value & ~far.replicate(bits)
    return Cat(sticky, value)


def normalise(m: Module, significand: Value, name: str) -> tuple[Value, Value]:
    """``significand`` with its leading 1 on top, and by how far it moved (any distance for 0)."""
    bits = len(significand)
    moved = []
    for i in reversed(range((bits - 1).bit_length())):
        move = keep(m, ~significand[-(1 << i) :].any(), f"{name}_by_{1 << i}")
        significand = keep(m, Mux(move, significand << (1 << i), significand)[:bits], f"{name}_{i}")
        moved.insert(0, move)
    return significand, Cat(*moved)


def normalise_within(
    m: Module, significand: Value, room: Value, name: str, shifts: range | None = None
) -> tuple[Value, Value]:
    """As :func:`normalise`, but by ``room`` at most; returns what is left of it.

    Counting the room down stage by stage takes the place of a leading-zero counter, a minimum and a
    subtraction: each stage only ever takes a power of two. ``shifts`` picks some of the stages, as
    exponents of two, out of :func:`shift_stages`; they must be applied in descending order.
    """
    bits = len(significand)
    for i in reversed(shift_stages(significand, room) if shifts is None else shifts):
        move = ~significand[-(1 << i) :].any() & room[i:].any()
        move = keep(m, move, f"{name}_by_{1 << i}")
        significand = keep(m, Mux(move, significand << (1 << i), significand)[:bits], f"{name}_{i}")
        left = (room[i:] - move)[: len(room) - i]
        room = keep(m, Cat(room[:i], left), f"{name}_room_{i}")
    return significand, room


def shift_stages(significand: Value, room: Value) -> range:
    """Stages of a shifter by up to ``room`` that brings any bit of ``significand`` to the top."""
    return range(min((len(significand) - 1).bit_length(), len(room)))


def fit(
    m: Module,
    number: Number,
    format: FloatFormat,
    lowest: int,
    normalised: bool = False,
) -> Number:
    """Move the significand to where ``format`` has it, subnormals included.

    Parameters
    ----------
    m : Module
        Where the logic goes.
    number : Number
        What to move.
    format : FloatFormat
        Target format.
    lowest : int
        Least value of ``number.exponent``: shifters that it makes needless are left out.
    normalised : bool
        Whether the significand's top bit is 1, except where the exponent is ``lowest``.

    Returns
    -------
    Number
        For :func:`pack`: the top bit of the significand is 1 or the exponent that of subnormals.
    """
    exponent, significand = number.exponent, number.significand
    bits = len(significand)
    if not normalised or lowest > 1:
        if 1 <= lowest < bits:
            room = keep(m, (exponent - 1)[: len(exponent)], "room")
            significand, room = normalise_within(m, significand, room, "normal")
            return number._replace(exponent=room + 1, significand=significand)
        significand, moved = normalise(m, significand, "normal")
        exponent = keep(m, exponent - moved, "normal_exponent")
        lowest -= bits - 1
    if lowest < 1:
        kept = significand[max(bits - format.precision - 1, 0) :]
        rest = significand[: bits - len(kept)]
        distance = keep(m, 1 - exponent, "distance")
        amount = distance[:-1] & ~distance[-1].replicate(len(distance) - 1)
        amount = keep(m, amount[: (1 - lowest).bit_length()], "subnormal_by")
        # One bit more than `kept` keeps the guard bit apart from the sticky bit.
        padding = Const(0, format.precision + 1 - len(kept))
        significand = shift_right(m, Cat(padding, kept), amount, rest.any(), "subnormal")
    return number._replace(exponent=exponent, significand=significand)


def ties_to_even(last: Value, guard: Value, sticky: Value) -> Value:
    """Whether to round up: ``last`` is the last bit kept, ``guard`` and ``sticky`` follow it."""
    return guard & (sticky | last)


def pack(m: Module, number: Number, format: FloatFormat, highest: int) -> Value:
    """Round to nearest, ties to even, and encode.

    Parameters
    ----------
    m : Module
        Where the logic goes.
    number : Number
        As :func:`fit` returns it.
    format : FloatFormat
        Target format.
    highest : int
        Greatest value of ``number.exponent``: overflow logic that it makes needless is left out.

    Returns
    -------
    Value
        The bit pattern. Overflow gives :attr:`~lutcore.hdl.config.formats.FloatFormat.overflow`
        with the number's sign if that is an infinity; NaN is
        :attr:`~lutcore.hdl.config.formats.FloatFormat.quiet_nan`.
    """
    precision, fraction_bits = format.precision, format.fraction_bits
    extra = len(number.significand) - precision
    significand = Cat(Const(0, max(-extra, 0)), number.significand)
    up: Value = Const(0, 1)
    if extra > 0:
        rest, significand = significand[:extra], significand[extra:]
        up = ties_to_even(significand[0], rest[-1], rest[:-1].any())
    field = number.exponent[: highest.bit_length()]
    field = keep(m, field & significand[-1].replicate(len(field)), "field")
    # A carry out of the fraction is right in the exponent: it makes a subnormal the least normal,
    # a normal the next power of two, and the largest finite number infinite.
    carried = highest + (extra > 0)
    width = max(carried.bit_length(), format.exponent_bits) + fraction_bits
    magnitude = keep(m, (Cat(significand[:-1], field) + up)[:width], "magnitude")
    overflow: Value = Const(0, 1)
    if format.infinity:
        if highest > format.max_exponent:
            reserved = field[: format.exponent_bits].all()
            overflow = reserved | field[format.exponent_bits :].any()
        special = keep(m, number.special | overflow, "special")
        nan = number.nan
        kept = magnitude[:fraction_bits] & ~special.replicate(fraction_bits)
        fraction = Cat(kept[:-1], kept[-1] | nan)
    else:
        if carried >= format.max_exponent:
            bits = format.bits - 1
            overflow = magnitude[:bits].all() | magnitude[bits:].any()
        nan = special = keep(m, number.special | overflow, "special")
        fraction = magnitude[:fraction_bits] | special.replicate(fraction_bits)
    exponent = magnitude[fraction_bits : format.bits - 1] | special.replicate(format.exponent_bits)
    return Cat(fraction, exponent, number.sign & ~nan)


def double(value: Value, format: FloatFormat) -> Value:
    """Twice ``value``, exactly: the next exponent, or a shift if subnormal.

    Overflow is as in :func:`pack`. Infinities and NaN stay what they are: a canonical NaN, which is
    all that units produce, stays canonical.
    """
    fraction = value[: format.fraction_bits]
    field = value[format.fraction_bits : -1]
    if not format.infinity:
        doubled = Cat(fraction, field + 1)
        overflow = field.all() | doubled[: format.bits - 1].all()
        magnitude = Mux(field.any(), doubled, fraction << 1)
        ones = overflow.replicate(format.bits - 1)
        return Cat(magnitude[: format.bits - 1] | ones, value[-1] & ~overflow)
    last = field == format.max_exponent
    doubled = Cat(fraction & ~last.replicate(len(fraction)), (field + ~field.all())[: len(field)])
    return Cat(Mux(field.any(), doubled, fraction << 1)[: format.bits - 1], value[-1])


def negate(value: Value) -> Value:
    """``value`` with the other sign.

    As in IEEE 754 this is an operation on the sign bit, NaN included; every unit that takes a NaN
    of either sign gives the canonical one.
    """
    return Cat(value[:-1], ~value[-1])
