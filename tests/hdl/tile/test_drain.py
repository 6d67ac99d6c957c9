"""From accumulators to result beats: capture, order, zero points, against plain Python."""

import random

import pytest
from amaranth.hdl import ResetInserter, Signal

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.drain import Drain, DrainLane, ZeroPoints
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put

CONFIG = CoreConfig(m=2, n=4, k=4, result_columns=2, zero_points="column", group_size=64)
LOW, HIGH = -(1 << CONFIG.accumulator_bits - 1), (1 << CONFIG.accumulator_bits - 1) - 1


def reference(raw, zero_points):
    """``P = D - z'' R`` of the symmetric form, row by row; the rest stays."""
    rows = zip(raw["dot"], raw["row_sum"], strict=True)
    dots = [[d - z * r for d, z in zip(dot, zero_points, strict=True)] for dot, r in rows]
    return raw | {"dot": dots}


def test_zero_points():
    chance, (low, high) = random.Random(0), CONFIG.zero_point_range
    raw, zero_points = [], []
    for number in range(40):
        dots = [[chance.choice([LOW, HIGH, chance.randint(LOW, HIGH)]) for _ in "ab"] for _ in "mn"]
        sums = [chance.choice([-8192, 8128, chance.randint(-8192, 8128)]) for _ in "mn"]
        raw.append({"dot": dots, "row_sum": sums, "last": number % 2})
        zero_points.append([chance.choice([low, high, chance.randint(low, high)]) for _ in "ab"])
    wanted = [reference(*pair) for pair in zip(raw, zero_points, strict=True)]
    bits = CONFIG.dot_bits
    legal = [all(abs(d) < 1 << bits - 1 for row in w["dot"] for d in row) for w in wanted]
    keep = lambda values: [v for v, fits in zip(values, legal, strict=True) if fits]  # noqa: E731
    dut = ZeroPoints(CONFIG)
    benches = put(dut.raw, keep(raw)), put(dut.zero_points, keep(zero_points), seed=1)
    simulate(dut, *benches, expect(dut.results, keep(wanted)))
    assert sum(legal) > 20


@pytest.mark.parametrize("stall", [0, 0.6])
def test_runs_leave_in_order_and_none_is_lost(stall):
    """Two runs at most wait: one in the beats, one in the accumulators."""
    clear = Signal()
    part, chance, beats, captures = Drain(CONFIG), random.Random(1), [], [0]
    dut = ResetInserter(clear)(part)

    async def bench(ctx):
        uncaptured = runs = 0
        for _ in range(400):
            done = runs < 30 and not uncaptured and chance.random() < 0.4
            ctx.set(part.done, done or uncaptured)
            ctx.set(part.ready, chance.random() >= stall)
            runs += done
            names = ("capture", "valid", "ready", "select", "last")
            *_, capture, valid, ready, select, last = await ctx.tick().sample(
                *(getattr(part, name) for name in names)
            )
            uncaptured = (uncaptured or done) and not capture
            captures[0] += capture
            if valid and ready:
                beats.append((select, last))
        assert runs == captures[0] == 30
        ctx.set(part.done, 1)
        await ctx.tick()
        ctx.set(clear, 1)
        await ctx.tick()
        assert not ctx.get(part.valid)  # a reset drops what waits

    simulate(dut, bench)
    assert beats == [(1, 0), (2, 1)] * 30


def test_a_lane_shows_what_was_captured():
    dut, shown = DrainLane(CONFIG), []

    async def bench(ctx):
        for value, capture, select in [(5, 1, 1), (6, 0, 2), (LOW, 1, 2), (9, 0, 1), (9, 0, 0)]:
            ctx.set(dut.accumulators, [[value, -value - 1], [value + 1, 0]])
            ctx.set(dut.capture, capture)
            ctx.set(dut.select, select)
            await ctx.tick()
            shown.append(list(ctx.get(dut.dots)))

    simulate(dut, bench)
    assert shown == [[5, -6], [6, 0], [LOW + 1, 0], [LOW, HIGH], [0, 0]]
