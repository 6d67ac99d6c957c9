"""From the activation stream to a stream of tables, and a buffer that keeps them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.blocks import (
    Aligner,
    ExponentKeys,
    MagnitudeKeys,
    RunBuffer,
    TableRounder,
    scale_layout,
)
from lutcore.hdl.tile.tables import TableBuilder, number, tables_layout


def activations_layout(config: CoreConfig) -> data.StructLayout:
    """One step of activations: ``values [m][depth]``, and ``last`` step of a run.

    ``last`` is there only where runs are buffered (``config.marks_runs``).
    """
    bits = config.activation_bits
    shape = unsigned(bits) if config.is_float else number(config, bits)
    fields: dict = {"values": data.ArrayLayout(data.ArrayLayout(shape, config.depth), config.m)}
    if config.marks_runs:
        fields["last"] = 1
    return data.StructLayout(fields)


def step_layout(config: CoreConfig) -> data.StructLayout:
    """One step of tables: ``tables``, ``scales [m]`` where block-scaled, ``last`` as above."""
    fields: dict = {"tables": tables_layout(config, config.stored_bits)}
    if config.block_scaled:
        fields["scales"] = data.ArrayLayout(scale_layout(config), config.m)
    if config.marks_runs:
        fields["last"] = 1
    return data.StructLayout(fields)


@dataclass
class _Step:
    """What is valid next, the values that go with it, and whether they end a run."""

    source: Any
    values: Value
    last: Value | None
    exponents: Sequence[Value] = ()
    invalid: Sequence[Value] = ()


class Frontend(wiring.Component):
    """Aligns, builds and rounds, as far as the configuration asks for it.

    Integers and exact floats pass straight through the table builder, in no time; alignment and
    eight-bit tables each buffer a run.

    Members
    -------
    activations : In stream, :func:`activations_layout`
        Activations, step by step.
    steps : Out stream, :func:`step_layout`
        Tables, step by step, and the run's scales where block-scaled.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "activations": In(stream.Signature(activations_layout(config))),
                "steps": Out(stream.Signature(step_layout(config))),
            }
        )

    def _buffer(self, m, platform, name, source, payload, keys, last):
        """A run buffer fed by ``source``; returns its output stream."""
        bits, width = len(payload), len(keys) // self._config.m
        buffer = add_shared(m, platform, name, name, lambda: RunBuffer(self._config, bits, width))
        m.d.comb += [
            buffer.steps.valid.eq(source.valid),
            source.ready.eq(buffer.steps.ready),
            buffer.steps.payload.payload.eq(payload),
            buffer.steps.payload.keys.as_value().eq(keys),
            buffer.steps.payload.last.eq(last),
        ]
        return buffer.results

    def elaborate(self, platform: object) -> Module:
        """Chain the stages."""
        m = Module()
        config = self._config
        payload = self.activations.payload
        last = payload.last if config.marks_runs else None
        step = _Step(self.activations, payload.values.as_value(), last)
        if config.aligned:
            step = self._align(m, platform, step)
        builder = self._add(m, platform, "table_builder", TableBuilder)
        tables = builder.tables.as_value()
        if config.table == "int8":
            step, tables = self._round(m, platform, step, builder)
        m.d.comb += [
            builder.activations.as_value().eq(step.values),
            self.steps.valid.eq(step.source.valid),
            step.source.ready.eq(self.steps.ready),
            self.steps.payload.tables.as_value().eq(tables),
        ]
        if config.marks_runs:
            m.d.comb += self.steps.payload.last.eq(step.last)
        if config.block_scaled:
            for row in range(config.m):
                m.d.comb += [
                    self.steps.payload.scales[row].exponent.eq(step.exponents[row]),
                    self.steps.payload.scales[row].invalid.eq(step.invalid[row]),
                ]
        return m

    def _add(self, m: Module, platform: object, name: str, make: Callable[..., Any]) -> Any:
        return add_shared(m, platform, name, name, lambda: make(self._config))

    def _align(self, m: Module, platform: object, step: _Step) -> _Step:
        """Activations of a run become integers of one exponent a row."""
        finder = self._add(m, platform, "exponent_keys", ExponentKeys)
        aligner = self._add(m, platform, "aligner", Aligner)
        values = step.values
        m.d.comb += finder.activations.as_value().eq(values)
        keys = finder.keys.as_value()
        source = self._buffer(m, platform, "align_buffer", step.source, values, keys, step.last)
        m.d.comb += [
            aligner.activations.as_value().eq(source.payload.payload),
            aligner.keys.eq(source.payload.keys),
        ]
        rows = range(self._config.m)
        exponents = [aligner.scales[row].exponent for row in rows]
        invalid = [aligner.scales[row].invalid for row in rows]
        return _Step(source, aligner.values.as_value(), source.payload.last, exponents, invalid)

    def _round(
        self, m: Module, platform: object, step: _Step, builder: TableBuilder
    ) -> tuple[_Step, Value]:
        """Tables of a run are rounded to eight bits, with an exponent a row more."""
        rows = range(self._config.m)
        finder = self._add(m, platform, "magnitude_keys", MagnitudeKeys)
        rounder = self._add(m, platform, "rounder", TableRounder)
        values = step.values
        m.d.comb += finder.values.as_value().eq(values)
        carried = Cat(values, *step.exponents, *step.invalid) if self._config.aligned else values
        keys = finder.keys.as_value()
        source = self._buffer(m, platform, "round_buffer", step.source, carried, keys, step.last)
        # activations and exponents of the step that leaves the buffer
        held = Signal(len(carried), name="held")
        m.d.comb += [held.eq(source.payload.payload), rounder.keys.eq(source.payload.keys)]
        shifts = [rounder.shifts[row] for row in rows]
        exponents: list[Value] = shifts
        invalid: list[Value] = [Const(0, 1) for _ in rows]
        if self._config.aligned:
            rest, width = held[len(values) :], self._config.exponent_bits
            exponents = [rest.word_select(row, width) + shifts[row] for row in rows]
            invalid = [rest[len(rows) * width + row] for row in rows]
        m.d.comb += rounder.tables.eq(builder.tables)
        step = _Step(source, held[: len(values)], source.payload.last, exponents, invalid)
        return step, rounder.rounded.as_value()


class TableBuffer(wiring.Component):
    """Keeps the tables of a run for all planes and N tiles, while those of the next arrive.

    Members
    -------
    steps : In stream, :func:`step_layout`
        Tables of the run that arrives, step by step.
    address : In
        Step of the run whose tables are shown.
    release : In
        The run is no longer needed after this cycle.
    valid : Out
        A whole run is there.
    tables : Out, :func:`step_layout`
        Tables of the step at ``address``.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        super().__init__(
            {
                "steps": In(stream.Signature(step_layout(config))),
                "address": In(range(config.run_steps)),
                "release": In(1),  # the run is no longer needed after this cycle
                "valid": Out(1),
                "tables": Out(step_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two banks, written and read in turn."""
        m = Module()
        size = self._config.run_steps
        payload = self.steps.payload.as_value()
        # tables of two runs, a word for each step
        m.submodules.memory = memory = Memory(shape=len(payload), depth=2 * size, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        full = Signal(2)  # banks that hold a whole run, a bit each
        bank_in = Signal()  # bank that is written
        bank_out = Signal()  # bank that is read
        index = Signal(range(size))  # step of the run that is written
        taken = self.steps.valid & self.steps.ready
        ends = self.steps.payload.last | (index == size - 1)
        m.d.comb += [
            self.steps.ready.eq(~full.bit_select(bank_in, 1)),
            write.en.eq(taken),
            write.addr.eq(Mux(bank_in, size, 0) + index),
            write.data.eq(payload),
            read.addr.eq(Mux(bank_out, size, 0) + self.address),
            self.valid.eq(full.bit_select(bank_out, 1)),
            self.tables.as_value().eq(read.data),
        ]
        fills = (taken & ends) << bank_in
        empties = self.release << bank_out
        m.d.sync += full.eq((full | fills) & ~empties)
        with m.If(taken):
            m.d.sync += [index.eq(Mux(ends, 0, index + 1)), bank_in.eq(bank_in ^ ends)]
        m.d.sync += bank_out.eq(bank_out ^ self.release)
        return m
