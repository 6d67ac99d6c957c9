"""Watches the outputs of a core between its buses for X, on simulators that know it."""

import itertools
from typing import Any

from amaranth.lib.wiring import Out
from cocotb.triggers import FallingEdge, ReadOnly

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.axi_core import axi_core_signature

#: Output that says which bytes of another mean something.
_STROBES = {"m_axi_wdata": "m_axi_wstrb"}


def handshakes(config: CoreConfig) -> tuple[list[str], dict[str, list[str]]]:
    """Outputs that mean something in every cycle; and ``valid`` -> what means something with it."""
    members = axi_core_signature(config).members.items()
    outputs = [name for name, member in members if member.flow == Out]
    always = [name for name in outputs if name.endswith(("valid", "ready", "irq"))]
    offered = {
        valid: [name for name in outputs if name.startswith(valid[:-5]) and name not in always]
        for valid in always
        if valid.endswith("valid")
    }
    return always, offered


async def unknown(dut: Any, config: CoreConfig) -> str:
    """Wait for an X where each bit must be known, from the end of the reset on; says what had it.

    That is ``valid`` and ``ready`` of every channel, the interrupt, and what goes with a ``valid``;
    of written data, the bytes that are written.
    """
    always, offered = handshakes(config)
    for cycle in itertools.count():
        await ReadOnly()  # what the rising edge will see has settled
        for name in always:
            if not getattr(dut, name).value.is_resolvable:
                return f"{name} is X in cycle {cycle} after the reset"
        for valid, names in offered.items():
            if not int(getattr(dut, valid).value):
                continue
            for name in names:
                if not _known(dut, name):
                    value = getattr(dut, name).value
                    return f"{name} is {value} while valid, in cycle {cycle} after the reset"
        await FallingEdge(dut.clk)
    raise AssertionError("unreachable")


def _known(dut: Any, name: str) -> bool:
    """Whether all bits of an output that mean something are 0 or 1."""
    bits = str(getattr(dut, name).value)
    if name not in _STROBES or not bits.strip("01"):
        return not bits.strip("01")
    strobes = str(getattr(dut, _STROBES[name]).value)
    size = len(bits) // len(strobes)
    written = (bits[size * i : size * (i + 1)] for i, bit in enumerate(strobes) if bit != "0")
    return not any(byte.strip("01") for byte in written)
