"""Random legal programs without races: what the ISA model and the RTL must agree on.

A program first fills every buffer, so that no run depends on an earlier one. Then come random
instructions, which the :class:`~lutcore.verif.samples.builder.Builder` puts in order.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import alignments, longest_run
from lutcore.hdl.isa.lmma import ADDRESS_BITS, BY_NAME, LOOP_DEPTH, OUTPUTS, SCALES
from lutcore.verif.golden.formats import bits_type, encode
from lutcore.verif.isa.memory import folded_page
from lutcore.verif.samples.builder import DATA, FLOATS, MEMORY, RESULTS, Builder

#: Bits of FP32 that are no ordinary scales: zeros, infinities, NaN, both ends of all finite ones.
_SPECIAL = np.array(
    [0, 1 << 31, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x807FFFFF, 0x7F7FFFFF, 0xFF7FFFFF],
    np.uint32,
)


#: Bytes whose sums are the widest, or that count for nothing; how many of them in a row.
_EXTREMES, _RUN = np.array([0x80, 0x7F, 0, 0xFF], np.uint8), 64
_SPACE, _PAGE = 1 << ADDRESS_BITS, 0x1000
#: Pages with what each load takes, and of results.
_KINDS = {
    "act": range(FLOATS // _PAGE, RESULTS // _PAGE),
    "wgt": range(RESULTS // _PAGE),
    "scale": range(DATA // _PAGE, FLOATS // _PAGE),
}
_WRITTEN = range(RESULTS // _PAGE, MEMORY // _PAGE)
#: Places that are tried for rows.
_TRIES = 200


def memory_image(config: CoreConfig, seed: int) -> np.ndarray:
    """Random bytes, half of them sensible scales of FP32, and of floats if activations are.

    Every other seed has a few scales that are special, or have any bits, and runs of bytes that are
    the least, the greatest, or 0.
    """
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, MEMORY, np.uint8)
    scales = rng.normal(size=(FLOATS - DATA) // 4).astype(np.float32)
    luck = np.random.default_rng([seed, 1])
    strange = np.where(
        luck.random(scales.shape) < 0.5,
        luck.choice(_SPECIAL, scales.shape),
        luck.integers(0, 1 << 32, scales.shape, np.uint32),
    )
    if luck.random() < 0.5:
        runs = memory.reshape(-1, _RUN)
        places = np.flatnonzero(luck.random(len(runs)) < 0.3)
        runs[places] = luck.choice(_EXTREMES, (len(places), 1))
    few = luck.random(scales.shape) < luck.choice((0, 0.02, 0.2))
    scales = np.where(few, strange, scales.view(np.uint32))
    memory[DATA : DATA + scales.nbytes] = scales.view(np.uint8)
    if config.is_float:
        floats = memory[FLOATS:RESULTS].view(bits_type(config.float_format))
        sensible = encode(rng.standard_t(3, floats.shape), config.float_format)
        any_bits = np.where(rng.random(floats.shape) < 0.5, floats, config.float_format.overflow)
        floats[:] = np.where(rng.random(floats.shape) < 0.99, sensible, any_bits)
    return memory


def _anywhere(builder: Builder, rows: int, size: int, pages: range) -> tuple[int, int] | None:
    """Where the first row lies, and from row to row; all within some pages of folded memory.

    A few times in two, and not where no such place is soon found.
    """
    bus, luck = builder.units.bus, builder.luck
    if not builder.far or luck.random() < 0.3:
        return None
    for _ in range(_TRIES):
        mem, pitch = luck.randrange(0, _SPACE, bus), luck.randrange(0, 1 << 32, bus)
        starts = (mem + row * pitch for row in range(rows))
        touched = {page for s in starts for page in range(s // _PAGE, (s + size - 1) // _PAGE + 1)}
        if all(folded_page(p % (_SPACE // _PAGE), MEMORY // _PAGE) in pages for p in touched):
            return mem, pitch
    return None


def _load(builder: Builder, rng: random.Random) -> None:
    name = rng.choice(("act", "wgt", "scale"))
    bus = builder.units.bus
    size = builder.sizes[name]
    rows = rng.choice((1, 1, 2, 3, 5))
    most = size // (rows if name != "act" else -(-rows // builder.config.m))
    bytes_ = rng.randint(1, max(1, min(most // bus * bus, 600)))
    if (
        builder.haste or builder.luck.random() < 0.5
    ):  # so small that engines need not wait for each other
        bytes_ = min(bytes_, builder.luck.randint(1, 2 * bus))
    pitch = rng.choice((0, bus, rng.randrange(0, 1024, bus)))
    if rows == 1:  # what it is does not count
        pitch = builder.luck.randrange(0, 1 << 32, bus)
    # Close to a boundary of 4 KiB, so that bursts are cut.
    near = (rng.randrange(0, 0x800, bus), -bus, 0x400)
    far = (rng.randrange(0, 0x1000, bus), 0x1000 - bus, 0x800)
    mem = FLOATS + rng.choice(near) if name == "act" else DATA + rng.choice(far)
    local = rng.randrange(0, size, bus)
    mem, pitch = _anywhere(builder, rows, -(-bytes_ // bus) * bus, _KINDS[name]) or (mem, pitch)
    builder.load(f"load.{name}", mem, local, rows, bytes_, pitch)


def _long(config: CoreConfig, luck: random.Random) -> dict[str, int]:
    """Sizes of an ``lmma`` by any of their bits: its operands and sums go round the buffers."""
    name, most = luck.choice((("m", 1 << 12), ("n", 1 << 16)))
    sizes = {"m": luck.randint(1, config.m), "n": luck.randint(1, config.columns)}
    # A sum that is replaced must not be added to.
    return sizes | {name: luck.randrange(1, most), "k": config.depth, "accumulate": 0}


def _lmma(builder: Builder, rng: random.Random) -> None:
    config, units = builder.config, builder.units
    most_tiles = config.output_buffer // (config.drain_beats * units.acc)
    tiles = rng.choice((1, 1, 2, min(3, most_tiles)))
    blocks = rng.choice((1, 1, 2, 3))
    while blocks * tiles > most_tiles:
        blocks = 1
    longest = longest_run(config)
    values: dict[str, Any] = {
        "m": rng.randint((blocks - 1) * config.m + 1, blocks * config.m),
        "n": rng.randint((tiles - 1) * config.columns + 1, tiles * config.columns),
        "k": rng.choice((longest, rng.randint(1, longest))),
        "bits": rng.randint(*config.weight_bits_range),
        "accumulator": rng.randint(0, int(config.integer_results)),
        "scales": rng.randrange(len(SCALES)),
        "zero": rng.choice((0, rng.randint(*config.zero_point_range))),
        "accumulate": rng.randint(0, 1),
    }
    if builder.haste or builder.luck.random() < 0.3:
        small = min(values["k"], 2 * config.depth)
        values |= {"m": 1, "n": 1, "k": small, "bits": config.weight_bits_range[0]}
    elif not builder.loops and builder.luck.random() < 0.07:
        values |= _long(config, builder.luck)
    unit = alignments(BY_NAME["lmma"], config)
    local = {name: rng.randrange(0, builder.sizes[name], unit[name]) for name in unit}
    builder.lmma(values, local)


def _store(builder: Builder, rng: random.Random) -> None:
    config, bus = builder.config, builder.units.bus
    rows, columns = rng.randint(1, 5), rng.randint(1, 3 * config.columns)
    mem = RESULTS + rng.choice((rng.randrange(0, 0x1800, bus), 0x1000 - bus))
    pitch = rng.choice((0, rng.randrange(0, 512, bus), 0x800))
    if builder.haste:
        rows, columns = 1, min(columns, config.columns)
    elif builder.luck.random() < 0.2:  # so many that nothing between the engines has room for all
        rows, columns = builder.luck.randint(6, 40), min(columns, config.columns)
        pitch = builder.luck.randrange(0, 0x100, bus)
    if rows == 1:
        pitch = builder.luck.randrange(0, 1 << 32, bus)
    local = rng.randrange(0, config.output_buffer, builder.units.acc)
    type_ = rng.randrange(len(OUTPUTS))
    mem, pitch = _anywhere(builder, rows, columns * 4 + bus, _WRITTEN) or (mem, pitch)
    builder.store(mem, local, rows, columns, pitch, type_)


def _chain(builder: Builder, rng: random.Random) -> None:
    """Small loads, products and stores in turn behind larger ones: engines run ahead of others."""
    _lmma(builder, rng)
    _store(builder, rng)
    builder.haste = True
    for _ in range(rng.randint(2, 5)):
        for part in rng.choice(((_load, _lmma), (_lmma, _store), (_load, _lmma, _store))):
            part(builder, rng)
    builder.haste = False


#: What the choices of a program stand for.
_PARTS: tuple[Callable[[Builder, random.Random], None], ...] = (
    _load,
    _lmma,
    _store,
    lambda builder, rng: builder.barrier(),
    lambda builder, rng: builder.close_loop() if builder.loops else builder.open_loops(1),
    lambda builder, rng: builder.open_loops(LOOP_DEPTH),
    lambda builder, rng: builder.close_loop(),
    lambda builder, rng: builder.spin(),
    lambda builder, rng: builder.credit(),
    _chain,
)
#: Choices that there are.
CHOICES = range(len(_PARTS))


def built_program(
    config: CoreConfig, choices: Sequence[int], seed: int, base: int = 0, far: bool = False
) -> Builder:
    """A program with one part for each choice, but for its end; memory begins at ``base``.

    Choices 0..2 are loads, ``lmma`` and stores, 3 a barrier; 4 begins a loop around what follows,
    or ends the innermost that is open; 5 begins some within each other, 6 only ends one; 7 is a
    loop of many turns that only adds, 8 gives tokens, 9 is a row of instructions that engines run
    ahead with. ``far`` is for folded memory. All else about the parts is drawn from ``seed``.
    """
    builder = Builder(config, base, random.Random(seed), random.Random(f"registers {seed}"))
    builder.fill()
    builder.far = far
    for place, choice in enumerate(choices):
        _PARTS[choice](builder, random.Random(seed * 1009 + place))
    while builder.loops:
        builder.close_loop()
    return builder


def random_program(
    config: CoreConfig, choices: Sequence[int], seed: int, base: int = 0
) -> list[int]:
    """A program of :func:`built_program` that ends well, its instructions."""
    builder = built_program(config, choices, seed, base)
    builder.control("halt")
    return builder.words()
