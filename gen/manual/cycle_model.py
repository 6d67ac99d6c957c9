"""Holds the cycle model against RTL: ``python -m lutcore.gen.manual.cycle_model
docs/performance.md``.

The cases are none of those that the model was written with. Its table stands in the document
between ``<!-- cycle-model:begin -->`` and ``<!-- cycle-model:end -->``.
"""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.program import Program
from lutcore.compiler.schedule.cycles import Cycles, cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search, shape_problem
from lutcore.files import fill_table
from lutcore.gen.run.machines import simulation
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config
from lutcore.verif.sim.core import Conditions, CoreSimulation


@dataclass(frozen=True)
class Case:
    """One layer on one core.

    Attributes
    ----------
    core : str
        Preset, and fields that differ from it.
    shape : (int, int, int)
        M, N, K.
    bits, group : int
        Of the weights; ``group`` 0 is a whole row.
    latency : int
        Of the memory, in cycles.
    output : str
    shared : bool
        One zero point for all groups.
    """

    core: str
    shape: tuple[int, int, int]
    bits: int
    group: int
    latency: int = 20
    output: str = "fp32"
    shared: bool = True

    @property
    def config(self) -> CoreConfig:
        """The core."""
        name, *fields = self.core.split()
        return load_config(name, fields)

    def program(self) -> Program:
        """Its program, with random data."""
        (m, n, k), config = self.shape, self.config
        rng = np.random.default_rng(0)
        ternary = config.weight_coding == "ternary"
        tensor = random_tensor((n, k), self.bits, self.group or k, rng, ternary=ternary)
        tensor.scales[:] = tensor.scales.astype(np.float16)
        if self.shared:
            tensor.zero_points[:] = 1
        return gemm(config, tensor, random_activations(config, m, k, rng), self.output)


_EXACT = "default-fp16 float_mode=exact n=16"

#: Held out: the model was written without them.
CASES = (
    Case("default", (1, 512, 1024), 2, 128),
    Case("default", (1, 1024, 512), 4, 128, 60),
    Case("default", (1, 640, 640), 4, 32),
    Case("default", (2, 320, 768), 1, 128, 60),
    Case("default", (4, 384, 384), 3, 64, output="fp16", shared=False),
    Case("default", (7, 333, 500), 2, 0),
    Case("default", (16, 256, 512), 2, 32, 60, "bf16"),
    Case("default", (32, 192, 384), 4, 128, output="fp16"),
    Case("default", (48, 384, 384), 2, 0, 60),
    Case("default", (100, 64, 256), 1, 64),
    Case("default pipeline=2", (6, 256, 256), 1, 32),
    Case("edge", (1, 192, 384), 2, 32, 60),
    Case("edge", (1, 384, 192), 4, 128),
    Case("edge", (2, 64, 512), 1, 0),
    Case("edge", (5, 80, 160), 3, 32, output="fp16", shared=False),
    Case("edge", (16, 64, 256), 2, 128, 60, "bf16"),
    Case("edge", (31, 33, 65), 4, 64),
    Case("default-ternary", (1, 512, 516), 2, 129),
    Case("default-ternary", (1, 384, 768), 2, 0, 60),
    Case("default-ternary", (8, 256, 384), 2, 128, output="fp16"),
    Case("default-ternary", (33, 130, 260), 2, 33),
    Case("default-ternary", (64, 128, 387), 2, 129, 60),
    Case("default-fp16", (1, 512, 512), 2, 128, 60),
    Case("default-fp16", (1, 256, 384), 4, 32),
    Case("default-fp16", (9, 192, 320), 3, 64, output="fp16", shared=False),
    Case("default-fp16", (40, 128, 256), 2, 0, 60),
    Case("default-fp16", (64, 64, 512), 1, 128),
    Case(_EXACT, (4, 96, 256), 2, 128, output="bf16"),
    Case("large", (1, 1024, 512), 2, 128),
    Case("large", (1, 768, 768), 4, 32, 60),
    Case("large", (8, 512, 768), 2, 128, output="fp16"),
    Case("large", (33, 600, 300), 4, 0, 60, shared=False),
    Case("large", (64, 512, 256), 1, 64),
    Case("large", (128, 256, 512), 2, 128, 60),
)


def measure(core: CoreSimulation, case: Case) -> tuple[Cycles, dict[str, int]]:
    """The model's and the RTL's counters.

    Raises
    ------
    ToolError
        The RTL did not come to an end.
    """
    program = case.program()
    words = program.words
    outcome = core.run(
        program.image(), program.address, len(words), Conditions(latency=case.latency)
    )
    outcome.check()
    found = cycles(program.config, words, Memory(latency=case.latency), program.address)
    return found, outcome.counters


def error(model: Cycles, rtl: dict[str, int]) -> float:
    """Relative error of the cycles."""
    return model.cycles / rtl["cycles"] - 1


def measured(cases: Iterable[Case]) -> Iterator[tuple[Case, Cycles, dict[str, int]]]:
    """All cases; consecutive ones share the simulation of their core."""
    name, core = "", None
    try:
        for case in cases:
            if core is None or case.core != name:
                if core is not None:
                    core.close()
                name, core = case.core, simulation(case.config)
            yield case, *measure(core, case)
    finally:
        if core is not None:
            core.close()


def table() -> str:
    """Markdown of all cases, and the largest errors."""
    rows, errors, others = "", [], 0
    for case, model, rtl in track(
        measured(CASES), "cycle model", len(CASES), console=Console(stderr=True), transient=True
    ):
        errors.append(error(model, rtl))
        others += sum(rtl[name] != value for name, value in vars(model).items())
        shape = " x ".join(map(str, case.shape))
        bound = max(rtl["slices"], rtl["read_beats"]) / rtl["cycles"]
        rows += (
            f"| `{case.core}` | {shape} | {case.bits} | {case.group or 'row'} | {case.latency} "
            f"| {rtl['cycles']:,} | {model.cycles:,} | {errors[-1]:.2%} | {bound:.0%} |\n"
        )
    mean = sum(map(abs, errors)) / len(errors)
    return (
        f"{len(errors)} layers: mean error {mean:.2%}, largest {max(map(abs, errors)):.2%}; of all "
        f"their {len(errors) * len(vars(model))} counters, {others} differ.\n\n"
        "| core | M x N x K | bits | group | latency | RTL cycles | model | error | of limit |\n"
        f"|---|---|---|---|---|---|---|---|---|\n{rows}"
    )


#: Layers of LLAMA2-7B (N, K), and core, bits and group.
_LARGE_LAYERS = ((12_288, 4096), (4096, 4096), (22_016, 4096), (4096, 11_008))
_LARGE_CORES = (
    ("default", 2, 128),
    ("default", 4, 128),
    ("default", 2, 0),
    ("edge", 2, 128),
    ("large", 2, 128),
    ("default-ternary", 2, 129),
    ("default-fp16", 2, 128),
)
_LARGE_ROWS = (1, 16, 512)


def large_table() -> str:
    """Markdown: what the schedule of large layers reaches, by the cycle model."""
    memory = Memory(latency=40)
    rows, least = "", 1.0
    for core, bits, group in _LARGE_CORES:
        config = load_config(core)
        for m in _LARGE_ROWS:
            slices, words, rates = 0.0, 0.0, []
            for n, k in _LARGE_LAYERS:
                problem = shape_problem(config, (m, n, k), bits, group, memory)
                found = search(problem)[0].cycles
                assert found
                slices = found.slices / found.cycles
                words = found.read_beats / found.cycles
                rates.append((max(slices, words), slices, words))
            reached, slices, words = min(rates)
            least = min(least, reached)
            rows += (
                f"| `{core}` | {m} | {bits} | {group or 'row'} | {slices:.1%} | {words:.1%} "
                f"| {reached:.1%} |\n"
            )
    return (
        f"At least {least:.1%} of slices or of bus words a cycle.\n\n"
        "| core | M | bits | group | slices a cycle | words read a cycle | the larger |\n"
        f"|---|---|---|---|---|---|---|\n{rows}"
    )


def main() -> None:
    """Print the tables, or put them into a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", type=Path, nargs="?", help="updated in place; default: print")
    parser.add_argument("--large", action="store_true", help="only large layers: no RTL")
    arguments = parser.parse_args()
    tables = {"large-layers": large_table()}
    if not arguments.large:
        tables["cycle-model"] = table()
    if (document := arguments.document) is None:
        print("\n".join(tables.values()))
        return
    text = document.read_text("utf-8")
    for name, content in tables.items():
        text = fill_table(text, name, content)
    document.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
