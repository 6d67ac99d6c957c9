"""The main job: real quantised weights, through generated Verilog, held against the golden model.

For each tensor of ``minilm.gguf``: read and pack it, generate the tile that suits its weight bits,
run it on Verilator with activations of the real network, compare every integer, and report area.
"""

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.gen.asic.synth import AreaReport, synthesise
from lutcore.gen.run.tile import SimulationReport, simulate
from lutcore.hdl.config.presets import preset

HERE = Path(__file__).resolve().parent
#: Activation rows (tokens) of the sentence that are run.
ROWS = 4
#: Weight bits -> the tile that runs them.
TILES = {2: "w2a8", 4: "w4a8", 8: "w8a8"}


def show(console: Console, runs: list[SimulationReport], areas: dict[str, AreaReport]) -> None:
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


def main() -> int:
    """Run every tensor; returns the exit status."""
    console, progress = Console(width=110), Console(stderr=True)
    checkpoint = GgufFile(HERE / "minilm.gguf")
    activations = np.load(HERE / "minilm-activations.npz")
    runs: list[SimulationReport] = []
    areas: dict[str, AreaReport] = {}
    for name in track(checkpoint.names(), "simulating, synthesising", console=progress):
        tensor = checkpoint.tensor(name)
        config = preset(TILES[tensor.bits])
        runs.append(simulate(config, tensor, activations[name][:ROWS], model="minilm.gguf"))
        if config.name not in areas:
            areas[config.name] = synthesise(config)
    show(console, runs, areas)
    wrong = sum(run.mismatches for run in runs)
    total = sum(run.checked for run in runs)
    if wrong:
        console.print(f"{wrong:,} of {total:,} integers differ from the golden model")
        return 1
    console.print(f"All {total:,} integers equal the golden model's.", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
