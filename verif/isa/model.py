"""The core as its instructions define it: programs on a memory image, right to the bit, in NumPy.

It shares the definition of the instructions with the hardware, and no arithmetic: weights are
decoded from their packed bits into integers, and multiplied as matrices.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.isa.limits import Examined, Units, examine
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BY_NAME,
    BYTES,
    EDGES,
    LOOP_DEPTH,
    OUTPUTS,
    QUEUE_DEPTH,
    REGISTERS,
    SCALES,
    SIGNALS,
    WAITS,
    Cause,
    Instruction,
    Queue,
)
from lutcore.verif.isa.arithmetic import Decoded, accumulate, convert_outputs, run_products
from lutcore.verif.isa.memory import Fault, Memory
from lutcore.verif.isa.rings import put, take

_SPACE = 1 << ADDRESS_BITS
#: Bytes that the arrays of one instruction may take, and bytes of each number in the widest array.
_MOST, _WIDEST = 4 << 30, 16


@dataclass
class State:
    """Architectural state when a program has ended.

    Attributes
    ----------
    cause : Cause
    address : int
        Of the faulting instruction or transfer; 0 without a fault.
    instructions, slices, read_beats, write_beats : int
        Instructions executed; weight slices issued; bus words read (the program's too), written.
    """

    cause: Cause = Cause.NONE
    address: int = 0
    instructions: int = 0
    slices: int = 0
    read_beats: int = 0
    write_beats: int = 0


def _affordable(size: int) -> None:
    """Refuse what would take memory without bound: operands may be many times the buffers."""
    if size > _MOST:
        raise InputError(
            f"an instruction takes {size / 2**30:,.1f} GiB in the ISA model, at most "
            f"{_MOST >> 30} are allowed: give it fewer rows or columns, or run it on RTL"
        )


@dataclass
class _Pending:
    """An instruction in a queue, with the register values that it was decoded with."""

    instruction: Instruction
    values: dict[str, int]


@dataclass
class _Sequencer:
    pc: int = 0
    registers: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    loops: list[list[int]] = field(default_factory=list)


class IsaModel:
    """A core; its buffers keep what they hold from program to program.

    Parameters
    ----------
    config : CoreConfig
    memory : uint8
        Memory from address ``base``, a multiple of 4096 bytes, changed in place; the bus answers
        with an error outside of it. It may wrap at the end of the address space.
    window : (int, int)
        Addresses that transfers may touch, from and up to; multiples of 4096.
    base, folded
        As of :class:`~lutcore.verif.isa.memory.Memory`.

    Attributes
    ----------
    memory : Memory
    """

    def __init__(
        self,
        config: CoreConfig,
        memory: np.ndarray,
        window: tuple[int, int] | None = None,
        base: int = 0,
        folded: bool = False,
    ):
        check_core(config)
        self.config = config
        self.memory = Memory(memory, window or (0, _SPACE), base, folded)
        self.units = Units.of(config)
        self._examined: dict[int, Examined] = {}  # words come again in loops and runs
        self._act = np.zeros((config.m, config.activation_buffer // config.m), np.uint8)
        self._decoded = Decoded()
        self._wgt = np.zeros(config.weight_buffer, np.uint8)
        self._scale = np.zeros(config.scale_buffer, np.uint8)
        self._acc = np.zeros(config.output_buffer // 4, np.uint32)

    def run(self, address: int, length: int) -> State:
        """Run the program of ``length`` instructions at ``address``, which has 48 bits as in the
        core's register.
        """
        self.state = State()
        self._queues = {queue: deque() for queue in Queue if queue is not Queue.CONTROL}
        self._tokens = [0] * len(EDGES)
        try:
            self._run(address % _SPACE, length)
        except Fault as fault:
            self.state.cause, self.state.address = fault.cause, fault.address
        return self.state

    def _run(self, address: int, length: int) -> None:
        bus = self.units.bus
        if address % bus:
            raise Fault(Cause.MISALIGNED, address)
        if not 0 <= length <= self.config.program_buffer:
            raise Fault(Cause.UNSUPPORTED, address)
        beats = -(-length * BYTES // bus)
        found = self.memory.found(address, beats * bus, Cause.FETCH)
        self.memory.note(Cause.FETCH, address, found)
        code = found[: length * BYTES].tobytes()
        self.state.read_beats += beats
        words = [int.from_bytes(code[i : i + BYTES], "little") for i in range(0, len(code), BYTES)]
        sequencer = _Sequencer()
        while True:
            here = (address + sequencer.pc * BYTES) % _SPACE
            try:
                if sequencer.pc >= length:
                    raise Fault(Cause.LOOP, here)
                if self._step(words[sequencer.pc], sequencer, here):
                    return
            except Fault as fault:
                if fault.address == here:
                    self._drain()  # what came before is completed; its own faults win
                raise

    # Control -------------------------------------------------------------------------------------

    def _step(self, word: int, sequencer: _Sequencer, here: int) -> bool:
        """Decode one instruction; whether the program has ended."""
        seen = self._examined.get(word)
        if seen is None:
            seen = self._examined[word] = examine(word, self.config)
        cause = seen.check(sequencer.registers)
        if cause:
            raise Fault(cause, here)
        instruction, values = seen.instruction, seen.values
        assert instruction is not None, "only a fault has none"
        sequencer.pc += 1
        if instruction.queue is Queue.CONTROL:
            _CONTROL[instruction.name](self, sequencer, values, here)
        else:
            values = values | {
                name: sequencer.registers[values[name]] for name in instruction.register_names
            }
            queue = self._queues[instruction.queue]
            if len(queue) >= QUEUE_DEPTH:
                self._advance()
                if len(queue) >= QUEUE_DEPTH:
                    raise Fault(Cause.DEADLOCK, here)
            queue.append(_Pending(instruction, values))
        self.state.instructions += 1
        return instruction.name == "halt"

    def _do_set(self, sequencer: _Sequencer, values: dict, here: int) -> None:
        sequencer.registers[values["reg"]] = values["value"]

    def _do_add(self, sequencer: _Sequencer, values: dict, here: int) -> None:
        total = sequencer.registers[values["reg"]] + values["value"]
        sequencer.registers[values["reg"]] = total % _SPACE

    def _do_loop(self, sequencer: _Sequencer, values: dict, here: int) -> None:
        if len(sequencer.loops) == LOOP_DEPTH:
            raise Fault(Cause.LOOP, here)
        sequencer.loops.append([sequencer.pc, values["count"]])

    def _do_end(self, sequencer: _Sequencer, values: dict, here: int) -> None:
        if not sequencer.loops:
            raise Fault(Cause.LOOP, here)
        loop = sequencer.loops[-1]
        loop[1] -= 1
        if loop[1]:
            sequencer.pc = loop[0]
        else:
            sequencer.loops.pop()

    def _do_credit(self, sequencer: _Sequencer, values: dict, here: int) -> None:
        self._tokens[values["edge"]] += values["count"]

    def _do_barrier(self, sequencer: _Sequencer, values: dict, here: int) -> None:
        if not self._drain():
            raise Fault(Cause.DEADLOCK, here)

    _do_halt = _do_barrier

    # Engines -------------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Execute all that tokens allow; whether anything was."""
        moved = False
        again = True
        while again:
            again = False
            for kind, queue in self._queues.items():
                while queue and self._ready(kind, queue[0].values):
                    pending = queue.popleft()
                    for name, edge in WAITS[kind]:
                        self._tokens[edge] -= pending.values[name]
                    _EXECUTE[pending.instruction.name](self, pending.values)
                    for name, edge in SIGNALS[kind]:
                        self._tokens[edge] += pending.values[name]
                    again = moved = True
        return moved

    def _ready(self, kind: Queue, values: dict[str, int]) -> bool:
        return all(self._tokens[edge] >= values[name] for name, edge in WAITS[kind])

    def _drain(self) -> bool:
        """Execute all that tokens allow; whether nothing is left."""
        self._advance()
        return not any(self._queues.values())

    def _rows(self, values: dict[str, int]) -> np.ndarray:
        """Rows of a load, uint8 [rows, whole bus words]."""
        size = -(-values["bytes"] // self.units.bus) * self.units.bus
        _affordable(values["rows"] * size)
        rows = np.empty((values["rows"], size), np.uint8)
        for row in range(values["rows"]):
            address = (values["mem"] + row * values["pitch"]) % _SPACE
            try:
                rows[row] = self.memory.row(address, size, Cause.READ)
            except Fault as fault:  # the words before the one that fails
                before = (fault.address - address) % _SPACE
                self.memory.note(Cause.READ, address, rows[row, :before])
                raise
            self.memory.note(Cause.READ, address, rows[row])
        rows[:, values["bytes"] :] = 0
        self.state.read_beats += rows.size // self.units.bus
        return rows

    def _load_act(self, values: dict[str, int]) -> None:
        rows = self._rows(values)
        for row, content in enumerate(rows):
            bank, block = row % self.config.m, row // self.config.m
            put(self._act[bank], values["local"] + block * rows.shape[1], content)

    def _load_wgt(self, values: dict[str, int]) -> None:
        put(self._wgt, values["local"], self._rows(values).ravel())

    def _load_scale(self, values: dict[str, int]) -> None:
        put(self._scale, values["local"], self._rows(values).ravel())

    def _lmma(self, values: dict[str, int]) -> None:
        config, units = self.config, self.units
        blocks, tiles = -(-values["m"] // config.m), -(-values["n"] // config.columns)
        steps = -(-values["k"] // config.depth)
        planes = config.planes(values["bits"])
        places = blocks * config.m * (tiles * config.columns + steps * units.step)
        _affordable(_WIDEST * (places + tiles * steps * planes * units.slice))
        # Activations [rows, bytes]
        used = steps * units.step
        pitch = -(-used // units.bus) * units.bus
        raw = take(self._act, values["act"], blocks * pitch).reshape(config.m, blocks, pitch)
        rows = np.ascontiguousarray(raw.transpose(1, 0, 2)[..., :used])
        rows = rows.reshape(blocks * config.m, -1)
        # Weights [tiles, steps, planes, bytes of a slice]
        used = steps * planes * units.slice
        pitch = -(-used // units.bus) * units.bus
        packed = take(self._wgt, values["wgt"], tiles * pitch).reshape(tiles, pitch)[:, :used]
        if config.doubles:  # planes from the highest, and their steps
            packed = packed.reshape(tiles, planes, steps, units.slice)
            packed = packed[:, ::-1].transpose(0, 2, 1, 3)
        packed = packed.reshape(tiles, steps, planes, units.slice)
        # Records [columns]
        record = tuple(SCALES.values())[values["scales"]]
        records = take(self._scale, values["scale"], tiles * config.columns * record.size)
        records = records.view(f"<u{record.size}")
        zero = None if record.zero else values["zero"]
        products = run_products(config, rows, packed, zero, records, self._decoded)
        beats, columns = config.drain_beats, config.drain_columns
        # The output buffer holds [blocks, beats of all tiles, m, columns of a beat].
        stored = (blocks, tiles * beats, config.m, columns)
        before, place = None, values["acc"] // 4
        if values["accumulate"]:
            before = take(self._acc, place, products.values.size).reshape(stored)
            before = before.transpose(0, 2, 1, 3).reshape(products.values.shape)
        after = accumulate(before, products, records, record.half, bool(values["accumulator"]))
        after = after.reshape(blocks, config.m, tiles * beats, columns).transpose(0, 2, 1, 3)
        put(self._acc, place, after.ravel())
        self.state.slices += blocks * tiles * steps * planes

    def _store(self, values: dict[str, int]) -> None:
        config = self.config
        rows, columns = values["rows"], values["columns"]
        blocks, tiles = -(-rows // config.m), -(-columns // config.columns)
        count = blocks * config.m * tiles * config.columns
        _affordable(_WIDEST * count)
        shape = (blocks, tiles * config.drain_beats, config.m, config.drain_columns)
        sums = (
            take(self._acc, values["local"] // 4, count)
            .reshape(shape)
            .transpose(0, 2, 1, 3)
            .reshape(-1, tiles * config.columns)
        )
        out = convert_outputs(sums[:rows, :columns], OUTPUTS[values["type"]])
        raw = np.ascontiguousarray(out).view(np.uint8).reshape(rows, -1)
        size = -(-raw.shape[1] // self.units.bus) * self.units.bus
        for row, content in enumerate(raw):
            address = (values["mem"] + row * values["pitch"]) % _SPACE
            try:
                self.memory.row(address, size, Cause.WRITE)
            except Fault as fault:  # the bursts before the one that fails
                self.memory.write(address, content[: (fault.address - address) % _SPACE])
                raise
            self.memory.write(address, content)
        self.state.write_beats += rows * size // self.units.bus


_CONTROL = {
    name: getattr(IsaModel, f"_do_{name}")
    for name, instruction in BY_NAME.items()
    if instruction.queue is Queue.CONTROL
}
_EXECUTE = {
    "load.act": IsaModel._load_act,
    "load.wgt": IsaModel._load_wgt,
    "load.scale": IsaModel._load_scale,
    "lmma": IsaModel._lmma,
    "store": IsaModel._store,
}
