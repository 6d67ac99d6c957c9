"""A board's logic, as Verilog and as what synthesis reads."""

import functools

from amaranth.lib.wiring import Component

from lutcore.errors import InputError
from lutcore.fpga.boards.pll import Pll
from lutcore.fpga.boards.sdram_chip import Memory
from lutcore.fpga.gateware.block_memory import check_memory
from lutcore.fpga.gateware.board import Board
from lutcore.fpga.gateware.tile_board import TileBoard, check_tile
from lutcore.fpga.gateware.top import Top
from lutcore.fpga.gateware.uart import check_divisor
from lutcore.gen.emit.rtl import component_rtlil
from lutcore.gen.emit.verilog import verilog_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core

#: Name of the top module.
TOP = "board"


def is_core(config: CoreConfig) -> bool:
    """Whether a board gets a whole core of that configuration, or a tile alone."""
    return config.precompute == "buffered"


def board_component(config: CoreConfig, memory: Memory, divisor: int) -> Component:
    """A :class:`~lutcore.fpga.gateware.board.Board` or
    :class:`~lutcore.fpga.gateware.tile_board.TileBoard`.

    Raises
    ------
    InputError
        No board can be built from that.
    """
    check_divisor(divisor)
    # A component that refuses would be reported as unused too.
    if not is_core(config):
        check_tile(config)
        if not isinstance(memory, int):
            raise InputError(f"{config.name}: a tile alone has no use for SDRAM: use block RAM")
        return TileBoard(config, memory, divisor)
    check_core(config)
    if isinstance(memory, int):
        check_memory(memory)
    return Board(config, memory, divisor)


@functools.lru_cache(maxsize=8)
def board_verilog(config: CoreConfig, memory: Memory, divisor: int) -> str:
    """Verilog of a board's logic, with ``clk``, ``rst``, ``rx``, ``tx``, and pins of SDRAM.

    Raises
    ------
    InputError
        No board can be built from that.
    """
    board = board_component(config, memory, divisor)
    return verilog_text(component_rtlil(board, TOP, places=True), initial=False)


def top_rtlil(config: CoreConfig, memory: Memory, divisor: int, pll: Pll | None) -> str:
    """RTLIL of :class:`~lutcore.fpga.gateware.top.Top` around a board; errors as above."""
    return component_rtlil(Top(board_component(config, memory, divisor), pll), TOP)
