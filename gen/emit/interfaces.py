"""The tops that can be generated, and what their ports are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.hdl.core.axi_core import (
    AxiAclkCore,
    AxiApbCore,
    AxiCore,
    AxiWishboneCore,
    axi_aclk_core_signature,
    axi_apb_core_signature,
    axi_core_signature,
    axi_wishbone_core_signature,
)
from lutcore.hdl.core.axi_stream_tile import AxiStreamTile, axi_stream_signature, tile_of
from lutcore.hdl.core.core import Core, core_signature
from lutcore.hdl.tile.tile import tile_signature

#: Who makes designs, and their library: for FuseSoC and IP-XACT.
VENDOR, LIBRARY = "lutcore", "tensor_cores"


@dataclass(frozen=True)
class Top:
    """One of what can be generated.

    Attributes
    ----------
    component : callable
        Makes the component of a configuration.
    signature : callable
        Makes the signature of its ports, but clock and reset.
    text : str
        What it is, for help and documents.
    is_core : bool
        It has a core's instructions; else it is a tile alone.
    has_registers : bool
        A host controls it by registers.
    """

    component: Callable[[CoreConfig], wiring.Component]
    signature: Callable[[CoreConfig], wiring.Signature]
    text: str
    is_core: bool = True
    has_registers: bool = True


#: Name -> what can be generated.
TOPS = {
    "tile": Top(tile_of, tile_signature, "the tile between streams", False, False),
    "axi-stream": Top(
        AxiStreamTile, axi_stream_signature, "the tile between AXI-Streams", False, False
    ),
    "core": Top(Core, core_signature, "a core between streams", True, False),
    "axi": Top(AxiCore, axi_core_signature, "a core with AXI4 memory and AXI4-Lite registers"),
    "axi-aclk": Top(
        AxiAclkCore, axi_aclk_core_signature, "the same with aclk and aresetn as AXI has them"
    ),
    "axi-apb": Top(AxiApbCore, axi_apb_core_signature, "a core with AXI4 memory and APB registers"),
    "axi-wishbone": Top(
        AxiWishboneCore,
        axi_wishbone_core_signature,
        "a core with AXI4 memory and Wishbone registers",
    ),
}


def check_top(config: CoreConfig, top: str) -> None:
    """Refuse what is no top, or no configuration.

    Raises
    ------
    InputError
    """
    check_config(config)
    if top not in TOPS:
        raise InputError(f"--top must be one of {', '.join(TOPS)}, not {top!r}")


#: Field of a payload, of one stream or of any -> what it is, for packages and documents.
FIELDS = {
    "values": "Activations of the step, first lowest: of each row, along K.",
    "tables": "Tables of the step: of each row, of each group of K, entries in their order.",
    "index": "Weight indices as packed, first lowest: of each column, of each table.",
    "plane": "The slice counts 2^plane.",
    "negative": "The slice counts negatively: top plane of two's-complement weights.",
    "first": "The slice starts a run.",
    "advance": "The step's last slice: its activations are taken with it.",
    "step": "Step of the run whose tables the slice reads.",
    "release": "The run's last use of the tables: their bank is free after it.",
    "accumulator": "Pass of the slice: number of the N tile that it belongs to.",
    "dot": "Sums of products: of each row, of each column of the beat.",
    "row_sum": "Sum of the run's activations: of each row.",
    "exponent": "The row counts 2^(exponent - SCALE_OFFSET).",
    "invalid": "The row has an infinity or NaN in the run: its results are NaN.",
    "elements": "Zero points of the beat's columns, or one for all.",
    "padding": "Zeros up to a whole byte.",
    "zero_points": "Zero points of the beat's columns, or one for all.",
    "address": "Byte address in memory, a multiple of the bus width.",
    "length": "Instructions.",
    "addr": "Byte address of the burst's first word.",
    "len": "Words of the burst, less one.",
    "data": "Word, lowest byte address lowest.",
    "strb": "Bytes of the word that are written, a bit each.",
    "error": "The transfer failed.",
    "activations.last": "The run's last step.",
    "tables.last": "The run's last step.",
    "weights.last": "The slice ends a run.",
    "results.last": "The run's last beat of results.",
    "written.last": "The burst's last word.",
}


def field_text(stream: str, path: str) -> str:
    """What a field of a stream's payload is, by its name or its path."""
    name = path.rpartition(".")[2]
    return FIELDS.get(f"{stream}.{name}") or FIELDS[name]


def payload_fields(shape: Any, name: str, offset: int = 0) -> list[dict[str, Any]]:
    """Fields of a layout with bit offsets; arrays of numbers are given by their dimensions.

    Of an array of structures, every element's fields are told, as ``scale[0].exponent``.
    """
    dims: list[int] = []
    inner = shape
    while isinstance(inner, data.ArrayLayout) and not isinstance(
        inner.elem_shape, data.StructLayout
    ):
        dims.append(inner.length)
        inner = inner.elem_shape
    if isinstance(inner, data.ArrayLayout):
        size = Shape.cast(inner.elem_shape).width
        return [
            leaf
            for i in range(inner.length)
            for leaf in payload_fields(inner.elem_shape, f"{name}[{i}]", offset + size * i)
        ]
    if isinstance(inner, data.StructLayout):
        stem = f"{name}." if "[" in name else ""
        return [
            leaf
            for key, member in inner
            for leaf in payload_fields(member.shape, f"{stem}{key}", offset + member.offset)
        ]
    leaf = Shape.cast(inner)
    return [
        {"name": name, "offset": offset, "width": leaf.width, "signed": leaf.signed, "dims": dims}
    ]


def _port(name: str, member: wiring.Member) -> dict[str, Any]:
    direction = {wiring.In: "input", wiring.Out: "output"}[member.flow]
    return {"name": name, "direction": direction, "width": Shape.cast(member.shape).width}


_CLOCK = ("clk", "rst")
_AXI_STREAM = re.compile(r"[sm]_axis_(\w+)_tdata")


def payloads(config: CoreConfig, top: str = "tile") -> dict[str, tuple[str, Any]]:
    """Port with a payload -> its stream, and the payload's layout."""
    found: dict[str, tuple[str, Any]] = {}
    for name, member in TOPS[top].signature(config).members.items():
        if not member.is_port:
            found[f"{name}__payload"] = name, member.signature.members["payload"].shape
        elif match := _AXI_STREAM.fullmatch(name):
            found[name] = match[1], member.shape
    return found


def ports(config: CoreConfig, top: str = "tile") -> list[dict[str, Any]]:
    """Ports of a top; the payload of a stream lists its fields, bit 0 lowest."""
    members, layouts = TOPS[top].signature(config).members, payloads(config, top)
    found: list[dict[str, Any]] = [
        {"name": name, "direction": "input", "width": 1} for name in _CLOCK if "aclk" not in members
    ]
    for name, member in members.items():
        if member.is_port:
            found.append(_port(name, member))
            continue
        for part, inner in member.signature.members.items():
            found.append(_port(f"{name}__{part}", inner))
    for port in found:
        if port["name"] in layouts:
            stream, layout = layouts[port["name"]]
            port["fields"] = payload_fields(layout, stream)
    return found
