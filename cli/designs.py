"""The commands ``generate`` and ``lint``: files of a design, and what tools say of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutcore.cli.options import AsJson, Config, Force, Overrides
from lutcore.cli.shared import OUT, Column, print_json, print_table, print_written
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.gen.emit.lint import Opinion

Top = Annotated[
    str,
    typer.Option(
        help="tile or core, between streams; axi-stream, the tile between AXI-Streams; axi, "
        "axi-aclk, axi-apb, axi-wishbone: a core with AXI4 memory and registers."
    ),
]


def generate(
    config: Config,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
    top: Top = "tile",
    datasheet: Annotated[
        bool,
        typer.Option(
            "--datasheet", help="Map and simulate it too, for a datasheet in HTML and Markdown."
        ),
    ] = False,
    sva: Annotated[
        bool, typer.Option("--sva", help="Write assertions too: a checker, and properties to bind.")
    ] = False,
    force: Force = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write a tile or a core: Verilog, and all that it takes to put it into a design.

    A SystemVerilog package and wrapper, an instance to copy, constraints, self-checking benches in
    Verilog and cocotb, descriptions for FuseSoC and IP-XACT, metadata; with registers their header.

    Example: lutcore generate dense-w1a8 -o build/dense-w1a8
    """
    from lutcore.gen.collateral.generate import generate as generate_files
    from lutcore.gen.emit.rtl import design_name

    core = load_config(config, overrides or ())
    written = generate_files(core, output, top, force, datasheet, sva)
    if as_json:
        print_json(json.loads((output / f"{design_name(core, top)}.json").read_text()))
    else:
        print_written(*written)


def lint(
    config: Config,
    top: Top = "tile",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run five linters on the Verilog of a design; status 1 where one of them says something.

    Verilator -Wall, Icarus -Wall, Yosys check, slang and Verible. Those that are not installed are
    named, with how to install them.

    Example: lutcore lint w2a8 --set n=4
    """
    from lutcore.gen.collateral.systemverilog import systemverilog
    from lutcore.gen.emit.interfaces import check_top
    from lutcore.gen.emit.lint import lint as ask
    from lutcore.gen.emit.rtl import design_name, verilog

    core = load_config(config, overrides or ())
    check_top(core, top)
    name = design_name(core, top)
    found = ask(verilog(core, top), name, systemverilog(core, top))
    if as_json:
        print_json({"design": name, "top": top, "tools": [asdict(opinion) for opinion in found]})
    else:
        rows = [(opinion.tool, opinion.version or "-", _said(opinion)) for opinion in found]
        columns = [Column("tool"), Column("version"), Column("says")]
        print_table(name, columns, rows)
        for opinion in found:
            for message in opinion.messages:
                OUT.print(f"{opinion.tool}: {message}", highlight=False, markup=False)
    if any(opinion.messages for opinion in found):
        raise typer.Exit(1)


def _said(opinion: "Opinion") -> str:
    if not opinion.version:
        return f"not installed: {opinion.remedy}"
    return f"{len(opinion.messages)} messages" if opinion.messages else "nothing"
