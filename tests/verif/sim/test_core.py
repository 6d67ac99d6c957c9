"""The core's RTL against the ISA model, to the bit of memory and state; its faults."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweeps import WITH_CORE_TESTS, swept

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.assembler import assemble, to_bytes
from lutcore.gen.run.machines import simulation
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import built_values
from lutcore.hdl.isa.lmma import BY_NAME, Cause
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.samples.programs import MEMORY, RESULTS, memory_image, random_program
from lutcore.verif.sim.core import Conditions, CoreSimulation, Outcome

pytestmark = pytest.mark.slow

WATCHDOG = 200_000


@pytest.fixture(scope="module", params=["w4a8", "w2a16", "4-tiles"])
def core(request, small_cores) -> Iterator[tuple[CoreConfig, CoreSimulation]]:
    config = small_cores[request.param]
    running = simulation(config)
    yield config, running
    running.close()


@pytest.fixture(
    scope="module",
    params=swept(
        [
            *("ternary", "int8-tables", "fp8-int8-tables", "bus-256", "bus-512"),
            *("fp16", "bf16", "fp16-exact", "bf16-exact"),
        ],
        lambda name: name in WITH_CORE_TESTS,
    ),
)
def precise(request, small_cores) -> Iterator[tuple[CoreConfig, CoreSimulation]]:
    """Cores of other arithmetic and wider buses, for what depends on that."""
    config = small_cores[request.param]
    running = simulation(config)
    yield config, running
    running.close()


def place(memory: np.ndarray, words: list[int], address: int = 0) -> None:
    code = np.frombuffer(to_bytes(words), np.uint8)
    memory[address : address + len(code)] = code


def compare(core, words: list[int], memory: np.ndarray, conditions: Conditions) -> Outcome:
    """Run on both; memory and state must be the same."""
    config, running = core
    place(memory, words)
    expected = memory.copy()
    state = IsaModel(config, expected, conditions.window).run(0, len(words))
    outcome = running.run(memory, 0, len(words), conditions)
    outcome.check()
    assert outcome.state == state
    np.testing.assert_array_equal(memory, expected)
    return outcome


PROGRAMS = given(
    choices=st.lists(st.sampled_from([0, 0, 1, 1, 1, 2, 2, 3, 4]), max_size=12),
    seed=st.integers(0, 1 << 20),
    stall=st.sampled_from([0.0, 0.1, 0.5]),
    latency=st.sampled_from([1, 3, 40]),
)
MANY = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check_program(core, choices, seed, stall, latency) -> None:
    config = core[0]
    words = random_program(config, choices, seed)
    conditions = Conditions(stall=stall, latency=latency, seed=seed, most_cycles=WATCHDOG)
    outcome = compare(core, words, memory_image(config, seed), conditions)
    assert outcome.state.cause is Cause.NONE and outcome.state.instructions >= len(words) - 1


@PROGRAMS
@MANY
def test_random_programs(core, choices, seed, stall, latency):
    check_program(core, choices, seed, stall, latency)


@PROGRAMS
@MANY
def test_random_programs_of_other_arithmetic(precise, choices, seed, stall, latency):
    check_program(precise, choices, seed, stall, latency)


def check_gemm(core, output, stall, uniform=False) -> None:
    config = core[0]
    rng = np.random.default_rng(5)
    ternary = config.weight_coding == "ternary"
    tensor = random_tensor((37, 96), config.max_weight_bits, 32, rng, ternary=ternary)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    if uniform:  # scale records of two bytes
        tensor.zero_points[:] = 1
    activations = random_activations(config, 5, 96, rng)
    if not config.is_float:  # the greatest and the least shift of INT8 tables
        activations[0], activations[1] = config.activation_range[0], 0
    program = gemm(config, tensor, activations, output)
    conditions = Conditions(stall=stall, most_cycles=WATCHDOG)
    outcome = compare(core, program.words, program.memory.copy(), conditions)
    assert outcome.state.slices > 0 and outcome.state.cause is Cause.NONE


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("output", ["fp32", "int32", "fp16", "bf16"])
@pytest.mark.parametrize("uniform", [True, False])
def test_gemm(core, output, uniform, stall):
    check_gemm(core, output, stall, uniform)


@pytest.mark.parametrize("stall", [0.0, 0.3])
@pytest.mark.parametrize("uniform", [True, False])
def test_gemm_of_other_arithmetic(precise, uniform, stall):
    check_gemm(precise, "fp32", stall, uniform)


LMMA = "act=r0 wgt=r0 scale=r0 acc=r0 scales=fp32 zero=0"
LOAD = "load.act mem=r0 local=r1 rows=1 bytes=4 pitch=0"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("barrier", Cause.LOOP),
        ("end\nhalt", Cause.LOOP),
        ("loop count=2\n" * 5 + "halt", Cause.LOOP),
        (f"lmma.m1n8k33.int8.w2.fp32 {LMMA}\nhalt", Cause.UNSUPPORTED),
        (f"lmma.m1n8k32.int8.w5.fp32 {LMMA}\nhalt", Cause.UNSUPPORTED),
        ("set reg=r0 value=4\n" + LOAD + "\nhalt", Cause.MISALIGNED),
        ("set reg=r1 value=4\n" + LOAD + "\nhalt", Cause.MISALIGNED),
        (LOAD + " wait_compute\nhalt", Cause.DEADLOCK),
        ((LOAD + " wait_compute\n") * 9 + "halt", Cause.DEADLOCK),
        (f"set reg=r0 value={MEMORY}\n{LOAD}\nhalt", Cause.READ),
        (f"set reg=r0 value={MEMORY}\nstore.fp32 mem=r0 local=r1 rows=1 columns=4 pitch=0\nhalt",
         Cause.WRITE),
        (f"set reg=r0 value=0x20000\n{LOAD}\nhalt", Cause.RANGE),
        ("set reg=r0 value=0x20000\nstore.fp32 mem=r0 local=r1 rows=1 columns=4 pitch=0\nhalt",
         Cause.RANGE),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_faults_of_programs(core, text, cause, stall):
    words = assemble(text)
    conditions = Conditions(stall=stall, most_cycles=WATCHDOG, window=(0, 0x10000))
    memory = memory_image(core[0], 1)
    outcome = run_faulty(core, words, memory, conditions)
    assert outcome.state.cause is cause
    assert outcome.irq_status & 3 == 3
    recovers(core)


def run_faulty(core, words, memory, conditions) -> Outcome:
    config, running = core
    place(memory, words)
    expected = memory.copy()
    state = IsaModel(config, expected, conditions.window).run(0, len(words))
    outcome = running.run(memory, 0, len(words), conditions)
    outcome.check()
    assert (outcome.state.cause, outcome.state.address) == (state.cause, state.address)
    np.testing.assert_array_equal(memory, expected)
    return outcome


def recovers(core) -> None:
    """The next program is right, without a reset between."""
    words = random_program(core[0], [0, 1, 2, 1, 2], 7)
    compare(core, words, memory_image(core[0], 7), Conditions(most_cycles=WATCHDOG, keep=True))


@pytest.mark.parametrize("word", [0, 255, 1 << 8 | 1])
def test_illegal_words(core, word):
    memory = memory_image(core[0], 2)
    outcome = run_faulty(
        core, [*assemble("barrier"), word], memory, Conditions(most_cycles=WATCHDOG)
    )
    assert (outcome.state.cause, outcome.state.address) == (Cause.ILLEGAL, 16)


@pytest.mark.parametrize(("length", "cause"), [(0, Cause.LOOP), (257, Cause.UNSUPPORTED)])
def test_lengths_that_are_no_programs(core, length, cause):
    memory = memory_image(core[0], 2)
    outcome = core[1].run(memory, 0, length, Conditions(most_cycles=WATCHDOG))
    outcome.check()
    assert outcome.state.cause is cause
    recovers(core)


@pytest.mark.parametrize(
    ("error_address", "cause"),
    [(0x10, Cause.FETCH), (0x2200, Cause.READ), (0x3010, Cause.READ), (0x5040, Cause.WRITE)],
)
def test_bus_errors(core, error_address, cause):
    """An error anywhere in a transfer; the address is that of the word, or of the written burst."""
    text = """
    set reg=r0 value=0x2000
    set reg=r1 value=0x5000
    load.wgt mem=r0 local=r2 rows=9 bytes=64 pitch=512 signal_compute
    store.fp32 mem=r1 local=r2 rows=2 columns=16 pitch=64
    halt
    """
    words = assemble(text)
    memory = memory_image(core[0], 3)
    place(memory, words)
    before = memory.copy()
    conditions = Conditions(error_address=error_address, most_cycles=WATCHDOG, stall=0.2)
    outcome = core[1].run(memory, 0, len(words), conditions)
    outcome.check()
    assert outcome.state.cause is cause
    assert outcome.state.address // 64 == error_address // 64
    np.testing.assert_array_equal(memory[:RESULTS], before[:RESULTS])
    recovers(core)


LONG = """
set reg=r0 value=0x2000
loop count=200
  load.wgt mem=r0 local=r2 rows=1 bytes=512 pitch=0
end
halt
"""


def test_a_doorbell_while_busy_is_refused(core):
    words = assemble(LONG)
    memory = memory_image(core[0], 4)
    place(memory, words)
    outcome = core[1].run(memory, 0, len(words), Conditions(ring_again=50, most_cycles=WATCHDOG))
    outcome.check()
    assert outcome.irq_status == 0b101
    assert outcome.state.instructions == 403 and outcome.state.cause is Cause.NONE


@pytest.mark.parametrize("cycle", [3, 60, 61, 250])
def test_the_host_may_end_a_program(core, cycle):
    words = assemble(LONG)
    memory = memory_image(core[0], 5)
    place(memory, words)
    outcome = core[1].run(
        memory, 0, len(words), Conditions(abort_at=cycle, most_cycles=WATCHDOG, stall=0.2)
    )
    outcome.check()
    assert outcome.state.cause is Cause.ABORT and outcome.ran < 1000
    recovers(core)


def test_nothing_is_left_of_a_program_that_was_ended(core):
    """Wherever it was: its tables, sums and results are gone before the next one begins."""
    config, running = core
    rng = np.random.default_rng(3)
    tensor = random_tensor((config.columns + 1, 2 * config.group_size), 2, config.group_size, rng)
    tensor.zero_points[:] = 1
    activations = random_activations(config, config.m, tensor.shape[1], rng)
    program = gemm(config, tensor, activations)
    expected = program.image()
    IsaModel(config, expected).run(program.address, len(program.words))
    ended = 0
    for cycle in [*range(60, 260, 3), *range(264, 300)]:  # the last ones meet its end
        end = Conditions(abort_at=cycle, most_cycles=WATCHDOG, stall=0.2, seed=cycle)
        outcome = running.run(program.image(), program.address, len(program.words), end)
        outcome.check()
        ended += outcome.state.cause is Cause.ABORT
        memory, again = program.image(), Conditions(most_cycles=WATCHDOG, keep=True)
        running.run(memory, program.address, len(program.words), again).check()
        np.testing.assert_array_equal(memory, expected)
    assert ended > 30


@pytest.mark.parametrize("cycle", [40, 41, 42, 100])
def test_a_reset_in_the_middle_of_a_burst(core, cycle):
    words = random_program(core[0], [0, 1, 2, 1, 2], 8)
    memory = memory_image(core[0], 8)
    compare(core, words, memory, Conditions(reset_at=cycle, most_cycles=WATCHDOG))


def test_the_watchdog_bites(core):
    words = assemble(LONG)
    memory = memory_image(core[0], 4)
    place(memory, words)
    outcome = core[1].run(memory, 0, len(words), Conditions(most_cycles=100))
    assert not outcome.finished
    outcome = core[1].run(memory, 0, len(words))  # reset before
    assert outcome.finished


def test_slices_keep_coming(core):
    check_rate(core)


def test_slices_keep_coming_in_other_arithmetic(precise):
    check_rate(precise)


@pytest.mark.parametrize("operand", ["table", "coding", "activation", "mode", "accumulator"])
def test_an_lmma_of_other_arithmetic_is_refused(precise, operand):
    """Each of what was built counts, one by one; integer sums only where results have scales."""
    config = precise[0]
    legal = operand == "accumulator" and config.integer_results
    right = built_values(config) | {"m": 1, "n": 1, "k": 1, "bits": config.max_weight_bits}
    word = BY_NAME["lmma"].encode(right | {operand: right.get(operand, 0) ^ 1})
    words = [word, *assemble("halt")]
    conditions = Conditions(most_cycles=WATCHDOG)
    outcome = run_faulty(precise, words, memory_image(config, 1), conditions)
    assert (outcome.state.cause is Cause.UNSUPPORTED) != legal
    recovers(precise)


def check_rate(core) -> None:
    """A GEMM issues a slice in nearly every cycle, whatever the memory's latency.

    Where a slice is wider than the bus, small buffers do not reuse weights often enough for that.
    """
    config = core[0]
    least = 0.9 if config.slice_bits <= config.bus_bits else 0.6
    rng = np.random.default_rng(6)
    tensor = random_tensor(
        (config.columns * 4, 512), 2, 32, rng, ternary=config.weight_coding == "ternary"
    )
    tensor.zero_points[:] = 1
    program = gemm(config, tensor, random_activations(config, 16 * config.m, 512, rng), "fp16")
    conditions = Conditions(latency=20, most_cycles=WATCHDOG)
    outcome = compare(core, program.words, program.memory.copy(), conditions)
    assert outcome.counters["slices"] > least * outcome.counters["cycles"], outcome.counters
