"""Runs of random numbers for tiles: what goes into their streams, and what must come out.

Weights are codes q of b bits; packed, they are the indices of the paper's symmetric tables, or
two's complement for multipliers.
"""

import random

from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put


def reference(activations, codes, zeros):
    """``P = 2 sum A (q - z)``, with ``zeros`` z'' = 2z + 1 - 2^b, and row sums, of one run."""
    bits = 2
    halves = [z - 1 + (1 << bits) for z in zeros]
    columns = list(zip(codes, halves, strict=True))
    dots = [
        [sum(a * (2 * q - z) for a, q in zip(row, column, strict=True)) for column, z in columns]
        for row in activations
    ]
    return dots, [sum(row) for row in activations]


def packed(config, codes, plane):
    """Indices of a column's step: signs, the top one turning those below; or whole codes."""
    if config.engine == "mac":
        return [(q - 2) % 4 for q in codes]
    fields = []
    for table in range(0, len(codes), config.k):
        *low, top = (q >> plane & 1 for q in codes[table : table + config.k])
        fields.append(sum((bit ^ top) << t for t, bit in enumerate(low)) | top << config.k - 1)
    return fields


def streams(config, runs, seed=0):
    """Payloads of a tile's streams by name, two-bit weights, for runs of so many steps."""
    chance = random.Random(seed)
    pick = lambda: chance.choice([-128, 127, chance.randint(-128, 127)])  # noqa: E731
    found = {name: [] for name in ("activations", "weights", "zero_points", "results")}
    depth, planes = config.depth, config.planes(2)
    for steps in runs:
        a = [[pick() for _ in range(steps * depth)] for _ in range(config.m)]
        passes = range(config.passes)
        q = [[[chance.randrange(4) for _ in a[0]] for _ in range(config.columns)] for _ in passes]
        parts = [slice(step * depth, (step + 1) * depth) for step in range(steps)]
        found["activations"] += [{"values": [row[part] for row in a]} for part in parts]
        for number, part in enumerate(parts):
            for plane in range(planes):
                for place in passes:
                    ends = plane == planes - 1
                    word = {"index": [packed(config, c[part], plane) for c in q[place]]}
                    word |= {"plane": plane, "first": number == plane == 0}
                    word |= {"last": ends and number == steps - 1}
                    word |= {"advance": ends and place == passes[-1]}
                    word |= {"accumulator": place} if len(passes) > 1 else {}
                    found["weights"].append(word)
        for place in passes:
            zeros = [chance.choice([-3, -1, 1, 3, 5]) for _ in range(config.columns)]
            dots, sums = reference(a, q[place], zeros)
            width = config.drain_columns
            for beat in range(0, config.columns, width):
                columns = slice(beat, beat + width)
                offset = -1 if config.engine == "mac" else 0  # of two's complement
                found["zero_points"].append([z + offset for z in zeros[columns]])
                word = {"dot": [row[columns] for row in dots], "row_sum": sums}
                found["results"].append(word | {"last": beat + width == config.columns})
    return found


def play(tile, stall):
    """Send five runs through a tile, and expect their results, with stalls on all sides."""
    words = streams(tile.config, (4, 1, 3, 2, 4))
    inputs = ("activations", "weights", "zero_points")
    drivers = [put(getattr(tile, s), words[s], stall, seed=i) for i, s in enumerate(inputs)]
    simulate(tile, *drivers, expect(tile.results, words["results"], stall))
