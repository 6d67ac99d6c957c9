"""The cycle model against the counters of RTL; all of its cases: ``python -m gen.cycle_model``."""

import numpy as np
import pytest

from compiler.cycles import cycles
from compiler.engine_times import Memory
from compiler.gemm import gemm
from gen.cycle_model import CASES
from gen.run import simulation
from gen.simulate import random_activations, random_tensor
from verif.core_simulator import Conditions

#: Small core (those that the core's own tests build), M, N, K, bits, group, latency, output.
LAYERS = [
    ("w4a8", 5, 40, 100, 4, 32, 20, "fp32"),
    ("w4a8", 1, 64, 96, 2, 32, 60, "fp16"),
    ("4-tiles", 7, 100, 96, 1, 32, 20, "fp32"),
    ("ternary", 2, 24, 99, 2, 33, 20, "fp32"),
    ("fp8-int8-tables", 4, 24, 64, 2, 32, 40, "fp32"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: "-".join(map(str, layer)))
def test_counters_are_those_of_rtl(small_cores, layer) -> None:
    core, m, n, k, bits, group, latency, output = layer
    config = small_cores[core]
    rng = np.random.default_rng(0)
    ternary = config.weight_coding == "ternary"
    tensor = random_tensor((n, k), bits, group, rng, shared=True, ternary=ternary)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    program = gemm(config, tensor, random_activations(config, m, k, rng), output)
    running = simulation(config)
    length = len(program.words)
    outcome = running.run(program.image(), program.address, length, Conditions(latency=latency))
    running.close()
    outcome.check()
    found = cycles(config, program.words, Memory(latency=latency), program.address)
    assert abs(found.cycles / outcome.counters["cycles"] - 1) <= 0.02
    assert vars(found) == outcome.counters


def test_enough_layers_are_held_out() -> None:
    assert len(CASES) >= 30
    assert len({case.core.split()[0] for case in CASES}) == 5
