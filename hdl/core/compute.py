"""The compute engine: an ``lmma`` becomes table builds, weight slices and epilogue beats."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.epilogue import OPTIONS, Epilogue, sum_members
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import ADDRESS_BITS
from lutcore.hdl.isa.pace import AHEAD
from lutcore.hdl.parts.pieces import forward, parts
from lutcore.hdl.tile.frontend import activations_layout
from lutcore.hdl.tile.tile import Tile, weights_layout


def lmma_layout() -> data.StructLayout:
    """An ``lmma`` as decoded (:mod:`lutcore.hdl.isa.lmma`)."""
    local = ("act", "wgt", "scale", "acc")
    return data.StructLayout(
        {"m": 12, "n": 16, "k": 12, "bits": 4} | dict.fromkeys(local, ADDRESS_BITS) | OPTIONS
    )


def _walk_layout() -> data.StructLayout:
    return data.StructLayout(
        {"blocks": 12, "tiles": 16, "steps": 12, "planes": 4, "base": ADDRESS_BITS}
    )


class ActivationFeeder(wiring.Component):
    """Reads the activations of one ``lmma`` after the other, step by step.

    Members
    -------
    walks : In stream
        Blocks of rows, their steps, and where they start; ``tiles`` and ``planes`` do not count.
    read_enable : Out
        Read all banks of the activation buffer.
    read_address : Out
        Byte address in each bank of the activation buffer.
    read_data : In
        One step of activations, bank 0 lowest; one cycle later.
    steps : Out stream, :func:`~lutcore.hdl.tile.frontend.activations_layout`
        Activations for the tile, step by step.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "walks": In(stream.Signature(_walk_layout())),
                "read_enable": Out(
                    1
                ),  # there is a next step, and the one in front of the tile moves on
                "read_address": Out(ADDRESS_BITS),
                "read_data": In(config.m * config.depth * config.activation_bits),
                "steps": Out(stream.Signature(activations_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The memory's output register is the stage in front of the tile."""
        m = Module()
        config = self._config
        step_bytes = Units.of(config).step
        bus_bytes = config.bus_bits // 8
        head = Signal(_walk_layout())  # sizes of the walk over steps that is under way
        active = Signal()  # steps of a walk are still to be read
        free = Signal()  # the step in front of the tile moves on, or there is none
        valid = Signal()  # a step is in front of the tile
        last = Signal()  # the step in front of the tile is the last one of its run
        place = Signal(ADDRESS_BITS)  # byte address in each bank of the step that is read
        after = Signal(ADDRESS_BITS)  # byte address of the step after the one that is read
        step = Signal(12)  # steps of the run that are not read, this one included
        blocks = Signal(12)  # blocks of rows that are not all read, this one included
        ends = Signal()  # the step is the last one of its run
        ends_all = Signal()  # the step is the last one of the walk
        m.d.comb += [
            free.eq(~valid | self.steps.ready),
            self.read_enable.eq(free & active),
            self.read_address.eq(place),
            after.eq(place + step_bytes),
            ends.eq(step == 1),
            ends_all.eq(ends & (blocks == 1)),
            self.walks.ready.eq(~active | (free & ends_all)),
            self.steps.valid.eq(valid),
            self.steps.payload.values.eq(self.read_data),
            self.steps.payload.last.eq(last),
        ]
        with m.If(free):
            m.d.sync += [valid.eq(active), last.eq(ends)]
        with m.If(free & active):
            m.d.sync += [place.eq(after), step.eq(step - 1)]
            with m.If(ends):
                # The next block of rows starts at a bus word.
                m.d.sync += [
                    place.eq((after + bus_bytes - 1) & ~(bus_bytes - 1)),
                    step.eq(head.steps),
                    blocks.eq(blocks - 1),
                ]
        with m.If(self.walks.ready):
            m.d.sync += [
                active.eq(self.walks.valid),
                head.eq(self.walks.payload),
                place.eq(self.walks.payload.base),
                step.eq(self.walks.payload.steps),
                blocks.eq(self.walks.payload.blocks),
            ]
        return m


class _SliceWalk:
    """Where the walk over the slices of an ``lmma`` is, and whether a counter is at its end."""

    def __init__(self) -> None:
        self.head = Signal(_walk_layout())  # sizes of the walk over slices that is under way
        self.active = Signal()  # slices of a walk are still to be read
        # byte address in the weight buffer of the slice that is read
        self.place = Signal(ADDRESS_BITS)
        self.after = Signal(ADDRESS_BITS)  # byte address of the slice after the one that is read
        self.inner = Signal(12)  # plane of the step; step of the plane where accumulators double
        self.outer = Signal(12)  # step of the run; planes that are done where accumulators double
        self.tiles = Signal(16)  # tiles of columns that are not all read, this one included
        self.blocks = Signal(12)  # blocks of rows that are not done, this one included
        self.ends_inner = Signal()  # the slice is the last one of its step, or plane
        self.last = Signal()  # the slice is the last one of its run
        self.last_tile = Signal()  # the slice is the last one of its block of rows
        self.last_all = Signal()  # the slice is the last one of the walk


class SliceFeeder(wiring.Component):
    """Reads the weight slices of one ``lmma`` after the other.

    Members
    -------
    walks : In stream
        Blocks of rows, tiles of columns, steps, planes, and where the slices start.
    read_enable : Out
        Read the weight buffer.
    read_address : Out
        Byte address in the weight buffer.
    read_data : In
        One slice of weight indices, one cycle later.
    slices : Out stream, :func:`~lutcore.hdl.tile.tile.weights_layout`
        Slices for the tile, and what it does with each.
    idle : Out
        No slice is to be read, and none waits.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "walks": In(stream.Signature(_walk_layout())),
                "read_enable": Out(
                    1
                ),  # there is a next slice, and the one in front of the tile moves on
                "read_address": Out(ADDRESS_BITS),
                "read_data": In(config.slice_bits),
                "slices": Out(stream.Signature(weights_layout(config))),
                "idle": Out(1),  # no slice is to be read, and none waits
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Nested counters: planes and steps, in tiles, in blocks of rows."""
        m = Module()
        at = _SliceWalk()
        free = Signal()  # the slice in front of the tile moves on, or there is none
        valid = Signal()  # a slice is in front of the tile
        # Steps and the planes in them, or planes from the highest and their steps.
        inners, outers = at.head.planes, at.head.steps
        plane, step = at.inner, at.outer
        if self._config.doubles:
            inners, outers = outers, inners
            plane, step = outers - 1 - at.outer, at.inner
        m.d.comb += [
            free.eq(~valid | self.slices.ready),
            self.read_enable.eq(free & at.active),
            self.read_address.eq(at.place),
            at.after.eq(at.place + self._config.slice_bits // 8),
            at.ends_inner.eq(at.inner == inners - 1),
            at.last.eq(at.ends_inner & (at.outer == outers - 1)),
            at.last_tile.eq(at.last & (at.tiles == 1)),
            at.last_all.eq(at.last_tile & (at.blocks == 1)),
            self.walks.ready.eq(~at.active | (free & at.last_all)),
        ]
        self._show(m, at, free, valid, plane, step)
        with m.If(free & at.active):
            self._advance(m, at)
        with m.If(self.walks.ready):
            walk = self.walks.payload
            m.d.sync += [
                at.active.eq(self.walks.valid),
                at.head.eq(walk),
                at.place.eq(walk.base),
                at.inner.eq(0),
                at.outer.eq(0),
                at.tiles.eq(walk.tiles),
                at.blocks.eq(walk.blocks),
            ]
        return m

    def _show(
        self, m: Module, at: _SliceWalk, free: Signal, valid: Signal, plane: Value, step: Value
    ) -> None:
        """The slice as it comes out of memory, and beside it what to do with it."""
        payload = self.slices.payload
        # what the tile does with the slice that is in front of it
        control = Signal(
            data.StructLayout({"plane": 4, "step": 12, "first": 1, "last": 1, "release": 1})
        )
        m.d.comb += [
            self.slices.valid.eq(valid),
            payload.index.as_value().eq(self.read_data),
            payload.plane.eq(control.plane),
            payload.step.eq(control.step),
            payload.first.eq(control.first),
            payload.last.eq(control.last),
            payload.release.eq(control.release),
            self.idle.eq(~at.active & ~valid),
        ]
        with m.If(free):
            m.d.sync += [
                valid.eq(at.active),
                control.plane.eq(plane),
                control.step.eq(step),
                control.first.eq((at.inner == 0) & (at.outer == 0)),
                control.last.eq(at.last),
                control.release.eq(at.last_tile),
            ]

    def _advance(self, m: Module, at: _SliceWalk) -> None:
        """On to the next slice; each counter that ends moves the one around it."""
        bus_bytes = self._config.bus_bits // 8
        m.d.sync += [at.place.eq(at.after), at.inner.eq(at.inner + 1)]
        with m.If(at.ends_inner):
            m.d.sync += [at.inner.eq(0), at.outer.eq(at.outer + 1)]
        with m.If(at.last):
            # The next tile's slices start at a bus word.
            m.d.sync += [
                at.outer.eq(0),
                at.tiles.eq(at.tiles - 1),
                at.place.eq((at.after + bus_bytes - 1) & ~(bus_bytes - 1)),
            ]
        with m.If(at.last_tile):
            m.d.sync += [
                at.tiles.eq(at.head.tiles),
                at.blocks.eq(at.blocks - 1),
                at.place.eq(at.head.base),
            ]


class ComputeEngine(wiring.Component):
    """Executes ``lmma`` on a tile.

    Members
    -------
    lmmas : In stream, :func:`lmma_layout`
        Products to be computed: their sizes, where operands and sums lie, how they add.
    act_enable : Out
        Read all banks of the activation buffer.
    act_address : Out
        Byte address in each bank of the activation buffer.
    act_data : In
        One step of activations, bank 0 lowest; one cycle later.
    wgt_enable : Out
        Read the weight buffer.
    wgt_address : Out
        Byte address in the weight buffer.
    wgt_data : In
        One slice of weight indices, one cycle later.
    scale_enable, scale_address, records : as :class:`~lutcore.hdl.core.epilogue.Epilogue`
    read_address, read_data : as :class:`~lutcore.hdl.core.epilogue.Epilogue`
    write_enable, write_address, write_data : as :class:`~lutcore.hdl.core.epilogue.Epilogue`
    signal_load, signal_store : as :class:`~lutcore.hdl.core.epilogue.Epilogue`
    idle : Out
        Nothing is under way.
    slice : Out
        A weight slice enters the tile.
    stalled : Out
        A weight slice waits for the tile.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "lmmas": In(stream.Signature(lmma_layout())),
                "act_enable": Out(1),
                "act_address": Out(ADDRESS_BITS),
                "act_data": In(config.m * config.depth * config.activation_bits),
                "wgt_enable": Out(1),
                "wgt_address": Out(ADDRESS_BITS),
                "wgt_data": In(config.slice_bits),
                "idle": Out(1),
                "slice": Out(1),
                "stalled": Out(1),
            }
            | sum_members(config)
        )

    def elaborate(self, platform: object) -> Module:
        """Each ``lmma`` goes to three walkers, which run at their own pace."""
        m = Module()
        config = self._config
        m.submodules.tile = tile = Tile(config)
        m.submodules.activations = feeder = ActivationFeeder(config)
        m.submodules.slices = slices = SliceFeeder(config)
        m.submodules.epilogue = epilogue = Epilogue(config)
        connect(m, feeder.steps, tile.activations)
        connect(m, slices.slices, tile.weights)
        connect(m, tile.results, epilogue.results)
        walk, task = self._sizes(m)
        lmma = self.lmmas.payload
        targets = {
            "feeder": (feeder.walks, Cat(walk, lmma.act)),
            "slices": (slices.walks, Cat(walk, lmma.wgt)),
            "epilogue": (epilogue.tasks, task),
        }
        room, empty = [], []
        for name, (target, value) in targets.items():
            fifo = SyncFIFO(width=len(value), depth=AHEAD)
            m.submodules[f"{name}_queue"] = fifo
            room.append(fifo.w_rdy)
            empty.append(~fifo.r_rdy)
            m.d.comb += [
                fifo.w_data.eq(value),
                fifo.w_en.eq(self.lmmas.valid & self.lmmas.ready),
                target.payload.eq(fifo.r_data),
                target.valid.eq(fifo.r_rdy),
                fifo.r_en.eq(target.ready),
            ]
        m.d.comb += [
            self.lmmas.ready.eq(Cat(*room).all()),
            self.idle.eq(Cat(*empty).all() & slices.idle & epilogue.idle),
            self.slice.eq(tile.weights.valid & tile.weights.ready),
            self.stalled.eq(tile.weights.valid & ~tile.weights.ready),
            self.act_enable.eq(feeder.read_enable),
            self.act_address.eq(feeder.read_address),
            feeder.read_data.eq(self.act_data),
            self.wgt_enable.eq(slices.read_enable),
            self.wgt_address.eq(slices.read_address),
            slices.read_data.eq(self.wgt_data),
        ]
        for name, member in sum_members(config).items():
            forward(m, getattr(self, name), getattr(epilogue, name), member.flow)
        return m

    def _sizes(self, m: Module) -> tuple[Value, Value]:
        """An ``lmma`` counted in tiles: a walk but for its ``base``, and the epilogue's task."""
        config, lmma = self._config, self.lmmas.payload
        # Signals of their own: as parts of one struct they would look like a loop to a simulator.
        blocks = Signal(12)  # blocks of rows
        tiles = Signal(16)  # tiles of columns
        steps = Signal(12)  # steps of a run
        planes = Signal(4, init=1)  # slices of a step
        m.d.comb += [
            blocks.eq(parts(lmma.m, config.m)),
            tiles.eq(parts(lmma.n, config.columns)),
            steps.eq(parts(lmma.k, config.depth)),
        ]
        if config.form.bit_serial:
            m.d.comb += planes.eq(lmma.bits)
        options = [getattr(lmma, name) for name in OPTIONS]
        walk = Cat(blocks, tiles, steps, planes)
        return walk, Cat(blocks, tiles, lmma.scale, lmma.acc, *options)
