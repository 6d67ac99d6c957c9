"""Options that several commands have: each with its words, once."""

from pathlib import Path
from typing import Annotated

import typer


def library(text: str) -> Path:
    """A Liberty file as a user wrote it; its reader is loaded where there is one."""
    from lutcore.gen.asic.liberty import library_path

    return library_path(text)


def configurations(incomplete: str) -> list[tuple[str, str]]:
    """What a shell completes CONFIG by: presets with what they are, and .toml files."""
    from lutcore.hdl.config.presets import SUMMARIES

    files = [(str(path), "a configuration's file") for path in Path().glob(f"{incomplete}*.toml")]
    return [found for found in SUMMARIES.items() if found[0].startswith(incomplete)] + files


Config = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG", help="Preset name or .toml file.", autocompletion=configurations
    ),
]
Core = Annotated[
    str,
    typer.Option(help="Core: a preset's name or a .toml file.", autocompletion=configurations),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace files that are not of this configuration.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Checkpoint: a file or a folder.")]
GptqVersion = Annotated[
    int | None,
    typer.Option(
        help="How GPTQ's zero points are stored, 1 or 2: overrides the file.", min=1, max=2
    ),
]
Activations = Annotated[
    Path | None, typer.Option(help="Activations: .npy [M, K], or .npz by tensor name.")
]
Rows = Annotated[int, typer.Option(help="Activation rows (M) to use; 0: all of the file.", min=0)]
Seed = Annotated[int, typer.Option(help="Seed of random data.", min=0)]

Liberty = Annotated[
    Path | None,
    typer.Option(
        parser=library,
        metavar="FILE",
        help="Liberty library, plain or .gz; demo: a small synthetic one, for trying; "
        "default a neutral one without timing.",
    ),
]
Liberties = Annotated[
    list[Path] | None,
    typer.Option(
        parser=library,
        metavar="FILE",
        help="As many Liberty libraries as there are, plain or .gz, the option repeated; "
        "demo: a small synthetic one, for trying; default a neutral one without timing.",
    ),
]
Corners = Annotated[
    list[Path] | None,
    typer.Option(
        parser=library,
        metavar="FILE",
        help="The same library at another corner, with which the netlist is timed too; as many as "
        "there are, the option repeated.",
    ),
]
Period = Annotated[
    float | None,
    typer.Option(metavar="NS", help="Clock period to close at; default 1.0 with --liberty."),
]
Jobs = Annotated[int, typer.Option(help="Worker processes on this machine.", min=1)]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDR", help="Dask scheduler, e.g. tcp://host:8786.")
]

Tls = Annotated[
    tuple[Path, Path, Path] | None,
    typer.Option(
        metavar="CA CERT KEY",
        help="Files of TLS for the scheduler, tls://host:8786: authority, certificate, key. "
        "Peers execute what they are sent: without TLS, only on a network of your own.",
    ),
]

Port = Annotated[
    str | None, typer.Option(help="Serial port of a board, or sim: a simulated board.")
]
Baud = Annotated[
    int, typer.Option(help="Bits a second of the board's link, as its metadata say.", min=1)
]
ToArray = Annotated[Path | None, typer.Option("-o", "--output", help="Write the result as .npy.")]
Stall = Annotated[
    float, typer.Option(help="RTL: probability that the bus pauses.", min=0, max=0.95)
]
Latency = Annotated[int, typer.Option(help="RTL: cycles of memory latency.", min=1)]
