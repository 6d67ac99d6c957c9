"""A small tile between its streams, against a dot product written out."""

import random

import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.tile import Tile
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put

M, N, DEPTH, BITS = 2, 4, 4, 2
TILES = {
    "one table": {"k": 4},
    "two tables": {"k": 2, "lookups": 2, "pipeline": 1},
    "two tiles": {"k": 4, "n": 2, "tiles": 2},
    "multipliers": {"k": 4, "engine": "mac"},
}


def reference(activations, codes, zero_points):
    """``P = 2 sum A (q - z)`` and the row sums of a run; z'' is 2z + 1 - 2^b."""
    zeros = [(z - 1 + (1 << BITS)) / 2 for z in zero_points]
    dots = [
        [
            int(2 * sum(a * (q - z) for a, q in zip(row, column, strict=True)))
            for column, z in zip(codes, zeros, strict=True)
        ]
        for row in activations
    ]
    return dots, [sum(row) for row in activations]


def packed(config, column, step, plane):
    """Indices of a column's step: sign bits, the top one negating those below; or whole codes."""
    codes = column[step * DEPTH : (step + 1) * DEPTH]
    if config.engine == "mac":
        return [(q - (1 << BITS - 1)) % (1 << BITS) for q in codes]
    fields = []
    for table in range(0, DEPTH, config.k):
        *low, top = (q >> plane & 1 for q in codes[table : table + config.k])
        fields.append(sum((bit ^ top) << t for t, bit in enumerate(low)) | top << config.k - 1)
    return fields


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize("name", TILES)
def test_runs(name, stall):
    config = CoreConfig(
        **{"m": M, "n": N, "max_weight_bits": BITS, "group_size": 16, "result_columns": 2}
        | {"zero_points": "column"}
        | TILES[name]
    )
    dut, chance = Tile(config), random.Random(name)
    activations, weights, zero_points, results = [], [], [], []
    planes = 1 if config.engine == "mac" else BITS
    offset = -1 if config.engine == "mac" else 0  # what two's complement adds to z''
    for steps in (4, 1, 3, 2, 4):
        pick = lambda: chance.choice([-128, 127, chance.randint(-128, 127)])  # noqa: E731
        a = [[pick() for _ in range(steps * DEPTH)] for _ in range(M)]
        q = [[chance.randrange(1 << BITS) for _ in range(steps * DEPTH)] for _ in range(N)]
        z = [chance.choice([-3, -1, 1, 3, 5]) for _ in range(N)]
        for step in range(steps):
            values = [row[step * DEPTH : (step + 1) * DEPTH] for row in a]
            activations.append({"values": values})
            for plane in range(planes):
                place = step * planes + plane
                index = [packed(config, column, step, plane) for column in q]
                flags = {"first": place == 0, "last": place == steps * planes - 1}
                flags["advance"] = plane == planes - 1
                weights.append({"index": index, "plane": plane} | flags)
        dots, sums = reference(a, q, z)
        for beat in (0, 2):
            zero_points.append([value + offset for value in z[beat : beat + 2]])
            part = [row[beat : beat + 2] for row in dots]
            results.append({"dot": part, "row_sum": sums, "last": beat == 2})
    simulate(
        dut,
        put(dut.activations, activations, stall),
        put(dut.weights, weights, stall, seed=1),
        put(dut.zero_points, zero_points, stall, seed=2),
        expect(dut.results, results, stall),
    )
