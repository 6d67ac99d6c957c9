"""Random programs on the RTL of a core and on the ISA model: drawn, judged, made shorter."""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from lutcore.compiler.program.assembler import to_bytes
from lutcore.errors import InputError, ToolError
from lutcore.gen.verify.text import to_text
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import (
    ADDRESS_BITS,
    BY_NAME,
    BYTES,
    INSTRUCTION_CAUSES,
    OPCODE_BITS,
    WAITS,
    Cause,
)
from lutcore.hdl.isa.pace import MOST_BEATS
from lutcore.verif.coverage import core as coverage
from lutcore.verif.isa.memory import Memory
from lutcore.verif.isa.model import IsaModel, State
from lutcore.verif.samples.builder import DATA, MEMORY
from lutcore.verif.samples.endings import ENDINGS, ended
from lutcore.verif.samples.programs import CHOICES, built_program, memory_image
from lutcore.verif.sim.core import NEVER, Conditions, CoreSimulation, Outcome

#: What is expected of so many cases is kept: many mutants are tried with the same ones.
_KEPT = 512
#: Cycles after which a program counts as hung.
WATCHDOG = 200_000
_SPACE, _PAGE = 1 << ADDRESS_BITS, 0x1000
#: Chances of a pause, and cycles of latency, that cases are drawn with.
STALLS, LATENCIES = (0.0, 0.05, 0.3, 0.7), (1, 3, 10, 60, 400)
#: Cycles of latency, at most: the watchdog would bark.
_SLOWEST = 1000
_WINDOWS = ("all", "pages")
#: What may happen to a program, as fields of a case name it.
EVENTS = coverage.EVENTS[1:]
#: Faults that are found while other transfers are under way.
_TRANSFERS = (Cause.RANGE, Cause.READ, Cause.WRITE)
#: What a core must do right after whatever a case did to it.
_AFTER = ((0, 1, 2, 1, 2), 7)


@dataclass(frozen=True)
class Case:
    """A random program and what it meets.

    Attributes
    ----------
    choices : tuple of int
        Parts of the program (:func:`~lutcore.verif.samples.programs.built_program`).
    seed : int
        Of all that the other fields leave open.
    ending : str
        One of :data:`~lutcore.verif.samples.endings.ENDINGS`.
    base : int
        Address of its memory, a multiple of 4096.
    code : int
        Bytes from there to the program.
    window : {"all", "pages"}
        Addresses that transfers may touch: all, or the pages that the program's parts do.
    far : bool
        Rows of transfers lie anywhere in the address space, which repeats the memory's pages
        (:class:`~lutcore.verif.isa.memory.Memory`).
    stall, latency : float, int
        As of :class:`~lutcore.verif.sim.core.Conditions`.
    error : int or None
        Bytes from ``base`` to a word that the bus answers with an error.
    ring_again, abort_at, reset_at, meddle_at : int
        As of :class:`~lutcore.verif.sim.core.Conditions`.
    """

    choices: tuple[int, ...] = ()
    seed: int = 0
    ending: str = "halt"
    base: int = 0
    code: int = 0
    window: str = "all"
    far: bool = False
    stall: float = 0.0
    latency: int = 1
    error: int | None = None
    ring_again: int = 0
    abort_at: int = 0
    reset_at: int = 0
    meddle_at: int = 0

    #: What stays when a case is made shorter.
    FIXED: ClassVar[tuple[str, ...]] = ("choices", "seed")

    def built(self, config: CoreConfig) -> tuple[list[int], np.ndarray, tuple[int, int]]:
        """Its instructions, memory without them, and the addresses that transfers may touch."""
        builder = built_program(config, self.choices, self.seed, self.base, self.far)
        window = builder.window() if self.window == "pages" else (0, _SPACE)
        return ended(builder, self.ending, self.seed), memory_image(config, self.seed), window

    @property
    def content(self) -> object:
        """What tells it from a case that is equal; None where nothing does."""
        return None

    def rules(self, config: CoreConfig) -> dict[str, bool]:
        """What must hold of it, in words, and whether it does."""
        bus, room = config.bus_bits // 8, DATA - config.program_buffer * BYTES
        endings = (*ENDINGS, "refused")
        return {
            f"choices are 0 to {max(CHOICES)}": all(choice in CHOICES for choice in self.choices),
            "seed is 0 or more": self.seed >= 0,
            f"ending is one of {', '.join(endings)}": self.ending in endings,
            f"code is a multiple of {bus} up to {room}": self.code in range(0, room + 1, bus),
            f"window is one of {', '.join(_WINDOWS)}": self.window in _WINDOWS,
            "far is with all addresses in the window": not self.far or self.window == "all",
        } | self.met_rules(config, MEMORY)

    def met_rules(self, config: CoreConfig, size: int) -> dict[str, bool]:
        """The rules of what it meets, in a memory of so many bytes."""
        bus, cycles = config.bus_bits // 8, [getattr(self, name) for name in EVENTS[1:]]
        error, whole = self.error, self.base in range(0, _SPACE, _PAGE)
        return {
            f"base is a multiple of {_PAGE} below 2^{ADDRESS_BITS}": whole,
            "stall is a probability of 0 to 0.95": 0 <= self.stall <= 0.95,
            f"latency is 0 to {_SLOWEST}": 0 <= self.latency <= _SLOWEST,
            f"error is a multiple of {bus} below {size}, or anywhere if far": (
                error is None or error in range(0, _SPACE if self.far else size, bus)
            ),
            f"{', '.join(EVENTS[1:])} are cycles up to {WATCHDOG}": all(
                0 <= cycle <= WATCHDOG for cycle in cycles
            ),
        }

    def check(self, config: CoreConfig) -> None:
        """Refuse what no program can be made of, or no memory and host can do.

        Raises
        ------
        InputError
            A rule does not hold.
        """
        for rule, holds in self.rules(config).items():
            if not holds:
                raise InputError(f"no case of {config.name}: {rule}, not {to_text(self)}")


def _base(rng: random.Random) -> int:
    """Anywhere, or across a power of two from 2^32 up to the end of the address space."""
    across = (1 << rng.randint(32, ADDRESS_BITS)) - rng.randrange(_PAGE, MEMORY, _PAGE)
    return rng.choice((0, rng.randrange(0, _SPACE, _PAGE), across, across))


def draw(config: CoreConfig, seed: int) -> Case:
    """The case of a seed."""
    rng = random.Random(seed)
    choices = tuple(rng.choices(CHOICES, (8, 10, 8, 2, 2, 2, 1, 1, 1, 2), k=rng.randrange(25)))
    cycle = rng.choice((rng.randrange(1, 100), rng.randrange(1, 3000)))
    met = rng.choice(("", "", "", "", "", *EVENTS))
    bus = config.bus_bits // 8
    events: dict[str, Any] = {met: rng.randrange(0, MEMORY, bus) if met == "error" else cycle}
    case = Case(
        choices=choices,
        seed=seed,
        ending=rng.choice(("halt", "halt", *ENDINGS)),
        base=_base(rng),
        code=rng.randrange(0, DATA - config.program_buffer * BYTES + 1, bus),
        window=rng.choice(_WINDOWS),
        stall=rng.choice(STALLS),
        latency=rng.choice(LATENCIES),
        **(events if met else {}),
    )
    if case.ending == "halt" and case.window == "all":
        case = replace(case, far=random.Random(f"far {seed}").random() < 0.75)
    luck = random.Random(f"error {seed}")
    if met == "error" and luck.random() < 0.5:  # among the first instructions
        return replace(case, error=case.code + luck.randrange(8) * bus)
    return case


def with_error(config: CoreConfig, case: Case, luck: random.Random) -> Case:
    """A case in which a word that a load or store touches is answered with an error."""
    bus = config.bus_bits // 8
    journal = expect(config, replace(case, error=None)).memory.journal or ()
    touched = [access for access in journal if access[0] is not Cause.FETCH and len(access[2])]
    _, address, content = luck.choice(touched)
    place = address - case.base + luck.randrange(0, len(content), bus)
    return replace(case, error=place % _SPACE // bus * bus)


@dataclass(frozen=True, eq=False)
class Expected:
    """What the ISA model says of a case, but for the error of the bus and what the host does.

    Attributes
    ----------
    words : list of int
        The program, of which ``address`` is that of the first instruction.
    before : uint8
        Memory.
    memory : Memory
        The same afterwards, with each access in its journal.
    state : State
    """

    words: list[int]
    address: int
    window: tuple[int, int]
    before: np.ndarray
    memory: Memory
    state: State

    @property
    def after(self) -> np.ndarray:
        """Memory afterwards, uint8."""
        return self.memory.content


def program_words(config: CoreConfig, case: Case) -> list[int]:
    """The instructions of a case."""
    return case.built(config)[0]


def expect(config: CoreConfig, case: Case) -> Expected:
    """Build the program of a case and run it on the ISA model.

    Raises
    ------
    InputError
        There is no such case (:meth:`Case.check`).
    """
    case.check(config)
    return _expected(config, case, case.content)


@functools.lru_cache(_KEPT)
def _expected(config: CoreConfig, case: Case, content: object) -> Expected:
    words, before, window = case.built(config)
    code = np.frombuffer(to_bytes(words), np.uint8)
    before[case.code : case.code + len(code)] = code
    model = IsaModel(config, before.copy(), window, case.base, case.far)
    model.memory.journal = []
    address = (case.base + case.code) % _SPACE
    state = model.run(address, len(words))
    return Expected(words, address, window, before, model.memory, state)


def difference(config: CoreConfig, core: CoreSimulation, case: Case, mutant: int = 0) -> str:
    """What RTL, or one of its mutants, and ISA model disagree on; empty if nothing."""
    expected = expect(config, case)
    memory = expected.before.copy()
    conditions = Conditions(
        stall=case.stall,
        latency=case.latency,
        seed=case.seed,
        most_cycles=WATCHDOG,
        window=expected.window,
        ring_again=case.ring_again,
        abort_at=case.abort_at,
        reset_at=case.reset_at,
        meddle_at=case.meddle_at,
        error_address=NEVER if case.error is None else (case.base + case.error) % _SPACE,
        mutant=mutant,
    )
    given = (expected.address, len(expected.words), conditions, case.base)
    outcome = core.run(memory, *given, folded=case.far)
    try:
        outcome.check()
    except ToolError as problem:
        return str(problem)
    found = _judge(config, case, expected, outcome, memory)
    return found or _afterwards(config, core, mutant)


def _judge(
    config: CoreConfig, case: Case, expected: Expected, outcome: Outcome, memory: np.ndarray
) -> str:
    """How the end of a case breaks the contract; empty if it does not."""
    events = outcome.irq_status & ~(4 if case.ring_again else 0)
    if events != (1 if outcome.state.cause is Cause.NONE else 3):
        return f"events {outcome.irq_status:#b} with {outcome.state.cause.name}"
    if found := _counters_problem(expected, outcome):
        return found
    state, broken_off = expected.state, False
    if case.error is not None:
        state = met(config, case, expected)
        broken_off = state is not (late := expected.state)
        if late.cause in _TRANSFERS and _end(outcome.state) == _end(late):
            state = late  # which of the two comes first is a matter of time
    if outcome.state.cause is Cause.ABORT and case.abort_at:
        state, broken_off = State(Cause.ABORT), True
    # A write of a register takes less than so many cycles.
    if case.abort_at and outcome.state.cause is Cause.NONE and outcome.ran > case.abort_at + 8:
        return f"not ended {outcome.ran - case.abort_at} cycles after the host asked for it"
    certain = state.cause is Cause.NONE or state.cause in INSTRUCTION_CAUSES
    if certain and outcome.state != state:
        return f"state {outcome.state}, expected {state}"
    if _end(outcome.state) != _end(state):
        return f"end {outcome.state}, expected {state}"
    if broken_off:
        wrong = ~_possible(expected, memory)
    else:
        wrong = memory != expected.after
    places = np.flatnonzero(wrong)
    return f"{len(places)} bytes differ from {places[0]:#x} on" if len(places) else ""


def _counters_problem(expected: Expected, outcome: Outcome) -> str:
    """What is wrong with what the ISA model does not count; empty if nothing."""
    lmma, opcodes = BY_NAME["lmma"], (1 << OPCODE_BITS) - 1
    products = [lmma.decode(w) for w in expected.words if w & opcodes == lmma.opcode]
    for flag, _ in WAITS[lmma.queue]:  # the counters are named as the bits of the instruction
        if outcome.counters[flag] and not any(fields[flag] for fields in products):
            return f"{flag} is {outcome.counters[flag]}, and no instruction waits so"
    cycles = outcome.counters["cycles"]
    if cycles != outcome.ran:
        return f"{cycles} cycles are counted of {outcome.ran}"
    more = [name for name, count in outcome.counters.items() if count > cycles]
    return f"{more[0]} counts more than all cycles" if more else ""


def _end(state: State) -> tuple[Cause, int]:
    return state.cause, state.address


def met(config: CoreConfig, case: Case, expected: Expected) -> State:
    """The end of a program that may touch a word that the bus answers with an error."""
    word = config.bus_bits // 8
    assert case.error is not None
    for cause, address, content in expected.memory.journal or ():
        start = (address - case.base) % _SPACE
        whole = -(-len(content) // word) * word
        if start <= case.error < start + whole:
            place = case.error
            if cause is Cause.WRITE:  # the address of the burst
                first = max(start, place // _PAGE * _PAGE)
                place -= (place - first) % (MOST_BEATS * word)
            return State(cause, (case.base + place) % _SPACE)
    return expected.state


def _possible(expected: Expected, memory: np.ndarray) -> np.ndarray:
    """Bytes that hold what they held at some time of the whole program, bool."""
    possible = memory == expected.before
    for cause, address, content in expected.memory.journal or ():
        if cause is Cause.WRITE:
            place = expected.memory.places(address, len(content))
            possible[place] |= memory[place] == content
    return possible


def _afterwards(config: CoreConfig, core: CoreSimulation, mutant: int) -> str:
    """What is wrong with the next program, without a reset before; empty if nothing."""
    expected = expect(config, Case(*_AFTER))
    memory = expected.before.copy()
    conditions = Conditions(most_cycles=WATCHDOG, keep=True, mutant=mutant)
    outcome = core.run(memory, expected.address, len(expected.words), conditions)
    try:
        outcome.check()
    except ToolError as problem:
        return f"afterwards: {problem}"
    if outcome.state != expected.state or not np.array_equal(memory, expected.after):
        return f"afterwards: state {outcome.state}, expected {expected.state}"
    found = _counters_problem(expected, outcome)  # they start anew
    return f"afterwards: {found}" if found else ""


def shortened(
    config: CoreConfig,
    core: CoreSimulation,
    case: Case,
    wrong: Callable[[Case], str] = lambda case: "",
    allows: Callable[[Case], bool] = lambda case: True,
) -> Case:
    """A case that still differs, and does not without any one of its choices or conditions.

    ``wrong`` says what else is wrong with a case, ``allows`` whether one may be played.
    """
    plain = Case()
    smaller = [
        replace(case, choices=case.choices[:place] + case.choices[place + 1 :])
        for place in reversed(range(len(case.choices)))
    ]
    for name, value in vars(plain).items():
        if name not in case.FIXED and getattr(case, name) != value:
            smaller.append(replace(case, **{name: value}))
    for other in filter(allows, smaller):
        if wrong(other) or difference(config, core, other):
            return shortened(config, core, other, wrong, allows)
    return case
