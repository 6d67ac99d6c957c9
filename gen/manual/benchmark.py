"""Measures what the documentation quotes: ``make bench``.

Every figure is the median of a few runs of the real code path. Nothing here is asserted but the
rates of the core, which its counters give.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from lutcore import tools
from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.schedule.cycles import cycles as predict
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search, shape_problem
from lutcore.compiler.weights.pack import pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import ToolError
from lutcore.gen.asic.synth import synthesise
from lutcore.gen.collateral.generate import generate
from lutcore.gen.emit.rtl import design_name, forget, verilog
from lutcore.gen.manual import checkpoint_memory
from lutcore.gen.manual.language_rates import language_rates
from lutcore.gen.run.program import compare
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config, preset
from lutcore.verif.sim.core import Conditions
from lutcore.verif.sim.job import tile_job
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import Build, build, environment


def _seconds(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _processor_seconds(call: Callable[[], object], runs: int) -> float:
    """The least processor time of a few runs, programs that they start included."""
    times = []
    for _ in range(runs):
        start = _processor_time()
        call()
        times.append(_processor_time() - start)
    return min(times)


def _processor_time() -> float:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def _pack_memory(config: CoreConfig, tensor: QuantTensor) -> float:
    """Peak of what packing allocates, in MiB, the result included."""
    tracemalloc.start()
    packed = pack(config, tensor)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert packed.slices.size
    return peak / 2**20


def _generate(config: CoreConfig, folder: Path) -> None:
    """Generate afresh: RTLIL and Verilog are kept within a process."""
    forget()
    generate(config, folder)


@dataclass(frozen=True)
class _Rate:
    """A problem that rates of a core are quoted for.

    ``core`` is a preset and ``fields`` what differs from it; ``limits`` are the figures that must
    reach ``_LEAST``.
    """

    name: str
    shape: tuple[int, int, int]
    bits: int
    group_size: int
    limits: tuple[str, ...]
    core: str = "default"
    fields: tuple[str, ...] = ()


_LEAST = 0.95
_WEIGHTS = "words of weights a cycle"
_STORED = "words of weights and scales a cycle"
_SLICES = "slices a cycle"
_EXACT = ("float_mode=exact", "n=16")
_RATES = (
    _Rate("GEMM", (64, 1024, 1024), 2, 128, (_SLICES,)),
    _Rate("GEMM", (16, 256, 1024), 2, 128, (_SLICES,), "edge"),
    _Rate("GEMM", (64, 1024, 1024), 2, 128, (_SLICES,), "large"),
    _Rate("GEMM", (64, 1024, 1024), 2, 129, (_SLICES,), "default-ternary"),
    _Rate("GEMM", (64, 1024, 1024), 2, 128, (_SLICES,), "default-fp16"),
    _Rate("GEMM", (32, 256, 1024), 2, 128, (_SLICES,), "default-fp16", _EXACT),
    _Rate("GEMV", (1, 4096, 4096), 2, 128, (_STORED,)),
    _Rate("GEMV", (1, 4096, 4096), 4, 128, (_STORED, _WEIGHTS)),
    _Rate("GEMV, a scale a row,", (1, 4096, 4096), 2, 4096, (_STORED, _WEIGHTS)),
)


def core_rates() -> dict[str, float]:
    """Rates of cores on RTL, by their counters, and how far the cycle model is from them.

    FP16 scales, one zero point.

    The memory answers after 40 cycles. Weights and scales are what a checkpoint stores: b bits an
    element and two bytes a group.
    """
    rng = np.random.default_rng(0)
    figures: dict[str, float] = {}
    for rate in _RATES:
        config = load_config(rate.core, rate.fields)
        m, n, k = rate.shape
        tensor = random_tensor((n, k), rate.bits, rate.group_size, rng)
        tensor.scales[:] = tensor.scales.astype(np.float16)
        tensor.zero_points[:] = 1
        if config.weight_coding == "ternary":
            np.remainder(tensor.codes, 3, out=tensor.codes)
        program = gemm(config, tensor, random_activations(config, m, k, rng))
        found = compare(program, "rtl", Conditions(latency=40))
        core = " ".join((rate.core, *rate.fields))
        title = f"{rate.name} {m} x {n} x {k}, {rate.bits} bits, {core}"
        if found.mismatches:
            raise ToolError(f"{title} on RTL differs from the ISA model: {found.mismatches}")
        cycles = found.counters["cycles"]
        model = predict(config, program.words, Memory(latency=40)).cycles
        weights = tensor.codes.size * tensor.bits / config.bus_bits
        rates = {
            _SLICES: found.counters["slices"] / cycles,
            "bus words read a cycle": found.counters["read_beats"] / cycles,
            _WEIGHTS: weights / cycles,
            _STORED: (weights + tensor.scales.size * 16 / config.bus_bits) / cycles,
        }
        for name in rate.limits:
            if rates[name] < _LEAST:
                raise ToolError(f"{title}: {name} are {rates[name]:.3f}, not {_LEAST}")
        figures |= {f"core, {title}: {name}": value for name, value in rates.items()}
        figures[f"core, {title}: simulated cycles/s"] = cycles / found.seconds
        figures[f"core, {title}: cycle model over RTL"] = model / cycles
    return figures


def schedule_times(runs: int) -> dict[str, float]:
    """Seconds that the cycle model and the search for a schedule take."""
    memory = Memory(latency=40)
    config = load_config("default")
    figures = {}
    for m in (1, 512):
        problem = shape_problem(config, (m, 4096, 4096), 2, 128, memory)
        words = problem.words(search(problem)[0].blocks)
        title = f"{m} x 4096 x 4096, 2 bits (s)"
        figures[f"cycle model, {title}"] = _seconds(
            lambda w=words: predict(config, w, memory), runs
        )
        figures[f"schedule, {title}"] = _seconds(lambda p=problem: search(p), runs)
    return figures


def _built(config: CoreConfig, optimised: bool = True) -> Build:
    return build(verilog(config), design_name(config), optimised=optimised)


def build_times(config: CoreConfig) -> dict[str, float]:
    """Seconds that simulations of a tile take to build where nothing is cached yet."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder, environment({"LUTCORE_CACHE": folder}):
        _built(CoreConfig(n=2))  # what all simulations share
        for optimised, kind in ((False, "plain"), (True, "optimised")):
            figures[f"build a {kind} simulation of {config.name} (s)"] = _seconds(
                lambda fast=optimised: _built(config, optimised=fast), 1
            )
    return figures


def measure(runs: int) -> dict[str, float]:
    """Run every measurement; keys say what and in which unit."""
    figures: dict[str, float] = {}
    rng = np.random.default_rng(0)
    for bits in (2, 4, 8):
        tensor = random_tensor((4096, 4096), bits, 32, rng, shared=True)
        config = preset(f"w{bits}a8")
        seconds = _seconds(lambda c=config, t=tensor: pack(c, t), runs)
        figures[f"pack 4096 x 4096, {bits} bits (s)"] = seconds
        figures[f"pack 4096 x 4096, {bits} bits, peak (MiB)"] = _pack_memory(config, tensor)
    peak = checkpoint_memory.measure(layers=1)["peak memory (GiB)"]
    figures["pack a layer and the head of LLAMA2-7B, Q4_0, peak memory (GiB)"] = peak
    with tempfile.TemporaryDirectory() as folder:
        for n in (64, 512, 2048):
            seconds = _processor_seconds(
                lambda n=n: _generate(CoreConfig(n=n), Path(folder)), runs if n == 64 else 1
            )
            figures[f"generate {2 * n} units, processor time (s)"] = seconds

    config = preset("w2a8")
    tensor = random_tensor((64, 4096), 2, 128, rng, shared=True)
    job = tile_job(config, random_activations(config, 2, 4096, rng), tensor)
    short = tile_job(
        config, random_activations(config, 1, 4, rng), random_tensor((1, 4), 1, 4, rng)
    )
    built = _built(config)
    start = _seconds(lambda: run_jobs(_built(config), config, [short]), runs)
    figures["second simulation of a configuration starts in (s)"] = start
    began = time.perf_counter()
    verdicts = run_jobs(built, config, [job] * 4)
    seconds = time.perf_counter() - began
    cycles = sum(verdict["cycles"] for verdict in verdicts)
    figures["cocotb bench (cycles/s)"] = cycles / seconds
    figures["slices issued a cycle, no stalls"] = (
        verdicts[0]["slices"] / verdicts[0]["issue_cycles"]
    )
    figures |= build_times(config)
    demo = [sys.executable, "-m", "lutcore.cli.main", "-q", "demo"]
    tools.run("lutcore demo", demo)
    figures["lutcore demo, warm (s)"] = _seconds(lambda: tools.run("lutcore demo", demo), runs)
    figures["synthesise w2a8, not cached (s)"] = synthesise(config, use_cache=False).seconds
    figures |= schedule_times(runs)
    figures |= core_rates()
    figures |= language_rates()
    figures["peak memory of this process (MiB)"] = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    return figures


def main() -> None:
    """Print the figures as a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs a figure is the median of")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = measure(arguments.runs)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    table = Table(title="Benchmark", title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.3g}" if value < 1000 else f"{value:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
