"""Proves the assertions that go with a design, of its Verilog, as a user's solver would."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lutcore.gen.collateral.checkers import assertions, checker_name, instances, reset_first
from lutcore.gen.collateral.rules import checked
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.solver import FINISH, Problem
from lutcore.hdl.config.core import CoreConfig

#: Cycles after a reset, enough for results that have waited.
STEPS = 12
_BROKEN = re.compile(r"Assert failed in \w+: (?:\S+\.)?(\w+)")
_REACHED = re.compile(r"Reached cover statement in step \d+ at \w+: (?:\S+\.)?(\w+)")


@dataclass(frozen=True)
class Asserted:
    """What became of the assertions of a design.

    Attributes
    ----------
    design : str
    strength : str
        For how long.
    holds : bool or None
        None: the solver came to no end.
    broken : list of str
        Names of rules that do not hold.
    unreached : list of str
        Names of covers that were not reached.
    """

    design: str
    strength: str
    holds: bool | None
    broken: list[str]
    unreached: list[str]


def prove_assertions(
    config: CoreConfig,
    top: str = "tile",
    steps: int = STEPS,
    limit: float = 600,
    change: Callable[[str], str] = lambda text: text,
) -> Asserted:
    """Whether a design's Verilog keeps to its assertions for some cycles, with any legal inputs.

    Parameters
    ----------
    steps : int
    limit : float
        Seconds of the solver for each of two questions.
    change : callable
        What is made of the Verilog first, to see that faults are found.

    Raises
    ------
    InputError
        There is no such top, or a tool is missing.
    ToolError
        A tool failed.
    """
    name, all_ = design_name(config, top), checked(config, top)
    files = assertions(config, top) | {f"{name}.v": change(verilog(config, top))}
    files.pop(f"{name}_bind.sv")  # what Yosys cannot read
    for module, instance in instances(all_):
        files[f"{name}.v"] = _with(files[f"{name}.v"], module, instance)
    problem = _problem(files, f"{name}_formal")
    said = problem.said(["-t", str(steps)], 0, limit)
    covered = problem.said(["-c", "-t", str(steps)], 0, limit) or ""
    reached = set(_REACHED.findall(covered))
    covers = [rule.name for of in all_ for rule in of.rules if rule.kind == "cover"]
    return Asserted(
        design=name,
        strength=f"for {steps} cycles after a reset",
        holds=None if said is None else "Status: PASSED" in said,
        broken=sorted(set(_BROKEN.findall(said or ""))),
        unreached=[cover for cover in covers if cover not in reached],
    )


def prove_within(
    config: CoreConfig,
    top: str = "core",
    limit: float = 600,
    change: Callable[[str], str] = lambda text: text,
) -> list[Asserted]:
    """Whether modules of a core keep forever to what is asserted of signals within them.

    By induction, whatever the blocks below them do: their outputs are free. The other parameters
    and errors are those of :func:`prove_assertions`.
    """
    name = design_name(config, top)
    checkers = assertions(config, top)[f"{name}_checker.sv"]
    text = change(verilog(config, top))
    found = []
    for of in checked(config, top):
        if not of.alone:
            continue
        ((module, instance),) = instances([of])
        watched = _with(text, module, f"{instance}{reset_first(of)}\n")
        files = {f"{name}_checker.sv": checkers, f"{name}.v": watched}
        problem = _problem(files, module, (module, checker_name(of)))
        answers = [problem.said(how, 0, limit) for how in (["-t", "4"], ["-i", "-t", "4"])]
        broken = {name for said in answers for name in _BROKEN.findall(said or "")}
        passed = ["Status: PASSED" in said for said in answers if said is not None]
        holds = all(passed) if len(passed) == len(answers) else None
        found.append(Asserted(module, "unbounded", holds, sorted(broken), unreached=[]))
    return found


def _with(text: str, module: str, instance: str) -> str:
    """Verilog with an instance at the end of a module."""
    head, tail = text.split(f"module {module} ", 1)
    body, rest = tail.split("endmodule", 1)
    return f"{head}module {module} {body}{instance}endmodule{rest}"


def _problem(files: dict[str, str], top: str, own: Sequence[str] = ()) -> Problem:
    """For the solver; with ``own`` modules, all others give anything."""
    script = f"read_verilog -formal -sv {' '.join(files)}\nhierarchy -check -top {top}\n"
    if own:
        others = " ".join(f"{module} %d" for module in own)
        script += f"blackbox A:* {others}\ncutpoint -blackbox\n"
    script += "proc\nflatten -scopename\nopt -fast\n"
    texts = {file: text.encode() for file, text in files.items()}
    made = run_yosys(script + FINISH, texts, ["design.smt2"])
    return Problem(made["design.smt2"], {}, 0)
