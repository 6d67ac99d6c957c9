"""The store engine between the output buffer and a memory, against rows of numbers."""

import random
import sys

import plain_floats as plain
import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import BF16, FP16, FP32
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.core.store import StoreEngine, SumReader
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, get, put
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG, BUS = SMALL_CORES["w4a8"], 16
TYPES = {"fp32": 0, "int32": 1, "fp16": 2, "bf16": 3}
_chance = random.Random(0)
#: Sums of (row, column), as the buffer has them from byte ``LOCAL`` on.
ROWS, COLUMNS = 5, 20
FINITE = [p for p in plain.patterns(FP32, 400) if plain.decode(p, FP32)[1] < plain.INF]
SUMS = [[_chance.choice(FINITE) for _ in range(COLUMNS)] for _ in range(ROWS)]


def beat(config, block, number):
    """What the buffer holds of a block of rows: ``[m][drain_columns]`` of one result beat."""
    width, word = config.drain_columns, 0
    for place in range(config.m * width):
        row, column = block * config.m + place // width, number * width + place % width
        value = SUMS[row][column] if row < ROWS and column < COLUMNS else 0
        word |= value << 32 * place
    return word


def reference(rows, columns, kind):
    """Bytes of each row as they go to memory."""
    formats = {"fp16": FP16, "bf16": BF16}
    if kind in formats:
        numbers = [[plain.decode(v, FP32) for v in row[:columns]] for row in SUMS[:rows]]
        data = [[plain.encode(v, formats[kind]).to_bytes(2, "little") for v in r] for r in numbers]
    else:
        data = [[v.to_bytes(4, "little") for v in row[:columns]] for row in SUMS[:rows]]
    return [b"".join(row) for row in data]


def store(rows, columns, kind, mem=0, pitch=256):
    return {"mem": mem, "local": 0, "rows": rows, "columns": columns, "pitch": pitch} | {
        "type": TYPES[kind],
        "signal": 1,
    }


def words(row):
    """Bus words of a row, and their strobes."""
    parts = [row[i : i + BUS] for i in range(0, len(row), BUS)]
    return [(int.from_bytes(part, "little"), (1 << len(part)) - 1) for part in parts]


def run(dut, *benches):
    """Benches beside the buffer: a word a cycle after its address, held without ``read_enable``."""
    ended = []

    async def serve(ctx):
        size = CONFIG.m * CONFIG.drain_columns * 4
        while len(ended) < len(benches):
            *_, enable, address = await ctx.tick().sample(dut.read_enable, dut.read_address)
            if enable:
                ctx.set(dut.read_data, beat(CONFIG, *divmod(address // size, BEATS)))

    def counted(bench):
        async def whole(ctx):
            await bench(ctx)
            ended.append(bench)

        return whole

    return simulate(dut, serve, *map(counted, benches))


#: Result beats of a block of rows.
BEATS = -(-COLUMNS // CONFIG.n) * CONFIG.drain_beats
CASES = [(ROWS, COLUMNS, "fp32"), (1, COLUMNS, "int32"), (ROWS, COLUMNS, "fp16"), (3, 20, "bf16")]


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize(("rows", "columns", "kind"), CASES)
def test_rows_become_words(rows, columns, kind, stall):
    dut = SumReader(CONFIG)
    packed = [word for row in reference(rows, columns, kind) for word in words(row)]
    wanted = [{"data": data, "strb": strobes} for data, strobes in packed]
    # Bytes that are not strobed may be anything; the reader leaves them 0.
    run(dut, put(dut.stores, [store(rows, columns, kind)]), expect(dut.words, wanted, stall))


@pytest.fixture
def wide_numbers():
    """Amaranth's simulator writes constants as wide as a beat in decimal digits."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(limit)


@pytest.mark.usefixtures("wide_numbers")
def test_a_beat_of_more_chunks_than_a_byte_counts():
    """512 words a beat: all of them are stored in their order."""
    fields = {"precompute": "buffered", "zero_points": "external", "group_size": 32}
    sizes = {"bus_bits": 64, "output_buffer": 8192, "scale_buffer": 8192}
    config = CoreConfig(m=1, n=1024, result_columns=1024, **fields, **sizes)
    check_core(config)
    dut, columns = SumReader(config), 600
    values = [7 + 3 * column for column in range(columns)]
    wanted = [
        {"data": low | high << 32, "strb": 0xFF}
        for low, high in zip(values[::2], values[1::2], strict=True)
    ]
    ended = []

    async def serve(ctx):
        ctx.set(dut.read_data, sum(value << 32 * at for at, value in enumerate(values)))
        while not ended:
            await ctx.tick()

    async def receive(ctx):
        await expect(dut.words, wanted, 0)(ctx)
        ended.append(True)

    simulate(dut, serve, put(dut.stores, [store(1, columns, "int32")]), receive)


@pytest.mark.parametrize("stall", [0, 0.4])
def test_bursts_and_their_words(stall):
    dut, rows = StoreEngine(CONFIG), reference(ROWS, COLUMNS, "fp32")
    writes = [{"addr": 4096 + 256 * n, "len": len(words(row)) - 1} for n, row in enumerate(rows)]
    written = []
    for row in rows:
        parts = words(row)
        last = [n == len(parts) - 1 for n in range(len(parts))]
        pairs = zip(parts, last, strict=True)
        written += [{"data": d, "strb": s, "last": end} for (d, s), end in pairs]

    async def request(ctx):
        ctx.set(dut.window_high, 2)
        await put(dut.stores, [store(ROWS, COLUMNS, "fp32", mem=4096)])(ctx)
        await expect(dut.writes, writes, stall)(ctx)
        assert not ctx.get(dut.idle)
        await put(dut.answers, [{"error": 0}] * ROWS, stall)(ctx)
        for _ in range(200):
            await ctx.tick()
        assert ctx.get(dut.idle) and not ctx.get(dut.fault.valid)

    run(dut, request, expect(dut.written, written, stall))


@pytest.mark.parametrize(("mem", "cause"), [(2 * 4096, Cause.RANGE), (4096, Cause.WRITE)])
def test_faults(mem, cause):
    dut, found = StoreEngine(CONFIG), []

    async def request(ctx):
        ctx.set(dut.window_high, 2)
        await put(dut.stores, [store(1, 4, "fp32", mem=mem)])(ctx)
        if cause is Cause.WRITE:
            await get(dut.writes, 1)(ctx)
            await get(dut.written, 1)(ctx)
            ctx.set(dut.answers.payload.error, 1)
            ctx.set(dut.answers.valid, 1)
        names = (dut.fault.valid, dut.fault.cause, dut.fault.address)
        for _ in range(20):
            *_, valid, why, where = await ctx.tick().sample(*names)
            if valid:
                found.append((why, where))
                ctx.set(dut.stop, 1)

    run(dut, request)
    assert found[0] == (cause, mem)
