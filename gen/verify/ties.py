"""Bits of a tile's input streams that legal streams never change, and why."""

from typing import NamedTuple

from amaranth.lib import data

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.drain import zero_points_layout
from lutcore.hdl.tile.tile import weights_layout


class Tie(NamedTuple):
    """A bit of a port that legal streams hold at a value."""

    port: str
    bit: int
    value: int
    reason: str


_ONE_PLANE = "weights have one plane, number 0, and each slice is its step's last"
_OUTERMOST = "planes are outermost: each slice takes activations of its own"
_EVEN = "zero points z'' are even in this form of tables"


def ties(config: CoreConfig) -> list[Tie]:
    """Bits that the rules of a tile's streams hold (``docs/streams.md``).

    Coverage that sees one of them change finds the rule broken, or this list wrong.
    """
    found = []
    slices = weights_layout(config)
    one_plane = config.planes(config.max_weight_bits) == 1
    if one_plane:
        found += _field("weights__payload", slices, "plane", 0, _ONE_PLANE)
    if (one_plane or config.doubles) and "advance" in slices.members and config.passes == 1:
        reason = _ONE_PLANE if one_plane else _OUTERMOST
        found += _field("weights__payload", slices, "advance", 1, reason)
    # z'' = 2z + 1 - 2^b + offset
    widths = range(1, config.max_weight_bits + 1)
    if config.zero_points != "external" and all(config.form.offset(b) % 2 for b in widths):
        zeros = zero_points_layout(config)
        step = zeros.size // zeros.length
        found += [
            Tie("zero_points__payload", place, 0, _EVEN) for place in range(0, zeros.size, step)
        ]
    return found


def _field(port: str, layout: data.StructLayout, name: str, value: int, reason: str) -> list[Tie]:
    """All bits of a field."""
    part = layout[name]
    return [Tie(port, part.offset + i, value, reason) for i in range(part.width)]
