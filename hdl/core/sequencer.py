"""The sequencer: fetches a program, runs its loops, sends instructions to the engines' queues."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.compute import lmma_layout
from lutcore.hdl.core.decoder import CONTROL, Decoder, wait_bits
from lutcore.hdl.core.load import Target, load_layout
from lutcore.hdl.core.store import store_layout
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BITS,
    BYTES,
    EDGES,
    LOOP_DEPTH,
    REGISTERS,
    Cause,
    Queue,
)
from lutcore.hdl.isa.pace import QUIET


class State(enum.Enum, shape=3):
    """Of the sequencer."""

    IDLE = 0
    FETCH = 1
    FETCHING = 2
    READ = 3
    EXECUTE = 4
    DRAIN = 5


def _place(name: str) -> int:
    """Bit of a control instruction."""
    return [i.name for i in CONTROL].index(name)


def _bits(word, field):
    found = word[field.low : field.low + field.bits]
    return found.as_signed() if field.kind == "signed" else found


def queued_layout(kind: Queue) -> data.StructLayout:
    """An entry of a queue: the operands, and the tokens to take."""
    operands = {
        Queue.LOAD: load_layout,
        Queue.COMPUTE: lmma_layout,
        Queue.STORE: store_layout,
    }[kind]()
    return data.StructLayout({"operands": operands, "waits": wait_bits(kind)})


class _Progress:
    """Where the program is, and how long all has been quiet."""

    def __init__(self) -> None:
        self.state = Signal(State)  # 0 idle, 1 fetch, 2 fetching, 3 read, 4 execute, 5 drain
        self.pc = Signal(33)  # number of the instruction within the program
        self.here = Signal(ADDRESS_BITS)  # byte address of the instruction in memory
        # cycles for which nothing has moved; it stops at its most
        self.quiet = Signal(range(QUIET + 1))
        self.still = Signal()  # nothing has moved for so long that nothing can come any more
        self.ends = Signal()  # the program ends in this cycle: nothing is left to break off


class _Loops:
    """Loops that are open: where each starts, and how often it is still to be run."""

    def __init__(self) -> None:
        # number of the first instruction in an open loop, outermost loop first
        self.starts = Array(Signal(33, name=f"loop_start_{i}") for i in range(LOOP_DEPTH))
        # how often an open loop is to be run, this time included
        self.counts = Array(Signal(32, name=f"loop_count_{i}") for i in range(LOOP_DEPTH))
        self.depth = Signal(range(LOOP_DEPTH + 1))  # loops that are open

    @property
    def innermost(self) -> Value:
        """Number of the innermost one."""
        return (self.depth - 1)[: (LOOP_DEPTH - 1).bit_length()]


class Sequencer(wiring.Component):
    """One instruction every two cycles.

    Members
    -------
    start : In
        Run the program; taken when not busy.
    program : In
        Byte address of the program in memory.
    length : In
        Instructions of the program.
    abort : In
        End the program.
    busy : Out
        A program runs.
    cause : Out
        Why the last program ended, from when it is not busy.
    address : Out
        Byte address of the instruction or transfer at fault, from when it is not busy.
    loads : Out stream, :func:`queued_layout`
        Loads, and the tokens that each takes first.
    lmmas : Out stream, :func:`queued_layout`
        Products, and the tokens that each takes first.
    stores : Out stream, :func:`queued_layout`
        Stores, and the tokens that each takes first.
    credit : Out
        The program gives tokens.
    credit_edge : Out
        Who gets the tokens: 0 compute from load, 1 load from compute, 2 store from compute, 3
        compute from store.
    credit_count : Out
        How many tokens the program gives.
    still : In
        No engine is doing anything, and no queue can go on.
    empty : In
        The queues are empty.
    fault : In
        A transfer failed.
    fault_cause : In
        Why the transfer failed.
    fault_address : In
        Byte address in memory of the transfer that failed.
    stop : Out
        Engines must come to rest.
    clear : Out
        Everything but buffers and registers of the host goes back to its reset state.
    fetch_enable : Out
        Read an instruction from the program buffer.
    fetch_address : Out
        Byte address in the program buffer.
    fetch_data : In
        The instruction that was read, one cycle later.
    executed : Out
        An instruction was executed.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "program": In(ADDRESS_BITS),  # byte address of the program in memory
                "length": In(32),
                "abort": In(1),
                "busy": Out(1),
                "cause": Out(Cause),
                "address": Out(ADDRESS_BITS),
                "loads": Out(stream.Signature(queued_layout(Queue.LOAD))),
                "lmmas": Out(stream.Signature(queued_layout(Queue.COMPUTE))),
                "stores": Out(stream.Signature(queued_layout(Queue.STORE))),
                "credit": Out(1),
                "credit_edge": Out(range(len(EDGES))),
                "credit_count": Out(16),
                "still": In(1),
                "empty": In(1),
                "fault": In(1),
                "fault_cause": In(Cause),
                "fault_address": In(ADDRESS_BITS),
                "stop": Out(1),
                "clear": Out(1),
                "fetch_enable": Out(1),
                "fetch_address": Out(ADDRESS_BITS),
                "fetch_data": In(BITS),  # the instruction that was read from the program buffer
                "executed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A state machine around the decoder."""
        m = Module()
        m.submodules.decoder = decoder = Decoder(self._config)
        # address register of the program
        registers = Array(Signal(ADDRESS_BITS, name=f"r{i}") for i in range(REGISTERS))
        at, loops = _Progress(), _Loops()
        at_rest = Signal()  # nothing moves, and the queues are empty
        byte_shift = BYTES.bit_length() - 1
        m.d.comb += [
            decoder.word.eq(self.fetch_data),
            decoder.registers.eq(Cat(*registers)),
            at.here.eq(self.program + (at.pc << byte_shift)),
            self.fetch_address.eq(at.pc << byte_shift),
            self.loads.payload.operands.eq(decoder.load),
            self.loads.payload.waits.eq(decoder.load_waits),
            self.lmmas.payload.operands.eq(decoder.lmma),
            self.lmmas.payload.waits.eq(decoder.compute_waits),
            self.stores.payload.operands.eq(decoder.store),
            self.stores.payload.waits.eq(decoder.store_waits),
            self.busy.eq(at.state != State.IDLE),
            at.still.eq(at.quiet == QUIET),
            at_rest.eq(at.still & self.empty),
        ]
        m.d.sync += at.quiet.eq(Mux(self.still, at.quiet + ~at.still, 0))
        with m.If(self.executed):
            m.d.sync += at.quiet.eq(0)
        with m.Switch(at.state):
            with m.Case(State.IDLE), m.If(self.start):
                self._start(m, at, registers, loops)
            with m.Case(State.FETCH):
                self._fetch(m, at)
            with m.Case(State.FETCHING), m.If(at_rest):
                m.d.sync += at.state.eq(State.READ)
            with m.Case(State.READ):
                m.d.comb += self.fetch_enable.eq(1)
                with m.If(at.pc >= self.length):
                    self._end(m, at, Cause.LOOP, at.here)
                with m.Else():
                    m.d.sync += at.state.eq(State.EXECUTE)
            with m.Case(State.EXECUTE):
                with m.If(decoder.cause != Cause.NONE):
                    self._end(m, at, decoder.cause, at.here)
                with m.Else():
                    self._execute(m, at, decoder, registers, loops)
            with m.Case(State.DRAIN), m.If(at.still):
                m.d.comb += at.ends.eq(1)
                m.d.sync += at.state.eq(State.IDLE)
        self._break_off(m, at)
        return m

    def _start(self, m: Module, at: _Progress, registers: Array, loops: _Loops) -> None:
        """A new program: all as after a reset."""
        m.d.comb += self.clear.eq(1)
        m.d.sync += [
            at.pc.eq(0),
            self.cause.eq(Cause.NONE),
            self.address.eq(0),
            at.state.eq(State.FETCH),
            loops.depth.eq(0),  # a program may have ended within one
            *(register.eq(0) for register in registers),
        ]

    def _end(self, m: Module, at: _Progress, cause, address: Value) -> None:
        """End the program when all that came before is done."""
        m.d.sync += [
            self.cause.eq(cause),
            self.address.eq(address),
            at.quiet.eq(0),
            at.state.eq(State.DRAIN),
        ]

    def _break_off(self, m: Module, at: _Progress) -> None:
        """A failed transfer and the host's wish come before all else, but the end."""
        with m.If(self.stop & at.still):
            m.d.comb += self.clear.eq(1)
            m.d.sync += [self.stop.eq(0), at.state.eq(State.IDLE)]
        with m.Elif(self.busy & ~self.stop & ~at.ends & (self.fault | self.abort)):
            m.d.sync += [
                self.stop.eq(1),
                at.quiet.eq(0),
                self.cause.eq(Mux(self.fault, self.fault_cause, Cause.ABORT)),
                self.address.eq(Mux(self.fault, self.fault_address, 0)),
            ]
        with m.If(self.stop):
            m.d.sync += at.state.eq(Mux(at.still, State.IDLE, State.DRAIN))

    def _fetch(self, m: Module, at: _Progress) -> None:
        """Have the program loaded into its buffer."""
        bus_bytes = self._config.bus_bits // 8
        operands = self.loads.payload.operands
        m.d.comb += [
            self.loads.payload.waits.eq(0),
            operands.eq(0),
            operands.target.eq(Target.PROGRAM.value),
            operands.mem.eq(self.program),
            operands.rows.eq(1),
            operands.bytes.eq(self.length << BYTES.bit_length() - 1),
        ]
        with m.If(self.program[: bus_bytes.bit_length() - 1].any()):
            self._end(m, at, Cause.MISALIGNED, self.program)
        with m.Elif(self.length == 0):
            self._end(m, at, Cause.LOOP, self.program)
        with m.Elif(self.length > self._config.program_buffer):
            self._end(m, at, Cause.UNSUPPORTED, self.program)
        with m.Else():
            m.d.comb += self.loads.valid.eq(1)
            m.d.sync += [at.quiet.eq(0), at.state.eq(State.FETCHING)]

    def _execute(
        self, m: Module, at: _Progress, decoder: Decoder, registers: Array, loops: _Loops
    ) -> None:
        """Execute what can be at once; the rest waits until engines are done or can do no more."""
        waits = Signal()  # the instruction waits for the engines, or for room in its queue
        fields = {
            i.name: {n: _bits(decoder.word, f) for n, f in i.by_name.items()} for i in CONTROL
        }
        with m.Switch(decoder.control):
            for name in ("halt", "barrier"):
                with m.Case(1 << _place(name)):
                    m.d.comb += waits.eq(1)
            with m.Case(1 << _place("set")):
                m.d.sync += registers[fields["set"]["reg"]].eq(fields["set"]["value"])
                self._go_on(m, at, decoder)
            with m.Case(1 << _place("add")):
                register = registers[fields["add"]["reg"]]
                m.d.sync += register.eq(register + fields["add"]["value"])
                self._go_on(m, at, decoder)
            with m.Case(1 << _place("credit")):
                m.d.comb += self.credit.eq(1)
                self._go_on(m, at, decoder)
            with m.Case(1 << _place("loop")):
                self._open_loop(m, at, decoder, loops, fields["loop"]["count"])
            with m.Case(1 << _place("end")):
                self._repeat_loop(m, at, decoder, loops)
            with m.Default():
                self._send(m, at, decoder, waits)
        m.d.comb += [
            self.credit_edge.eq(fields["credit"]["edge"]),
            self.credit_count.eq(fields["credit"]["count"]),
        ]
        with m.If(waits & at.still):
            with m.If(self.empty & decoder.control.any()):
                self._go_on(m, at, decoder)
            with m.Else():
                self._end(m, at, Cause.DEADLOCK, at.here)

    def _go_on(self, m: Module, at: _Progress, decoder: Decoder) -> None:
        """The instruction is executed: on to the next, or the end."""
        halts = decoder.control[_place("halt")]
        m.d.comb += [self.executed.eq(1), at.ends.eq(halts)]
        m.d.sync += [at.pc.eq(at.pc + 1), at.state.eq(Mux(halts, State.IDLE, State.READ))]

    def _open_loop(
        self, m: Module, at: _Progress, decoder: Decoder, loops: _Loops, count: Value
    ) -> None:
        """``loop``: what follows is run ``count`` times."""
        with m.If(loops.depth == LOOP_DEPTH):
            self._end(m, at, Cause.LOOP, at.here)
        with m.Else():
            self._go_on(m, at, decoder)
            m.d.sync += [
                loops.starts[loops.depth].eq(at.pc + 1),
                loops.counts[loops.depth].eq(count),
                loops.depth.eq(loops.depth + 1),
            ]

    def _repeat_loop(self, m: Module, at: _Progress, decoder: Decoder, loops: _Loops) -> None:
        """``end``: back to the start of the innermost loop, or out of it."""
        count = loops.counts[loops.innermost]
        with m.If(loops.depth == 0):
            self._end(m, at, Cause.LOOP, at.here)
        with m.Else():
            self._go_on(m, at, decoder)
            m.d.sync += count.eq(count - 1)
            with m.If(count == 1):
                m.d.sync += loops.depth.eq(loops.depth - 1)
            with m.Else():
                m.d.sync += at.pc.eq(loops.starts[loops.innermost])

    def _send(self, m: Module, at: _Progress, decoder: Decoder, waits: Signal) -> None:
        """To the queue of its engine, when there is room."""
        streams = (self.loads, self.lmmas, self.stores)
        sent = Cat(stream.valid & stream.ready for stream in streams).any()
        m.d.comb += [
            waits.eq(~sent),
            self.loads.valid.eq(decoder.to_load),
            self.lmmas.valid.eq(decoder.to_compute),
            self.stores.valid.eq(decoder.to_store),
        ]
        with m.If(sent):
            self._go_on(m, at, decoder)
