"""The command ``generate``: files of a design."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lutcore.cli.options import AsJson, Config, Force, Overrides
from lutcore.cli.shared import print_json, print_written
from lutcore.hdl.config.presets import load_config


def generate(
    config: Config,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
    top: Annotated[
        str, typer.Option(help="tile, core (between streams) or axi (with registers).")
    ] = "tile",
    force: Force = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write Verilog, metadata JSON, FuseSoC core and lint waivers of a tile or a core.

    Example: lutcore generate dense-w1a8 -o build/dense-w1a8
    """
    from lutcore.gen.emit.generate import generate as generate_files

    core = load_config(config, overrides or ())
    written = generate_files(core, output, top, force)
    if as_json:
        print_json(json.loads((output / f"{core.name}.json").read_text()))
    else:
        print_written(*written)
