"""The pins of SDRAM on an ECP5: its clock, and data both ways."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, IOPort, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

_PREFIX = "sdram_"
_DATA = {"sdram_dq_i", "sdram_dq_o", "sdram_dq_oe"}


def sdram_members(board: wiring.Component) -> dict[str, wiring.Member]:
    """Ports of a top for the SDRAM of a board's logic, if it has one; without data."""
    names = [name for name in board.signature.members if name.startswith(_PREFIX)]
    if not names:
        return {}
    members = {name: board.signature.members[name] for name in names if name not in _DATA}
    return members | {"sdram_clk": Out(1)}


def sdram_pads(m: Module, top: Any, board: Any) -> None:
    """Connect the SDRAM of a board's logic, if it has one, to a top's ports.

    The clock leaves through an output register of both edges, low while the logic's is high, and so
    with the same delay as data from output registers.
    """
    members = sdram_members(board)
    if not members:
        return
    for name in members:
        if name != "sdram_clk":
            m.d.comb += getattr(top, name).eq(getattr(board, name))
    m.submodules.sdram_clock = Instance(
        "ODDRX1F",
        i_SCLK=ClockSignal(),
        i_RST=Const(0, 1),
        i_D0=Const(0, 1),
        i_D1=Const(1, 1),
        o_Q=top.sdram_clk,
    )
    data = IOPort(len(board.sdram_dq_i), name="sdram_dq")
    for bit in range(len(data)):
        m.submodules[f"sdram_data_{bit}"] = Instance(
            "BB",
            i_I=board.sdram_dq_o[bit],
            i_T=~board.sdram_dq_oe,
            o_O=board.sdram_dq_i[bit],
            io_B=data[bit],
        )
