"""Shared fixtures: random problems, the example checkpoint, a runner of tile jobs."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from lutcore import files
from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.run.tile import random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

#: Why a test may be skipped where ``LUTCORE_NO_SKIP`` is set, as in CI; other skips fail there.
MAY_BE_SKIPPED = ("PyTorch comes with the extra 'train'",)


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("LUTCORE_NO_SKIP"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(allowed in reason for allowed in MAY_BE_SKIPPED):
        report.outcome = "failed"
        report.longrepr = f"LUTCORE_NO_SKIP is set: {reason}"


def pytest_configure() -> None:
    """Programs that tests start hear of Ctrl-C and hang-ups, though a shell may have us not."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.fixture(scope="session")
def example() -> GgufFile:
    return GgufFile(files.example("minilm.gguf"))


@pytest.fixture(scope="session")
def example_activations() -> dict[str, np.ndarray]:
    return dict(np.load(files.example("minilm-activations.npz")))


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
        return run_jobs(build(text, design_name(config), simulator, optimised=False), config, jobs)

    return run


@pytest.fixture(scope="session")
def small_cores() -> dict[str, CoreConfig]:
    """Cores that build fast; tests that use the same one share its build."""
    return dict(SMALL_CORES)
