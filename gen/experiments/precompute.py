"""The operator that finds scales and makes tables for all columns, as one component."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.blocks import Aligner, ExponentKeys, MagnitudeKeys, TableRounder
from lutcore.hdl.tile.tables import TableBuilder, tables_layout


class Precompute(wiring.Component):
    """Scales and tables of a step, a stage each (paper, section 3.1.1), for measuring.

    Members
    -------
    activations : In, ``[m][depth]`` bit patterns
    exponents : In, ``[m]`` as of :class:`~lutcore.hdl.tile.blocks.ExponentKeys`, the greatest of
    the run
    magnitudes : In, ``[m]`` as of :class:`~lutcore.hdl.tile.blocks.MagnitudeKeys`, only of int8
    tables
    keys : Out
        Of the step itself, for finding the greatest.
    scales, tables : Out
        Three cycles later, of int8 tables four.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._int8 = config.table == "int8"
        row = data.ArrayLayout(config.activation_bits, config.depth)
        self._keys = ExponentKeys(config)
        self.aligner = Aligner(config)
        members = {
            "activations": In(data.ArrayLayout(row, config.m)),
            "exponents": In(self._keys.keys.shape()),
            "keys": Out(len(self._keys.keys.as_value())),
            "scales": Out(len(self.aligner.scales.as_value())),
            "tables": Out(tables_layout(config, config.stored_bits)),
        }
        if self._int8:
            self._magnitudes = MagnitudeKeys(config)
            self._rounder = TableRounder(config)
            shape = self._magnitudes.keys.shape()
            members |= {"magnitudes": In(shape), "step_magnitudes": Out(shape)}
            members["shifts"] = Out(self._rounder.shifts.shape())
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Align, build, round."""
        m = Module()
        config = self._config

        def held(name: str, value: Any) -> Signal:
            register = Signal(len(value), name=name, reset_less=True)
            m.d.sync += register.eq(value)
            return register

        m.submodules.keys = keys = self._keys
        m.submodules.aligner = aligner = self.aligner
        m.submodules.builder = builder = TableBuilder(config)
        values = held("values", aligner.values.as_value())
        tables = held("built", builder.tables.as_value())
        m.d.comb += [
            keys.activations.eq(self.activations),
            self.keys.eq(held("step_keys", keys.keys.as_value())),
            aligner.activations.eq(self.activations),
            aligner.keys.eq(self.exponents),
            self.scales.eq(held("scales", aligner.scales.as_value())),
            builder.activations.as_value().eq(values),
        ]
        if self._int8:
            m.submodules.magnitudes = magnitudes = self._magnitudes
            m.submodules.rounder = rounder = self._rounder
            m.d.comb += [
                magnitudes.values.as_value().eq(values),
                self.step_magnitudes.as_value().eq(held("found", magnitudes.keys.as_value())),
                rounder.tables.as_value().eq(tables),
                rounder.keys.eq(self.magnitudes),
                self.shifts.as_value().eq(held("shifts", rounder.shifts.as_value())),
            ]
            tables = held("rounded", rounder.rounded.as_value())
        m.d.comb += self.tables.as_value().eq(tables)
        return m
