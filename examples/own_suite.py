"""A suite of one's own: real data, a golden model, constraints and a plan beside lutcore's.

lutcore verify w2a8 --set n=4 --seeds 1 --suite examples/own_suite.py
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.gen.verify.suite import Feature, constraint, golden, test
from lutcore.gen.verify.tile_cases import TileCase
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import Stalls, TileJob, tile_job

#: Files beside this one whose content counts: another content, and all is played again.
DATA = ["minilm.gguf", "minilm-activations.npz"]
HERE = Path(__file__).parent
LAYER = "blk.0.ffn_down.weight"


@test
def real_layer(config: CoreConfig, seed: int) -> TileJob:
    """What a sentence's words give to a ternary layer comes out right, part by part."""
    whole = open_checkpoint(HERE / "minilm.gguf").tensor(LAYER)
    activations = np.load(HERE / "minilm-activations.npz")[LAYER]
    rng = np.random.default_rng(seed)
    size, k = whole.group_size, min(whole.group_size, config.max_k)
    group = int(rng.integers(whole.shape[1] // size))
    rows, columns = rng.choice(20, 3), rng.choice(whole.shape[0], config.columns + 1)
    part = replace(
        whole,
        codes=whole.codes[columns, group * size : group * size + k],
        scales=whole.scales[columns, group : group + 1],
        zero_points=whole.zero_points[columns, group : group + 1],
    )
    values = activations[rows, group * size : group * size + k]
    return tile_job(config, values, part, stalls=Stalls(results=0.2), seed=seed)


@golden
def products(
    config: CoreConfig, activations: np.ndarray, weights: QuantTensor, spans: list[tuple[int, int]]
) -> np.ndarray:
    """``sum A (q - z)`` over each part of K, in plain integers."""
    group = np.arange(weights.shape[1]) // weights.group_size
    factors = weights.codes.astype(int) - weights.zero_points[:, group]
    values = activations.astype(int)
    parts = [values[:, start:stop] @ factors[:, start:stop].T for start, stop in spans]
    return np.stack(parts, axis=-1)


@constraint
def our_network(config: CoreConfig, case: TileCase) -> TileCase:
    """Weights of two bits, activations within 100, zero points that are never late."""
    activations, weights, _, results = case.stalls
    return replace(case, bits=2, most=100.0, stalls=(activations, weights, 0.0, results))


@constraint
def whole_lines(config: CoreConfig, case: TileCase) -> TileCase:
    """K is a multiple of eight where it is longer."""
    return case if case.k < 8 else replace(case, k=case.k // 8 * 8)


PLAN = [
    Feature(
        "our network",
        "A layer of ours comes out right, with zero points at both ends and between.",
        tests=("real_layer", "random"),
        bins=("zero point",),
    )
]
