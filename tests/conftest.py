"""Shared fixtures: random problems, the example checkpoint, a runner of tile jobs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.gguf_file import GgufFile
from compiler.tensor import QuantTensor
from gen.rtl import verilog
from gen.simulate import random_tensor
from hdl.config import CoreConfig
from verif.job import TileJob
from verif.simulator import build, run_jobs

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(scope="session")
def example() -> GgufFile:
    return GgufFile(EXAMPLES / "minilm.gguf")


@pytest.fixture(scope="session")
def example_activations() -> dict[str, np.ndarray]:
    return dict(np.load(EXAMPLES / "minilm-activations.npz"))


@pytest.fixture(scope="session")
def make_tensor() -> Callable[..., QuantTensor]:
    def make(n: int, k: int, bits: int, group: int = 64, seed: int = 0, **kinds: bool):
        return random_tensor((n, k), bits, group, np.random.default_rng(seed), **kinds)

    return make


@pytest.fixture(scope="session")
def run_tile() -> Callable[..., list[dict[str, Any]]]:
    def run(
        config: CoreConfig,
        jobs: Sequence[TileJob],
        edit: Callable[[str], str] | None = None,
        simulator: str = "verilator",
    ) -> list[dict[str, Any]]:
        text = verilog(config)
        if edit:
            edited = edit(text)
            assert edited != text, "the edit changed nothing"
            text = edited
        return run_jobs(build(text, config.name, simulator, optimised=False), config, jobs)

    return run


@pytest.fixture(scope="session")
def small_cores() -> dict[str, CoreConfig]:
    """Cores that build fast; tests that use the same one share its build."""
    common: dict[str, Any] = {
        "precompute": "buffered",
        "zero_points": "external",
        "result_columns": 2,
        "activation_buffer": 512,
        "weight_buffer": 512,
        "scale_buffer": 256,
        "output_buffer": 1024,
        "program_buffer": 256,
        "group_size": 32,
    }
    other: dict[str, Any] = {
        "m": 1,
        "n": 32,
        "activation": "int16",
        "bus_bits": 64,
        "table_form": "subset",
    }
    roomy: dict[str, Any] = {
        "activation_buffer": 1024,
        "weight_buffer": 4096,
        "scale_buffer": 1024,
        "output_buffer": 4096,
    }
    # A result beat covers two of the tiles.
    wide: dict[str, Any] = roomy | {"tiles": 4, "n": 8, "result_columns": 16}
    ternary = {"n": 8, "k": 3, "weight_coding": "ternary", "group_size": 33}
    rounded = {"n": 8, "table": "int8", "max_weight_bits": 3}
    half = {"n": 8, "activation": "fp16", "max_weight_bits": 4}
    brain = {"n": 8, "activation": "bf16", "table_form": "subset", "tiles": 2}
    brain |= roomy | {"k": 2, "lookups": 2, "result_columns": 4}
    mixed = {"n": 8, "activation": "fp8-e4m3", "table": "int8", "bus_bits": 64}
    return {
        "w4a8": CoreConfig(n=8, max_weight_bits=4, **common),
        "w2a16": CoreConfig(**other, **common),
        "4-tiles": CoreConfig(**common | wide),
        "ternary": CoreConfig(**common | ternary),
        "int8-tables": CoreConfig(**common | rounded),
        "fp16": CoreConfig(**common | half),
        "bf16": CoreConfig(**common | brain),
        "fp8-int8-tables": CoreConfig(**common | mixed),
    }
