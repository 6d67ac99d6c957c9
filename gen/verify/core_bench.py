"""Plays programs into a core in a bench of cocotb, on Icarus Verilog, whose bits may be X."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify.core_runs import PLANNED, PlannedPrograms
from lutcore.gen.verify.cores import around
from lutcore.gen.verify.programs import EVENTS, Case, expect
from lutcore.gen.verify.text import to_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.isa.model import State
from lutcore.verif.sim.axi_jobs import BENCH, TOP, HostJob, identified_core
from lutcore.verif.sim.core import without_power_on
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

#: What makes the Verilog of a configuration and a top.
Design = Callable[[CoreConfig, str], str]
#: Cycles that each instruction, slice and word may take before a case counts as hung, if nothing
#: pauses; and how many of these a case has at least.
_PATIENCE, _LEAST = 50, 40


def _playable(case: Case) -> bool:
    """Whether the bench's host and memory do all that happens to a case."""
    return (
        case.error is None and not case.far and not any(getattr(case, name) for name in EVENTS[1:])
    )


def length(config: CoreConfig, test: str, seed: int, source: PlannedPrograms = PLANNED) -> float:
    """Instructions, slices and words of the bus of a case; infinite where none are computed or
    stored, or where it is disturbed as the bench's host and memory never do.
    """
    case = source.draw(config, test, seed)
    if not _playable(case):
        return math.inf
    state = expect(config, case).state
    return _work(state) if state.slices and state.write_beats else math.inf


def _work(state: State) -> int:
    return state.instructions + state.slices + state.read_beats + state.write_beats


def text_of(config: CoreConfig, top: str, design: Design = verilog) -> str:
    """Verilog of :data:`~lutcore.verif.sim.axi_jobs.TOP` around a core, memories as at power-on.

    A ``core`` stands between registers and an AXI master, which stay as they are generated.
    """
    config = config.replace(name="core")
    name, text = design_name(config, top), design(config, top)
    if top == "core":
        name, text = "core_axi", text + around(config, verilog(config, top))
    return identified_core(config, name) + without_power_on(text)


def outcomes(
    config: CoreConfig,
    asked: Sequence[tuple[str, int]],
    top: str,
    design: Design | None = None,
    source: PlannedPrograms = PLANNED,
) -> list[dict[str, Any]]:
    """What became of each test and seed (:func:`lutcore.gen.verify.batch.measure`).

    Each is a simulation of its own, so that each starts with X in whatever has no reset. The
    bench's memory has a latency of its own: no bins are hit.

    Parameters
    ----------
    design : callable, optional
        What makes the core's Verilog; default as it is generated.

    Raises
    ------
    InputError
        The bench cannot play a case, or Icarus Verilog is missing.
    """
    playing = jobs(config, asked, source)
    built = build(text_of(config, top, design or verilog), TOP, "icarus")
    found = []
    for (test, seed), (case, job) in zip(asked, playing, strict=True):
        (verdict,) = run_jobs(built, config, [job], bench=BENCH)
        state = job.expected()[1]
        outcome = {"test": test, "seed": seed, "case": to_text(case), "hits": []}
        outcome |= {name: verdict[name] for name in ("mismatches", "problems")}
        slices = 0 if state.cause else state.slices
        found.append(outcome | {"slices": slices, "checked": len(job.memory)})
    return found


def jobs(
    config: CoreConfig, asked: Sequence[tuple[str, int]], source: PlannedPrograms = PLANNED
) -> list[tuple[Case, HostJob]]:
    """The cases of tests and seeds, and what the bench plays of them."""
    found = []
    for test, seed in asked:
        case = source.draw(config, test, seed)
        if not _playable(case):
            raise InputError(f"{test} {seed}: on Icarus Verilog, programs are played undisturbed")
        expected = expect(config, case)
        job = HostJob(
            config,
            expected.words,
            expected.before,
            address=expected.address,
            window=expected.window,
            stall=case.stall,
            seed=case.seed,
            base=case.base,
            patience=round(_PATIENCE * (_LEAST + _work(expected.state)) / (1 - case.stall)),
        )
        found.append((case, job))
    return found
