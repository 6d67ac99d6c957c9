"""A board's Verilog."""

import functools

from fpga.gateware.board import Board
from fpga.gateware.memory import check_memory
from fpga.gateware.uart import check_divisor
from gen.rtl import component_rtlil, rtlil_verilog
from hdl.config import CoreConfig
from hdl.rules import check_core

#: Name of the top module.
TOP = "board"
# No buffer needs contents when power comes on, and a line for each word would be most of the text.
_UNINITIALISED = "delete t:$meminit*"


@functools.lru_cache(maxsize=8)
def board_verilog(config: CoreConfig, memory: int, divisor: int) -> str:
    """Verilog of a :class:`~fpga.gateware.board.Board`.

    Raises
    ------
    InputError
        No board can be built from that.
    """
    check_core(config)  # a component that refuses would be reported as unused too
    check_memory(memory)
    check_divisor(divisor)
    return rtlil_verilog(component_rtlil(Board(config, memory, divisor), TOP), _UNINITIALISED)
