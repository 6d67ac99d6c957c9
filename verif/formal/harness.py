"""A block between free inputs, with what is assumed of them, what must hold, and what can happen.

Every claim is a sentence and a condition: the sentence is what reports print.
"""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from amaranth.hdl import (
    Assert,
    Assume,
    Const,
    Cover,
    Elaboratable,
    Fragment,
    Module,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.formats import FP16
from lutcore.hdl.floats.convert import FloatConverter

#: Names of the module that a harness becomes, and of the block within it.
TOP, BLOCK = "design", "dut"

#: What stands in proofs for a part of a block.
_Model = Callable[[Any], Elaboratable]
#: Input of harnesses whose claims are chosen, and its bits.
CLAIM, CLAIM_BITS = "claim", 16
#: What the name of a part ends with that stands for another, and is no design.
MODEL = "_model"


class Harness(wiring.Component):
    """Base of harnesses: free inputs are ports, a block stands between them and claims.

    A derived class calls :meth:`assume`, :meth:`hold` and :meth:`happen` while it elaborates.

    Attributes
    ----------
    assumed, claimed, covered : list of str
        Sentences, in the order of their conditions; filled by :meth:`elaborate`.
    reduced : tuple of str
        What is proved of a smaller block than the configuration's, in sentences.
    chosen : bool
        An input :data:`CLAIM` says which claim is meant, by its number: solvers decide many sums
        one by one that they do not decide at once.
    """

    reduced: tuple[str, ...] = ()
    chosen = False

    def __init__(self, ports: dict[str, wiring.Member]):
        super().__init__(ports | ({CLAIM: In(CLAIM_BITS)} if self.chosen else {}))
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
        holds = _follows(when, holds)
        if self.chosen:
            assert len(self.claimed) < 1 << CLAIM_BITS
            holds |= getattr(self, CLAIM) != len(self.claimed)
        m.d.comb += Assert(self._condition(m, "claimed", self.claimed, sentence, holds))

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
        for name, member in self._block.signature.members.items():
            if member.flow == In:
                m.d.comb += getattr(self._block, name).eq(getattr(self, name))


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


class Cut(Elaboratable):
    """In place of a part that has proofs of its own: each output is some bits of a free input."""

    def __init__(self, part: wiring.Component, anything: Value):
        self._part, self._anything = part, anything

    def elaborate(self, platform: object) -> Module:
        """Drive every output, one after the other."""
        m = Module()
        place = 0
        for _, member, port in self._part.signature.flatten(self._part):
            if member.flow == Out:
                sink = Value.cast(port)
                m.d.comb += sink.eq(self._anything[place : place + len(sink)])
                place += len(sink)
        assert place <= len(self._anything), "the free input has too few bits"
        return m


def wait_in_line(
    m: Module, entries: Sequence[Any], level: Value, new: Any, put: Value, got: Value
) -> None:
    """Registers of what waits, the first in front: ``new`` comes in behind, the first leaves.

    ``level`` of them wait; the caller counts it.
    """
    for place, entry in enumerate(entries):
        with m.If(put & (level == place + got)):
            m.d.sync += entry.eq(new)
        with m.Elif(got):
            m.d.sync += entry.eq(entries[min(place + 1, len(entries) - 1)])


class ShiftQueue(Elaboratable):
    """What a first-in first-out queue of Amaranth does, in registers that invariants can name.

    It drives the queue's own signals in its place; ``entry_0`` is what is read next. It takes
    nothing while ``full``, too: a free input makes every depth out of one.
    """

    def __init__(self, queue: SyncFIFO, full: Value | None = None):
        self._queue, self._full = queue, Const(0, 1) if full is None else full
        self.entries = [Signal(queue.width, name=f"entry_{i}") for i in range(queue.depth)]

    def elaborate(self, platform: object) -> Module:
        """Entries move on when the first is read."""
        m = Module()
        queue = self._queue
        put, got = Signal(), Signal()
        m.d.comb += [
            queue.w_rdy.eq((queue.level != queue.depth) & ~self._full),
            queue.r_rdy.eq(queue.level != 0),
            queue.r_data.eq(self.entries[0]),
            put.eq(queue.w_en & queue.w_rdy),
            got.eq(queue.r_en & queue.r_rdy),
        ]
        m.d.sync += queue.level.eq(queue.level + put - got)
        wait_in_line(m, self.entries, queue.level, queue.w_data, put, got)
        return m


def opened(
    m: Module, block: Any, name: str = BLOCK, models: Mapping[str, _Model] | None = None
) -> dict[str, Signal]:
    """Put a block into ``m``; its registers by path, for invariants of induction.

    A register of the block itself has its name, one of a part below its path, as ``bursts.here``.
    Queues of Amaranth's library are replaced by :class:`ShiftQueue`, which is proved to do the
    same (:class:`~lutcore.verif.formal.queues.QueueProperties`), converters by :class:`HalfTaker`;
    ``models`` are more, or others: name of a part's class -> what is made of such a part.
    """
    fragment = Fragment.get(block, None)
    usual: dict[str, _Model] = {"SyncFIFO": ShiftQueue, "FloatConverter": HalfTaker}
    _replace(fragment, usual | dict(models or {}))
    setattr(m.submodules, name, fragment)
    return dict(_registers(fragment, ""))


def _replace(fragment: Fragment, models: Mapping[str, _Model]) -> None:
    for place, (part, name, where) in enumerate(fragment.subfragments):
        origins = part.origins or ()
        known = [origin for origin in origins if type(origin).__name__ in models]
        model = models[type(known[0]).__name__](known[0]) if known else None
        if model:
            fragment.subfragments[place] = (Fragment.get(model, None), f"{name}{MODEL}", where)
        else:
            _replace(part, models)


def _registers(fragment: Fragment, path: str) -> Iterator[tuple[str, Signal]]:
    for domain, statements in fragment.statements.items():
        for statement in statements if domain != "comb" else ():
            for signal in statement._lhs_signals():
                yield path + signal.name, signal
    for part, name, *_ in fragment.subfragments:
        yield from _registers(part, f"{path}{name}.")
