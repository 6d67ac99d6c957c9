"""Random programs on RTL and on the ISA model, as many as time allows: ``make campaign``.

A program that differs is made shorter while it still does, and printed with what repeats it.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from lutcore.gen.verify.cores import TOPS, simulated
from lutcore.gen.verify.programs import difference, draw, program_words, shortened
from lutcore.verif.samples.cores import SMALL_CORES


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


def run_core(name: str, first: int, most: int, seconds: float, top: str = "axi") -> Tally:
    """Programs from seed ``first`` on, ``most`` of them or as many as ``seconds`` allow."""
    config = SMALL_CORES[name]
    core = simulated(config, top)
    began = time.monotonic()
    programs = instructions = 0
    failure = ""
    for seed in _seeds(first, most, began + seconds):
        case = draw(config, seed)
        if problem := difference(config, core, case):
            case = shortened(config, core, case)
            failure = f"core {name}: {problem}; shortened: {case}"
            break
        programs += 1
        instructions += len(program_words(config, case))
    core.close()
    return Tally(name, programs, instructions, time.monotonic() - began, failure)


def main() -> int:
    """Print a line a core; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", nargs="+", choices=SMALL_CORES, default=list(SMALL_CORES))
    parser.add_argument("--top", choices=TOPS, default="axi", help="what is generated of them")
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
        limits = (options.seed, options.programs, options.seconds, options.top)
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
