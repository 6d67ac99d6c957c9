"""Which mutants do what the sound design does, by SAT.

The registers are cut: each is an input, what it takes an output. Mutant and sound design share the
inputs; where no output can differ, no state and no input ever shows a difference.
"""

import json
from collections.abc import Sequence

from lutcore.errors import ToolError
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.mutation import CHOICE, Mutated

#: What Yosys says of a proof, and what that means; nothing of this where it took too long.
_VERDICTS = {"no model found: SUCCESS": True, "model found: FAIL": False}


def equivalent(
    mutated: Mutated, numbers: Sequence[int], seconds: float = 20
) -> dict[int, bool | None]:
    """Whether mutants take the same next state and give the same outputs as the sound design.

    True is a proof. False: a state and inputs show a difference; the state may be one that is never
    reached, or the registers that differ may be of no consequence. None: no answer within
    ``seconds``.

    Raises
    ------
    ToolError
        The design has cells that cannot be cut.
    """
    base = _cut(mutated)
    return {number: _same(mutated.top, base, number, seconds) for number in numbers}


def _cut(mutated: Mutated) -> str:
    """The design without its registers, as JSON."""
    script = (
        f"read_rtlil mutated.il\nmemory_map\nopt_clean\ndffunmap\nhierarchy -top {mutated.top}\n"
        "write_json mutated.json\n"
    )
    files = {"mutated.il": mutated.rtlil.encode()}
    design = json.loads(run_yosys(script, files, ["mutated.json"])["mutated.json"])
    module = design["modules"][mutated.top]
    cells, ports = module["cells"], module["ports"]
    registers = [name for name, cell in cells.items() if "CLK" in cell["connections"]]
    for place, name in enumerate(registers):
        cell = cells.pop(name)
        if cell["type"] != "$dff":
            raise ToolError(f"equivalence cannot cut a cell {cell['type']}")
        pins = cell["connections"]
        ports[f"state_{place}"] = {"direction": "input", "bits": pins["Q"]}
        ports[f"next_{place}"] = {"direction": "output", "bits": pins["D"]}
    return json.dumps(design)


def _same(top: str, base: str, number: int, seconds: float) -> bool | None:
    width = len(json.loads(base)["modules"][top]["ports"][CHOICE]["bits"])
    chosen = "".join(
        f"cd {name}\ndelete -input {CHOICE}\nconnect -set {CHOICE} {width}'d{value}\ncd ..\n"
        for name, value in (("sound", 0), ("broken", number))
    )
    script = (
        f"read_json base.json\ncopy {top} sound\nrename {top} broken\n{chosen}"
        "miter -equiv -flatten sound broken both\nhierarchy -top both\n"
        # What lies before the fault is the same in both, and becomes one.
        "opt -full\n"
        "tee -q -o verdict.txt sat -prove trigger 0 both\n"
    )
    try:
        said = run_yosys(script, {"base.json": base.encode()}, ["verdict.txt"], limit=seconds)
    except ToolError as error:
        if "given up" not in str(error):
            raise
        return None
    return next((means for words, means in _VERDICTS.items() if words in said["verdict.txt"]), None)
