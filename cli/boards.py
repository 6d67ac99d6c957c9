"""Commands about boards: bitstreams."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.table import Table

from lutcore.cli.options import AsJson, Force, Overrides, configurations
from lutcore.cli.progress import Lines, spinners
from lutcore.cli.shared import ERR, OUT, print_facts, print_json, print_written, say
from lutcore.fpga.boards.boards import BOARDS, Board
from lutcore.hdl.config.core import CoreConfig

if TYPE_CHECKING:
    from rich.progress import Progress

_KINDS = ("lut", "ff", "carry", "lutram", "bram", "spram", "dsp")


class _Stages:
    """A line for synthesis and for each seed, with what the tool said last."""

    def __init__(self, progress: "Progress"):
        self._progress = progress
        self._lines: dict[int, Any] = {}
        self._plain = Lines(lambda text: say(text, "dim"))

    def __call__(self, seed: int, line: str) -> None:
        said = line.removeprefix("Info: ").strip()
        if not said or said.startswith(("[", "|")):
            return
        name = f"seed {seed}" if seed else "board"
        if seed not in self._lines:
            self._lines[seed] = self._progress.add_task(name, total=None, said=said)
        self._progress.update(self._lines[seed], said=said[:70])
        if self._progress.disable:
            self._plain(f"{name}: {said[:70]}")


def bitstream(
    board: Annotated[
        str,
        typer.Option(help=", ".join(BOARDS) + ".", autocompletion=lambda: list(BOARDS)),
    ],
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]",
            help="Preset or .toml file; default: the board's own.",
            autocompletion=configurations,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")] = Path(
        "build/bitstreams"
    ),
    freq: Annotated[
        float | None, typer.Option(help="MHz of the board's logic.", min=1, max=400)
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Seeds of placement to try; the fastest is kept.", min=1, max=99)
    ] = 1,
    jobs: Annotated[int, typer.Option(help="Seeds at a time.", min=1)] = 1,
    block_ram: Annotated[
        bool, typer.Option("--block-ram", help="Memory on block RAM where the board has SDRAM.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="nextpnr and packer on PATH, not the packages'.")
    ] = False,
    force: Force = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Build the bitstream of a board, with its metadata and a report.

    Exit status 1 where timing is not met.

    Example: lutcore bitstream --board icebreaker
    """
    from lutcore.fpga.boards.boards import board_config, board_named
    from lutcore.fpga.flow.bitstream import build
    from lutcore.fpga.flow.place import FLOWS
    from lutcore.fpga.flow.tools import native_wanted

    target = board_named(board).on_block_ram() if block_ram else board_named(board)
    core = board_config(target, config, tuple(overrides or ()))
    if target.family not in FLOWS:
        _project(core, target, output, freq, force, as_json)
        return
    with spinners(ERR) as bar:
        built = build(
            core,
            target,
            clock=freq,
            seeds=range(1, seeds + 1),
            jobs=jobs,
            native=native or native_wanted(),
            progress=_Stages(bar),
        )
    _end(built.report, built.write(output, force), target, as_json)


def _end(report: Any, written: list[Path], board: Board, as_json: bool) -> NoReturn:
    """Print what was built; status 1 where timing is not met."""
    if as_json:
        print_json(report.to_dict() | {"files": [str(path) for path in written]})
    else:
        _print(report, board.capacity)
        print_written(*written)
        load = board.load.replace("FILE", str(written[0]))
        OUT.print(f"load it: {load}", highlight=False, soft_wrap=True)
    raise typer.Exit(int(not report.met))


def _project(
    core: CoreConfig, board: Board, output: Path, freq: float | None, force: bool, as_json: bool
) -> None:
    """Write the files of a vendor's tool, and tell what Yosys finds."""
    from lutcore.fpga.flow.vivado import project

    with ERR.status(f"synthesising {core.name} for {board.name}"):
        made = project(core, board, clock=freq)
    written = made.write(output, force)
    if as_json:
        print_json(made.to_dict() | {"files": [str(path) for path in written]})
        return
    net = made.netlist
    _print_area(made.name, net.blocks, net.total, net.hierarchy, board.capacity)
    print_facts("not placed and routed", _buffers(net.memories))
    print_written(*written)
    script = written[2].name
    OUT.print(f"next, in {output}: vivado -mode batch -source {script}", soft_wrap=True)


def _buffers(memories: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {
        f"buffer {name}": f"{memory['bits']:,} bits: {memory['kind']}"
        for name, memory in memories.items()
    }


def _print_area(title: str, blocks: Any, total: Any, hierarchy: str, capacity: Any) -> None:
    table = Table(title=f"{title}: by synthesis", title_justify="left")
    table.add_column("block")
    kinds = [kind for kind in _KINDS if total[kind]]
    for kind in kinds:
        table.add_column(kind, justify="right")
    for block, used in blocks.items():
        table.add_row(block, *(f"{used[kind]:,}" if used[kind] else "" for kind in kinds))
    table.add_section()
    way = "as a whole" if hierarchy == "whole" else "block by block"
    table.add_row(f"total, mapped {way}", *(f"{total[kind]:,}" for kind in kinds))
    has = (f"{capacity[kind]:,}" if kind in capacity else "" for kind in kinds)
    table.add_row("the board has", *has)
    OUT.print(table)


def _print(report: Any, capacity: Any) -> None:
    title = f"{report.design} on {report.board}"
    _print_area(title, report.blocks, report.synthesis, report.hierarchy, capacity)
    facts = {
        name: f"{used:,} of {available:,} ({used / available:.0%})"
        for name, (used, available) in report.placed.items()
    }
    facts |= _buffers(report.memories)
    facts["memory"] = f"{report.memory:,} bytes: {report.store}"
    met = "met" if report.met else "NOT met"
    facts["timing"] = f"{met}: {report.fmax_mhz:g} MHz for {report.clock_mhz:g} MHz"
    facts["seed"] = f"{report.seed} of {len(report.seeds)}"
    if not report.met:
        facts["to meet it"] = (
            f"--freq {math.floor(report.fmax_mhz)}, more --seeds, or fewer products a cycle: "
            "--set lookups or n lower"
        )
    for number, path in enumerate(report.paths, 1):
        facts[f"path {number}"] = f"{path['ns']} ns: {path['from']} to {path['to']}"
    facts["link"] = f"{report.baud:,} bit/s"
    facts["seconds"] = ", ".join(f"{name} {value:g}" for name, value in report.seconds.items())
    print_facts("placed and routed", facts)
