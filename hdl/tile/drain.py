"""From accumulators to the result stream, while the next run is being summed."""

import functools
import operator

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.pieces import captured
from lutcore.hdl.tile.blocks import scale_layout
from lutcore.hdl.tile.tables import number


def results_layout(config: CoreConfig, dot_bits: int) -> data.StructLayout:
    """One result beat: ``dot[m][drain_columns]``, ``row_sum[m]`` and ``last`` beat of the run.

    Before ``last``, ``scale[m]`` where results are block-scaled
    (:func:`~lutcore.hdl.tile.blocks.scale_layout`).
    """
    row = data.ArrayLayout(number(config, dot_bits), config.drain_columns)
    fields: dict = {
        "dot": data.ArrayLayout(row, config.m),
        "row_sum": data.ArrayLayout(number(config, config.row_sum_bits), config.m),
    }
    if config.block_scaled:
        fields["scale"] = data.ArrayLayout(scale_layout(config), config.m)
    return data.StructLayout(fields | {"last": 1})


def zero_points_layout(config: CoreConfig) -> data.ArrayLayout:
    """Zero points z'' of one result beat: ``[zero_point_lanes]`` signed, first column lowest."""
    return data.ArrayLayout(signed(config.zero_point_bits), config.zero_point_lanes)


def lanes(m: Module, packed: Value, bits: int, name: str) -> list[Value]:
    """Signed fields of ``packed``, lowest first.

    Through one flat signal: Amaranth's time for a slice of a slice grows with the outer width.
    """
    flat = Signal(len(packed), name=name)  # fields of equal width, the first one lowest
    m.d.comb += flat.eq(packed)
    return [flat[low : low + bits].as_signed() for low in range(0, len(packed), bits)]


class DrainLane(wiring.Component):
    """Copies of every ``drain_columns``-th column's accumulators, while the next run is summed.

    Members
    -------
    accumulators : In, ``[drain_beats][m]`` numbers of ``accumulator_bits``
        Accumulators of the lane's columns.
    capture : In
        Copy the accumulators at the end of this cycle.
    select : In, one-hot of ``drain_beats``
        Beat whose copies ``dots`` shows; zeros where there is none.
    dots : Out, ``[m]`` numbers of ``accumulator_bits``
        Copies of the selected beat's column.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        column = data.ArrayLayout(number(config, config.accumulator_bits), config.m)
        super().__init__(
            {
                "accumulators": In(data.ArrayLayout(column, config.drain_beats)),
                "capture": In(1),
                "select": In(config.drain_beats),
                "dots": Out(column),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Registers with a common enable, and an AND-OR."""
        m = Module()
        shown: list[Value] = []
        for beat in range(self._config.drain_beats):
            value = self.accumulators[beat].as_value()
            held = captured(m, value, self.capture, f"{beat}")
            shown.append(held & self.select[beat].replicate(len(held)))
        if len(shown) == 1:  # nobody looks at results that are not valid
            shown = [held]
        m.d.comb += self.dots.as_value().eq(functools.reduce(operator.or_, shown))
        return m


class Drain(wiring.Component):
    """Has finished runs captured, and their results sent beat by beat.

    Members
    -------
    done : In
        A run's accumulators are final from this cycle until they are captured.
    free : Out
        A run that finishes next can be captured at once.
    capture : Out
        Accumulators and row sums are copied at the end of this cycle.
    select : Out, one-hot of ``drain_beats``
        Beat that is sent.
    valid : Out
        A result beat is offered.
    ready : In
        The result beat is taken, if valid.
    last : Out
        The result beat is the last one of its run.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "done": In(1),  # a run's accumulators are final
                "free": Out(1),  # a run that finishes next can be captured at once
                "capture": Out(1),  # accumulators and row sums are copied at the end of this cycle
                "select": Out(config.drain_beats),  # beat that is sent, one-hot; 0 for none
                "valid": Out(1),
                "ready": In(1),
                "last": Out(1),  # the result beat is the last one of its run
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Step through the beats."""
        m = Module()
        waiting = Signal()  # a finished run is still to be captured
        sent = self.valid & self.ready
        pending = self.done | waiting
        m.d.comb += [
            self.last.eq(self.select[-1]),
            self.valid.eq(self.select.any()),
            self.free.eq(~self.valid | (sent & self.last)),
            self.capture.eq(pending & self.free),
        ]
        m.d.sync += waiting.eq(pending & ~self.capture)
        with m.If(self.capture):
            m.d.sync += self.select.eq(1)
        with m.Elif(sent):
            m.d.sync += self.select.eq(self.select << 1)
        return m


class ZeroPoints(wiring.Component):
    """Subtracts zero points: ``P = scale * D - z'' R`` (:class:`~lutcore.hdl.config.forms.Form`),
    registered.

    Members
    -------
    raw : In stream, :func:`results_layout` of ``accumulator_bits``
        Result beats of D and R.
    zero_points : In stream, :func:`zero_points_layout`
        Zero points z'', one beat for every result beat.
    results : Out stream, :func:`results_layout` of ``dot_bits``
        Result beats of P and R.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "raw": In(stream.Signature(results_layout(config, config.accumulator_bits))),
                "zero_points": In(stream.Signature(zero_points_layout(config))),
                "results": Out(stream.Signature(results_layout(config, config.dot_bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join the two streams; a row has one small multiplier for each zero point of a beat."""
        m = Module()
        config = self._config
        free = ~self.results.valid | self.results.ready
        taken = self.raw.valid & self.zero_points.valid & free
        m.d.comb += [
            self.raw.ready.eq(self.zero_points.valid & free),
            self.zero_points.ready.eq(self.raw.valid & free),
        ]
        raw = self.raw.payload
        raw_dots = lanes(m, raw.dot.as_value(), config.accumulator_bits, "raw_dots")
        zero_points = lanes(
            m, self.zero_points.payload.as_value(), config.zero_point_bits, "zero_point"
        )
        corrections = []
        for row in range(config.m):
            for lane, zero_point in enumerate(zero_points):
                width = config.zero_point_bits + config.row_sum_bits
                # correction z'' R, which is subtracted
                correction = Signal(signed(width), name=f"correction_{row}_{lane}")
                m.d.comb += correction.eq(zero_point * raw.row_sum[row])
                corrections.append(correction)
        share = config.drain_columns // config.zero_point_lanes
        dots, differences = [], []
        for i, raw_dot in enumerate(raw_dots):
            row, column = divmod(i, config.drain_columns)
            name = f"result_{row}_{column}"
            # P of this row and column
            dots.append(Signal(signed(config.dot_bits), name=name, reset_less=True))
            differences.append(config.form.scale * raw_dot - corrections[i // share])
        # Everything but the dots passes unchanged.
        rest = raw.as_value()[len(raw.dot.as_value()) :]
        # row sums and what else a beat has
        passed = Signal(len(rest), name="passed", reset_less=True)
        with m.If(free):
            m.d.sync += self.results.valid.eq(taken)
        with m.If(taken):
            m.d.sync += [
                *(dot.eq(difference) for dot, difference in zip(dots, differences, strict=True)),
                passed.eq(rest),
            ]
        m.d.comb += self.results.payload.as_value().eq(Cat(*dots, passed))
        return m
