"""Functional bins of a core: instructions, registers, loops, addresses, ends, what it meets.

All of them are known from a program and its host, without simulation.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BY_NAME,
    BY_OPCODE,
    EDGES,
    LOOP_DEPTH,
    OPCODE_BITS,
    REGISTERS,
    SIGNALS,
    Cause,
)
from lutcore.verif.coverage.bins import Hit
from lutcore.verif.isa.model import State
from lutcore.verif.samples.endings import refusals

#: Where a program's memory may lie: pieces of the address space, and what it may cross.
PLACES = ("below 4 GiB", "across 4 GiB", "above 4 GiB", "across the top half", "at the end")
#: Where rows lie anywhere in it.
_ALL = "all of it"
#: What a host and its bus may do to a program.
EVENTS = ("nothing", "error", "ring_again", "abort_at", "reset_at", "meddle_at")
_GIB4 = 1 << 32


def wanted(config: CoreConfig, latencies: Sequence[int], stalls: Sequence[float]) -> dict:
    """All bins of a configuration, by group."""
    return {
        "instruction": list(BY_NAME),
        "register": [f"r{number}" for number in range(REGISTERS)],
        "loop depth": [str(depth) for depth in range(LOOP_DEPTH + 1)],
        "weight bits of a product": [
            str(bits) for bits in range(config.weight_bits_range[0], config.max_weight_bits + 1)
        ],
        "edge of a token": list(EDGES),
        "end of a program": [cause.name for cause in Cause if cause is not Cause.ABORT],
        "address": [*PLACES, _ALL],
        "refused encoding": list(map(str, refusals(config))),
        "window": ["all", "pages"],
        "what happens": list(EVENTS),
        "memory": [
            *(f"latency {latency}" for latency in latencies),
            *(f"stall {stall}" for stall in stalls),
        ],
    }


def _place(base: int, size: int) -> str:
    end = base + size
    if end >= 1 << ADDRESS_BITS:
        return "at the end"
    if base < _GIB4 < end:
        return "across 4 GiB"
    if base < 1 << ADDRESS_BITS - 1 < end:
        return "across the top half"
    return "below 4 GiB" if base < _GIB4 else "above 4 GiB"


def hits(
    config: CoreConfig,
    words: Sequence[int],
    base: int,
    size: int,
    state: State,
    met: dict[str, Any],
) -> Iterator[Hit]:
    """Bins of a program.

    Parameters
    ----------
    words : sequence of int
        Its instructions.
    base, size : int
        Memory, in bytes.
    state : State
        How it ends on the ISA model.
    met : dict
        ``window``, ``far``, ``event`` (of :data:`EVENTS`), ``latency``, ``stall``; ``refused``, if
        the program ends by such an encoding.
    """
    depth = 0
    least, most = config.weight_bits_range
    yield "loop depth", "0"
    for word in words:
        instruction = BY_OPCODE.get(word & (1 << OPCODE_BITS) - 1)
        if instruction is None:  # illegal on purpose
            continue
        name, fields = instruction.name, instruction.decode(word)
        yield "instruction", name
        for operand in instruction.register_names:
            yield "register", f"r{fields[operand]}"
        for signal, edge in SIGNALS.get(instruction.queue, ()):
            if fields.get(signal):
                yield "edge of a token", EDGES[edge]
        if name == "loop" and depth < LOOP_DEPTH:
            depth += 1
            yield "loop depth", str(depth)
        depth -= name == "end" and depth > 0
        if name == "lmma" and least <= fields["bits"] <= most:
            yield "weight bits of a product", str(fields["bits"])
    yield "end of a program", state.cause.name
    yield "address", _ALL if met["far"] else _place(base, size)
    if "refused" in met:
        yield "refused encoding", met["refused"]
    yield "window", met["window"]
    yield "what happens", met["event"]
    yield "memory", f"latency {met['latency']}"
    yield "memory", f"stall {met['stall']}"
