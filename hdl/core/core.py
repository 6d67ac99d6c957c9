"""The core between streams: programs and words of memory in, requests and results out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect

from lutcore.hdl.bus.axi import read_members, write_members
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.core.buffers import SumBuffer, make_buffer
from lutcore.hdl.core.compute import ComputeEngine
from lutcore.hdl.core.load import LoadEngine, Target
from lutcore.hdl.core.sequencer import Sequencer, queued_layout
from lutcore.hdl.core.store import StoreEngine
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BITS,
    EDGES,
    QUEUE_DEPTH,
    SIGNALS,
    WAITS,
    Cause,
    Queue,
)
from lutcore.hdl.isa.pace import PAGE_BITS
from lutcore.hdl.isa.registers import COUNTERS
from lutcore.hdl.parts.sharing import Reset


def core_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`Core`."""
    pages = ADDRESS_BITS - PAGE_BITS
    program = data.StructLayout({"address": ADDRESS_BITS, "length": 32})
    members = {
        "programs": In(stream.Signature(program)),
        "cancel": In(1),  # end the program
        "window_low": In(pages),  # first page of 4 KiB that transfers may touch
        "window_high": In(pages + 1),  # first page above those that transfers may touch
        "busy": Out(1),
        "cause": Out(Cause),
        "address": Out(ADDRESS_BITS),
        "counts": Out(len(COUNTERS)),
    }
    return wiring.Signature(
        members | read_members(config.bus_bits) | write_members(config.bus_bits)
    )


class Core(wiring.Component):
    """A LUT tensor core between streams.

    Parameters
    ----------
    config : CoreConfig
        One that :func:`~lutcore.hdl.config.rules.check_core` takes.

    Members
    -------
    programs : In stream
        ``address`` in memory and ``length`` in instructions; taken when the last one has ended.
    cancel : In
        End the program.
    window_low : In
        First page of 4 KiB that transfers may touch; stays while a program runs.
    window_high : In
        First page above those that transfers may touch; stays while a program runs.
    busy : Out
        A program runs.
    cause : Out
        Why the last program ended, from when ``busy`` falls.
    address : Out
        Byte address of the instruction or transfer at fault, from when ``busy`` falls.
    counts : Out, a bit for each of :data:`~lutcore.hdl.isa.registers.COUNTERS`
        What happens in this cycle: counters of the host that count it.
    reads, words : of :func:`~lutcore.hdl.bus.axi.read_members`
    writes, written, answers : of :func:`~lutcore.hdl.bus.axi.write_members`

    Raises
    ------
    InputError
        (a :class:`ValueError`) where no core can be built from the configuration.
    """

    def __init__(self, config: CoreConfig):
        check_core(config)
        self.config = config
        super().__init__(core_signature(config))

    def elaborate(self, platform: object) -> Module:
        """Sequencer, queues, engines and buffers."""
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = Sequencer(config)
        clear = sequencer.clear
        engines = {
            Queue.LOAD: LoadEngine(config),
            Queue.COMPUTE: ComputeEngine(config),
            Queue.STORE: StoreEngine(config),
        }
        for kind, engine in engines.items():
            m.submodules[kind.value] = Reset(clear, engine)
        load, compute, store = engines.values()
        self._queues(m, sequencer, engines)
        self._buffers(m, sequencer, load, compute, store)
        for names, engine in ((read_members, load), (write_members, store)):
            for name in names(config.bus_bits):
                connect(m, wiring.flipped(getattr(self, name)), getattr(engine, name))
        program = Signal(ADDRESS_BITS)  # byte address in memory of the program that runs
        length = Signal(32)  # instructions of the program that runs
        m.d.comb += [
            self.programs.ready.eq(~sequencer.busy),
            sequencer.start.eq(self.programs.valid),
            sequencer.abort.eq(self.cancel),
            sequencer.program.eq(program),
            sequencer.length.eq(length),
            self.busy.eq(sequencer.busy),
            self.cause.eq(sequencer.cause),
            self.address.eq(sequencer.address),
            sequencer.fault.eq(load.fault.valid | store.fault.valid),
            sequencer.fault_cause.eq(Mux(load.fault.valid, load.fault.cause, store.fault.cause)),
            sequencer.fault_address.eq(
                Mux(load.fault.valid, load.fault.address, store.fault.address)
            ),
        ]
        with m.If(self.programs.valid & self.programs.ready):
            m.d.sync += [
                program.eq(self.programs.payload.address),
                length.eq(self.programs.payload.length),
            ]
        for engine in (load, store):
            m.d.comb += [
                engine.window_low.eq(self.window_low),
                engine.window_high.eq(self.window_high),
                engine.stop.eq(sequencer.stop),
            ]
        counts = {
            "cycles": sequencer.busy,
            "slices": compute.slice,
            "instructions": sequencer.executed,
            "read_beats": load.beat,
            "write_beats": store.beat,
            "wait_load": self._waiting[0],
            "wait_store": self._waiting[1],
            "wait_tile": compute.stalled,
        }
        m.d.comb += self.counts.eq(Cat(counts[name] for name in COUNTERS))
        return m

    def _queues(self, m: Module, sequencer: Sequencer, engines: dict) -> None:
        """Queues between sequencer and engines, and the tokens that order them."""
        # tokens that the first engine has given and the second has not taken
        tokens = [Signal(32, name=f"tokens_{edge.replace('-', '_')}") for edge in EDGES]
        load, compute, store = engines.values()
        streams = {
            Queue.LOAD: (sequencer.loads, load.loads),
            Queue.COMPUTE: (sequencer.lmmas, compute.lmmas),
            Queue.STORE: (sequencer.stores, store.stores),
        }
        given = {
            Queue.LOAD: [load.done],
            Queue.COMPUTE: [compute.signal_load, compute.signal_store],
            Queue.STORE: [store.done],
        }
        takes: dict[int, Value] = {}
        gives: dict[int, Value] = {
            edge: signal
            for kind, signals in given.items()
            for (_, edge), signal in zip(SIGNALS[kind], signals, strict=True)
        }
        halted, vacant = [], []
        self._waiting = []
        for kind, (source, sink) in streams.items():
            layout = queued_layout(kind)
            queue = SyncFIFO(width=layout.size, depth=QUEUE_DEPTH)
            m.submodules[f"{kind.value}_queue"] = Reset(sequencer.clear, queue)
            # first of the queue, and the tokens that it takes
            head = Signal(layout, name=f"{kind.value}_head")
            missing = [
                head.waits[i] & (tokens[edge] == 0) for i, (_, edge) in enumerate(WAITS[kind])
            ]
            # the first of the queue waits for a token
            blocked = Signal(name=f"{kind.value}_blocked")
            taken = Signal(name=f"{kind.value}_taken")  # the engine takes the first of the queue
            m.d.comb += [
                queue.w_data.eq(source.payload),
                queue.w_en.eq(source.valid),
                source.ready.eq(queue.w_rdy),
                head.eq(queue.r_data),
                blocked.eq(Cat(*missing).any()),
                sink.payload.eq(head.operands),
                sink.valid.eq(queue.r_rdy & ~blocked & ~sequencer.stop),
                taken.eq(sink.valid & sink.ready),
                queue.r_en.eq(taken),
            ]
            for i, (_, edge) in enumerate(WAITS[kind]):
                takes[edge] = taken & head.waits[i]
            if kind is Queue.COMPUTE:
                self._waiting = [queue.r_rdy & bit for bit in missing]
            halted.append(sequencer.stop | ~queue.r_rdy | blocked)
            vacant.append(~queue.r_rdy)
        for edge, counter in enumerate(tokens):
            _count_tokens(m, sequencer, edge, counter, gives[edge], takes[edge])
        # An engine that was stopped with work inside only has to be quiet on the bus.
        idle = Cat(load.idle, compute.idle | sequencer.stop, store.idle).all()
        m.d.comb += [
            sequencer.still.eq(idle & Cat(*halted).all()),
            sequencer.empty.eq(Cat(*vacant).all()),
        ]

    def _buffers(self, m: Module, sequencer: Sequencer, load, compute, store) -> None:
        """Buffers between load and compute, and between compute and store."""
        config = self.config
        bus = config.bus_bits
        step = config.depth * config.activation_bits
        banks = [
            make_buffer(bus, step, config.activation_buffer // config.m) for _ in range(config.m)
        ]
        single = {
            Target.WEIGHTS: make_buffer(bus, config.slice_bits, config.weight_buffer),
            Target.SCALES: make_buffer(bus, config.drain_columns * 32, config.scale_buffer),
            Target.PROGRAM: make_buffer(bus, BITS, config.program_buffer * BITS // 8),
        }
        enables = {
            target: load.write_enable.bit_select(Const(target.value, 2), 1) for target in Target
        }
        for row, bank in enumerate(banks):
            m.submodules[f"activations_{row}"] = bank
            mine = enables[Target.ACTIVATIONS] & (load.write_bank == row)
            m.d.comb += [
                bank.write_enable.eq(mine),
                bank.read_enable.eq(compute.act_enable),
                bank.read_address.eq(compute.act_address),
            ]
        for target, buffer in single.items():
            m.submodules[target.name.lower()] = buffer
            m.d.comb += buffer.write_enable.eq(enables[target])
        for buffer in (*banks, *single.values()):
            m.d.comb += [
                buffer.write_address.eq(load.write_address),
                buffer.write_data.eq(load.write_data),
            ]
        m.d.comb += compute.act_data.eq(Cat(bank.read_data for bank in banks))
        readers = {
            Target.WEIGHTS: (compute.wgt_enable, compute.wgt_address, compute.wgt_data),
            Target.SCALES: (compute.scale_enable, compute.scale_address, compute.records),
            Target.PROGRAM: (
                sequencer.fetch_enable,
                sequencer.fetch_address,
                sequencer.fetch_data,
            ),
        }
        for target, (enable, address, found) in readers.items():
            buffer = single[target]
            m.d.comb += [
                buffer.read_enable.eq(enable),
                buffer.read_address.eq(address),
                found.eq(buffer.read_data),
            ]
        m.submodules.sums = sums = SumBuffer(config)
        m.d.comb += [
            sums.write_enable.eq(compute.write_enable),
            sums.write_address.eq(compute.write_address),
            sums.write_data.eq(compute.write_data),
            sums.read_address.eq(compute.read_address),
            compute.read_data.eq(sums.read_data),
            sums.store_enable.eq(store.read_enable),
            sums.store_address.eq(store.read_address),
            store.read_data.eq(sums.store_data),
        ]


def _count_tokens(
    m: Module, sequencer: Sequencer, edge: int, counter: Signal, give: Value, take: Value
) -> None:
    """Tokens of an edge: engines give and take one at a time, the program gives many."""
    credit = sequencer.credit & (sequencer.credit_edge == edge)
    extra = Mux(credit, sequencer.credit_count, 0)
    m.d.sync += counter.eq(counter + give - take + extra)
    with m.If(sequencer.clear):
        m.d.sync += counter.eq(0)
