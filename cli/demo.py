"""The command ``demo``: the main job on real quantised weights.

For each tensor of ``minilm.gguf``: read and pack it, generate the tile that suits its weight bits,
run it on Verilator with activations of the real network, compare every integer, and report area.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lutcore.cli.options import Force
from lutcore.cli.shared import OUT, print_written, progress_bar
from lutcore.files import example, examples, write_files

if TYPE_CHECKING:
    from lutcore.gen.asic.synth import AreaReport
    from lutcore.gen.run.tile import SimulationReport

#: Activation rows (tokens) of the sentence that are run.
ROWS = 4
#: Weight bits -> the tile that runs them.
TILES = {2: "w2a8", 4: "w4a8", 8: "w8a8"}


def _show(console: Console, runs: "list[SimulationReport]", areas: "dict[str, AreaReport]") -> None:
    """Print one table: what ran, how long, how exactly, on how much hardware."""
    table = Table(
        title="Tensors of minilm.gguf on generated LUT tiles (M2 N64 K4), INT8 activations",
        title_justify="left",
        caption="kGE: thousand gate equivalents (NAND2), technology-neutral, not timed",
        caption_justify="left",
    )
    for heading in ("tensor", "type", "tile"):
        table.add_column(heading, no_wrap=True)
    for heading in ("M x N x K", "cycles", "slices/cycle", "checked", "wrong", "tile kGE"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        m, n, k = run.shape
        table.add_row(
            run.tensor.removesuffix(".weight"),
            run.kind,
            run.design,
            f"{m} x {n} x {k}",
            f"{run.cycles:,}",
            f"{run.slices / run.issue_cycles:.3f}",
            f"{run.checked:,}",
            f"{run.mismatches}",
            f"{areas[run.design].gate_equivalents / 1000:.1f}",
        )
    console.print(table)


def demo(
    files: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy the example files there instead, to try them."),
    ] = None,
    force: Force = False,
) -> None:
    """Run real quantised weights on generated Verilog, checked and measured: one table.

    Example: lutcore demo
    """
    if files is not None:
        _copy(files, force)
        return
    import numpy as np

    from lutcore.compiler.importers.gguf_file import GgufFile
    from lutcore.gen.asic.synth import synthesise
    from lutcore.gen.run.tile import simulate
    from lutcore.hdl.config.presets import preset

    checkpoint = GgufFile(example("minilm.gguf"))
    activations = np.load(example("minilm-activations.npz"))
    runs: list[SimulationReport] = []
    areas: dict[str, AreaReport] = {}
    names = checkpoint.names()
    with progress_bar("tensors") as progress:
        task = progress.add_task("simulating, synthesising", total=len(names))
        for name in names:
            tensor = checkpoint.tensor(name)
            config = preset(TILES[tensor.bits])
            runs.append(simulate(config, tensor, activations[name][:ROWS], model="minilm.gguf"))
            if config.name not in areas:
                areas[config.name] = synthesise(config)
            progress.advance(task)
    _show(Console(width=110), runs, areas)
    wrong = sum(run.mismatches for run in runs)
    total = sum(run.checked for run in runs)
    if wrong:
        OUT.print(f"{wrong:,} of {total:,} integers differ from the golden model")
        raise typer.Exit(1)
    OUT.print(f"All {total:,} integers equal the golden model's.", highlight=False)


def _copy(folder: Path, force: bool) -> None:
    """Copy the examples; what others wrote stays unless it is forced."""
    files = {path.name: path.read_bytes() for path in examples()}
    print_written(*write_files(folder, files, "demo --files", force))
