"""The boards: their FPGAs, pins, clocks, and what is built for them unless told otherwise."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lutcore.errors import InputError
from lutcore.fpga.boards.sdram_chip import SDRAM_16M_16, SdramChip
from lutcore.hdl.config.presets import load_config, preset

#: Fastest bit rates of the boards' USB bridges first; the first that a clock divides into is used.
BAUDS = (3_000_000, 2_000_000, 1_000_000, 500_000)
#: Part of a bit by which the two sides' bits may differ.
_BAUD_ERROR = 0.015
_SHORTEST_BIT = 4


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Attributes
    ----------
    name, title : str
    family : str
        A key of :data:`~lutcore.gen.luts.families.FAMILIES`.
    platform : str
        ``module:class`` of an Amaranth platform, which says where clock and UART are.
    synth : str
        More options of Yosys's ``synth_*``.
    device : tuple of str
        Options that name the FPGA to nextpnr, or the part to Vivado.
    pack : tuple of str
        Options of the packer.
    capacity : dict
        What the FPGA has: ``lut``, ``ff``, ``bram``, ``dsp``, ``spram``. A LUT of an iCE40 is a
        logic cell, in which a flip-flop without a LUT takes the LUT's place.
    preset : str
        Configuration that fits with margin.
    memory : int
        Bytes of block RAM for the core, or for results of a tile.
    sdram : SdramChip or None
        Memory of the core, rather than block RAM.
    clock : float
        MHz of the core, unless told otherwise.
    load : str
        Command that loads a bitstream ``FILE``.
    """

    name: str
    title: str
    family: str
    platform: str
    synth: str = ""
    device: tuple[str, ...] = ()
    pack: tuple[str, ...] = ()
    capacity: Mapping[str, int] = field(default_factory=dict)
    preset: str
    memory: int
    sdram: SdramChip | None = None
    clock: float
    load: str

    def on_block_ram(self) -> "Board":
        """The board without its SDRAM."""
        return replace(self, sdram=None)


_BOARDS = (
    Board(
        name="icebreaker",
        title="iCEBreaker (iCE40UP5K)",
        family="ice40",
        platform="amaranth_boards.icebreaker:ICEBreakerPlatform",
        synth="-spram",
        device=("--up5k", "--package", "sg48"),
        capacity={"lut": 5280, "ff": 5280, "bram": 30, "dsp": 8, "spram": 4},
        preset="board-tile",
        memory=1 << 16,
        clock=12,
        load="iceprog FILE",
    ),
    Board(
        name="ulx3s-85f",
        title="ULX3S (LFE5U-85F)",
        family="ecp5",
        platform="amaranth_boards.ulx3s:ULX3S_85F_Platform",
        device=("--85k", "--package", "CABGA381", "--speed", "6"),
        pack=("--compress",),
        capacity={"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156},
        preset="board-core",
        memory=1 << 17,
        sdram=SDRAM_16M_16,
        clock=15,
        load="openFPGALoader -b ulx3s FILE",
    ),
    Board(
        name="orangecrab",
        title="OrangeCrab r0.2 (LFE5U-25F)",
        family="ecp5",
        platform="lutcore.fpga.boards.platforms:OrangeCrabPlatform",
        device=("--25k", "--package", "CSFBGA285", "--speed", "8"),
        pack=("--compress", "--freq", "38.8"),
        capacity={"lut": 24288, "ff": 24288, "bram": 56, "dsp": 28},
        preset="board-core",
        memory=1 << 16,
        clock=24,
        load="dfu-suffix -v 1209 -p 5af0 -a FILE && dfu-util -a 0 -D FILE",
    ),
    Board(
        name="tangnano9k",
        title="Tang Nano 9K (GW1NR-9C)",
        family="gowin",
        platform="amaranth_boards.tang_nano_9k:TangNano9kPlatform",
        synth="-family gw1n",
        device=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
        pack=("-d", "GW1N-9C", "--sspi_as_gpio", "--mspi_as_gpio"),
        capacity={"lut": 8640, "ff": 6480, "bram": 26, "dsp": 10},
        preset="board-tile",
        memory=1 << 14,
        clock=27,
        load="openFPGALoader -b tangnano9k FILE",
    ),
    Board(
        name="tangnano20k",
        title="Tang Nano 20K (GW2AR-18C)",
        family="gowin",
        platform="lutcore.fpga.boards.platforms:TangNano20kPlatform",
        synth="-family gw2a",
        device=("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
        pack=("-d", "GW2A-18C", "--sspi_as_gpio", "--mspi_as_gpio"),
        capacity={"lut": 20736, "ff": 15552, "bram": 46, "dsp": 24},
        preset="board-tile",
        memory=1 << 16,
        clock=27,
        load="openFPGALoader -b tangnano20k FILE",
    ),
    Board(
        name="lifcl-evn",
        title="CrossLink-NX evaluation board (LIFCL-40)",
        family="nexus",
        platform="lutcore.fpga.boards.platforms:LifclEvnPlatform",
        synth="-iopad",
        device=("--device", "LIFCL-40-8BG400C"),
        capacity={"lut": 32256, "ff": 32256, "bram": 84, "dsp": 56, "spram": 2},
        preset="board-tile",
        memory=1 << 16,
        clock=12,
        load="openFPGALoader -b crosslinknx_evn FILE",
    ),
    Board(
        name="arty-a7",
        title="Arty A7-35 (XC7A35T), project files for Vivado",
        family="xilinx",
        platform="amaranth_boards.arty_a7:ArtyA7_35Platform",
        device=("xc7a35ticsg324-1L",),
        capacity={"lut": 20800, "ff": 41600, "bram": 100, "dsp": 90},
        preset="board-core",
        memory=1 << 16,
        clock=48,
        load="openFPGALoader -b arty FILE",
    ),
)

#: Name -> board.
BOARDS: dict[str, Board] = {board.name: board for board in _BOARDS}


@dataclass(frozen=True)
class Pin:
    """Where a port is: the package's pin, and attributes of its buffer."""

    site: str
    attributes: Mapping[str, Any]


def board_named(name: str) -> Board:
    """The board of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in BOARDS:
        raise InputError(f"--board must be one of {', '.join(BOARDS)}, not {name!r}")
    return BOARDS[name]


def _platform(board: Board) -> Any:
    module, name = board.platform.split(":")
    try:
        return getattr(importlib.import_module(module), name)()
    except ImportError as error:
        raise InputError(
            "amaranth-boards is missing: pip install 'lut-tensor-core[fpga]'"
        ) from error


#: Amaranth's names of an SDRAM's pins, where the chip's own are others.
_SDRAM_NAMES = {"clk_en": "cke", "cs": "cs_n", "we": "we_n", "ras": "ras_n", "cas": "cas_n"}


def pins(board: Board) -> dict[str, Pin]:
    """Port of :class:`~lutcore.fpga.gateware.top.Top`, or its bit -> pin, as Amaranth's platform
    has them.

    Raises
    ------
    InputError
        The package amaranth-boards is missing.
    """
    platform = _platform(board)
    clock, uart = platform.lookup(platform.default_clk), platform.lookup("uart")
    found = {"oscillator": (clock.ios[0], clock.attrs)}
    for line in uart.ios:
        if line.name in ("rx", "tx"):
            found[line.name] = (line.ios[0], {**uart.attrs, **line.attrs})
    if board.sdram:
        chip = platform.lookup("sdram")
        for line in chip.ios:
            port = f"sdram_{_SDRAM_NAMES.get(line.name, line.name)}"
            found[port] = (line.ios[0], {**chip.attrs, **line.attrs})
    mapping = platform._conn_pins
    sites = {}
    for port, (place, attributes) in found.items():
        names = place.map_names(mapping, place)
        kept = {key: value for key, value in attributes.items() if key != "GLOBAL"}
        bits = [f"{port}[{i}]" for i in range(len(names))] if len(names) > 1 else [port]
        sites |= {bit: Pin(name, kept) for bit, name in zip(bits, names, strict=True)}
    return sites


def oscillator(board: Board) -> float:
    """MHz of the board's clock."""
    platform = _platform(board)
    return platform.lookup(platform.default_clk).clock.frequency / 1e6


def baud_rate(clock: float) -> tuple[int, int]:
    """Bit rate of the link at a clock of so many MHz, and the clock cycles of a bit.

    Raises
    ------
    InputError
        No usual rate is near enough.
    """
    for baud in BAUDS:
        divisor = round(clock * 1e6 / baud)
        if divisor >= _SHORTEST_BIT and abs(clock * 1e6 / divisor / baud - 1) <= _BAUD_ERROR:
            return baud, divisor
    raise InputError(
        f"--freq {clock:g}: no usual bit rate divides it; choose a multiple of 3, 2 or 1 MHz"
    )


def board_config(board: Board, source: str | None, overrides: tuple[str, ...] = ()) -> Any:
    """The configuration that is meant, or the board's own."""
    if source is None and not overrides:
        return preset(board.preset)
    return load_config(source or board.preset, overrides)
