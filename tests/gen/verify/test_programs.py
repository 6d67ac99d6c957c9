"""Cases of programs: what they reach, what is seen in them, and how they become shorter."""

import copy
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.gen.verify import programs
from lutcore.gen.verify.core_runs import TESTS, drawn
from lutcore.gen.verify.cores import TOPS, simulated
from lutcore.gen.verify.programs import Case, difference, draw, expect, program_words, shortened
from lutcore.gen.verify.text import from_text, to_text
from lutcore.hdl.isa.limits import alignments, limits
from lutcore.hdl.isa.lmma import BY_NAME, BY_OPCODE, INSTRUCTION_CAUSES, Cause
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.samples.endings import ENDINGS

CONFIG = SMALL_CORES["w4a8"]


def legal_bits(field, instruction):
    """Bits that are 1 in some legal value of a field, and those that are 0."""
    low, high = limits(instruction, CONFIG).get(field.name) or field.range
    unit = alignments(instruction, CONFIG).get(field.name, 1) if field.name == "pitch" else 1
    values = {value % (1 << field.bits) for value in (low, high)}
    if high - low < 1 << 12:
        values = {value % (1 << field.bits) for value in range(low, high + 1)}
    else:
        values |= {1 << bit for bit in range(field.bits)} | {(1 << field.bits) - 1}
    values = {value for value in values if value % unit == 0} or {0}
    ones = zeros = 0
    for value in values:
        ones, zeros = ones | value, zeros | ~value
    return ones, zeros % (1 << field.bits)


def test_all_bits_of_all_fields_are_reached():
    """Fields that several engines' instructions share count together."""
    ones, zeros = Counter(), Counter()
    for seed in range(1500):
        case = draw(CONFIG, seed)
        if case.ending in ("illegal", "unsupported", "misaligned"):
            continue
        for word in program_words(CONFIG, case):
            instruction = BY_OPCODE[word & 255]
            for field in instruction.fields:
                key = instruction.queue, field.name
                value = (word & field.mask) >> field.low
                ones[key] |= value
                zeros[key] |= (1 << field.bits) - 1 - value
            if instruction.name == "set":
                key = word >> 8 & 15
                ones[key] |= word >> 12
                zeros[key] |= ~word >> 12 & (1 << 48) - 1
    for instruction in BY_NAME.values():
        for field in instruction.fields:
            key = instruction.queue, field.name
            one, zero = legal_bits(field, instruction)
            assert not one & ~ones[key], f"{key}: {one & ~ones[key]:#x} is never 1"
            assert not zero & ~zeros[key], f"{key}: {zero & ~zeros[key]:#x} is never 0"
    assert all(ones[r] == zeros[r] == (1 << 48) - 1 for r in range(16))


def test_cases_are_of_every_kind():
    cases = [draw(CONFIG, seed) for seed in range(250)]
    assert cases == [draw(CONFIG, seed) for seed in range(250)]
    assert {case.ending for case in cases} == set(ENDINGS)
    assert {case.window for case in cases} == {"all", "pages"}
    for event in ("ring_again", "abort_at", "reset_at", "error"):
        assert sum(bool(getattr(case, event)) for case in cases) > 8, event
    ends = Counter(expect(CONFIG, case).state.cause for case in cases)
    assert all(ends[cause] > 1 for cause in INSTRUCTION_CAUSES), ends
    assert min(ends[Cause.RANGE], ends[Cause.READ], ends[Cause.WRITE], ends[Cause.NONE]) > 3
    assert sum(case.far for case in cases) > 20
    across = [c for c in cases if any(c.base < 1 << k < c.base + 0x8000 for k in (32, 40, 48))]
    assert len(across) > 8 and sum(c.base >> 47 for c in cases) > 20


@pytest.mark.slow
@pytest.mark.parametrize("top", TOPS)
def test_both_tops_agree_with_the_isa_model(top):
    core = simulated(CONFIG, top)
    for seed in range(1000, 1080):
        case = draw(CONFIG, seed)
        assert not difference(CONFIG, core, case), case
    core.close()


@pytest.mark.slow
def test_what_differs_is_seen_and_made_shorter(monkeypatch):
    """The model of another program: all conditions that do not matter go, as do the choices."""
    core = simulated(CONFIG)
    real = expect

    def other(config, case):
        found = real(config, case)
        memory = copy.copy(found.memory)
        memory.content = found.after.copy()
        memory.content[0x4000] ^= case.seed == 3 and case.choices.count(2) > 1
        return replace(found, memory=memory)

    monkeypatch.setattr(programs, "expect", other)
    case = Case((0, 2, 5, 1, 2, 2, 7), 3, "loop", 1 << 40, 64, "pages", stall=0.3, latency=3)
    assert difference(CONFIG, core, case) == "1 bytes differ from 0x4000 on"
    assert shortened(CONFIG, core, case) == Case((2, 2), 3)
    core.close()


@pytest.mark.slow
def test_a_case_is_judged_by_what_it_meets(monkeypatch):
    """Each event of the host and the bus shows in how a long program ends."""
    core = simulated(CONFIG)
    case = Case((7, 0, 0, 2), 5, latency=3)
    words = expect(CONFIG, case).words
    assert len(words) < CONFIG.program_buffer
    ends = {}
    real = programs._judge

    def judge(config, met, expected, outcome, memory):
        ends[met] = outcome.state.cause, outcome.irq_status
        return real(config, met, expected, outcome, memory)

    monkeypatch.setattr(programs, "_judge", judge)
    cases = {
        "": (case, (Cause.NONE, 1)),
        "abort": (replace(case, abort_at=100), (Cause.ABORT, 3)),
        "ring": (replace(case, ring_again=100), (Cause.NONE, 5)),
        "reset": (replace(case, reset_at=100), (Cause.NONE, 1)),
        "read": (replace(case, error=0x3000), (Cause.READ, 3)),
        "fetch": (replace(case, error=0x10), (Cause.FETCH, 3)),
    }
    for what, (met, end) in cases.items():
        assert not difference(CONFIG, core, met), what
        assert ends[met] == end, what
    monkeypatch.setattr(programs, "met", lambda config, case, expected: expected.state)
    assert difference(CONFIG, core, cases["read"][0])
    core.close()


def test_a_case_is_one_line_and_read_again():
    cases = [drawn(CONFIG, test, seed) for test in TESTS for seed in range(40)]
    assert any(case.far for case in cases) and any(case.error is not None for case in cases)
    for case in cases:
        line = to_text(case)
        assert not set(line) & set(" \n") and from_text(Case, line) == case
    with pytest.raises(InputError, match=r"'far=1': True or False is wanted"):
        from_text(Case, "far=1")


def test_memory_after_an_abort_holds_what_it_held_at_some_time():
    case = Case((2,), 1)
    expected = expect(CONFIG, case)
    for memory in (expected.before, expected.after):
        assert programs._possible(expected, memory).all()
    wrong = expected.after.copy()
    wrong[np.flatnonzero(expected.before != expected.after)[0]] ^= 0x55
    assert not programs._possible(expected, wrong).all()
