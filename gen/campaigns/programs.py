"""Random programs on RTL and on the ISA model, as many as time allows: ``make campaign``.

A program that differs is made shorter while it still does, and printed with what repeats it.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from lutcore.compiler.program.assembler import to_bytes
from lutcore.errors import ToolError
from lutcore.gen.run.machines import simulation
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.samples.programs import memory_image, random_program
from lutcore.verif.sim.core import Conditions, CoreSimulation

#: Cycles after which a program counts as hung.
WATCHDOG = 500_000


@dataclass(frozen=True)
class Case:
    """A random program and what it meets: ``choices`` as :func:`random_program` takes them."""

    choices: list[int]
    seed: int
    stall: float
    latency: int


def draw(seed: int) -> Case:
    """The case of a seed."""
    rng = random.Random(seed)
    choices = rng.choices(range(5), (4, 5, 4, 1, 1), k=rng.randrange(25))
    stall = rng.choice((0.0, 0.05, 0.3, 0.7))
    return Case(choices, seed, stall, rng.choice((1, 3, 10, 60)))


def difference(config: CoreConfig, core: CoreSimulation, case: Case) -> str:
    """What RTL and ISA model disagree on; empty if nothing."""
    words = random_program(config, case.choices, case.seed)
    memory = memory_image(config, case.seed)
    code = np.frombuffer(to_bytes(words), np.uint8)
    memory[: len(code)] = code
    expected = memory.copy()
    state = IsaModel(config, expected).run(0, len(words))
    conditions = Conditions(
        stall=case.stall, latency=case.latency, seed=case.seed, most_cycles=WATCHDOG
    )
    outcome = core.run(memory, 0, len(words), conditions)
    try:
        outcome.check()
    except ToolError as error:
        return str(error)
    if state.cause is not Cause.NONE:
        return f"the program is not legal: {state.cause.name}"
    if outcome.state != state:
        return f"state {outcome.state}, expected {state}"
    wrong = np.flatnonzero(memory != expected)
    return f"{len(wrong)} bytes differ from {wrong[0]:#x} on" if len(wrong) else ""


def shortened(config: CoreConfig, core: CoreSimulation, case: Case) -> Case:
    """A case that still differs, and does not without any one of its choices."""
    for place in reversed(range(len(case.choices))):
        choices = case.choices[:place] + case.choices[place + 1 :]
        fewer = Case(choices, case.seed, case.stall, case.latency)
        if difference(config, core, fewer):
            return shortened(config, core, fewer)
    return case


@dataclass(frozen=True)
class Tally:
    """Programs that one core ran, the instructions of them, and the first that differs."""

    name: str
    programs: int
    instructions: int
    seconds: float
    failure: str = ""


def _seeds(first: int, most: int, until: float) -> Iterator[int]:
    for seed in range(first, first + most):
        if time.monotonic() > until:
            return
        yield seed


def run_core(name: str, first: int, most: int, seconds: float) -> Tally:
    """Programs from seed ``first`` on, ``most`` of them or as many as ``seconds`` allow."""
    config = SMALL_CORES[name]
    core = simulation(config)
    began = time.monotonic()
    programs = instructions = 0
    failure = ""
    for seed in _seeds(first, most, began + seconds):
        case = draw(seed)
        if problem := difference(config, core, case):
            case = shortened(config, core, case)
            failure = f"core {name}: {problem}; shortened: {case}"
            break
        programs += 1
        instructions += len(random_program(config, case.choices, case.seed))
    core.close()
    return Tally(name, programs, instructions, time.monotonic() - began, failure)


def main() -> int:
    """Print a line a core; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", nargs="+", choices=SMALL_CORES, default=list(SMALL_CORES))
    parser.add_argument("--programs", type=int, default=5000, help="at most, for each core")
    parser.add_argument("--seconds", type=float, default=120, help="at most, for each core")
    parser.add_argument("--seed", type=int, default=0, help="of the first program")
    parser.add_argument("--jobs", type=int, default=1, help="cores at a time")
    options = parser.parse_args()
    table = Table(title="RTL against the ISA model", title_justify="left")
    for heading in ("core", "programs", "instructions", "seconds", "differs"):
        table.add_column(heading, justify="left" if heading == "core" else "right")
    failures = []
    with ProcessPoolExecutor(options.jobs) as pool:
        limits = (options.seed, options.programs, options.seconds)
        running = [pool.submit(run_core, name, *limits) for name in options.cores]
        for tally in (future.result() for future in running):
            counts = f"{tally.programs:,}", f"{tally.instructions:,}", f"{tally.seconds:.0f}"
            table.add_row(tally.name, *counts, "yes" if tally.failure else "no")
            failures += [tally.failure] if tally.failure else []
    Console().print(table)
    for failure in failures:
        print(failure, file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
