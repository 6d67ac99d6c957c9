"""How many mutants of a design are noticed, and which are not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lutcore.errors import InputError, ToolError
from lutcore.gen.emit.registers import c_header
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify.cores import design
from lutcore.gen.verify.equivalence import equivalent
from lutcore.gen.verify.mutation import Mutant, Mutated, mutants
from lutcore.gen.verify.programs import Case, difference
from lutcore.gen.verify.text import to_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.core import CoreSimulation, without_power_on
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.native_tile import NativeTile

#: Plays mutants: what was wrong with each of these numbers, in words; nothing where it is empty.
Run = Callable[[Sequence[int]], Mapping[int, str]]


@dataclass(frozen=True)
class Score:
    """What jobs noticed of a design's mutants.

    Attributes
    ----------
    killed : dict of int to str
        What was wrong with each mutant that was noticed.
    equivalent : list of Mutant
        Those of the others that are proven to do what the sound design does.
    survivors : list of Mutant
        All others.
    """

    killed: dict[int, str]
    equivalent: list[Mutant]
    survivors: list[Mutant]

    @property
    def count(self) -> int:
        """All mutants; fewer than were asked for where some would have been of clocks."""
        return len(self.killed) + len(self.equivalent) + len(self.survivors)

    @property
    def share(self) -> float:
        """Killed ones of all that are not proven equivalent; 1 where there are none."""
        counted = len(self.killed) + len(self.survivors)
        return len(self.killed) / counted if counted else 1.0


def score(mutated: Mutated, run: Run, seconds: float = 20) -> Score:
    """Play all mutants, and try to prove those equivalent that nothing noticed.

    Parameters
    ----------
    run : callable
    seconds : float
        For each proof.

    Raises
    ------
    InputError
        The sound design fails too: nothing can be said of its mutants.
    """
    wrong = run([0, *(mutant.number for mutant in mutated.mutants)])
    if wrong[0]:
        raise InputError(f"the design fails without a mutant: {wrong[0]}")
    killed = {number: problem for number, problem in wrong.items() if problem}
    left = [number for number in wrong if number and number not in killed]
    proven = equivalent(mutated, left, seconds) if left else {}
    same = [number for number in left if proven[number]]
    others = [number for number in left if not proven[number]]
    return Score(killed, mutated.of(same), mutated.of(others))


def by_jobs(tile: NativeTile, jobs: Sequence[TileJob], timing: bool = True) -> Run:
    """Let jobs judge the mutants of a tile; with ``timing`` a cycle more or less is wrong, too."""

    def run(numbers: Sequence[int]) -> dict[int, str]:
        found = tile.play(jobs, numbers)
        sound = next((played.cycles for played in found if not played.mutant), None)
        wrong = {}
        for played in found:
            problem = played.problem and f"job {played.job}: {played.problem}"
            if timing and not problem and sound not in (None, played.cycles):
                problem = f"it takes {played.cycles} cycles, not {sound}"
            wrong[played.mutant] = problem
        return wrong

    return run


def mutate_tile(
    config: CoreConfig,
    jobs: Sequence[TileJob],
    count: int,
    seed: int = 0,
    timing: bool = True,
    seconds: float = 20,
) -> Score:
    """Score jobs by mutants of the tile that a configuration describes.

    Parameters
    ----------
    jobs : sequence of TileJob
    count, seed : int
        How many mutants, and which (:func:`~lutcore.gen.verify.mutation.mutants`).
    timing : bool
        Right results in another number of cycles are wrong, too.
    seconds : float
        For each proof that a mutant is equivalent.

    Raises
    ------
    InputError
        The sound tile fails, or a tool is missing.
    ToolError
        A tool failed.
    """
    mutated = mutants(verilog(config), design_name(config), count, seed)
    tile = NativeTile(config, mutated.verilog, mutated.top, mutants=True)
    return score(mutated, by_jobs(tile, jobs, timing), seconds)


def by_programs(
    config: CoreConfig, simulated: Callable[[], CoreSimulation], cases: Sequence[Case]
) -> Run:
    """Let programs judge the mutants of a core, those first that have noticed the last ones.

    Parameters
    ----------
    simulated : callable
        Starts the simulation, again after each mutant that ended it.
    """

    def run(numbers: Sequence[int]) -> dict[int, str]:
        wrong, order, core = {}, list(cases), simulated()
        try:
            for number in numbers:
                wrong[number] = ""
                for place, case in enumerate(order):
                    try:
                        found = difference(config, core, case, number)
                    except ToolError as error:
                        found = str(error)
                        core.close()
                        core = simulated()
                    if found:
                        wrong[number] = f"{to_text(case)}: {found}"
                        order.insert(0, order.pop(place))
                        break
        finally:
            core.close()
        return wrong

    return run


def mutate_core(
    config: CoreConfig,
    top: str,
    cases: Sequence[Case],
    count: int,
    seed: int = 0,
    seconds: float = 20,
) -> Score:
    """Score programs by mutants of a core; the other parameters as of :func:`mutate_tile`.

    Parameters
    ----------
    top : {"axi", "core"}
    """
    mutated = mutants(without_power_on(design(config, top)), "core_axi", count, seed)

    def simulated() -> CoreSimulation:
        return CoreSimulation(config, mutated.verilog, c_header(), mutants=True)

    return score(mutated, by_programs(config, simulated, cases), seconds)
