"""From a configuration to a bitstream, its metadata, and a report."""

import dataclasses
import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.fpga.boards.boards import Board, baud_rate, oscillator, pins
from lutcore.fpga.boards.pll import Pll, ecp5_pll, mmcm
from lutcore.fpga.boards.sdram_chip import Memory, SdramTiming, memory_bytes
from lutcore.fpga.flow.emit import is_core, top_rtlil
from lutcore.fpga.flow.fit import check_model, check_synthesis
from lutcore.fpga.flow.netlist import Netlist, synthesise
from lutcore.fpga.flow.place import FLOWS, Placed, pack, place_and_route
from lutcore.fpga.flow.tools import command
from lutcore.fpga.link.protocol import facts
from lutcore.hdl.config.core import CoreConfig

#: Paths of a report.
_PATHS = 3
#: Families whose clocks can be made of the oscillator's.
_PLLS: dict[str, Callable[[float, float], Pll]] = {"ecp5": ecp5_pll, "xilinx": mmcm}
#: Told about a stage: seed (0: synthesis) and what is done.
Progress = Callable[[int, str], None]


@dataclass(frozen=True, kw_only=True)
class BitstreamReport:
    """A bitstream and how well it came out.

    Attributes
    ----------
    design, board : str
    config : dict
    clock_mhz, fmax_mhz : float
        Clock that the board runs at, and the fastest that it could.
    met : bool
        Whether timing is met.
    baud : int
        Bits a second of the link.
    memory : int
        Bytes of the core's memory, or of a tile's results.
    store : str
        What this memory is: ``block RAM``, or a kind of SDRAM.
    seed : int
        That gave the highest ``fmax_mhz``.
    seeds : dict
        Seed -> MHz.
    synthesis : dict
        Resource -> number, by synthesis (:func:`~lutcore.gen.luts.synth.resources`).
    placed : dict
        nextpnr's name of a resource -> used and available; only used ones.
    hierarchy : {"kept", "whole"}
        How the design was mapped (:class:`~lutcore.fpga.flow.netlist.Netlist`).
    blocks : dict
        Block -> resource -> number, mapped block by block.
    memories : dict
        Buffer -> bits and what it was mapped to.
    paths : list of dict
        The worst paths: ``from``, ``to``, ``ns``, and ``cells`` on the way.
    tool_versions : dict
    seconds : dict
        Of synthesis and place and route; of the original runs where they were cached.
    sha256 : str
        Of the bitstream.
    """

    design: str
    board: str
    config: dict[str, Any]
    clock_mhz: float
    fmax_mhz: float
    met: bool
    baud: int
    memory: int
    store: str
    seed: int
    seeds: dict[int, float]
    synthesis: dict[str, int]
    placed: dict[str, tuple[int, int]]
    hierarchy: str
    blocks: dict[str, dict[str, int]]
    memories: dict[str, dict[str, Any]]
    paths: list[dict[str, Any]]
    tool_versions: dict[str, str]
    seconds: dict[str, float]
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


@dataclass(frozen=True)
class Bitstream:
    """A packed design, what the driver must know of it, and its report."""

    data: bytes
    metadata: dict[str, Any]
    report: BitstreamReport
    suffix: str

    def write(self, folder: Path, force: bool = False) -> list[Path]:
        """Write bitstream, metadata and report, all or none.

        Raises
        ------
        InputError
            The folder cannot be written, or has somebody else's files, and no ``force``.
        """
        config = CoreConfig.from_dict(self.report.config)
        name = f"{self.report.design}-{self.report.board}"
        return write_files(
            folder,
            {
                f"{name}.{self.suffix}": self.data,
                f"{name}.json": json.dumps(self.metadata, indent=2) + "\n",
                f"{name}.report.json": self.report.to_json(),
            },
            f"bitstream {name}, configuration {config.digest}",
            force,
        )


def clocking(board: Board, clock: float | None) -> tuple[float, Pll | None]:
    """MHz of a board's clock, and the settings that make it.

    Raises
    ------
    InputError
        It cannot be made.
    """
    source, wanted = oscillator(board), clock or board.clock
    if wanted == source:
        return wanted, None
    if board.family not in _PLLS:
        raise InputError(f"--freq: {board.title} runs at {source:g} MHz, not {wanted:g}")
    return wanted, _PLLS[board.family](source, wanted)


@dataclass(frozen=True)
class Design:
    """A board's logic: MHz of its clock, bits a second of its link, and what it was made into."""

    clock: float
    baud: int
    memory: Memory
    rtlil: str
    netlist: Netlist


def synthesised(
    config: CoreConfig, board: Board, *, clock: float | None = None, use_cache: bool = True
) -> Design:
    """The logic of a board, refused where it does not fit.

    Raises
    ------
    InputError
        No such board can be built, it does not fit, or a tool is missing.
    ToolError
        Yosys failed.
    """
    mhz, pll = clocking(board, clock)
    baud, divisor = baud_rate(mhz)
    check_model(config, board)
    memory = SdramTiming.at(board.sdram, mhz) if board.sdram else board.memory
    rtlil = top_rtlil(config, memory, divisor, pll)
    netlist = synthesise(board, rtlil, use_cache=use_cache)
    check_synthesis(config, board, netlist.total)
    return Design(mhz, baud, memory, rtlil, netlist)


def board_metadata(config: CoreConfig, board: Board, design: Design) -> dict[str, Any]:
    """What the driver must know: :func:`lutcore.fpga.host.driver.read_metadata` reads it."""
    return {
        "design": config.name,
        "board": board.name,
        "top": "core" if is_core(config) else "tile",
        "config": config.to_dict(),
        "clock_mhz": design.clock,
        "baud": design.baud,
        "facts": facts(config, memory_bytes(design.memory)),
    }


def build(
    config: CoreConfig,
    board: Board,
    *,
    clock: float | None = None,
    seeds: Sequence[int] = (1,),
    jobs: int = 1,
    native: bool = False,
    use_cache: bool = True,
    progress: Progress | None = None,
) -> Bitstream:
    """Synthesise, place and route with every seed, and pack the best.

    Parameters
    ----------
    clock : float, optional
        MHz of the board's logic.
    jobs : int
        Seeds at a time.
    native : bool
        Use nextpnr and the packer on PATH rather than the Python packages'.
    use_cache : bool
        Take earlier results; otherwise replace them.

    Raises
    ------
    InputError
        No such board can be built, it does not fit, or a tool is missing.
    ToolError
        A tool failed.
    """
    say = progress or (lambda seed, line: None)
    if not is_core(config):
        board = board.on_block_ram()
    flow = FLOWS[board.family]
    versions = {tool.program: command(tool, native)[1] for tool in (flow.place, flow.pack)}
    say(0, "synthesis")
    design = synthesised(config, board, clock=clock, use_cache=use_cache)
    router = _Router(board, design.netlist, design.clock, native, versions[flow.place.program])
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        routed = list(pool.map(lambda seed: router.run(seed, use_cache, say), seeds))
    best = max(routed, key=lambda route: route.fmax)
    say(best.seed, "packing")
    data = pack(board, best.placed.text, native=native)
    report = _report(config, board, design, routed, best, versions, data)
    return Bitstream(data, board_metadata(config, board, design), report, flow.suffix)


@dataclass(frozen=True)
class _Route:
    """A placed and routed design: its seed, and the seconds that it took."""

    seed: int
    placed: Placed
    seconds: float

    @property
    def fmax(self) -> float:
        """MHz that the slowest clock reaches."""
        return min(clock["achieved"] for clock in self.placed.report["fmax"].values())


def _report(
    config: CoreConfig,
    board: Board,
    design: Design,
    routed: Sequence[_Route],
    best: _Route,
    versions: dict[str, str],
    data: bytes,
) -> BitstreamReport:
    netlist, report = design.netlist, best.placed.report
    python = {name: importlib.metadata.version(name) for name in ("amaranth", "lut-tensor-core")}
    return BitstreamReport(
        design=config.name,
        board=board.name,
        config=config.to_dict(),
        clock_mhz=design.clock,
        fmax_mhz=round(best.fmax, 2),
        met=best.fmax >= design.clock,
        baud=design.baud,
        memory=memory_bytes(design.memory),
        store=board.sdram.title if board.sdram else "block RAM",
        seed=best.seed,
        seeds={route.seed: round(route.fmax, 2) for route in routed},
        synthesis=netlist.total,
        placed={
            name: (part["used"], part["available"])
            for name, part in report["utilization"].items()
            if part["used"]
        },
        hierarchy=netlist.hierarchy,
        blocks=netlist.blocks,
        memories=netlist.memories,
        paths=list(_paths(report)),
        tool_versions={"yosys": netlist.yosys} | versions | python,
        seconds={"synthesis": netlist.seconds, "place and route": best.seconds},
        sha256=hashlib.sha256(data).hexdigest(),
    )


@dataclass(frozen=True)
class _Router:
    """Place and route of one netlist, seed by seed, or what the cache has of it."""

    board: Board
    netlist: Netlist
    clock: float
    native: bool
    version: str

    def run(self, seed: int, use_cache: bool, say: Progress) -> _Route:
        """Place and route with a seed."""
        places = pins(self.board)
        flow = FLOWS[self.board.family]
        options = " ".join((*self.board.device, *flow.place_options, f"{self.clock} {seed}"))
        facts = (self.version, flow.constraints(places), options, str(self.netlist.json))
        entry = cache.entry("placed", cache.key("lutcore.fpga.flow.place", *facts))
        if use_cache and (found := cache.load(entry)):
            return _Route(seed, Placed(found["text"], found["report"]), found["seconds"])
        began = time.perf_counter()
        placed = place_and_route(
            self.board,
            self.netlist.json,
            places,
            self.clock,
            seed,
            native=self.native,
            progress=lambda line: say(seed, line),
        )
        seconds = round(time.perf_counter() - began, 2)
        cache.store(entry, {**vars(placed), "seconds": seconds})
        return _Route(seed, placed, seconds)


def _paths(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The slowest of nextpnr's critical paths."""
    found = []
    for path in report["critical_paths"]:
        steps = path["path"]
        cells = [step["to"]["cell"] for step in steps if step["type"] == "logic"]
        ends = {"from": steps[0]["from"]["cell"], "to": steps[-1]["to"]["cell"]}
        ns = round(sum(step["delay"] for step in steps), 2)
        clocks = f"{path['from']} -> {path['to']}"
        found.append({**ends, "clocks": clocks, "ns": ns, "cells": cells})
    yield from sorted(found, key=lambda path: -path["ns"])[:_PATHS]
