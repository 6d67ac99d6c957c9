"""Amaranth platforms of boards that amaranth-boards lacks, or has without a UART."""

from typing import ClassVar

from amaranth.build import Attrs, Clock, Connector, Pins, Resource
from amaranth.vendor import GowinPlatform, LatticePlatform
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import UARTResource


class OrangeCrabPlatform(OrangeCrabR0_2_25FPlatform):
    """OrangeCrab with a serial adapter on its pins 0 (receives) and 1 (sends)."""

    resources: ClassVar = [
        *OrangeCrabR0_2_25FPlatform.resources,
        UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
    ]


class TangNano20kPlatform(GowinPlatform):  # pyright: ignore[reportGeneralTypeIssues]
    """Tang Nano 20K: clock and UART."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources: ClassVar = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="70", tx="69", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
    ]
    connectors: ClassVar = []


class LifclEvnPlatform(LatticePlatform):  # pyright: ignore[reportGeneralTypeIssues]
    """Lattice LIFCL-40-EVN: its clock, and a serial adapter on PMOD0's pins 1 (receives) and 2.

    The UART of its own USB takes soldering and another setting of its bridge.
    """

    device = "LIFCL-40"
    package = "BG400"
    speed = "8"
    default_clk = "clk12"
    resources: ClassVar = [
        Resource("clk12", 0, Pins("L13", dir="i"), Clock(12e6), Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="1", tx="2", conn=("pmod", 0), attrs=Attrs(IO_TYPE="LVCMOS33")),
    ]
    connectors: ClassVar = [
        Connector("pmod", 0, "D10 D9 D7 D8 - - D6 D5 D4 D3 - -"),
    ]
