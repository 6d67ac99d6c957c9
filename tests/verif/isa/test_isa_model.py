"""The ISA model against plain matrix products, and its faults."""

import time

import numpy as np
import pytest

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.assembler import assemble, to_bytes
from lutcore.compiler.program.program import Program
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.weights.pack import pack
from lutcore.errors import InputError
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BY_NAME, SCALES, Cause
from lutcore.verif.golden.epilogue import core_outputs
from lutcore.verif.golden.integers import integer_products
from lutcore.verif.isa.arithmetic import Decoded
from lutcore.verif.isa.model import IsaModel

CORE = CoreConfig(
    precompute="buffered", zero_points="external", n=16, group_size=32, max_weight_bits=4
)


def expected(activations, tensor):
    """FP32 sums over groups in ascending order, from the golden products."""
    products = integer_products(activations, tensor)
    total = np.zeros(products.shape[:2], np.float32)
    for group in range(products.shape[2]):
        scale = (tensor.scales[:, group] / np.float32(2)).astype(np.float32)
        total = total + products[..., group].astype(np.float32) * scale
    return total


def uniform(tensor):
    """The same zero point everywhere."""
    tensor.zero_points[:] = tensor.zero_points[0, 0]
    return tensor


def halves_of(tensor):
    """FP16 scales, subnormal, zero and negative ones among them."""
    tensor.scales[:] = tensor.scales.astype(np.float16)
    odd = np.array([2**-24, -(2**-24) * 1023, 0, -0.0, 65504, -1.5], np.float32)
    tensor.scales.ravel()[: len(odd)] = odd[: tensor.scales.size]
    return tensor


#: Scale records -> the tensor that needs them.
RECORDS = {
    "fp32": uniform,
    "fp16-zero": halves_of,
    "fp16": lambda tensor: uniform(halves_of(tensor)),
}


def record_formats(program: Program) -> set[str]:
    """Formats of the scale records of all ``lmma`` of a program."""
    lmma = BY_NAME["lmma"]
    words = [word for word in program.words if word & 0xFF == lmma.opcode]
    return {tuple(SCALES)[lmma.decode(word)["scales"]] for word in words}


def run(program: Program):
    memory = program.image()
    state = IsaModel(program.config, memory).run(program.address, len(program.words))
    return state, program.output.read(memory)


@pytest.mark.parametrize(
    ("shape", "bits", "group", "changes"),
    [
        ((1, 16, 32), 2, 32, {}),
        ((5, 40, 100), 4, 32, {}),
        ((70, 33, 96), 1, 16, {"activation_buffer": 512, "output_buffer": 4096}),
        ((9, 100, 80), 3, 80, {"table_form": "subset", "weight_buffer": 512}),
        ((4, 64, 48), 2, 8, {"activation": "int16", "bus_bits": 256}),
        ((3, 128, 64), 2, 32, {"lookups": 2, "m": 4, "result_columns": 4}),
    ],
)
@pytest.mark.parametrize("records", RECORDS)
def test_gemm_is_the_golden_product(shape, bits, group, changes, records):
    config = CORE.replace(**changes)
    rng = np.random.default_rng(0)
    m, n, k = shape
    tensor = RECORDS[records](random_tensor((n, k), bits, group, rng))
    activations = random_activations(config, m, k, rng)
    program = gemm(config, tensor, activations)
    assert record_formats(program) == {records}
    state, found = run(program)
    assert state.cause == Cause.NONE
    wanted = expected(activations, tensor) if group <= 32 else None
    if wanted is None:  # a group longer than a run is rounded run by run
        exact = integer_products(activations, tensor).astype(np.float64) * tensor.scales / 2
        np.testing.assert_allclose(found.view(np.float32), exact.sum(axis=2), rtol=1e-5, atol=1e-3)
    else:
        np.testing.assert_array_equal(found.view(np.float32), wanted)
    assert state.write_beats > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"weight_coding": "ternary", "k": 3, "max_weight_bits": 2, "group_size": 33},
        {"table": "int8"},
        {"activation": "fp16"},
        {"activation": "bf16", "table_form": "subset"},
        {"activation": "fp8-e5m2", "table": "int8"},
        {"activation": "fp16", "weight_coding": "ternary", "k": 3, "max_weight_bits": 2},
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_other_arithmetic_is_the_golden_one(changes, shared):
    """Runs from the golden models, scaled and added as the instructions say."""
    config = CORE.replace(**changes)
    rng = np.random.default_rng(9)
    ternary = config.weight_coding == "ternary"
    tensor = random_tensor((37, 100), config.max_weight_bits, 25, rng, ternary=ternary)
    tensor = uniform(tensor) if shared else halves_of(tensor)
    activations = random_activations(config, 5, 100, rng)
    state, found = run(gemm(config, tensor, activations))
    total = core_outputs(config, activations, tensor)
    assert state.cause == Cause.NONE
    np.testing.assert_array_equal(found.view(np.float32), total)
    close = activations.astype(np.float64) @ tensor.dequantise().T
    np.testing.assert_allclose(total, close, atol=np.abs(close).max() * 0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "fp16", "max_weight_bits": 3},
        {"activation": "bf16", "k": 2, "lookups": 3, "n": 8},
        {"activation": "fp8-e4m3", "max_weight_bits": 1},
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_exact_floats_are_the_golden_ones(changes, shared):
    """Each operation in FP32; zero points of 0 (z'') subtract nothing, even from infinity."""
    config = CORE.replace(float_mode="exact", **changes)
    rng = np.random.default_rng(11)
    tensor = random_tensor((37, 100), config.max_weight_bits, 25, rng)
    tensor = uniform(tensor) if shared else halves_of(tensor)
    activations = random_activations(config, 5, 100, rng)
    if np.isinf(activations.dtype.type(np.inf)):
        activations[1, 30] = np.inf
    state, found = run(gemm(config, tensor, activations))
    total = core_outputs(config, activations, tensor)
    assert state.cause == Cause.NONE
    np.testing.assert_array_equal(found.view(np.float32), total)
    finite = [0, 2, 3, 4]
    close = activations[finite].astype(np.float64) @ tensor.dequantise().T
    np.testing.assert_allclose(total[finite], close, atol=np.abs(close).max() * 0.01)


def test_an_infinity_makes_its_row_nan_and_no_other():
    config = CORE.replace(activation="fp16")
    rng = np.random.default_rng(10)
    activations = random_activations(config, 3, 64, rng)
    activations[1, 40] = np.inf
    tensor = halves_of(random_tensor((8, 64), 2, 32, rng))
    found = run(gemm(config, tensor, activations))[1].view(np.float32)
    assert np.isnan(found[1]).all() and np.isfinite(found[[0, 2]]).all()


def test_what_has_no_integer_result_is_refused():
    config = CORE.replace(table="int8")
    tensor = uniform(random_tensor((8, 64), 2, 32, np.random.default_rng(0)))
    with pytest.raises(InputError, match="output = int32 needs integers without a scale"):
        gemm(config, tensor, np.zeros((1, 64), np.int8), "int32")
    with pytest.raises(InputError, match="activations must be of type float16, not int8"):
        gemm(CORE.replace(activation="fp16"), tensor, np.zeros((1, 64), np.int8))


@pytest.mark.parametrize(("output", "type"), [("int32", np.int32), ("fp16", np.float16)])
def test_output_formats(output, type):
    rng = np.random.default_rng(1)
    tensor = uniform(random_tensor((20, 64), 2, 64, rng))
    activations = random_activations(CORE, 3, 64, rng)
    _, found = run(gemm(CORE, tensor, activations, output))
    exact = integer_products(activations, tensor)[..., 0]
    if output == "fp16":
        halves = integer_products(activations, tensor, [(0, 32), (32, 64)]).astype(np.float32)
        scale = tensor.scales / np.float32(2)
        exact = (halves[..., 0] * scale.T + halves[..., 1] * scale.T).astype(np.float16)
    np.testing.assert_array_equal(found.view(type), exact)


def test_a_large_gemv_takes_seconds():
    rng = np.random.default_rng(2)
    config = CoreConfig(precompute="buffered", zero_points="external", group_size=128)
    tensor = uniform(random_tensor((4096, 4096), 2, 128, rng))
    activations = random_activations(config, 1, 4096, rng)
    program = gemm(config, tensor, activations)
    began = time.perf_counter()
    state, found = run(program)
    assert time.perf_counter() - began < 10
    assert state.slices == 4096 * 4096 * 2 // 256
    np.testing.assert_array_equal(found.view(np.float32), expected(activations, tensor))


@pytest.mark.parametrize(("rows", "blocks"), [(2, 1), (7, 1), (15, 4)])
def test_activations_that_fit_are_read_once(rows, blocks):
    """On a slow memory; weights and records are read for every block of rows, in several blocks."""
    config = CORE.replace(weight_buffer=1024, activation_buffer=2048, output_buffer=1024)
    rng = np.random.default_rng(4)
    tensor = RECORDS["fp16"](random_tensor((16 * 9, 256), 1, 32, rng))
    activations = random_activations(config, rows, 256, rng)
    program = gemm(config, tensor, activations, memory=Memory(words_per_cycle=0.02))
    state, found = run(program)
    np.testing.assert_array_equal(found.view(np.float32), expected(activations, tensor))
    per_block = tensor.codes.size // 8 + tensor.scales.size * 2
    words = (per_block * blocks + activations.size) // 16
    assert state.read_beats == words + len(program.words)


@pytest.mark.parametrize("shared", [True, False])
def test_records_of_a_whole_row_are_read_once(shared):
    rng = np.random.default_rng(4)
    tensor = RECORDS["fp16"](random_tensor((32, 256), 2, 32, rng))
    if shared:
        tensor.scales[:] = tensor.scales[:, -1:]
    activations = random_activations(CORE, 1, 256, rng)
    program = gemm(CORE, tensor, activations)
    state, found = run(program)
    np.testing.assert_array_equal(found.view(np.float32), expected(activations, tensor))
    records = 32 * 2 * (1 if shared else 8)
    assert state.read_beats == (32 * 256 // 4 + records + 256) // 16 + len(program.words)


LMMA = "act=r0 wgt=r0 scale=r0 acc=r0 scales=fp32 zero=0"


@pytest.mark.parametrize(
    ("text", "cause", "address"),
    [
        ("barrier", Cause.LOOP, 0x1010),
        ("end\nhalt", Cause.LOOP, 0x1000),
        ("loop count=2\n" * 5 + "halt", Cause.LOOP, 0x1040),
        ("lmma.m1n16k33.int8.w2.fp32 " + LMMA + "\nhalt", Cause.UNSUPPORTED, 0x1000),
        ("lmma.m1n16k32.int8.w5.fp32 " + LMMA + "\nhalt", Cause.UNSUPPORTED, 0x1000),
        ("lmma.m1n16k32.int16.w2.fp32 " + LMMA + "\nhalt", Cause.UNSUPPORTED, 0x1000),
        ("lmma.m1n16k32.fp16.w2.fp32 " + LMMA + "\nhalt", Cause.UNSUPPORTED, 0x1000),
        *(
            (f"lmma.m1n16k32.int8.w2.fp32 {LMMA} {other}\nhalt", Cause.UNSUPPORTED, 0x1000)
            for other in ("coding=ternary", "table=int8", "mode=exact")
        ),
        ("set reg=r0 value=4\nload.act mem=r0 local=r1 rows=1 bytes=4 pitch=0\nhalt",
         Cause.MISALIGNED, 0x1010),
        ("load.act mem=r0 local=r1 rows=1 bytes=4 pitch=0 wait_compute\nhalt",
         Cause.DEADLOCK, 0x1010),
        ("load.act mem=r0 local=r1 rows=1 bytes=4 pitch=0 wait_compute\n" * 9 + "halt",
         Cause.DEADLOCK, 0x1080),
        ("set reg=r0 value=0x4000\nload.act mem=r0 local=r1 rows=1 bytes=64 pitch=0\nhalt",
         Cause.READ, 0x4000),
        ("set reg=r0 value=0x6000\nstore.fp32 mem=r0 local=r1 rows=1 columns=4 pitch=0\nhalt",
         Cause.RANGE, 0x6000),
        ("set reg=r0 value=0x4ff0\nload.act mem=r0 local=r1 rows=1 bytes=64 pitch=0\nhalt",
         Cause.READ, 0x4FF0),
        ("halt", Cause.NONE, 0),
    ],
)  # fmt: skip
def test_faults(text, cause, address):
    memory = np.zeros(0x4000, np.uint8)
    code = to_bytes(assemble(text))
    memory[0x1000 : 0x1000 + len(code)] = np.frombuffer(code, np.uint8)
    state = IsaModel(CORE, memory, (0, 0x6000)).run(0x1000, len(code) // 16)
    assert (state.cause, state.address) == (cause, address)


def test_an_illegal_word_is_a_fault_after_all_before_it():
    memory = np.zeros(0x2000, np.uint8)
    text = "set reg=r0 value=0x1000\nstore.int32 mem=r0 local=r1 rows=1 columns=3 pitch=0\nhalt"
    code = to_bytes([*assemble(text)[:2], 0x7F])
    memory[: len(code)] = np.frombuffer(code, np.uint8)
    memory[0x1000:] = 0xAA
    state = IsaModel(CORE, memory).run(0, 3)
    assert (state.cause, state.address) == (Cause.ILLEGAL, 32)
    assert not memory[0x1000:0x100C].any() and (memory[0x100C:] == 0xAA).all()


@pytest.mark.parametrize(
    "text",
    [
        "load.act mem=r0 local=r1 rows=65535 bytes=16777215 pitch=0",
        "load.wgt mem=r0 local=r1 rows=65535 bytes=16777215 pitch=0",
        "store.fp32 mem=r0 local=r1 rows=65535 columns=65535 pitch=0",
    ],
)
def test_operands_that_would_fill_the_machine_are_refused(text):
    """They are legal, and wrap in the buffers; a terabyte is no answer."""
    memory = np.zeros(0x2000, np.uint8)
    code = np.frombuffer(to_bytes(assemble(f"{text}\nhalt")), np.uint8)
    memory[: len(code)] = code
    with pytest.raises(InputError, match="GiB in the ISA model"):
        IsaModel(CORE, memory).run(0, 2)


@pytest.mark.parametrize(
    ("address", "length", "cause", "at"),
    [
        (-4096, 2, Cause.FETCH, (1 << 48) - 4096),
        (0x2000, 1, Cause.FETCH, 0x2000),
        (0x1FF0, 2, Cause.FETCH, 0x2000),
        (-8, 1, Cause.MISALIGNED, (1 << 48) - 8),
        (0, -1, Cause.UNSUPPORTED, 0),
        (0, CORE.program_buffer + 1, Cause.UNSUPPORTED, 0),
    ],
)
def test_a_program_outside_of_the_memory_is_never_read(address, length, cause, at):
    """A negative address is what the core's register holds of it, not the memory's end."""
    memory = np.zeros(0x2000, np.uint8)
    memory[-4096:] = np.frombuffer(to_bytes(assemble("halt")) * 256, np.uint8)
    state = IsaModel(CORE, memory).run(address, length)
    assert (state.cause, state.address, state.instructions) == (cause, at, 0)


@pytest.mark.parametrize("base", [0, (1 << 32) - 0x2000, (1 << 48) - 0x2000, 0xFEDCBA987000])
def test_memory_may_begin_anywhere_and_wrap(base):
    """A row goes on at address 0; what the memory does not hold is an error on both sides."""
    space = 1 << 48
    text = f"""
    set reg=r15 value={(base + 0x1FF0) % space}
    store.int32 mem=r15 local=r1 rows=1 columns=12 pitch=0
    barrier
    add reg=r15 value={{}}
    store.int32 mem=r15 local=r1 rows=1 columns=12 pitch=0
    halt
    """
    for beyond, written, at in ((0x2000, 16, 0x4000), (-0x2000, 0, -0x10)):
        memory = np.full(0x4000, 0xAA, np.uint8)
        code = to_bytes(assemble(text.format(beyond)))
        memory[: len(code)] = np.frombuffer(code, np.uint8)
        state = IsaModel(CORE, memory, base=base).run(base, len(code) // 16)
        assert (state.cause, state.address) == (Cause.WRITE, (base + at) % space)
        assert not memory[0x1FF0:0x2020].any() and (memory[0x2020:0x3FF0] == 0xAA).all()
        assert not memory[0x4000 - written :].any()


def test_accesses_are_noted_in_their_order():
    memory = np.zeros(0x2000, np.uint8)
    text = """
    set reg=r0 value=0x1000
    load.wgt mem=r0 local=r1 rows=2 bytes=20 pitch=0x100
    barrier
    store.int32 mem=r0 local=r1 rows=1 columns=3 pitch=0
    halt
    """
    code = to_bytes(assemble(text))
    memory[: len(code)] = np.frombuffer(code, np.uint8)
    model = IsaModel(CORE, memory)
    model.memory.journal = []
    model.run(0, len(code) // 16)
    noted = [(cause, address, len(content)) for cause, address, content in model.memory.journal]
    assert noted == [
        (Cause.FETCH, 0, len(code)),
        (Cause.READ, 0x1000, 32),
        (Cause.READ, 0x1100, 32),
        (Cause.WRITE, 0x1000, 12),
    ]


def test_decoded_weights_are_kept_up_to_a_limit():
    """Exact in float32 where no sum reaches 2^24, else in float64; what is old goes."""
    rng = np.random.default_rng(1)
    wide = CORE.replace(activation="int16", group_size=128)
    for config, kind in ((CORE, np.float32), (wide, np.float64)):
        packed = pack(config, random_tensor((48, 128), 4, 128, rng)).slices
        parts = [packed[i : i + 1, : 128 // config.depth] for i in range(3)]
        fresh = [Decoded().weights(config, part) for part in parts]
        assert all(weights.dtype == kind for weights in fresh)
        kept = Decoded(limit=2 * fresh[0].nbytes)
        first = [kept.weights(config, part) for part in parts]
        again = [kept.weights(config, part) for part in parts[1:] + parts[:1]]
        assert [a is b for a, b in zip(again, first[1:] + first[:1], strict=True)] == [1, 1, 0]
        for one, two in zip(again, fresh[1:] + fresh[:1], strict=True):
            np.testing.assert_array_equal(one, two)
