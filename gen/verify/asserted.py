"""Proves the assertions that go with a design, of its Verilog, as a user's solver would."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lutcore.gen.collateral.checkers import assertions, instances
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
    steps : int
        For how many cycles after a reset.
    holds : bool or None
        None: the solver came to no end.
    broken : list of str
        Names of rules that do not hold.
    unreached : list of str
        Names of covers that were not reached.
    """

    design: str
    steps: int
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
    name = design_name(config, top)
    files = assertions(config, top) | {f"{name}.v": change(verilog(config, top))}
    files.pop(f"{name}_bind.sv")  # what Yosys cannot read
    for module, instance in instances(checked(config, top)):
        head, tail = files[f"{name}.v"].split(f"module {module} ", 1)
        body, rest = tail.split("endmodule", 1)
        files[f"{name}.v"] = f"{head}module {module} {body}{instance}endmodule{rest}"
    script = (
        f"read_verilog -formal -sv {' '.join(files)}\nhierarchy -check -top {name}_formal\n"
        "proc\nflatten -scopename\nopt -fast\n"
    )
    texts = {file: text.encode() for file, text in files.items()}
    made = run_yosys(script + FINISH, texts, ["design.smt2"])
    problem = Problem(made["design.smt2"], {}, 0)
    said = problem.said(["-t", str(steps)], 0, limit)
    covered = problem.said(["-c", "-t", str(steps)], 0, limit) or ""
    reached = set(_REACHED.findall(covered))
    covers = [r.name for of in checked(config, top) for r in of.rules if r.kind == "cover"]
    return Asserted(
        design=config.name,
        steps=steps,
        holds=None if said is None else "Status: PASSED" in said,
        broken=sorted(set(_BROKEN.findall(said or ""))),
        unreached=[cover for cover in covers if cover not in reached],
    )
