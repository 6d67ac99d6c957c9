"""Random legal programs without races: what the ISA model and the RTL must agree on.

A program first fills every buffer, so that no run depends on an earlier one. Then come random
instructions. One that touches what an earlier one of another queue touches waits for it: by a token
where there is an edge between their queues, else, or at random, behind a barrier. Registers are
set, or added to, and keep what they hold until an instruction needs another value there.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import Units, alignments, built_values, longest_run
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BY_NAME,
    EDGES,
    LOOP_DEPTH,
    OUTPUTS,
    REGISTERS,
    SCALES,
    SIGNALS,
    WAITS,
    Queue,
)
from lutcore.verif.golden.formats import bits_type, encode

#: Memory of a job: program and data that is only read, then results.
MEMORY, RESULTS = 0x8000, 0x4000
#: Scales, and activations.
DATA, _FLOATS = 0x2000, 0x3000
_SPACE, _PAGE = 1 << ADDRESS_BITS, 0x1000
#: Most often that a body is run by all loops around it, and instructions that only spin.
_MOST_RUNS, _MOST_SPINS = 12, 2000


def signed(value: int) -> int:
    """What an ``add`` must add for ``value``, modulo the address space."""
    return (value + _SPACE // 2) % _SPACE - _SPACE // 2


def memory_image(config: CoreConfig, seed: int) -> np.ndarray:
    """Random bytes, half of them sensible scales of FP32, and of floats if activations are."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, MEMORY, np.uint8)
    scales = rng.normal(size=(_FLOATS - DATA) // 4).astype(np.float32)
    memory[DATA : DATA + scales.nbytes] = scales.view(np.uint8)
    if config.is_float:
        floats = memory[_FLOATS:RESULTS].view(bits_type(config.float_format))
        sensible = encode(rng.standard_t(3, floats.shape), config.float_format)
        any_bits = np.where(rng.random(floats.shape) < 0.5, floats, config.float_format.overflow)
        floats[:] = np.where(rng.random(floats.shape) < 0.99, sensible, any_bits)
    return memory


@dataclass
class _Access:
    """Bytes of one store (a buffer or the memory) that an instruction reads or writes."""

    store: str
    start: int
    size: int
    writes: bool

    def conflicts(self, other: "_Access", sizes: dict[str, int]) -> bool:
        """Whether the order of the two counts; buffers wrap."""
        if self.store != other.store or not (self.writes or other.writes):
            return False
        total = sizes[self.store]
        distance = (other.start - self.start) % total
        return distance < self.size or total - distance < other.size


@dataclass
class _Emitted:
    word: dict[str, int]
    name: str
    queue: Queue
    accesses: list[_Access]


@dataclass
class Builder:
    """A program that grows by an instruction at a time.

    Attributes
    ----------
    base : int
        Address of the memory that it reads and writes, :data:`MEMORY` bytes.
    chance, luck : random.Random
        For the order of instructions, and for their registers.
    """

    config: CoreConfig
    base: int
    chance: random.Random
    luck: random.Random
    emitted: list[_Emitted] = field(default_factory=list)
    #: For each pair of queues (waiting, waited for): how many of the latter's are known done.
    known: dict[tuple[Queue, Queue], int] = field(default_factory=dict)
    pending: dict[Queue, list[_Emitted]] = field(default_factory=dict)
    #: What registers are known to hold.
    held: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(REGISTERS), 0))
    #: How often the loops that are open run.
    loops: list[int] = field(default_factory=list)
    #: Edges with more tokens than a program takes: they order nothing.
    rich: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        config = self.config
        self.units = Units.of(config)
        self.sizes = {
            "act": config.activation_buffer // config.m,
            "wgt": config.weight_buffer,
            "scale": config.scale_buffer,
            "acc": config.output_buffer,
            "memory": _SPACE,
        }
        self._forget()

    def _forget(self) -> None:
        queues = [queue for queue in Queue if queue is not Queue.CONTROL]
        self.pending = {queue: [] for queue in queues}
        self.known = {(a, b): 0 for a in queues for b in queues}

    def control(self, name: str, **values: int) -> None:
        """A control instruction."""
        self.emitted.append(_Emitted(values, name, Queue.CONTROL, []))

    def barrier(self) -> None:
        """Order everything."""
        self.control("barrier")
        self._forget()

    def put(self, name: str, registers: dict[str, int], values: dict, accesses: list) -> None:
        """An instruction of an engine, after what it must wait for."""
        queue = BY_NAME[name].queue
        item = _Emitted(dict(values), name, queue, accesses)
        for other, earlier in self.pending.items():
            if other is queue:
                continue
            conflicting = [
                place
                for place, access in enumerate(earlier)
                if any(a.conflicts(b, self.sizes) for a in accesses for b in access.accesses)
            ]
            if not conflicting or conflicting[-1] < self.known[queue, other]:
                continue
            edge = {Queue.LOAD: "load", Queue.COMPUTE: "compute", Queue.STORE: "store"}
            name_of_edge = f"{edge[other]}-{edge[queue]}"
            if name_of_edge not in EDGES or self.chance.random() < 0.2:
                self.barrier()
                break
            number = EDGES.index(name_of_edge)
            if number in self.rich:
                self.barrier()
                break
            (signal,) = [n for n, e in SIGNALS[other] if e == number]
            (wait,) = [n for n, e in WAITS[queue] if e == number]
            if earlier[-1].word.get(signal):  # its token is another's
                self.barrier()
                break
            earlier[-1].word[signal] = 1
            item.word[wait] = 1
            self.known[queue, other] = len(earlier)
        for flag, number in (*WAITS[queue], *SIGNALS[queue]):
            if number in self.rich:
                item.word[flag] = self.luck.randrange(2)
        item.word |= self._registers(registers)
        self.emitted.append(item)
        self.pending[queue].append(item)

    def _registers(self, values: dict[str, int]) -> dict[str, int]:
        """Registers that hold operands, each a value of its own."""
        chosen: dict[str, int] = {}
        free = self.luck.sample(range(REGISTERS), REGISTERS)
        for operand, value in values.items():
            holds = [r for r in free if self.held.get(r) == value]
            number = holds[0] if holds and self.luck.random() < 0.5 else free[0]
            free.remove(number)
            chosen[operand] = number
            before = self.held.get(number)
            if before is None or self.luck.random() < 0.5:
                self.control("set", reg=number, value=value)
            elif before != value:
                self.control("add", reg=number, value=signed(value - before))
            self.held[number] = value
        return chosen

    def open_loop(self) -> None:
        """Around what follows; registers hold something else in its second turn."""
        self.barrier()
        if len(self.loops) < LOOP_DEPTH:
            turns = self.luck.randint(1, max(1, min(4, _MOST_RUNS // math.prod(self.loops))))
            self.control("loop", count=turns)
            self.loops.append(turns)
            self.held = {}

    def close_loop(self) -> None:
        """The innermost, if there is one."""
        self.barrier()
        if self.loops:
            self.control("end")
            self.loops.pop()

    def spin(self) -> None:
        """A loop of many turns, in which a register is added to."""
        if len(self.loops) == LOOP_DEPTH:
            return
        turns = self.luck.randint(1, _MOST_SPINS // math.prod(self.loops))
        start, step = self.luck.randrange(_SPACE), signed(self.luck.randrange(_SPACE))
        number = self.luck.randrange(REGISTERS)
        self.control("set", reg=number, value=start)
        self.control("loop", count=turns)
        self.control("add", reg=number, value=step)
        self.control("end")
        self.held[number] = (start + turns * step) % _SPACE

    def credit(self) -> None:
        """So many tokens of an edge that it orders nothing any more; what a loop repeats may."""
        self.barrier()
        if self.loops:
            return
        edge = self.luck.randrange(len(EDGES))
        self.control("credit", edge=edge, count=self.luck.randrange(0x1000, 0x10000))
        self.rich.add(edge)

    def local(self, store: str, place: int) -> int:
        """A register's value for a place in a buffer, which wraps: any bits above its size."""
        turns = self.luck.choice((0, self.luck.randrange(_SPACE // self.sizes[store])))
        return place + turns * self.sizes[store]

    def load(self, name: str, mem: int, local: int, rows: int, size: int, pitch: int) -> None:
        """Any load."""
        bus = self.units.bus
        whole = -(-size // bus) * bus
        store = name.partition(".")[2]
        if store == "act":
            extent = -(-rows // self.config.m) * whole
        else:
            extent = rows * whole
        accesses = [
            _Access(store, local, extent, True),
            _Access("memory", mem, (rows - 1) * pitch + whole, False),
        ]
        registers = {"mem": (self.base + mem) % _SPACE, "local": self.local(store, local)}
        self.put(name, registers, {"rows": rows, "bytes": size, "pitch": pitch}, accesses)

    def lmma(self, values: dict[str, int], local: dict[str, int]) -> None:
        """Any ``lmma``."""
        config, units = self.config, self.units
        blocks, tiles = -(-values["m"] // config.m), -(-values["n"] // config.columns)
        steps = -(-values["k"] // config.depth)
        record = tuple(SCALES.values())[values.get("scales", 0)]
        row = -(-steps * units.step // units.bus) * units.bus
        tile = -(-steps * config.planes(values["bits"]) * units.slice // units.bus) * units.bus
        accesses = [
            _Access("act", local["act"], blocks * row, False),
            _Access("wgt", local["wgt"], tiles * tile, False),
            _Access("scale", local["scale"], tiles * config.columns * record.size, False),
            _Access("acc", local["acc"], blocks * tiles * config.drain_beats * units.acc, True),
        ]
        registers = {name: self.local(name, place) for name, place in local.items()}
        self.put("lmma", registers, values | built_values(config), accesses)

    def store(self, mem: int, local: int, rows: int, columns: int, pitch: int, type: int) -> None:
        """Any store."""
        config = self.config
        words = -(-rows // config.m) * -(-columns // config.columns) * config.drain_beats
        accesses = [
            _Access("acc", local, words * self.units.acc, False),
            _Access("memory", mem, (rows - 1) * pitch + columns * 4 + self.units.bus, True),
        ]
        values = {"rows": rows, "columns": columns, "pitch": pitch, "type": type}
        registers = {"mem": (self.base + mem) % _SPACE, "local": self.local("acc", local)}
        self.put("store", registers, values, accesses)

    def fill(self) -> None:
        """Everything that every buffer holds."""
        config = self.config
        for store, size in list(self.sizes.items())[:3]:
            rows = config.m if store == "act" else 1
            self.load(f"load.{store}", _FLOATS if store == "act" else DATA, 0, rows, size, 64)
        tiles = config.output_buffer // (config.drain_beats * self.units.acc)
        values = {
            "m": config.m,
            "n": tiles * config.columns,
            "k": config.depth,
            "bits": config.weight_bits_range[0],
        }
        self.lmma(values, {"act": 0, "wgt": 0, "scale": 0, "acc": 0})
        self.barrier()

    def window(self) -> tuple[int, int]:
        """The pages of memory that the program touches, or all if they wrap."""
        touched = [a for item in self.emitted for a in item.accesses if a.store == "memory"]
        low = self.base + min(access.start for access in touched) // _PAGE * _PAGE
        high = self.base + -(-max(a.start + a.size for a in touched) // _PAGE) * _PAGE
        return (low % _SPACE, high - low // _SPACE * _SPACE) if high <= _SPACE else (0, _SPACE)

    def words(self) -> list[int]:
        """The program."""
        return [BY_NAME[item.name].encode(item.word) for item in self.emitted]


def _load(builder: Builder, rng: random.Random) -> None:
    name = rng.choice(("act", "wgt", "scale"))
    bus = builder.units.bus
    size = builder.sizes[name]
    rows = rng.choice((1, 1, 2, 3, 5))
    most = size // (rows if name != "act" else -(-rows // builder.config.m))
    bytes_ = rng.randint(1, max(1, min(most // bus * bus, 600)))
    pitch = rng.choice((0, bus, rng.randrange(0, 1024, bus)))
    if rows == 1:  # what it is does not count
        pitch = builder.luck.randrange(0, 1 << 32, bus)
    # Close to a boundary of 4 KiB, so that bursts are cut.
    near = (rng.randrange(0, 0x800, bus), -bus, 0x400)
    far = (rng.randrange(0, 0x1000, bus), 0x1000 - bus, 0x800)
    mem = _FLOATS + rng.choice(near) if name == "act" else DATA + rng.choice(far)
    builder.load(f"load.{name}", mem, rng.randrange(0, size, bus), rows, bytes_, pitch)


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
    unit = alignments(BY_NAME["lmma"], config)
    local = {name: rng.randrange(0, builder.sizes[name], unit[name]) for name in unit}
    builder.lmma(values, local)


def _store(builder: Builder, rng: random.Random) -> None:
    config, bus = builder.config, builder.units.bus
    rows, columns = rng.randint(1, 5), rng.randint(1, 3 * config.columns)
    mem = RESULTS + rng.choice((rng.randrange(0, 0x1800, bus), 0x1000 - bus))
    pitch = rng.choice((0, rng.randrange(0, 512, bus), 0x800))
    if rows == 1:
        pitch = builder.luck.randrange(0, 1 << 32, bus)
    local = rng.randrange(0, config.output_buffer, builder.units.acc)
    builder.store(mem, local, rows, columns, pitch, rng.randrange(len(OUTPUTS)))


#: What the choices of a program stand for.
_PARTS: tuple[Callable[[Builder, random.Random], None], ...] = (
    _load,
    _lmma,
    _store,
    lambda builder, rng: builder.barrier(),
    lambda builder, rng: builder.close_loop() if builder.loops else builder.open_loop(),
    lambda builder, rng: builder.open_loop(),
    lambda builder, rng: builder.close_loop(),
    lambda builder, rng: builder.spin(),
    lambda builder, rng: builder.credit(),
)
#: Choices that there are.
CHOICES = range(len(_PARTS))


def built_program(config: CoreConfig, choices: list[int], seed: int, base: int = 0) -> Builder:
    """A program with one part for each choice, but for its end; memory begins at ``base``.

    Choices 0..2 are loads, ``lmma`` and stores, 3 a barrier; 4 begins a loop around what follows,
    or ends the innermost that is open; 5 only begins one, 6 only ends one; 7 is a loop of many
    turns that only adds, 8 gives tokens. All else about the parts is drawn from ``seed``.
    """
    builder = Builder(config, base, random.Random(seed), random.Random(f"registers {seed}"))
    builder.fill()
    for place, choice in enumerate(choices):
        _PARTS[choice](builder, random.Random(seed * 1009 + place))
    while builder.loops:
        builder.close_loop()
    return builder


def random_program(config: CoreConfig, choices: list[int], seed: int, base: int = 0) -> list[int]:
    """A program of :func:`built_program` that ends well, its instructions."""
    builder = built_program(config, choices, seed, base)
    builder.control("halt")
    return builder.words()
