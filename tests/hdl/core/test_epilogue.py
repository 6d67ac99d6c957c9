"""From run results to sums: numbers of a lane in fractions, addresses and order of the whole."""

import random
from fractions import Fraction

import plain_floats as plain
import pytest

from lutcore.hdl.config.formats import FP16, FP32
from lutcore.hdl.core.epilogue import Epilogue, EpilogueLane
from lutcore.verif.bench.contexts import evaluate, simulate
from lutcore.verif.bench.streams import put
from lutcore.verif.samples.cores import SMALL_CORES


def rounded(number):
    return plain.decode(plain.encode(number, FP32), FP32)


def reference(p, power, scale, old):
    """P to FP32; times its scale and 2^power; plus the old sum: each rounded once."""
    scaled = plain.multiply(scale, (0, Fraction(2) ** power))
    product = rounded(plain.multiply(rounded(p), scaled))
    return plain.encode(plain.add(product, old), FP32)


@pytest.mark.parametrize("name", ["w4a8", "int8-tables", "fp16"])
def test_sums(name):
    config, chance = SMALL_CORES[name], random.Random(name)
    dut, twice = EpilogueLane(config), config.form.scale
    ports = [
        "dot",
        "row_sum",
        "record",
        "zero",
        "half",
        "fixed_zero",
        "integer",
        "accumulate",
        "old",
    ]
    ports += ["power", "invalid"] if config.block_scaled else []
    cases, wanted = [], []
    for _ in range(80):
        low, high = -(1 << config.accumulator_bits - 1), (1 << config.accumulator_bits - 1) - 1
        dot = chance.choice([low, high, 0, chance.randint(low, high)])
        row_sum = chance.randint(
            -(1 << config.row_sum_bits - 1), (1 << config.row_sum_bits - 1) - 1
        )
        own, fixed = (chance.randint(*config.zero_point_range) for _ in range(2))
        half, fixed_zero, accumulate = (chance.randrange(2) for _ in range(3))
        integer = chance.randrange(2) and config.integer_results
        finite = chance.choice([*plain.patterns(FP16, 0)[:6], 0x3C00, 0xB555, 0x1234])
        number = plain.decode(finite, FP16)
        old, p_half = (
            chance.choice(plain.patterns(FP32, 40)),
            plain.multiply(number, (0, Fraction(1, 2))),
        )
        record = finite | own % (1 << 16) << 16 if half else plain.encode(number, FP32)
        zero = fixed if fixed_zero else own
        if not half and not fixed_zero:
            zero = 0  # the upper half of an FP32 scale would be z'': not a format of records
            fixed_zero, fixed = 1, 0
        case = [dot, row_sum, record, fixed % (1 << 16), half, fixed_zero, integer, accumulate, old]
        power, invalid = 0, 0
        if config.block_scaled:
            power, invalid = chance.randint(*config.power_range), chance.random() < 0.1
            case += [power, invalid]
        exact = twice * dot - zero * row_sum
        scale = p_half if half else number
        before = plain.decode(old if accumulate else 1 << 31, FP32)
        if integer:
            wanted.append((exact + (old if accumulate else 0)) % (1 << 32))
        elif invalid:
            wanted.append(FP32.quiet_nan)
        else:
            wanted.append(reference(plain.integer(exact), power, scale, before))
        cases.append(case)
    inputs = [getattr(dut, port) for port in ports]
    cycles = 2 + 2 + 3
    assert [v for (v,) in evaluate(dut, inputs, [dut.sum], cases, cycles)] == wanted


def test_addresses_and_signals():
    """Two blocks of rows of two tiles, added up twice; the sums stay in their places."""
    config, chance = SMALL_CORES["w4a8"], random.Random(0)
    dut, beats, memory = Epilogue(config), config.drain_beats, {}
    width, size = config.drain_columns, config.m * config.drain_columns * 4
    task = {"blocks": 2, "tiles": 2, "scale": 64, "acc": 128, "integer": 1, "fixed_zero": 1}
    task |= {"half": 0, "zero": 3, "accumulate": 0, "signal_load": 1, "signal_store": 0}
    tasks = [task, task | {"accumulate": 1, "signal_load": 0, "signal_store": 1}]
    results, wanted, ended, scales, signals = [], {}, [], [], []
    for again in range(2):
        for beat in range(4 * beats):
            dots = [[chance.randint(-999, 999) for _ in range(width)] for _ in range(config.m)]
            sums = [chance.randint(-99, 99) for _ in range(config.m)]
            results.append({"dot": dots, "row_sum": sums, "last": beat % beats == beats - 1})
            rows = zip(dots, sums, strict=True)
            new = [d - 3 * r for row, r in rows for d in row]
            old = wanted.get(128 + size * beat, [0] * len(new)) if again else [0] * len(new)
            wanted[128 + size * beat] = [a + b for a, b in zip(new, old, strict=True)]

    async def buffers(ctx):
        names = ("write_enable", "write_address", "write_data", "read_address", "scale_enable")
        names += ("scale_address", "signal_load", "signal_store")
        idle = 0
        while idle < 20:
            *_, enable, place, data, reads, scale, where, load, store = await ctx.tick().sample(
                *(getattr(dut, name) for name in names)
            )
            memory.update({place: data} if enable else {})
            scales.extend([where] if scale else [])
            signals.extend(["load"] * load + ["store"] * store)
            ctx.set(dut.read_data, memory.get(reads, 0))
            idle = idle + 1 if len(scales) == len(results) and ctx.get(dut.idle) else 0
        ended.append(True)

    simulate(dut, put(dut.tasks, tasks), put(dut.results, results), buffers)
    fields = {p: sum(v % (1 << 32) << 32 * i for i, v in enumerate(w)) for p, w in wanted.items()}
    assert ended and memory == fields and signals == ["load", "store"]
    assert scales == [64 + 4 * width * n for n in range(2 * beats)] * 4
