"""A suite for cores: programs, constraints and a golden model of memory of a user's own."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from lutcore.errors import InputError
from lutcore.gen.verify import core_runs, cores
from lutcore.gen.verify.kinds import kind_of
from lutcore.gen.verify.programs import expect
from lutcore.gen.verify.suite_cores import OwnProgram, SuitePrograms
from lutcore.gen.verify.suite_file import SuiteFile
from lutcore.gen.verify.text import to_text
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG = SMALL_CORES["w4a8"]
SUITE = '''
from dataclasses import replace
import numpy as np
from lutcore.gen.verify.suite import constraint, golden, test
from lutcore.gen.verify.suite_cores import Program
from lutcore.gen.verify.programs import Case
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.samples.programs import memory_image, random_program

BASE = 1 << 40

@test
def three_products(config, seed):
    """Three products of my own in a row, in memory of my own."""
    words = random_program(config, (0, 1, 1, 1, 2), seed, BASE)
    memory = memory_image(config, seed)
    return Program(words, memory, base=BASE, code=64, stall=0.2, latency=5)

@golden
def memory_after(config, words, memory, address, base):
    after = memory.copy()
    IsaModel(config, after, base=base).run(address, len(words))
    return after

@constraint
def quick(config, case):
    return case.base % 8192 == 0 and replace(case, latency=2, error=None)
'''


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(text=SUITE):
        Path("mine.py").write_text(text)
        return SuiteFile.read("mine.py")

    return written


def test_programs_and_constraints(write):
    source = SuitePrograms(write().load())
    for test, seed in itertools.product(source.tests(CONFIG), range(12)):
        case = source.draw(CONFIG, test, seed)
        expected = expect(CONFIG, case)
        assert not source.problem(CONFIG, case)
        groups = core_runs.wanted(CONFIG)
        assert all(name in groups[group] for group, name in source.hits(CONFIG, case, expected))
        if test == "three_products":
            assert isinstance(case, OwnProgram) and expected.address == (1 << 40) + 64
            assert source.read(CONFIG, to_text(case)) == case
        else:
            assert case.latency == 2 and case.error is None and not case.base % 8192
            assert not source.allows(CONFIG, replace(case, latency=1))
            assert source.read(CONFIG, to_text(case)) == case


def test_a_test_that_was_changed_is_judged_by_what_it_writes_now(write):
    """Cases of one test and seed are equal: what is expected of the old one must not be kept."""
    for parts in ("(0, 1, 1, 1, 2)", "(0, 1, 2, 2, 2)"):
        source = SuitePrograms(write(SUITE.replace("(0, 1, 1, 1, 2)", parts)).load())
        case = source.draw(CONFIG, "three_products", 0)
        assert expect(CONFIG, case).words == case.built(CONFIG)[0]


def test_a_golden_model_that_is_wrong_is_named(write):
    changed = SUITE.replace("return after", "after[17] += 3\n    return after")
    source = SuitePrograms(write(changed).load())
    case = source.draw(CONFIG, "three_products", 0)
    right = int(expect(CONFIG, case).after[17])
    line = SUITE[: SUITE.index("@golden")].count("\n") + 1
    assert source.problem(CONFIG, case) == (
        f"mine.py:{line}: memory_after leaves {right + 3 & 255:#04x} in byte 0x10000000011, the "
        f"ISA model {right:#04x}; they differ in 1 bytes"
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Program(words, memory, ", "dict(a=1, ", "must return a Program or a Case, not dict"),
        ("memory, base", "memory[:5], base", "memory and its base must be multiples of 4096"),
        ("memory, base", "memory.astype(int), base", "memory must be a uint8 array of one dimens"),
        ("code=64", "code=3", "code must be a multiple of"),
        ("stall=0.2", "stall=2", "stall is a probability of 0 to 0.95"),
        ("stall=0.2", "meddle_at=-1", "are cycles up to"),
        ("stall=0.2", "error=memory.size", "error is a multiple of"),
        ("return Program(", "return Case(choices=(99,)) or Program(", "choices are 0 to 9"),
        ("Program(words", "Program([-1]", "no instructions: "),
        ("after = memory.copy()", "return 3", "it must return memory, uint8"),
        ("address, base):", "address):", r"must take (config, words, memory, address, base)"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(before, after, said, write):
    assert before in SUITE
    with pytest.raises(InputError) as found:
        source = SuitePrograms(write(SUITE.replace(before, after)).load())
        source.problem(CONFIG, source.draw(CONFIG, "three_products", 0))
    assert str(found.value).startswith("mine.py:") and said in str(found.value)


@pytest.mark.slow
def test_a_core_plays_them_and_what_is_wrong_is_short(write, monkeypatch):
    kind = kind_of("axi", write())
    asked = [("three_products", 1), ("programs", 1), ("undisturbed", 1)]
    for outcome in kind.outcomes(CONFIG, asked, "verilator", None):
        assert not outcome["mismatches"] and outcome["checked"] and outcome["hits"]
    real = cores.CoreSimulation.run

    def flipped(self, memory, *given, folded=False):
        outcome = real(self, memory, *given, folded=folded)
        memory[-1] ^= given[-1] == 1 << 40  # in memory of the suite's test only
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(cores.CoreSimulation, "run", flipped)
        first, second, third = kind.outcomes(CONFIG, asked, "verilator", None)
        assert first["mismatches"] == 1 and not second["mismatches"] + third["mismatches"]
        short = f"seed=1,base={1 << 40},code=64,test=three_products"
        assert first["shortened"] == short
        assert kind.play(CONFIG, short, None, False)["mismatches"] == 1
    assert kind.play(CONFIG, short, None, False)["mismatches"] == 0
    wrong = kind_of("axi", write(SUITE.replace("return after", "after[0] ^= 1\n    return after")))
    (outcome,) = wrong.outcomes(CONFIG, asked[:1], "verilator", None)
    assert "memory_after leaves" in outcome["problems"][0] and len(outcome["problems"]) == 1
