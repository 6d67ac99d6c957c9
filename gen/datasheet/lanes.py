"""What ports of a design did, cycle by cycle, sorted by interfaces and held against their rules."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lutcore.gen.datasheet.blocks import interfaces
from lutcore.gen.datasheet.runs import Samples
from lutcore.verif.bench.streams import Promise


@dataclass(frozen=True)
class Lane:
    """A port, or a field of a payload: its width, and its value in each cycle."""

    width: int
    values: tuple[int, ...]


#: Interface -> part -> lane; a port of no interface is a part of the interface "".
Lanes = dict[str, dict[str, Lane]]


def lanes(samples: Samples) -> Lanes:
    """Ports by the interface whose ``valid`` and ``ready`` they go with, or by their bus.

    Payloads are cut into fields, those of AXI-Streams with ``data.`` before their names.
    """
    channels = [
        name.removesuffix("valid")
        for name in samples.values
        if name.endswith("valid") and f"{name.removesuffix('valid')}ready" in samples.values
    ]
    buses = [(f"{bus}_", port) for bus, of in interfaces(samples.ports).items() for port in of]
    found: Lanes = {}
    for bus, port in buses:
        name, values = port["name"], samples.values.get(port["name"])
        if values is None:  # the clock or the reset
            continue
        channel = max(filter(name.startswith, channels), key=len, default=bus)
        interface, part = channel.rstrip("_"), name.removeprefix(channel)
        group = found.setdefault(interface, {})
        within = "" if part == "payload" else f"{part}."
        names = (interface, "padding")  # one field alone, named as the stream; and nothing
        fields = [field for field in port.get("fields", ()) if field["name"] not in names]
        for field in fields:
            width, low = math.prod(field["dims"]) * field["width"], field["offset"]
            bits = tuple(value >> low & (1 << width) - 1 for value in values)
            group[within + field["name"]] = Lane(width, bits)
        if not fields:
            group[part] = Lane(port["width"], tuple(values))
    return {name: dict(sorted(parts.items(), key=_rank)) for name, parts in found.items()}


def _rank(part: tuple[str, Lane]) -> int:
    """``valid`` and ``ready`` stand before what they are about."""
    order = ("valid", "ready")
    return order.index(part[0]) if part[0] in order else len(order)


def check(found: Lanes) -> None:
    """See that what is offered stays, valid and the same, until it is taken.

    Raises
    ------
    ProtocolError
        It does not.
    """
    for name, parts in found.items():
        if "valid" not in parts:
            continue
        promise = Promise(name)
        payload = [lane.values for part, lane in parts.items() if part not in ("valid", "ready")]
        offers = zip(parts["valid"].values, parts["ready"].values, strict=True)
        for cycle, (valid, ready) in enumerate(offers):
            promise.see(valid, [values[cycle] for values in payload], ready)


def taken(parts: Mapping[str, Lane]) -> list[int]:
    """Cycles in which a stream's payload is taken."""
    offers = zip(parts["valid"].values, parts["ready"].values, strict=True)
    return [cycle for cycle, both in enumerate(offers) if all(both)]
