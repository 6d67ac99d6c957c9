"""The regression of the tile: every shape and table form, every weight width, under stalls."""

import shutil
from itertools import product

import numpy as np
import pytest
from sweeps import swept

from lutcore.gen.run.tile import random_activations
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import Stalls, tile_job
from lutcore.verif.sim.layout import PLANE_ORDERS

pytestmark = pytest.mark.slow

BUSY = Stalls(activations=0.2, weights=0.2, zero_points=0.3, results=0.3)
SLOW_RESULTS = Stalls(results=0.9)
SLOW_INPUTS = Stalls(activations=0.6, weights=0.1, zero_points=0.6)
STALLS = (Stalls(), BUSY, SLOW_RESULTS, SLOW_INPUTS)

SHAPES = {
    "default-w2": CoreConfig(),
    "n1": CoreConfig(m=1, n=1, k=4, max_weight_bits=8, max_k=512),
    "n8-w8": CoreConfig(m=2, n=8, k=4, max_weight_bits=8, max_k=1024, zero_points="column"),
    "n8-w8-subset": CoreConfig(
        m=2, n=8, k=4, max_weight_bits=8, max_k=1024, table_form="subset", zero_points="column"
    ),
    "n256-w1": CoreConfig(m=1, n=256, k=4, max_weight_bits=1, max_k=512),
    "m3-n6-k5": CoreConfig(m=3, n=6, k=5, max_weight_bits=3, max_k=300),
    "lookups-subset": CoreConfig(
        n=16,
        k=2,
        lookups=8,
        table_form="subset",
        max_weight_bits=4,
        group_size=32,
        zero_points="column",
    ),
    "lookups-symmetric": CoreConfig(
        m=1, n=12, k=3, lookups=4, max_weight_bits=8, max_k=512, pipeline=1
    ),
    "lookups-w1": CoreConfig(m=1, n=4, k=2, lookups=3, max_weight_bits=1, max_k=256),
    "pipeline-external": CoreConfig(n=8, k=4, zero_points="external", pipeline=1, max_k=512),
    "external-subset": CoreConfig(
        n=8, k=2, table_form="subset", zero_points="external", result_columns=2, max_k=512
    ),
    "int16": CoreConfig(m=1, n=8, k=4, activation="int16", max_weight_bits=4, max_k=512),
    "3-tiles": CoreConfig(tiles=3, n=4, result_columns=6, zero_points="column", max_k=512),
    # Five tables: a tree with an odd one left over, twice.
    "lutram": CoreConfig(
        **{"table_storage": "lutram", "passes": 5, "n": 2, "k": 2, "lookups": 5},
        **{"group_size": 40, "max_weight_bits": 2, "zero_points": "column"},
    ),
    "chain": CoreConfig(
        **{"table_storage": "chain", "n": 4, "k": 3, "lookups": 5, "result_columns": 2},
        **{"max_k": 256, "max_weight_bits": 3, "zero_points": "column"},
    ),
}

#: One of each way to store tables and to meet zero points.
FEW = ["default-w2", "lookups-subset", "n8-w8", "pipeline-external", "lutram", "chain"]


def tensor_for(config, make_tensor, n, k, bits, group, seed):
    """Zero points vary between columns wherever the configuration can take that."""
    return make_tensor(n, k, bits, group, seed, shared=config.zero_points == "shared")


def check(config: CoreConfig, jobs, run_tile, simulator: str = "verilator") -> None:
    verdicts = run_tile(config, jobs, simulator=simulator)
    assert len(verdicts) == len(jobs)
    for job, verdict in zip(jobs, verdicts, strict=True):
        assert verdict["mismatches"] == 0, verdict["problems"]
        assert verdict["beats"] == job.beats > 0
        assert verdict["slices"] == job.slices
        assert verdict["checked"] == sum(int(c.sum()) for c in job.checked.values()) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_bit_exact(shape, make_tensor, run_tile):
    """All weight widths, plane orders and groups; ragged M, N and K; random stalls."""
    config = SHAPES[shape]
    rng = np.random.default_rng(1)
    jobs = []
    cases = product(range(1, config.max_weight_bits + 1), (32, 64, 128, 150))
    for seed, (bits, group) in enumerate(cases):
        n = int(rng.integers(1, 2 * config.passes * config.n + 2))
        k = int(rng.integers(config.depth, 151))
        m = int(rng.integers(1, 2 * config.m + 1))
        tensor = tensor_for(config, make_tensor, n, k, bits, group, seed)
        activations = random_activations(config, m, k, rng)
        order, stalls = PLANE_ORDERS[seed % 4], STALLS[seed // 2 % 4]
        jobs.append(tile_job(config, activations, tensor, order=order, stalls=stalls, seed=seed))
    check(config, jobs, run_tile)


@pytest.mark.parametrize("k", swept(range(1, 7), (1, 3, 6).__contains__))
@pytest.mark.parametrize("form", ["symmetric", "subset"])
def test_every_table_size(k, form, make_tensor, run_tile):
    """K = 1..6 in both table forms; the rest of them in `make long`."""
    config = CoreConfig(m=1, n=3, k=k, table_form=form, max_k=128)
    rng = np.random.default_rng(k)
    jobs = [
        tile_job(
            config,
            random_activations(config, 2, 70, rng),
            make_tensor(5, 70, bits, 32, bits, shared=True),
            stalls=stalls,
        )
        for bits, stalls in ((1, Stalls()), (2, BUSY))
    ]
    check(config, jobs, run_tile)


@pytest.mark.parametrize(
    "shape", ["n8-w8", "n8-w8-subset", "lookups-subset", "int16", "lutram", "chain"]
)
def test_extremes_fill_the_accumulator(shape, make_tensor, run_tile):
    """Least and greatest activations times least and greatest codes over the longest run."""
    config = SHAPES[shape]
    low, high = config.activation_range
    k, bits = config.run_length, config.max_weight_bits
    jobs = []
    for value, code, zero in product((low, high), (0, (1 << bits) - 1), (0, 1 << bits)):
        tensor = make_tensor(config.n, k, bits, k)
        tensor.codes[:] = code
        tensor.zero_points[:] = zero
        # Rows take turns, and all of them are there: each has a row sum of its own.
        activations = np.full((2 * config.m, k), value)
        activations[1::2] = low + high - value
        jobs.append(tile_job(config, activations, tensor))
    check(config, jobs, run_tile)


@pytest.mark.parametrize("shape", FEW)
def test_a_reset_leaves_nothing(shape, make_tensor, run_tile):
    """Resets in any cycle of a job, one after the other: the next job knows nothing of it."""
    config = SHAPES[shape]
    rng = np.random.default_rng(4)
    jobs = []
    for seed in range(8):
        bits, n = int(rng.integers(1, config.max_weight_bits + 1)), 2 * config.passes * config.n
        tensor = tensor_for(config, make_tensor, n, 96, bits, 32, seed)
        activations = random_activations(config, 2 * config.m, 96, rng)
        job = tile_job(config, activations, tensor, stalls=STALLS[seed % 4], seed=seed)
        job.resets = rng.integers(1, 2 * job.slices + 20, 20).tolist()
        jobs.append(job)
    check(config, jobs, run_tile)


@pytest.mark.parametrize("shape", FEW)
def test_one_slice_every_cycle(shape, make_tensor, run_tile):
    """No bubble at plane, step, run or result boundaries: slices issue back to back."""
    config = SHAPES[shape]
    rng = np.random.default_rng(3)
    jobs = []
    for bits in range(1, config.max_weight_bits + 1):
        n = 2 * config.passes * config.n
        tensor = tensor_for(config, make_tensor, n, 4 * 32, bits, 32, bits)
        activations = random_activations(config, 2 * config.m, 4 * 32, rng)
        jobs.append(tile_job(config, activations, tensor))
        slices_of_a_run = 32 // config.depth * bits
        assert slices_of_a_run >= config.full_rate_slices
    for verdict in run_tile(config, jobs):
        assert verdict["mismatches"] == 0, verdict["problems"]
        assert verdict["issue_cycles"] == verdict["slices"]
        assert verdict["cycles"] == verdict["slices"] + config.latency + config.drain_beats - 1


def test_every_tensor_of_the_example(example, example_activations, run_tile):
    """Real weights and activations, whole matrices, one 8-bit tile for all types."""
    config = CoreConfig(m=2, n=64, max_weight_bits=8, max_k=2048)
    names = example.names()
    assert {example.kind(n) for n in names} >= {"TQ1_0", "TQ2_0", "Q4_0", "Q8_0"}
    jobs = [tile_job(config, example_activations[name][:2], example.tensor(name)) for name in names]
    check(config, jobs, run_tile)


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("shape", ["n1", "pipeline-external", "external-subset"])
def test_icarus_agrees_and_sees_no_x(shape, make_tensor, run_tile):
    config = SHAPES[shape]
    rng = np.random.default_rng(5)
    jobs = [
        tile_job(
            config,
            random_activations(config, config.m + 1, 70, rng),
            tensor_for(config, make_tensor, config.n + 1, 70, config.max_weight_bits, 32, 0),
            stalls=stalls,
            order="shuffled",
        )
        for stalls in (Stalls(), BUSY)
    ]
    check(config, jobs, run_tile, simulator="icarus")
