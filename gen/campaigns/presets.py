"""Simulates every preset at its full size against the golden model: ``make presets``."""

import argparse
import sys

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lutcore.gen.run.tile import SimulationReport, random_activations, random_tensor, simulate
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import PRESETS
from lutcore.verif.sim.job import Stalls


def run(config: CoreConfig, seed: int = 0) -> SimulationReport:
    """One random problem, ragged in M, N and K, with random stalls; returns its report."""
    rng = np.random.default_rng(seed)
    n, k = config.columns + 1, 2 * max(64, config.depth) + 5
    tensor = random_tensor(
        (n, k),
        config.max_weight_bits,
        64,
        rng,
        shared=config.zero_points == "shared",
        ternary=config.weight_coding == "ternary",
    )
    activations = random_activations(config, config.m + 1, k, rng)
    return simulate(config, tensor, activations, stalls=Stalls(0.1, 0.1, 0.1, 0.1), seed=seed)


def main() -> int:
    """Print a line a preset; returns the exit status."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    table = Table(title="Presets against the golden model", title_justify="left")
    for heading in ("preset", "M x N x K", "cycles", "checked", "wrong", "seconds"):
        table.add_column(heading, justify="left" if heading == "preset" else "right")
    wrong = 0
    for name, config in track(PRESETS.items(), "simulating", console=Console(stderr=True)):
        report = run(config)
        wrong += report.mismatches
        shape = " x ".join(map(str, report.shape))
        counts = (f"{x:,}" for x in (report.cycles, report.checked, report.mismatches))
        table.add_row(name, shape, *counts, f"{report.seconds:.1f}")
    Console().print(table)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
