"""A block between free inputs, with what is assumed of them, what must hold, and what can happen.

Every claim is a sentence and a condition: the sentence is what reports print.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import (
    Assert,
    Assume,
    Cover,
    Elaboratable,
    Fragment,
    Module,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In

from lutcore.hdl.config.formats import FP16
from lutcore.hdl.core.epilogue import EpilogueLane
from lutcore.hdl.floats.convert import FloatConverter

#: Names of the module that a harness becomes, and of the block within it.
TOP, BLOCK = "design", "dut"

#: What the name of a part ends with that stands for another, and is no design.
MODEL = "_model"


class Harness(wiring.Component):
    """Base of harnesses: free inputs are ports, a block stands between them and claims.

    A derived class calls :meth:`assume`, :meth:`hold` and :meth:`happen` while it elaborates.

    Attributes
    ----------
    assumed, claimed, covered : list of str
        Sentences, in the order of their conditions; filled by :meth:`elaborate`.
    """

    def __init__(self, ports: dict[str, wiring.Member]):
        super().__init__(ports)
        self.assumed: list[str] = []
        self.claimed: list[str] = []
        self.covered: list[str] = []

    def elaborate(self, platform: object) -> Module:
        """The block, and what is said of it."""
        m = Module()
        for said in (self.assumed, self.claimed, self.covered):
            said.clear()
        self.describe(m)
        return m

    def describe(self, m: Module) -> None:
        """Put the block and all claims into ``m``."""
        raise NotImplementedError

    def _condition(
        self, m: Module, kind: str, said: list[str], sentence: str, holds: Value
    ) -> Value:
        named = Signal(name=f"{kind}_{len(said)}")
        said.append(sentence)
        m.d.comb += named.eq(holds)
        return named

    def assume(self, m: Module, sentence: str, holds: Value, when: Value | None = None) -> None:
        """What drives the block keeps to this."""
        m.d.comb += Assume(
            self._condition(m, "assumed", self.assumed, sentence, _follows(when, holds))
        )

    def hold(self, m: Module, sentence: str, holds: Value, when: Value | None = None) -> None:
        """This is always so."""
        m.d.comb += Assert(
            self._condition(m, "claimed", self.claimed, sentence, _follows(when, holds))
        )

    def happen(self, m: Module, sentence: str, holds: Value) -> None:
        """This can happen: without it, what holds would say little."""
        m.d.comb += Cover(self._condition(m, "covered", self.covered, sentence, holds))

    def stays(
        self,
        m: Module,
        name: str,
        valid: Value,
        ready: Value,
        payload: Value,
        assumed: bool = False,
    ) -> Signal:
        """What is offered stays offered and unchanged until it is taken; returns that it waits.

        A claim of what the block offers, or ``assumed`` of what is offered to it.
        """
        plain = name.replace(" ", "_")
        waited = Signal(name=f"{plain}_waited")
        before = Signal(len(payload), name=f"{plain}_before")
        m.d.sync += [waited.eq(valid & ~ready), before.eq(payload)]
        sentence = f"{name}: what is offered stays, unchanged, until it is taken"
        said = self.assume if assumed else self.hold
        said(m, sentence, valid & (payload == before), when=waited)
        return waited

    def constant(self, m: Module, sentence: str, value: Value) -> None:
        """Assume that a free input never changes."""
        started, before = Signal(), Signal(len(value))
        m.d.sync += [started.eq(1), before.eq(value)]
        self.assume(m, sentence, before == value, when=started)

    def happened(self, m: Module, event: Value, times: int = 1) -> Value:
        """Whether something has happened so often in cycles before this one."""
        count = Signal(range(times + 1), name="happened")
        with m.If(event & (count != times)):
            m.d.sync += count.eq(count + 1)
        return count == times


class BlockHarness(Harness):
    """A block between free inputs that are named as its own."""

    def __init__(self, block: wiring.Component):
        self._block = block
        members = block.signature.members.items()
        super().__init__({name: member for name, member in members if member.flow == In})

    def put(self, m: Module) -> None:
        """The block, with what the harness' ports have."""
        setattr(m.submodules, BLOCK, self._block)
        for port in self.signature.members:
            m.d.comb += getattr(self._block, port).eq(getattr(self, port))


def inputs(prefix: str, signature: wiring.Signature) -> dict[str, wiring.Member]:
    """Ports for all that a flat bus gives its block, named ``prefix_name``."""
    members = signature.members.items()
    return {f"{prefix}_{name}": member for name, member in members if member.flow == In}


def drive(m: Module, harness: Harness, prefix: str, bus: Any) -> None:
    """Give a block's bus what the harness' ports of :func:`inputs` have."""
    for port in inputs(prefix, bus.signature):
        m.d.comb += getattr(bus, port.removeprefix(f"{prefix}_")).eq(getattr(harness, port))


def _follows(when: Value | None, holds: Value) -> Value:
    if when is None:
        return Value.cast(holds).any()
    return ~Value.cast(when).any() | Value.cast(holds).any()


class HalfTaker(Elaboratable):
    """In place of a converter from 32 bits to 16: FP16 is the lower half, BF16 the upper one.

    What reaches the right place is what is proved with it; conversion itself is verified against
    others' arithmetic.
    """

    def __init__(self, converter: FloatConverter):
        self._converter = converter

    def elaborate(self, platform: object) -> Module:
        """Drive the converter's result."""
        m = Module()
        converter = self._converter
        low = 0 if converter.target is FP16 else 16
        m.d.comb += converter.result.eq(converter.a[low : low + 16])
        return m


class ShiftQueue(Elaboratable):
    """What a first-in first-out queue of Amaranth does, in registers that invariants can name.

    It drives the queue's own signals in its place; ``entry_0`` is what is read next.
    """

    def __init__(self, queue: SyncFIFO):
        self._queue = queue
        self.entries = [Signal(queue.width, name=f"entry_{i}") for i in range(queue.depth)]

    def elaborate(self, platform: object) -> Module:
        """Entries move on when the first is read."""
        m = Module()
        queue = self._queue
        put, got = Signal(), Signal()
        m.d.comb += [
            queue.w_rdy.eq(queue.level != queue.depth),
            queue.r_rdy.eq(queue.level != 0),
            queue.r_data.eq(self.entries[0]),
            put.eq(queue.w_en & queue.w_rdy),
            got.eq(queue.r_en & queue.r_rdy),
        ]
        m.d.sync += queue.level.eq(queue.level + put - got)
        for place, entry in enumerate(self.entries):
            with m.If(put & (queue.level == place + got)):
                m.d.sync += entry.eq(queue.w_data)
            with m.Elif(got & (place + 1 < queue.depth)):
                m.d.sync += entry.eq(self.entries[min(place + 1, queue.depth - 1)])
        return m


def opened(m: Module, block: Any, name: str = BLOCK) -> dict[str, Signal]:
    """Put a block into ``m``; its registers by path, for invariants of induction.

    A register of the block itself has its name, one of a part below its path, as ``bursts.here``.
    Queues of Amaranth's library are replaced by :class:`ShiftQueue`, which is proved to do the
    same (:class:`~lutcore.verif.formal.queues.QueueProperties`).
    """
    fragment = Fragment.get(block, None)
    _replace(fragment)
    setattr(m.submodules, name, fragment)
    return dict(_registers(fragment, ""))


class Nothing(Elaboratable):
    """In place of a block of whose outputs nothing is claimed."""

    def __init__(self, block: object):
        pass

    def elaborate(self, platform: object) -> Module:
        """Outputs are 0."""
        return Module()


#: Blocks that harnesses replace, and by what.
_MODELS = {SyncFIFO: ShiftQueue, FloatConverter: HalfTaker, EpilogueLane: Nothing}


def _replace(fragment: Fragment) -> None:
    for place, (part, name, where) in enumerate(fragment.subfragments):
        origins = part.origins or ()
        replaced = next(((o, _MODELS[type(o)]) for o in origins if type(o) in _MODELS), None)
        if replaced:
            origin, model = replaced
            part = Fragment.get(model(origin), None)
            fragment.subfragments[place] = (part, f"{name}{MODEL}", where)
        else:
            _replace(part)


def _registers(fragment: Fragment, path: str) -> Iterator[tuple[str, Signal]]:
    for domain, statements in fragment.statements.items():
        for statement in statements if domain != "comb" else ():
            for signal in statement._lhs_signals():
                yield path + signal.name, signal
    for part, name, *_ in fragment.subfragments:
        yield from _registers(part, f"{path}{name}.")
