"""Delays, captures, choices and divisions against plain Python."""

import random

import pytest
from amaranth.hdl import Const, Module, Signal
from amaranth.lib.wiring import In, Out

from lutcore.hdl.parts.pieces import captured, choose, delayed, forward, parts
from lutcore.verif.bench.contexts import evaluate


def driven(m, value):
    out = Signal(len(value))
    m.d.comb += out.eq(value)
    return out


def reference(value, unit):
    return -(-value // unit)


@pytest.mark.parametrize("unit", [1, 2, 3, 7, 8, 12, 43, 64, 255])
def test_parts(unit):
    m, value, chance = Module(), Signal(12), random.Random(unit)
    cases = [0, 1, unit - 1, unit, unit + 1, 4095, *(chance.randrange(4096) for _ in range(300))]
    found = evaluate(m, [value], [driven(m, parts(value, unit))], [[c] for c in cases])
    assert found == [(reference(c, unit),) for c in cases]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_choose(count):
    m, number = Module(), Signal(range(max(2, count)))
    out = driven(m, choose([Const(7 * i, 8) for i in range(count)], number))
    assert evaluate(m, [number], [out], [[i] for i in range(count)]) == [
        (7 * i,) for i in range(count)
    ]


@pytest.mark.parametrize("cycles", [0, 1, 3])
def test_delayed(cycles):
    m, value = Module(), Signal(8)
    out = driven(m, delayed(m, value, cycles, "held"))
    found = evaluate(m, [value], [out], [[v] for v in range(20)], cycles=1)
    late = max(0, cycles - 1)
    assert [v for (v,) in found][late:] == list(range(20))[: 20 - late]


def test_captured():
    m, value, capture = Module(), Signal(8), Signal()
    out = driven(m, captured(m, value, capture, "value"))
    cases = [(5, 1), (6, 0), (7, 0), (8, 1), (9, 1), (1, 0)]
    found = evaluate(m, [value, capture], [out], cases, cycles=1)
    assert [v for (v,) in found] == [5, 5, 5, 8, 9, 9]


@pytest.mark.parametrize("flow", [In, Out])
def test_forward(flow):
    m, ours, theirs = Module(), Signal(4), Signal(4)
    forward(m, ours, theirs, flow)
    source, sink = (theirs, ours) if flow == Out else (ours, theirs)
    assert evaluate(m, [source], [sink], [[9], [4]]) == [(9,), (4,)]
