"""One small program for a core of two rows and eight columns, its memory, and what it must write.

A core's memory answers requests between streams; payloads are numbers, the first field lowest.
"""

import random

from plain_tile import packed, reference

from lutcore.compiler.program.assembler import assemble, to_bytes
from lutcore.verif.bench.streams import get, put

BUS, RESULTS = 16, 16384
PROGRAM = f"""
set reg=r0 value=4096
set reg=r1 value=8192
set reg=r2 value=12288
set reg=r3 value={RESULTS}
load.act mem=r0 local=r4 rows=2 bytes=32 pitch=32
load.wgt mem=r1 local=r4 rows=1 bytes=64 pitch=0
load.scale mem=r2 local=r4 rows=1 bytes=32 pitch=0
barrier
lmma.m2n8k32.int8.w2.int32 act=r4 wgt=r4 scale=r4 acc=r4 scales=fp32 zero=1
barrier
store.int32 mem=r3 local=r4 rows=2 columns=8 pitch=64
halt
"""
LENGTH = 12


def image(config, seed=0):
    """Memory before the program, and its two rows of 32-bit results."""
    chance, memory = random.Random(seed), bytearray(RESULTS + 4096)
    a = [[chance.choice([-128, 127, chance.randint(-128, 127)]) for _ in range(32)] for _ in "mm"]
    q = [[chance.randrange(4) for _ in range(32)] for _ in range(8)]
    code = to_bytes(assemble(PROGRAM))
    memory[: len(code)] = code
    for row, values in enumerate(a):
        memory[4096 + 32 * row : 4096 + 32 * row + 32] = bytes(v % 256 for v in values)
    for step in range(8):
        for plane in range(2):
            fields = [packed(config, column[4 * step : 4 * step + 4], plane)[0] for column in q]
            word = sum(field << 4 * n for n, field in enumerate(fields))
            place = 8192 + 4 * (2 * step + plane)
            memory[place : place + 4] = word.to_bytes(4, "little")
    return memory, reference(a, q, [1] * 8)[0]


def results(memory):
    """The rows that the program has written."""
    rows = [memory[RESULTS + 64 * row : RESULTS + 64 * row + 32] for row in range(2)]
    return [
        [int.from_bytes(r[i : i + 4], "little", signed=True) for i in range(0, 32, 4)] for r in rows
    ]


def serve(memory, ended, reads, words, writes, written, answers, stall=0.2):
    """Benches of both sides of a memory, until ``ended`` holds something."""

    async def reader(ctx):
        while not ended:
            ctx.set(reads.ready, 1)
            *_, valid, burst = await ctx.tick().sample(reads.valid, reads.payload)
            if valid:
                ctx.set(reads.ready, 0)
                first, beats = burst % (1 << 48), (burst >> 48) + 1
                places = range(first, first + beats * BUS, BUS)
                data = [int.from_bytes(memory[p : p + BUS], "little") for p in places]
                await put(words, data, stall, seed=first)(ctx)

    async def writer(ctx):
        while not ended:
            ctx.set(writes.ready, 1)
            *_, valid, burst = await ctx.tick().sample(writes.valid, writes.payload)
            if valid:
                ctx.set(writes.ready, 0)
                first, beats = burst % (1 << 48), (burst >> 48) + 1
                for number, word in enumerate(await get(written, beats, stall)(ctx)):
                    for place in range(BUS):
                        if word >> 8 * BUS + place & 1:
                            memory[first + BUS * number + place] = word >> 8 * place & 255
                await put(answers, [0], stall)(ctx)

    return reader, writer
