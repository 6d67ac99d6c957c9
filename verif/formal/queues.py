"""Queues: what goes in comes out, in its order, once."""

# Amaranth carries no types: its contexts and values are opaque to pyright.
# pyright: reportGeneralTypeIssues=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false, reportCallIssue=false

from amaranth.hdl import Module, Signal
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.formal.harness import Harness, opened


class QueueProperties(Harness):
    """Amaranth's queue does what ``ShiftQueue`` does, which stands for it elsewhere."""

    def __init__(self, config: CoreConfig):
        self._depth = 4
        super().__init__({"data": In(4), "put": In(1), "get": In(1)})

    def describe(self, m: Module) -> None:
        """Both, with the same inputs."""
        queue, model = (SyncFIFO(width=4, depth=self._depth) for _ in range(2))
        m.submodules.dut = queue
        holder = Module()
        holder.submodules.queue = model
        opened(m, holder, "replaced")
        for each in (queue, model):
            m.d.comb += [
                each.w_data.eq(self.data),
                each.w_en.eq(self.put),
                each.r_en.eq(self.get),
            ]
        self.hold(m, "both take", queue.w_rdy == model.w_rdy)
        self.hold(m, "both give", queue.r_rdy == model.r_rdy)
        self.hold(m, "both hold as many", queue.level == model.level)
        self.hold(m, "both give the same", queue.r_data == model.r_data, when=model.r_rdy)
        count = Signal(4)
        with m.If(self.put & model.w_rdy & ~count.all()):
            m.d.sync += count.eq(count + 1)
        self.happen(m, "all places are taken twice", (model.level == self._depth) & (count == 8))
        self.happen(m, "empty again", (model.level == 0) & (count == self._depth + 1))
