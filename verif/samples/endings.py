"""How random programs end: well, or by each kind of fault that an instruction or transfer can have.

What stands at the end is written as words, legal or not, in registers that it sets itself. The
faults of transfers come behind a barrier, so that all before them is certain.
"""

import functools
import random
from collections.abc import Callable
from typing import NamedTuple

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import alignments, limits
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BITS,
    BY_NAME,
    BY_OPCODE,
    LOOP_DEPTH,
    OPCODE_BITS,
    REGISTERS,
    WAITS,
    Queue,
)
from lutcore.verif.samples.programs import DATA, MEMORY, RESULTS, Builder

_SPACE, _PAGE = 1 << ADDRESS_BITS, 0x1000
_ENGINES = tuple(i.name for i in BY_NAME.values() if i.queue is not Queue.CONTROL)
_LOADS = tuple(i.name for i in BY_NAME.values() if i.queue is Queue.LOAD)
_HALT = BY_NAME["halt"].encode({})


def _word(name: str, **values: int) -> int:
    return BY_NAME[name].encode(values)


def _bit(rng: random.Random, low: int, high: int) -> int:
    """One of the bits from ``low`` up to ``high``, which is not among them: more often the last."""
    return rng.choice((rng.randrange(low, high), rng.randrange(low, high), high - 1))


def _size(rng: random.Random, low: int, high: int) -> int:
    """A number with such a bit as its highest, and with 1 or anything below."""
    bit = 1 << _bit(rng, low, high)
    return bit + rng.choice((1, rng.randrange(bit)))


def _legal(builder: Builder, name: str) -> dict[str, int]:
    """Fields of an instruction that this core takes; all registers are r0."""
    return {n: low for n, (low, _) in limits(BY_NAME[name], builder.config).items()}


def _transfer(
    builder: Builder, rng: random.Random, mem: int, pitch: int, rows: int, words: int = 3
) -> list[int]:
    """A load or store at an address; its rows have up to so many words."""
    size = builder.units.bus * rng.randint(1, words)
    r, local = rng.sample(range(REGISTERS), 2)
    values = {"mem": r, "local": local, "rows": rows, "pitch": pitch}
    if rng.random() < 0.5:
        name = rng.choice(_LOADS)
        word = _word(name, **values, bytes=size)
    else:
        word = _word("store", **values, columns=-(-size // 4))
    return [_word("set", reg=local, value=0), _word("set", reg=r, value=mem % _SPACE), word]


def _halt(builder: Builder, rng: random.Random) -> list[int]:
    return []


def _edge(builder: Builder, rng: random.Random) -> list[int]:
    """A row across an edge of the memory, or of the window where that is not all addresses."""
    bus = builder.units.bus
    low, high = builder.window()
    memory = (builder.base, builder.base + MEMORY)
    first, end = rng.choice((memory, memory if low == 0 else (low, high)))
    # Below the edge no row reaches into it: what it wrote there would be a matter of time.
    start, words = rng.choice(((end - bus, 3), (end, 3), (first - bus, 1), (first - 3 * bus, 3)))
    return _transfer(builder, rng, start, 0, 1, words)


def _far(builder: Builder, rng: random.Random) -> list[int]:
    """Two rows, the second of them outside of the memory, by any bit of the pitch."""
    bus = builder.units.bus
    pitch = (1 << _bit(rng, 15, 32)) + rng.randrange(0, MEMORY, bus)
    rows = max(2, _size(rng, 1, 16))
    start = builder.base + rng.randrange(RESULTS, MEMORY - 4 * bus, bus)
    return _transfer(builder, rng, start, pitch % (1 << 32), rows)


def _long(builder: Builder, rng: random.Random) -> list[int]:
    """A row that leaves the memory, by any bit of its length."""
    bus = builder.units.bus
    place = rng.randrange(RESULTS, MEMORY, bus)
    words = [
        _word("set", reg=7, value=(builder.base + place) % _SPACE),
        _word("set", reg=8, value=0),
    ]
    if rng.random() < 0.5:
        name, size = rng.choice(_LOADS), _size(rng, 15, 24)
        return [*words, _word(name, mem=7, local=8, rows=1, bytes=size, pitch=0)]
    columns = _size(rng, 13, 16)
    return [*words, _word("store", mem=7, local=8, rows=1, columns=columns, pitch=0)]


def _count(builder: Builder, rng: random.Random) -> list[int]:
    """A loop whose turns are too many to be run, by any bit of its count: a fault ends it."""
    turns = rng.randint(1, 3)
    step = (MEMORY - DATA) // turns // _PAGE * _PAGE
    start = (builder.base + DATA + (MEMORY - DATA - step * turns)) % _SPACE
    count = (1 << _bit(rng, 4, 32)) + rng.randint(1, turns)
    return [
        *[_word("loop", count=1)] * rng.randrange(LOOP_DEPTH),
        _word("set", reg=5, value=start),
        _word("set", reg=6, value=0),
        _word("loop", count=count),
        _word("load.wgt", mem=5, local=6, rows=1, bytes=1, pitch=0),
        _word("add", reg=5, value=step),
        _word("end"),
    ]


class Refusal(NamedTuple):
    """Encodings that a decoder must refuse.

    ``kind`` is ``opcode`` (there is no such), ``unused`` (a bit that must be 0), ``below`` or
    ``above`` (a field beyond what this core takes), or ``misaligned`` (a register or pitch that is
    no multiple of what it addresses).
    """

    kind: str
    instruction: str = ""
    field: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.instruction, self.field, self.kind) if part)


@functools.lru_cache
def refusals(config: CoreConfig) -> tuple[Refusal, ...]:
    """All kinds of encodings that a core must refuse."""
    found = [Refusal("opcode")]
    for instruction in BY_NAME.values():
        name = instruction.name
        if instruction.mask.bit_length() < BITS:
            found.append(Refusal("unused", name))
        for field, (low, high) in limits(instruction, config).items():
            found += [Refusal("below", name, field)] * (low > 0)
            found += [Refusal("above", name, field)] * (high + 1 < 1 << _bits(name, field))
        if instruction.queue is not Queue.CONTROL:
            units = alignments(instruction, config)
            found += [Refusal("misaligned", name, field) for field in units if units[field] > 1]
    return tuple(found)


def _bits(name: str, field: str) -> int:
    return BY_NAME[name].by_name[field].bits


def _refused(builder: Builder, rng: random.Random, refusal: Refusal) -> list[int]:
    """Instructions of which the last has to be refused."""
    if refusal.kind == "opcode":
        others = sorted(set(range(1 << OPCODE_BITS)) - set(BY_OPCODE))
        return [rng.getrandbits(BITS) >> OPCODE_BITS << OPCODE_BITS | rng.choice(others)]
    kind, name, field = refusal
    instruction, values = BY_NAME[name], _legal(builder, name)
    if kind == "misaligned":
        return _misaligned(builder, rng, name, field)
    if kind == "unused":
        unused = rng.randrange(instruction.mask.bit_length(), BITS)
        return [instruction.encode(values) | 1 << unused]
    low, high = limits(instruction, builder.config)[field]
    if kind == "below":
        values[field] = rng.randrange(low)
    else:
        top = 1 << _bits(name, field) - 1
        beyond = (high + 1, max(high + 1, top), rng.randint(high + 1, 2 * top - 1))
        values[field] = rng.choice(beyond)
    return [instruction.encode(values)]


def _misaligned(builder: Builder, rng: random.Random, name: str, operand: str) -> list[int]:
    """Any bit below the unit of what is addressed."""
    unit = alignments(BY_NAME[name], builder.config)[operand]
    wrong = 1 << rng.randrange(unit.bit_length() - 1)
    number = rng.randrange(1, REGISTERS)
    values = _legal(builder, name)
    for register in BY_NAME[name].register_names:
        values[register] = number - 1
    values[operand] = wrong if operand == "pitch" else number
    rest = rng.randrange(_SPACE // unit) * unit
    clear = _word("set", reg=number - 1, value=0)
    return [clear, _word("set", reg=number, value=rest + wrong), _word(name, **values)]


def _any(*kinds: str) -> Callable[[Builder, random.Random], list[int]]:
    """An ending by any refusal of some kinds."""

    def ending(builder: Builder, rng: random.Random) -> list[int]:
        listed = [refusal for refusal in refusals(builder.config) if refusal.kind in kinds]
        return _refused(builder, rng, rng.choice(listed))

    return ending


def _loop(builder: Builder, rng: random.Random) -> list[int]:
    """Loops too deep, or an end without one."""
    deep = [_word("loop", count=rng.randint(1, 0xFFFFFFFF))] * (LOOP_DEPTH + 1)
    return rng.choice((deep, [_word("end")], [deep[0] & ~0xFFFFFFFE00, *[_word("end")] * 2]))


def _deadlock(builder: Builder, rng: random.Random) -> list[int]:
    """One token less than are taken, where the program gives them, of any engine."""
    choices = [
        (name, flag, edge)
        for name in _ENGINES
        for flag, edge in WAITS[BY_NAME[name].queue]
        if edge not in builder.rich
    ]
    if not choices:
        return []
    name, flag, edge = rng.choice(choices)
    tokens = rng.randint(1, 3)
    values = dict.fromkeys(BY_NAME[name].register_names, 0) | _legal(builder, name) | {flag: 1}
    place = builder.base + (RESULTS if name == "store" else DATA)
    if name != "lmma":
        values |= {"mem": 1}
    taken = [_word(name, **values)] * (tokens + 1)
    return [
        _word("set", reg=0, value=0),
        _word("set", reg=1, value=place % _SPACE),
        _word("credit", edge=edge, count=tokens),
        *taken,
        _word("barrier"),
    ]


#: Name -> what stands between the parts of a program and its halt.
ENDINGS: dict[str, Callable[[Builder, random.Random], list[int]]] = {
    "halt": _halt,
    "edge": _edge,
    "far": _far,
    "long": _long,
    "count": _count,
    "illegal": _any("opcode", "unused"),
    "unsupported": _any("below", "above"),
    "misaligned": _any("misaligned"),
    "loop": _loop,
    "deadlock": _deadlock,
}


def refusal_of(config: CoreConfig, seed: int) -> Refusal:
    """What a program that ends by ``refused`` is refused for.

    Seeds in a row go through all, and so do those of any step: each turn begins one later.
    """
    listed = refusals(config)
    return listed[(seed + seed // len(listed)) % len(listed)]


def ended(builder: Builder, ending: str, seed: int) -> list[int]:
    """The whole program: the builder's, with an end drawn from ``seed``.

    Parameters
    ----------
    ending : str
        One of :data:`ENDINGS`, or ``refused``, which ends by :func:`refusal_of`.
    """
    builder.barrier()
    rng = random.Random(f"{ending} {seed}")
    if ending == "refused":
        last = _refused(builder, rng, refusal_of(builder.config, seed))
    else:
        last = ENDINGS[ending](builder, rng)
    return [*builder.words(), *last, _HALT]
