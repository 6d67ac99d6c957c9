"""When the engines of a core do what: each one's waits, cycle by cycle, without its data.

Each class mirrors one part of :mod:`hdl`: its registers and queues are the last times of events,
and an instruction's events follow from them by addition and maximum. Nothing is fitted.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from lutcore.compiler.schedule.timeline import Timeline
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import OUTPUTS
from lutcore.hdl.isa.pace import (
    AHEAD,
    MOST_BEATS,
    OUTSTANDING,
    PAGE_BITS,
    PENDING,
    WORDS,
    epilogue_cycles,
)

_PAGE = 1 << PAGE_BITS
#: What can be seen of a register's or queue's new value: the next cycle.
_NEXT = 1


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a core meets on its bus.

    Attributes
    ----------
    latency : int
        Cycles from an address to its first word, and from a burst's last word to its answer.
    reads, writes : int
        Bursts that the memory takes before it has served the first of them.
    words_per_cycle : float
        Words of the bus that the memory gives, or takes, in a cycle on average: at most 1.

    Raises
    ------
    InputError
        A value makes no sense.
    """

    latency: int = 20
    reads: int = 16
    writes: int = 4
    words_per_cycle: float = 1.0

    def __post_init__(self) -> None:
        for name in ("latency", "reads", "writes"):
            if (value := getattr(self, name)) < 1:
                raise InputError(f"{name} of a memory must be at least 1, not {value!r}")
        if not 0 < self.words_per_cycle <= 1:
            raise InputError(
                "words_per_cycle of a memory must be above 0 and at most 1, the rate of the bus, "
                f"not {self.words_per_cycle!r}"
            )

    def span(self, words: int) -> int:
        """Cycles that so many words take one after the other."""
        if self.words_per_cycle == 1:
            return words
        return -int(-words // self.words_per_cycle)


def _parts(value: int, size: int) -> int:
    return -(-value // size)


@dataclass(frozen=True)
class _Transfer:
    """Rows of ``words`` bus words, of ``bus`` bytes each, every ``pitch`` bytes from ``mem`` on."""

    mem: int
    rows: int
    pitch: int
    words: int
    bus: int

    def bursts(self, row: int) -> list[int]:
        """Words of each burst of a row."""
        address, words, found = self.mem + row * self.pitch, self.words, []
        while words > 0:
            room = min(MOST_BEATS, (_PAGE - address % _PAGE) // self.bus)
            found.append(min(words, room))
            words -= room
            address += room * self.bus
        return found


def _rows(
    timeline: Timeline,
    transfer: _Transfer,
    take: Callable[[list[int]], None],
    now: Callable[[], int],
    phase: Callable[[], Hashable] = lambda: None,
) -> None:
    """Take the rows of a transfer; those at the same places of a page are alike."""
    row = 0

    def turn() -> None:
        nonlocal row
        take(transfer.bursts(row))
        row += 1

    def skipped(rows: int) -> None:
        nonlocal row
        row += rows

    def place() -> Hashable:
        return (transfer.mem + row * transfer.pitch) % _PAGE, phase()

    timeline.repeat(transfer.rows, turn, now, place, skipped)


class LoadTimes(Timeline):
    """:class:`~lutcore.hdl.core.load.LoadEngine` and the memory that it reads."""

    def __init__(self, config: CoreConfig, memory: Memory, counts: Counter[str]):
        super().__init__(counts=counts)
        self._bus, self._memory = config.bus_bits // 8, memory
        self._asked = self.last()  # an address was taken
        self._served = self.last(memory.reads)  # a burst's last word
        self._begun = self.last(PENDING)  # a load's data was waited for
        self._rows = self.part(self._asked, self._served)

    def run(self, earliest: int, values: dict[str, int], mem: int) -> tuple[int, int]:
        """A load that may start at ``earliest``: when it does, and its last word."""
        words = _parts(values["bytes"], self._bus)
        start = max(earliest, self._asked[-1] + _NEXT, self._begun[0] + _NEXT)
        begun = max(start + _NEXT, self._served[-1])
        self._begun.append(begun)
        self._asked.append(start)

        def row(bursts: list[int]) -> None:
            for burst in bursts:
                asked = max(self._asked[-1], self._served[0]) + _NEXT
                self._asked.append(asked)
                first = max(self._served[-1], begun, asked + self._memory.latency - 1) + _NEXT
                self._served.append(first + self._memory.span(burst) - 1)

        _rows(
            self._rows,
            _Transfer(mem, values["rows"], values["pitch"], words, self._bus),
            row,
            lambda: self._asked[-1],
            lambda: max(0, begun - self._asked[-1]),
        )
        self.counts["read_beats"] += words * values["rows"]
        return start, self._served[-1]

    @property
    def idle(self) -> int:
        """First cycle in which nothing is under way."""
        return self._served[-1] + _NEXT


class ComputeTimes(Timeline):
    """:class:`~lutcore.hdl.core.compute.ComputeEngine`: feeders, tables, tile, drain, epilogue.

    ``free_tables``: a run's tables are built in one cycle.
    """

    def __init__(self, config: CoreConfig, counts: Counter[str], free_tables: bool):
        super().__init__(counts=counts)
        self._config, self._free_tables = config, free_tables
        self._latency = epilogue_cycles(config)
        stages = 1 + config.aligned + (config.table == "int8")
        # An lmma was taken: by the feeder of activations, that of slices, the epilogue.
        self._fed, self._walked, self._tasked = (self.last(AHEAD) for _ in range(3))
        # A run's last step entered a buffer, for each buffer from activations to tables; it left.
        self._entered = [self.last(2) for _ in range(stages)]
        self._released = self.last(2)
        self._read_step, self._read_slice = self.last(), self.last()  # the last one of an lmma
        self._fired = self.last()  # a run's last slice
        self._drained = self.last(2)  # its last result beat
        self._active = self.last()  # the epilogue takes results
        self._tiles = self.part(self._fired, self._drained, self._read_slice, self._active)
        self._blocks = self.part(
            *self._entered, self._released, self._read_step, *self._tiles.histories
        )

    def run(self, earliest: int, values: dict[str, int]) -> tuple[int, int]:
        """An ``lmma`` that may start at ``earliest``: when it does, and when its sums are there."""
        config = self._config
        blocks, tiles = _parts(values["m"], config.m), _parts(values["n"], config.columns)
        steps = _parts(values["k"], config.depth)
        slices = steps * config.planes(values["bits"])
        queues = (self._fed, self._walked, self._tasked)
        start = max(earliest, *(queue[0] + _NEXT for queue in queues))
        visible = start + _NEXT
        fed = max(visible, self._read_step[-1])
        walked = max(visible, self._read_slice[-1])
        tasked = max(visible, self._drained[-1] + self._latency + _NEXT)
        for queue, time in zip(queues, (fed, walked, tasked), strict=True):
            queue.append(time)
        self._active.append(tasked + _NEXT)
        # An empty feeder reads its first step or slice a cycle after it was told to.
        self._read_step.append(max(fed + _NEXT, self._entered[0][-1]))
        self._read_slice.append(max(walked + _NEXT, self._fired[-1]))
        ready = self._read_slice[-1]
        self.counts["slices"] += blocks * tiles * slices

        def block() -> None:
            nonlocal ready
            available = self._feed(steps)
            valid = max(self._fired[-1], ready)
            ready = 0
            self.counts["wait_tile"] += max(0, available - valid)
            self._fired.append(max(valid, available))
            self._tiles.repeat(tiles, lambda: self._tile(slices), lambda: self._fired[-1])
            self._released.append(self._fired[-1])

        self._blocks.repeat(
            blocks,
            block,
            lambda: min(self._entered[0][-1], self._fired[-1]),
            lambda: ready > 0,
        )
        return start, self._drained[-1] + self._latency

    def _feed(self, steps: int) -> int:
        """Activations of a run through the buffers; the cycle before its tables are there."""
        steps = 1 if self._free_tables else steps
        source = max(self._read_step[-1], self._entered[0][-1])
        leaves = [*(buffer[0] for buffer in self._entered[1:]), self._released[0]]
        for place, buffer in enumerate(self._entered):
            # A bank is free once the run before the last has left it.
            first = max(source, buffer[-1], leaves[place]) + _NEXT
            buffer.append(first + steps - 1)
            if not place:
                self._read_step.append(first + steps - 2 if steps > 1 else source)
            source = buffer[-1]
        return source

    def _tile(self, slices: int) -> None:
        """One run of one column tile."""
        config, before = self._config, self._fired[-1]
        # Its first slice waits until the run before the last has drained.
        first = max(before + _NEXT, self._drained[0])
        fired = first + slices - 1
        captured = max(fired + 2 + config.pipeline, self._drained[-1])
        self._read_slice.append(fired - 1 if slices > 1 else before)
        self._fired.append(fired)
        drained = max(captured + _NEXT, self._active[-1]) + config.drain_beats - 1
        self._drained.append(drained)
        self.counts["wait_tile"] += first - before - _NEXT

    @property
    def idle(self) -> int:
        """First cycle in which nothing is under way."""
        return self._drained[-1] + self._latency + _NEXT


class StoreTimes(Timeline):
    """:class:`~lutcore.hdl.core.store.StoreEngine` and the memory that it writes."""

    def __init__(self, config: CoreConfig, memory: Memory, counts: Counter[str]):
        super().__init__(counts=counts)
        self._bus, self._memory = config.bus_bits // 8, memory
        self._lanes = min(config.drain_columns, config.bus_bits // 32)
        self._asked = self.last()  # an address was taken
        self._read = self.last()  # a sum was read
        self._packed = self.last()  # a word was full
        self._left = self.last(WORDS)  # a word left
        self._written = self.last(memory.writes)  # a burst's last word
        self._answered = self.last(OUTSTANDING)
        self._rows = self.part(*self.histories)

    def run(self, earliest: int, values: dict[str, int], mem: int) -> tuple[int, int]:
        """A store that may start at ``earliest``: when it does, and when its sums are read."""
        half = OUTPUTS[values["type"]] in ("fp16", "bf16")
        words = _parts(values["columns"] * (2 if half else 4), self._bus)
        chunks = _parts(values["columns"], self._lanes)
        pace = self._bus // (self._lanes * (2 if half else 4))  # chunks of a word
        start = max(earliest, self._read[-1] + _NEXT, self._asked[-1] + _NEXT)
        self._asked.append(start)
        self._read.append(start)

        def row(bursts: list[int]) -> None:
            left = chunks
            for burst in bursts:
                taken = min(left, burst * pace)
                left -= taken
                self._burst(burst, taken, pace)

        _rows(
            self._rows,
            _Transfer(mem, values["rows"], values["pitch"], words, self._bus),
            row,
            lambda: min(self._asked[-1], self._read[-1]),
        )
        self.counts["write_beats"] += words * values["rows"]
        return start, self._read[-1]

    def _burst(self, words: int, chunks: int, pace: int) -> None:
        """One burst: its address, its words, the answer."""
        asked = max(self._asked[-1], self._written[0], self._answered[0]) + _NEXT
        self._asked.append(asked)
        exact = min(words, 2 * WORDS)
        for number in range(exact):
            last = number == words - 1
            taken = chunks - pace * (words - 1) if last else pace
            # A word is packed a cycle after its last sum was read, if the queue has room; the next
            # sum is read when the one before is on its way.
            read = max(self._read[-1] + _NEXT, self._packed[-1]) + taken - 1
            packed = max(read, self._left[0]) + _NEXT
            gap = self._memory.span(number + 1) - self._memory.span(number)
            left = max(self._left[-1] + gap, packed + _NEXT, asked + _NEXT)
            self._read.append(read)
            self._packed.append(packed)
            self._left.append(left)
        if words > exact:
            # The queue has settled: reading keeps step with the bus, or the bus with reading.
            rest = chunks - pace * exact
            left = self._left[-1] + self._memory.span(words) - self._memory.span(exact)
            left = max(left, self._read[-1] + rest + 2 * _NEXT)
            packed = max(self._read[-1] + rest + _NEXT, left - WORDS + 1)
            self._read.append(packed - _NEXT)
            self._packed.append(packed)
            self._left.extend(range(left - WORDS + 1, left + 1))
        self._written.append(self._left[-1])
        answered = max(self._answered[-1] + _NEXT, self._left[-1] + self._memory.latency)
        self._answered.append(answered)

    @property
    def idle(self) -> int:
        """First cycle in which nothing is under way."""
        return max(self._answered[-1], self._read[-1] + 1) + _NEXT
