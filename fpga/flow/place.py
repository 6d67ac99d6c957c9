"""Place and route, and packing: nextpnr and the packer of each family."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import tools
from lutcore.fpga.boards.boards import Board, Pin
from lutcore.fpga.flow.tools import (
    ECPPACK,
    GOWIN_PACK,
    ICEPACK,
    NEXTPNR_ECP5,
    NEXTPNR_GOWIN,
    NEXTPNR_ICE40,
    NEXTPNR_NEXUS,
    PRJOXIDE,
    Tool,
    command,
)

#: Seconds after which place and route is given up: the WebAssembly router takes an hour for 50,000
#: LUTs.
LIMIT = 4 * 3600

#: Told about each line that a tool says.
Progress = Callable[[str], None]


def _pcf(pins: Mapping[str, Pin]) -> str:
    """For iCE40; pull-ups are all that an attribute may say."""
    lines = []
    for port, pin in pins.items():
        pull = "-pullup yes " if pin.attributes.get("PULLUP") else ""
        lines.append(f"set_io {pull}{port} {pin.site}")
    return "\n".join(lines) + "\n"


def _attributes(pin: Pin) -> str:
    return " ".join(f"{key}={value}" for key, value in pin.attributes.items())


def _lpf(pins: Mapping[str, Pin]) -> str:
    lines = []
    for port, pin in pins.items():
        lines.append(f'LOCATE COMP "{port}" SITE "{pin.site}";')
        lines.append(f'IOBUF PORT "{port}" {_attributes(pin)};')
    return "\n".join(lines) + "\n"


def _cst(pins: Mapping[str, Pin]) -> str:
    lines = []
    for port, pin in pins.items():
        lines += [f'IO_LOC "{port}" {pin.site};', f'IO_PORT "{port}" {_attributes(pin)};']
    return "\n".join(lines) + "\n"


def _pdc(pins: Mapping[str, Pin]) -> str:
    lines = []
    for port, pin in pins.items():
        lines.append(f"ldc_set_location -site {{{pin.site}}} [get_ports {port}]")
        lines.append(f"ldc_set_port -iobuf {{{_attributes(pin)}}} [get_ports {port}]")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Flow:
    """How a family's netlist becomes a bitstream.

    Attributes
    ----------
    place, pack : Tool
    constraints : callable
        Text of the constraints from the pins.
    place_options, pack_options : tuple of str
        With ``pins.txt`` in, ``placed.txt`` between, and ``packed`` out.
    suffix : str
        Of bitstreams.
    """

    place: Tool
    pack: Tool
    constraints: Callable[[Mapping[str, Pin]], str]
    place_options: tuple[str, ...]
    pack_options: tuple[str, ...]
    suffix: str


FLOWS: dict[str, Flow] = {
    "ice40": Flow(
        NEXTPNR_ICE40,
        ICEPACK,
        _pcf,
        ("--pcf", "pins.txt", "--asc", "placed.txt"),
        ("placed.txt", "packed"),
        "bin",
    ),
    "ecp5": Flow(
        NEXTPNR_ECP5,
        ECPPACK,
        _lpf,
        ("--lpf", "pins.txt", "--textcfg", "placed.txt"),
        ("--input", "placed.txt", "--bit", "packed"),
        "bit",
    ),
    "gowin": Flow(
        NEXTPNR_GOWIN,
        GOWIN_PACK,
        _cst,
        ("--vopt", "cst=pins.txt", "--write", "placed.txt"),
        ("-o", "packed", "placed.txt"),
        "fs",
    ),
    "nexus": Flow(
        NEXTPNR_NEXUS,
        PRJOXIDE,
        _pdc,
        # The default router reaches no global clock buffer (nextpnr 0.11).
        ("--router", "router1", "--pdc", "pins.txt", "--fasm", "placed.txt"),
        ("pack", "placed.txt", "packed"),
        "bit",
    ),
}


@dataclass(frozen=True)
class Placed:
    """A placed and routed design.

    Attributes
    ----------
    text : str
        As the packer reads it.
    report : dict
        Of nextpnr: ``fmax``, ``critical_paths``, ``utilization``.
    """

    text: str
    report: dict[str, Any]


def place_and_route(
    board: Board,
    netlist: str,
    pins: Mapping[str, Pin],
    clock: float,
    seed: int,
    *,
    native: bool = False,
    progress: Progress | None = None,
) -> Placed:
    """Place and route a netlist for ``clock`` MHz; timing that is missed is no error here.

    Raises
    ------
    InputError
        The tool is missing.
    ToolError
        It failed.
    """
    flow = FLOWS[board.family]
    start, _ = command(flow.place, native)
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        (folder / "netlist.json").write_text(netlist)
        (folder / "pins.txt").write_text(flow.constraints(pins))
        options = ["--json", "netlist.json", "--report", "report.json", "--seed", str(seed)]
        options += ["--freq", f"{clock:g}", "--timing-allow-fail"]
        tools.run(
            flow.place.program,
            [*start, *board.device, *options, *flow.place_options],
            folder=folder,
            limit=LIMIT,
            says=progress or (lambda line: None),
        )
        report = json.loads((folder / "report.json").read_text())
        return Placed((folder / "placed.txt").read_text(), report)


def pack(board: Board, placed: str, *, native: bool = False) -> bytes:
    """The bitstream of a placed design; errors as above."""
    flow = FLOWS[board.family]
    start, _ = command(flow.pack, native)
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        (folder / "placed.txt").write_text(placed)
        tools.run(
            flow.pack.program, [*start, *board.pack, *flow.pack_options], folder=folder, limit=LIMIT
        )
        return (folder / "packed").read_bytes()
