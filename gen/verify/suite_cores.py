"""Programs, golden models and constraints of a user's own for cores."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

import numpy as np

from lutcore.compiler.program.assembler import to_bytes
from lutcore.errors import InputError
from lutcore.gen.verify import core_runs
from lutcore.gen.verify.core_runs import PlannedPrograms
from lutcore.gen.verify.programs import Case, Expected, expect
from lutcore.gen.verify.suite_file import Function, Suite
from lutcore.gen.verify.text import from_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause
from lutcore.verif.coverage.bins import Hit

#: Memories and their addresses are whole pages.
_PAGE = 0x1000


@dataclass(frozen=True, eq=False)
class Program:
    """A program of one's own, without races, and what it meets.

    Attributes
    ----------
    words : sequence of int
        Its instructions (:mod:`lutcore.compiler.program.assembler`).
    memory : uint8 [multiple of 4096]
        What it begins with; the instructions are put in at ``code``.
    base : int
        Address of the memory, a multiple of 4096.
    code : int
        Bytes from there to the first instruction, a multiple of the bus's.
    window : (int, int)
        Addresses that transfers may touch.
    stall, latency, error, ring_again, abort_at, reset_at, meddle_at
        As of :class:`~lutcore.gen.verify.programs.Case`.
    """

    words: Sequence[int]
    memory: np.ndarray
    base: int = 0
    code: int = 0
    window: tuple[int, int] = (0, 1 << ADDRESS_BITS)
    stall: float = 0.0
    latency: int = 1
    error: int | None = None
    ring_again: int = 0
    abort_at: int = 0
    reset_at: int = 0
    meddle_at: int = 0

    def problem(self, config: CoreConfig) -> str:
        """What is wrong with it; empty if nothing."""
        memory, bus = self.memory, config.bus_bits // 8
        if not isinstance(memory, np.ndarray) or memory.dtype != np.uint8 or memory.ndim != 1:
            return "memory must be a uint8 array of one dimension"
        if not memory.size or memory.size % _PAGE or self.base % _PAGE:
            return f"memory and its base must be multiples of {_PAGE} bytes"
        if self.code % bus or not 0 <= self.code <= memory.size - len(to_bytes(self.words)):
            return f"code must be a multiple of {bus} with room in memory for all instructions"
        return ""


@dataclass(frozen=True)
class OwnProgram(Case):
    """A program that a test wrote itself, under conditions that can be left out.

    Attributes
    ----------
    test : str
        What made it, from ``seed``.
    """

    test: str = ""
    program: Program | None = field(default=None, compare=False, repr=False)

    FIXED: ClassVar[tuple[str, ...]] = (*Case.FIXED, "base", "code")

    def built(self, config: CoreConfig) -> tuple[list[int], np.ndarray, tuple[int, int]]:
        """Its instructions, memory without them, and the addresses that transfers may touch."""
        assert self.program is not None
        return list(self.program.words), self.program.memory.copy(), self.program.window

    @property
    def content(self) -> object:
        """What a test wrote this time: a test of the same name may be another one."""
        return self.program

    def rules(self, config: CoreConfig) -> dict[str, bool]:
        """What must hold of what it meets; its program is looked at by itself."""
        assert self.program is not None
        return self.met_rules(config, self.program.memory.size)


#: What of a program is a case's, too.
_SHARED = [f.name for f in fields(Program) if f.name not in ("words", "memory", "window")]


class SuitePrograms(PlannedPrograms):
    """The tests of the plan and of a suite, under its constraints, held against its models too.

    Raises
    ------
    InputError
        A golden model takes other arguments.
    """

    def __init__(self, suite: Suite):
        self._suite = suite
        for model in suite.goldens.values():
            suite.check_arguments(model, ("config", "words", "memory", "address", "base"))

    def tests(self, config: CoreConfig) -> list[str]:
        """The plan's, then the suite's."""
        return [*super().tests(config), *self._suite.tests]

    def draw(self, config: CoreConfig, test: str, seed: int) -> Case:
        """The case of a test and a seed, as constraints want it."""
        return self._suite.draw(config, test, seed, super().draw, self._own, Case)

    def _own(self, test: Function, config: CoreConfig, seed: int) -> Case:
        made = self._written(test, config, seed)
        try:
            made.check(config)
        except InputError as error:
            raise self._suite.wrong(test, str(error)) from error
        return made

    def _written(self, test: Function, config: CoreConfig, seed: int) -> Case:
        made = self._suite.call(test, config, seed)
        if isinstance(made, Case):
            return made
        if not isinstance(made, Program):
            kind = type(made).__name__
            raise self._suite.wrong(test, f"it must return a Program or a Case, not {kind}")
        try:
            problem = made.problem(config)
        except (TypeError, ValueError, OverflowError) as error:
            problem = f"no instructions: {error}"
        if problem:
            raise self._suite.wrong(test, problem)
        shared = {name: getattr(made, name) for name in _SHARED}
        return OwnProgram(seed=seed, test=test.__name__, program=made, **shared)

    def read(self, config: CoreConfig, text: str) -> Case:
        """A case from its text; a program that a test wrote itself is made by it again."""
        if not any(word.startswith("test=") for word in text.split(",")):
            return super().read(config, text)
        part = from_text(OwnProgram, text)
        made = self._own(self._suite.test(part.test), config, part.seed)
        if not isinstance(made, OwnProgram):
            raise InputError(f"no case: {part.test} writes no program itself any more")
        return replace(part, program=made.program)

    def allows(self, config: CoreConfig, case: Case) -> bool:
        """Whether constraints hold of a smaller case."""
        return isinstance(case, OwnProgram) or self._suite.allows(config, case)

    def problem(self, config: CoreConfig, case: Case) -> str:
        """Where a golden model of the suite and the ISA model disagree.

        It is not asked where memory is folded, of which it does not know.
        """
        if case.far:
            return ""
        expected = expect(config, case)
        if expected.state.cause is not Cause.NONE:
            return ""
        models = self._suite.goldens.values()
        disputes = (self._dispute(model, config, case, expected) for model in models)
        return next(filter(None, disputes), "")

    def _dispute(self, model: Function, config: CoreConfig, case: Case, expected: Expected) -> str:
        suite, before = self._suite, expected.before.copy()
        given = (config, list(expected.words), before, expected.address, case.base)
        after = np.asarray(suite.call(model, *given))
        if after.shape != before.shape or after.dtype != np.uint8:
            wanted, found = list(before.shape), f"{after.dtype} {list(after.shape)}"
            raise suite.wrong(model, f"it must return memory, uint8 {wanted}, not {found}")
        wrong = np.flatnonzero(after != expected.after)
        if not len(wrong):
            return ""
        place = int(wrong[0])
        return (
            f"{suite.place(model)}: {model.__name__} leaves {after[place]:#04x} in byte "
            f"{case.base + place:#x}, the ISA model {expected.after[place]:#04x}; they differ in "
            f"{len(wrong)} bytes"
        )

    def hits(self, config: CoreConfig, case: Case, expected: Expected) -> set[Hit]:
        """Bins that a case hits; what a suite asks beyond the plan, such as a latency, has none."""
        wanted = core_runs.wanted(config)
        found = super().hits(config, case, expected)
        return {(group, name) for group, name in found if name in wanted[group]}
