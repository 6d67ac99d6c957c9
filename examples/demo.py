"""The main job: real quantised weights, through generated Verilog, held against the golden model.

For each tensor of ``minilm.gguf``: read and pack it, generate the tile that suits its weight bits,
run it on Verilator with activations of the real network, compare every integer, and report area.
"""

import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from compiler.gguf_file import GgufFile
from gen.simulate import SimulationReport, simulate
from gen.synth import AreaReport, synthesise
from hdl.presets import preset

HERE = Path(__file__).resolve().parent
ROWS = 4
#: Weight bits -> the tile that runs them.
TILES = {2: "w2a8", 4: "w4a8", 8: "w8a8"}


def show(console: Console, rows: list[tuple[SimulationReport, AreaReport]]) -> None:
    """Print one table: what ran, how long, how exactly, on how much hardware."""
    table = Table(title="minilm.gguf on generated LUT tiles", title_justify="left")
    for heading in ("tensor", "type", "tile"):
        table.add_column(heading, no_wrap=True)
    for heading in ("M x N x K", "slices", "cycles", "results", "wrong", "kGE", "GE/product"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run, area in rows:
        m, n, k = run.shape
        products = area.products_per_cycle
        table.add_row(
            run.tensor.removesuffix(".weight"),
            run.kind,
            run.design,
            f"{m} x {n} x {k}",
            f"{run.slices:,}",
            f"{run.cycles:,}",
            f"{run.results:,}",
            f"{run.mismatches}",
            f"{area.gate_equivalents / 1000:.1f}",
            f"{area.gate_equivalents / products:.0f}",
        )
    console.print(table)
