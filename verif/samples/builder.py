"""Programs that grow by an instruction at a time, without races.

An instruction that touches what an earlier one of another queue touches waits for it: by a token
where there is an edge between their queues, else, or at random, behind a barrier. Registers are
set, or added to, and keep what they hold until an instruction needs another value there.
"""

import math
import random
from dataclasses import dataclass, field

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import Units, built_values
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BY_NAME,
    EDGES,
    LOOP_DEPTH,
    REGISTERS,
    SCALES,
    SIGNALS,
    WAITS,
    Queue,
)

#: Memory of a job: program and data that is only read, then results.
MEMORY, RESULTS = 0x8000, 0x4000
#: Scales, and activations.
DATA, FLOATS = 0x2000, 0x3000
_SPACE, _PAGE = 1 << ADDRESS_BITS, 0x1000
#: Most often that a body is run by all loops around it, and instructions that only spin.
_MOST_RUNS, _MOST_SPINS = 12, 2000


def signed(value: int) -> int:
    """What an ``add`` must add for ``value``, modulo the address space."""
    return (value + _SPACE // 2) % _SPACE - _SPACE // 2


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
    #: Whether instructions are small, and wait for engines before them, not for those behind.
    haste: bool = False
    #: Whether rows lie anywhere in the address space, in folded memory
    #: (:class:`~lutcore.verif.isa.memory.Memory`): loads' in pages below results, stores' in these.
    far: bool = False

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
        for other in self.pending:
            if other is not queue and not self._follow(item, other):
                self.barrier()
                break
        for flag, number in (*WAITS[queue], *SIGNALS[queue]):
            if number in self.rich:
                item.word[flag] = self.luck.randrange(2)
        item.word |= self._registers(registers)
        self.emitted.append(item)
        self.pending[queue].append(item)

    def _follow(self, item: _Emitted, other: Queue) -> bool:
        """Have an item wait for all of another queue, if it must, or at random; or it cannot."""
        earlier, queue = self.pending[other], item.queue
        known = self.known[queue, other]
        late = earlier[known:]
        must = any(
            a.conflicts(b, self.sizes) for e in late for a in item.accesses for b in e.accesses
        )
        edge = f"{other.value}-{queue.value}"
        number = EDGES.index(edge) if edge in EDGES else -1
        signal = [name for name, e in SIGNALS[other] if e == number]
        wait = [name for name, e in WAITS[queue] if e == number]
        able = signal and number not in self.rich and late and signal[0] not in earlier[-1].word
        if must and not self.haste and self.chance.random() < 0.2:
            return False
        if able and (must or self.luck.random() < (number % 2 == 0 if self.haste else 0.4)):
            earlier[-1].word[signal[0]] = item.word[wait[0]] = 1
            self.known[queue, other] = len(earlier)
            return True
        return not must

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

    def open_loops(self, most: int) -> None:
        """Around what follows; registers hold something else in its second turn."""
        self.barrier()
        for _ in range(min(self.luck.randint(1, most), LOOP_DEPTH - len(self.loops))):
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
        edge = self.luck.randrange(len(EDGES))
        if edge not in self.rich:
            self.barrier()
            if self.loops:
                return
        count = self.luck.choice((self.luck.randrange(1, 16) << 12, 1 << 15, 0xFFFF))
        self.control("credit", edge=edge, count=count)
        self.rich.add(edge)

    def local(self, store: str, place: int) -> int:
        """A register's value for a place in a buffer, which wraps: any bits above its size."""
        turns = self.luck.choice((0, self.luck.randrange(_SPACE // self.sizes[store])))
        return place + turns * self.sizes[store]

    def _memory(self, mem: int, size: int, writes: bool) -> _Access:
        """Bytes of the memory; rows that lie anywhere may be any of those that they are kept to."""
        if self.far and mem + size > MEMORY:
            mem, size = (RESULTS, MEMORY - RESULTS) if writes else (0, RESULTS)
        return _Access("memory", mem, size, writes)

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
            self._memory(mem, (rows - 1) * pitch + whole, False),
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
            self._memory(mem, (rows - 1) * pitch + columns * 4 + self.units.bus, True),
        ]
        values = {"rows": rows, "columns": columns, "pitch": pitch, "type": type}
        registers = {"mem": (self.base + mem) % _SPACE, "local": self.local("acc", local)}
        self.put("store", registers, values, accesses)

    def fill(self) -> None:
        """Everything that every buffer holds."""
        config = self.config
        for store, size in list(self.sizes.items())[:3]:
            rows = config.m if store == "act" else 1
            self.load(f"load.{store}", FLOATS if store == "act" else DATA, 0, rows, size, 64)
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
        """The pages of memory that the program touches, or all if they wrap or lie anywhere."""
        if self.far:
            return 0, _SPACE
        touched = [a for item in self.emitted for a in item.accesses if a.store == "memory"]
        low = self.base + min(access.start for access in touched) // _PAGE * _PAGE
        high = self.base + -(-max(a.start + a.size for a in touched) // _PAGE) * _PAGE
        return (low % _SPACE, high - low // _SPACE * _SPACE) if high <= _SPACE else (0, _SPACE)

    def words(self) -> list[int]:
        """The program."""
        return [BY_NAME[item.name].encode(item.word) for item in self.emitted]
