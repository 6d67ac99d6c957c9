"""Random legal programs without races: what the ISA model and the RTL must agree on.

A program first fills every buffer, so that no run depends on an earlier one. Then come random
instructions. One that touches what an earlier one of another queue touches waits for it: by a token
where there is an edge between their queues, else, or at random, behind a barrier.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import Units, alignments, built_values, longest_run
from lutcore.hdl.isa.lmma import BY_NAME, EDGES, OUTPUTS, SCALES, SIGNALS, WAITS, Queue
from lutcore.verif.golden.formats import bits_type, encode

#: Memory of a job: program and data that is only read, then results.
MEMORY, RESULTS = 0x8000, 0x4000
#: Scales, and activations.
_DATA, _FLOATS = 0x2000, 0x3000


def memory_image(config: CoreConfig, seed: int) -> np.ndarray:
    """Random bytes, half of them sensible scales of FP32, and of floats if activations are."""
    rng = np.random.default_rng(seed)
    memory = rng.integers(0, 256, MEMORY, np.uint8)
    scales = rng.normal(size=(_FLOATS - _DATA) // 4).astype(np.float32)
    memory[_DATA : _DATA + scales.nbytes] = scales.view(np.uint8)
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
class _Builder:
    config: CoreConfig
    chance: random.Random
    emitted: list[_Emitted] = field(default_factory=list)
    #: For each pair of queues (waiting, waited for): how many of the latter's are known done.
    known: dict[tuple[Queue, Queue], int] = field(default_factory=dict)
    pending: dict[Queue, list[_Emitted]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.config
        self.units = Units.of(config)
        self.sizes = {
            "act": config.activation_buffer // config.m,
            "wgt": config.weight_buffer,
            "scale": config.scale_buffer,
            "acc": config.output_buffer,
            "memory": 1 << 48,
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
            (signal,) = [n for n, e in SIGNALS[other] if e == number]
            (wait,) = [n for n, e in WAITS[queue] if e == number]
            if earlier[-1].word.get(signal):  # its token is another's
                self.barrier()
                break
            earlier[-1].word[signal] = 1
            item.word[wait] = 1
            self.known[queue, other] = len(earlier)
        for operand, (register, value) in zip(
            registers, enumerate(registers.values()), strict=True
        ):
            self.control("set", reg=register, value=value)
            item.word[operand] = register
        self.emitted.append(item)
        self.pending[queue].append(item)

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
        registers = {"mem": mem, "local": local}
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
        self.put("lmma", local, values | built_values(config), accesses)

    def store(self, mem: int, local: int, rows: int, columns: int, pitch: int, type: int) -> None:
        """Any store."""
        config = self.config
        words = -(-rows // config.m) * -(-columns // config.columns) * config.drain_beats
        accesses = [
            _Access("acc", local, words * self.units.acc, False),
            _Access("memory", mem, (rows - 1) * pitch + columns * 4 + self.units.bus, True),
        ]
        values = {"rows": rows, "columns": columns, "pitch": pitch, "type": type}
        self.put("store", {"mem": mem, "local": local}, values, accesses)

    def fill(self) -> None:
        """Everything that every buffer holds."""
        config = self.config
        for store, size in list(self.sizes.items())[:3]:
            rows = config.m if store == "act" else 1
            self.load(f"load.{store}", _FLOATS if store == "act" else _DATA, 0, rows, size, 64)
        tiles = config.output_buffer // (config.drain_beats * self.units.acc)
        values = {
            "m": config.m,
            "n": tiles * config.columns,
            "k": config.depth,
            "bits": config.weight_bits_range[0],
        }
        self.lmma(values, {"act": 0, "wgt": 0, "scale": 0, "acc": 0})
        self.barrier()

    def words(self) -> list[int]:
        """The program."""
        return [BY_NAME[item.name].encode(item.word) for item in self.emitted]


def _load(builder: _Builder, rng: random.Random) -> None:
    name = rng.choice(("act", "wgt", "scale"))
    bus = builder.units.bus
    size = builder.sizes[name]
    rows = rng.choice((1, 1, 2, 3, 5))
    most = size // (rows if name != "act" else -(-rows // builder.config.m))
    bytes_ = rng.randint(1, max(1, min(most // bus * bus, 600)))
    pitch = rng.choice((0, bus, rng.randrange(0, 1024, bus)))
    # Close to a boundary of 4 KiB, so that bursts are cut.
    near = (rng.randrange(0, 0x800, bus), -bus, 0x400)
    far = (rng.randrange(0, 0x1000, bus), 0x1000 - bus, 0x800)
    mem = _FLOATS + rng.choice(near) if name == "act" else _DATA + rng.choice(far)
    builder.load(f"load.{name}", mem, rng.randrange(0, size, bus), rows, bytes_, pitch)


def _lmma(builder: _Builder, rng: random.Random) -> None:
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


def _store(builder: _Builder, rng: random.Random) -> None:
    config, bus = builder.config, builder.units.bus
    rows, columns = rng.randint(1, 5), rng.randint(1, 3 * config.columns)
    mem = RESULTS + rng.choice((rng.randrange(0, 0x1800, bus), 0x1000 - bus))
    pitch = rng.choice((0, rng.randrange(0, 512, bus), 0x800))
    local = rng.randrange(0, config.output_buffer, builder.units.acc)
    builder.store(mem, local, rows, columns, pitch, rng.randrange(len(OUTPUTS)))


def random_program(config: CoreConfig, choices: list[int], seed: int) -> list[int]:
    """A program with one part for each choice.

    Choices 0..2 are loads, ``lmma`` and stores, 3 a barrier, 4 a loop around what follows it up to
    the next 4 or the end; all else about the parts is drawn from ``seed``.
    """
    builder = _Builder(config, random.Random(seed))
    builder.fill()
    open_loop = False
    parts = (_load, _lmma, _store)
    for place, choice in enumerate(choices):
        if choice < len(parts):
            parts[choice](builder, random.Random(seed * 1009 + place))
        else:
            builder.barrier()
            if choice == 4 and open_loop:
                builder.control("end")
            elif choice == 4:
                builder.control("loop", count=1 + seed % 3)
            open_loop ^= choice == 4
    if open_loop:
        builder.barrier()
        builder.control("end")
    builder.control("halt")
    return builder.words()
