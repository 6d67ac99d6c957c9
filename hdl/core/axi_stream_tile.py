"""The tile between AXI-Streams."""

from typing import Any

from amaranth.hdl import Elaboratable, Module, Shape, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.bus.clocks import axi_clock, clocked
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.fabric.pipelined_tile import PipelinedTile
from lutcore.hdl.parts.sharing import add_shared
from lutcore.hdl.tile.tile import Tile, tile_signature


def tile_of(config: CoreConfig) -> Tile:
    """The tile of a configuration, by where its tables are."""
    return Tile(config) if config.table_storage == "mux" else PipelinedTile(config)


def bytes_layout(payload: data.Layout) -> data.StructLayout:
    """A payload, and above it zeros as ``padding`` up to a whole byte; an array as ``elements``."""
    struct = isinstance(payload, data.StructLayout)
    fields: dict[str, Any] = dict(payload.members) if struct else {"elements": payload}
    padding = -Shape.cast(payload).width % 8
    return data.StructLayout(fields | ({"padding": padding} if padding else {}))


def _ports(name: str, member: wiring.Member) -> dict[str, str]:
    """Part of an AXI-Stream -> the port of a stream of the tile."""
    prefix = "s_axis" if member.flow == In else "m_axis"
    return {part: f"{prefix}_{name}_{part}" for part in ("tvalid", "tready", "tdata", "tlast")}


def axi_stream_signature(config: CoreConfig) -> wiring.Signature:
    """Ports of :class:`AxiStreamTile`, with flat names, so that tools recognise the streams."""
    members = axi_clock()
    for name, member in tile_signature(config).members.items():
        layout = bytes_layout(member.signature.members["payload"].shape)
        forth = {"tvalid": Out(1), "tdata": Out(layout), "tlast": Out(1)}
        stream = wiring.Signature(forth | {"tready": In(1)})
        stream = stream.flip() if member.flow == In else stream
        members |= {port: stream.members[part] for part, port in _ports(name, member).items()}
    return wiring.Signature(members)


class AxiStreamTile(wiring.Component):
    """The tile (:func:`tile_of`) between AXI-Streams.

    A beat of each of the tile's streams is a beat of an AXI-Stream, whose ``tdata`` is the payload
    of :class:`~lutcore.hdl.tile.tile.Tile` (:func:`bytes_layout`). The tile reads no ``tlast``: an
    input may come in packets of any length, as suits what sends it. The results of a run are one
    packet, of ``drain_beats`` beats: those of the slices from one with ``first`` to the next with
    ``last``, of one pass if there are several.

    ``tready`` of an input may follow ``tvalid`` of another one in the same cycle; ``tvalid`` waits
    for no ``tready``.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    aclk, aresetn : as :func:`~lutcore.hdl.bus.clocks.axi_clock`
    s_axis_activations_tvalid, s_axis_tables_tvalid : In
        A step is offered.
    s_axis_activations_tready, s_axis_tables_tready : Out
        The step is taken, if valid.
    s_axis_activations_tdata : In
        One step: ``depth`` activations of each of M rows.
    s_axis_tables_tdata : In
        Tables of one step, instead of activations, with external precompute.
    s_axis_weights_tvalid : In
        A weight slice is offered.
    s_axis_weights_tready : Out
        The weight slice is taken, if valid.
    s_axis_weights_tdata : In
        One weight slice of all columns, and what to do with it.
    s_axis_zero_points_tvalid : In
        Zero points are offered.
    s_axis_zero_points_tready : Out
        The zero points are taken, if valid.
    s_axis_zero_points_tdata : In
        Zero points of one beat of results, unless they are external.
    s_axis_activations_tlast, s_axis_tables_tlast : In
        Nothing reads it: weight slices say where runs begin and end.
    s_axis_weights_tlast, s_axis_zero_points_tlast : In
        Nothing reads it: weight slices say where runs begin and end.
    m_axis_results_tvalid : Out
        A beat of results is offered.
    m_axis_results_tready : In
        The beat of results is taken, if valid.
    m_axis_results_tdata : Out
        Results of some columns, and the row sums of their run.
    m_axis_results_tlast : Out
        The last beat of a run's results.
    """

    def __init__(self, config: CoreConfig):
        self.config = config
        super().__init__(axi_stream_signature(config))

    def elaborate(self, platform: object) -> Elaboratable:
        """The tile, its payloads as bytes."""
        m = Module()
        tile = add_shared(m, platform, "tile", "tile", lambda: tile_of(self.config))
        for name, member in tile_signature(self.config).members.items():
            stream: Any = getattr(tile, name)
            ports = {part: getattr(self, port) for part, port in _ports(name, member).items()}
            payload, beat = Value.cast(stream.payload), Value.cast(ports["tdata"])
            if member.flow == In:
                m.d.comb += [
                    stream.valid.eq(ports["tvalid"]),
                    ports["tready"].eq(stream.ready),
                    payload.eq(beat),
                ]
            else:
                m.d.comb += [
                    ports["tvalid"].eq(stream.valid),
                    stream.ready.eq(ports["tready"]),
                    beat.eq(payload),
                    ports["tlast"].eq(stream.payload.last),
                ]
        return clocked(m, self)
