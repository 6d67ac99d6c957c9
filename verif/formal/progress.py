"""The sequencer never hangs: where nothing moves, its program goes on or ends."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.sequencer import Sequencer, State
from lutcore.hdl.isa.lmma import ADDRESS_BITS, BITS, LOOP_DEPTH, Cause
from lutcore.hdl.isa.pace import QUIET
from lutcore.verif.formal.harness import Harness, opened

_STREAMS = ("loads", "lmmas", "stores")


class ProgressProperties(Harness):
    """Any instructions, and engines that do anything.

    What has moved is seen from outside: an instruction was executed, the state has changed, or an
    engine or queue was not still.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "program": In(ADDRESS_BITS),
                "length": In(32),
                "abort": In(1),
                "still": In(1),
                "empty": In(1),
                "fault": In(1),
                "fault_cause": In(Cause),
                "fault_address": In(ADDRESS_BITS),
                "fetch_data": In(BITS),
                **{f"{name}_ready": In(1) for name in _STREAMS},
            }
        )

    def describe(self, m: Module) -> None:
        """The sequencer, and how long nothing has moved."""
        block = Sequencer(self._config)
        inside = opened(m, block)
        for port in self.signature.members:
            stream = port.removesuffix("_ready")
            sink = getattr(block, stream).ready if stream in _STREAMS else getattr(block, port)
            m.d.comb += sink.eq(getattr(self, port))
        state = Value.cast(inside["state"])
        self._assume(m, block, state)
        self._progress(m, block, state, inside["quiet"], inside["stop"])
        self._order(m, block, state, inside)

    def _assume(self, m: Module, block: Sequencer, state: Value) -> None:
        began, before = Signal(), Signal(32)
        m.d.sync += [began.eq(block.busy), before.eq(self.length)]
        sentence = "a program's length stays while it runs"
        self.assume(m, sentence, self.length == before, when=block.busy & began)
        self.assume(
            m,
            "the load of a program waits for no token: where all is still, it was taken",
            self.empty,
            when=self.still & (state == State.FETCHING),
        )

    def _progress(
        self, m: Module, block: Sequencer, state: Value, quiet: Value, stop: Value
    ) -> None:
        """At most QUIET cycles pass without any of what counts as moving."""
        state_before, stop_before = Signal(len(state)), Signal()
        executed, still_before = Signal(), Signal()
        since = Signal(range(QUIET + 2), name="since")  # cycles since something moved
        m.d.sync += [
            state_before.eq(state),
            stop_before.eq(stop),
            executed.eq(block.executed),
            still_before.eq(self.still),
        ]
        moved = (state != state_before) | (stop != stop_before) | executed | ~still_before
        idle = state == State.IDLE
        now = Signal.like(since, name="unmoved")
        m.d.comb += now.eq(Mux(moved | idle, 0, since + 1))
        m.d.sync += since.eq(now)
        self.hold(m, "it is quiet for as long as nothing has moved", now <= quiet, when=~idle)
        sentence = f"what is still for {QUIET} cycles goes on in the next, or ends"
        self.hold(m, sentence, quiet <= QUIET)
        self.hold(m, "nothing is still for longer", now <= QUIET)
        self._deadlock(m, block, state, quiet, stop)
        self.happen(m, "an instruction is executed", self.happened(m, block.executed))

    def _deadlock(
        self, m: Module, block: Sequencer, state: Value, quiet: Value, stop: Value
    ) -> None:
        """What waits is given up after QUIET cycles without any movement, and not before."""
        calm, calm_before = Signal(len(quiet), name="calm"), Signal(len(quiet))
        told, waited, failed = Signal(name="told"), Signal(name="waited"), Signal(name="failed")
        deadlock = block.cause == Cause.DEADLOCK
        offered = block.loads.valid | block.lmmas.valid | block.stores.valid
        waits = (state == State.EXECUTE) & offered & ~block.executed & (quiet == QUIET)
        m.d.sync += [
            calm.eq(Mux(self.still & ~block.executed, Mux(calm >= QUIET, QUIET, calm + 1), 0)),
            calm_before.eq(calm),
            told.eq(deadlock),
            failed.eq(self.fault),
            waited.eq(waits & ~stop & ~self.fault & ~self.abort),
        ]
        right = (quiet <= calm) & (calm <= QUIET)
        self.hold(m, "nothing counts as still that is not", right)
        sentence = f"a deadlock is told after {QUIET} cycles without movement, not before"
        self.hold(m, sentence, calm_before == QUIET, when=deadlock & ~told & ~failed)
        sentence = "what waits for room that does not come ends its program as a deadlock"
        self.hold(m, sentence, deadlock, when=waited)
        self.happen(m, "a program that can do no more ends", deadlock & waited)

    def _order(self, m: Module, block: Sequencer, state: Value, inside: dict[str, Signal]) -> None:
        """Only a program's own instructions are executed, in states that there are."""
        self.hold(m, "the state is one of those", state <= State.DRAIN)
        depth = inside["depth"]
        self.hold(m, f"at most {LOOP_DEPTH} loops are open", depth <= LOOP_DEPTH)
        within = inside["pc"] < self.length
        sentence = "only instructions of the program are executed"
        self.hold(m, sentence, within, when=state == State.EXECUTE)
