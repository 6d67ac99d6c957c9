"""Ports of a design as structures: payloads of streams, channels of AXI buses.

Structures list their highest field first, as SystemVerilog has it; bits are those of the Verilog.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

from lutcore.gen.emit.interfaces import field_text, payloads, ports
from lutcore.gen.emit.names import plain
from lutcore.hdl.config.core import CoreConfig

_CHANNEL = re.compile(r"([ms]_axi)_(aw|w|b|ar|r)(\w+)")


@dataclass(frozen=True)
class Structure:
    """A port of the wrapper, and what it is made of.

    Attributes
    ----------
    port, kind : str
        Names of the port and of its type.
    direction : {"input", "output"}
    text : str
        What it is.
    types : list of str
        Lines of SystemVerilog that declare the type, and those of its fields.
    pins : dict of str to str
        Port of the design -> what of the structure is connected to it.
    """

    port: str
    kind: str
    direction: str
    text: str
    types: list[str]
    pins: dict[str, str]


def structures(config: CoreConfig, top: str) -> list[Structure]:
    """All structures of a top, in the order of its ports."""
    described = ports(config, top)
    layouts = payloads(config, top)
    found = [
        _payload(port, *layouts[port["name"]]) for port in described if port["name"] in layouts
    ]
    channels: dict[str, list[dict[str, Any]]] = {}
    for port in described:
        match = _CHANNEL.fullmatch(port["name"])
        if match and match[3] not in ("valid", "ready"):
            channels.setdefault(f"{match[1]}_{match[2]}", []).append(port)
    return found + [_channel(name, members) for name, members in channels.items()]


def _payload(port: dict[str, Any], stream: str, layout: Any) -> Structure:
    types = _Types(stream)
    types.declare(layout, f"{stream}_t")
    text = f"Payload of {stream}: {port['width']} bits."
    name = port["name"].removesuffix("__payload")
    return Structure(
        name, f"{stream}_t", port["direction"], text, types.lines, {port["name"]: name}
    )


def _channel(name: str, members: list[dict[str, Any]]) -> Structure:
    lines, pins, low = [], {}, 0
    for port in members:
        field = port["name"].removeprefix(name)
        lines.append(f"  logic {_size(port['width'])}{field};  // {_bits(low, port['width'])}")
        low += port["width"]
        pins[port["name"]] = f"{name}.{field}"
    types = ["typedef struct packed {", *reversed(lines), f"}} {name}_t;"]
    text = f"Channel {name}: {low} bits."
    return Structure(name, f"{name}_t", members[0]["direction"], text, types, pins)


def _size(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _bits(low: int, width: int) -> str:
    return f"[{low + width - 1}:{low}]" if width > 1 else f"[{low}]"


class _Types:
    """Declarations of a type, after those that it needs."""

    def __init__(self, stream: str):
        self._stream = stream
        self.lines: list[str] = []

    def declare(self, shape: Any, name: str) -> None:
        """Declare a layout as a type of that name."""
        if not isinstance(shape, data.StructLayout):
            shape = data.StructLayout({name.removesuffix("_t"): shape})
        fields: list[str] = []
        for key, field in reversed(list(shape)):
            width = Shape.cast(field.shape).width
            if width:
                nested = isinstance(_element(field.shape), data.StructLayout)
                text = "Of each row." if nested else field_text(self._stream, str(key))
                kind = self._of(field.shape, f"{name.removesuffix('_t')}_{key}")
                fields.append(f"  // {_bits(field.offset, width)} {text}")
                fields.append(f"  {kind} {plain(str(key))};")
        self.lines += ["typedef struct packed {", *fields, f"}} {name};"]

    def _of(self, shape: Any, path: str) -> str:
        """A type in its place; elements that are signed or structures have a name."""
        lengths: list[int] = []
        while isinstance(shape, data.ArrayLayout):
            lengths.append(shape.length)
            shape = shape.elem_shape
        dims = "".join(f"[{length - 1}:0]" for length in lengths)
        if isinstance(shape, data.StructLayout):
            self.declare(shape, f"{path}_element_t")
            return f"{path}_element_t {dims}".strip()
        leaf = Shape.cast(shape)
        size = _size(leaf.width).strip()
        if leaf.signed and dims:
            self.lines.append(f"typedef logic signed {size} {path}_element_t;")
            return f"{path}_element_t {dims}"
        return _joined("logic", "signed" if leaf.signed else "", dims + size)


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _element(shape: Any) -> Any:
    while isinstance(shape, data.ArrayLayout):
        shape = shape.elem_shape
    return shape


def types(given: Iterable[Structure]) -> list[str]:
    """Declarations of all structures, each with what it is."""
    return [line for structure in given for line in ["", f"// {structure.text}", *structure.types]]
