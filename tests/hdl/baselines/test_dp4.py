# amaranth: UnusedElaboratable=no
"""Units of four FP16 products against their reference: compiled RTL, random and chosen operands."""

from functools import partial

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from sweeps import swept

from lutcore.gen.campaigns.floats import Unit, boundary_values, build, evaluate, random_operands
from lutcore.hdl.baselines.discrete import DotProduct4
from lutcore.hdl.baselines.fused import FusedDotProduct
from lutcore.hdl.config.formats import FP16, FP32
from lutcore.verif.golden import dp4 as reference

pytestmark = pytest.mark.slow

CASES = 100_000


class Fed(wiring.Component):
    """A unit behind two ports: a set holds ``a`` and ``b``, the next one ``c``."""

    def __init__(self, make):
        self._unit = make()
        super().__init__({"a": In(64), "b": In(64), "result": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self._unit
        addend = self.a[:32]
        for _ in range(unit.addend_delay):
            held = Signal(32)
            m.d.sync += held.eq(addend)
            addend = held
        a, b = Signal(64), Signal(64)
        m.d.sync += [a.eq(self.a), b.eq(self.b), self.result.eq(unit.result)]
        m.d.comb += [unit.a.eq(a), unit.b.eq(b), unit.c.eq(addend)]
        return m


def results(make, a, b, c):
    """What the compiled unit gives for ``a``, ``b`` ``[n][4]`` and ``c`` ``[n]``."""
    latency = make().latency + 1
    fed = Unit("dp4", "fp16", lambda: Fed(make), lambda *sets: sets[0], 2, 64, latency)
    sets = np.zeros((2, len(c), 2), np.uint64)
    sets[0, :, 0] = np.ascontiguousarray(a).view(np.uint64)[:, 0]
    sets[1, :, 0] = np.ascontiguousarray(b).view(np.uint64)[:, 0]
    sets[0, :, 1] = c
    return evaluate(build(fed), fed, *sets.reshape(2, -1))[1::2]


def operands(count=CASES, seed=0):
    """Boundary values; all exponents; sums that cancel; few digits, for ties; ``c`` near them."""
    rng = np.random.default_rng(seed)
    halves, singles = boundary_values(FP16, 400), boundary_values(FP32, 2000)
    uniform = random_operands(FP16, 2, 4 * count, rng)
    a, b = (
        np.where(rng.random(4 * count) < 0.3, rng.choice(halves, 4 * count), x) for x in uniform
    )
    a, b = a.reshape(count, 4), b.reshape(count, 4)
    few = rng.random((count, 1)) < 0.3  # digits
    a, b = (np.where(few, x & ~np.uint16(0x03F0), x) for x in (a, b))
    near = rng.random((count, 1)) < 0.6  # exponents, to meet within one another's precision
    spread = rng.integers(13, 18, (count, 4)).astype(np.uint16) << np.uint16(10)
    a, b = (np.where(near, (x & 0x83FF) | spread, x).astype(np.uint16) for x in (a, b))
    pairs = rng.random(count) < 0.2  # of products that cancel
    a[pairs, 1], b[pairs, 1] = a[pairs, 0], b[pairs, 0] ^ 0x8000
    none = rng.random(count) < 0.05  # of the products count
    a[none] &= 0x8000
    with np.errstate(all="ignore"):
        exact = (a.view(np.float16).astype(float) * b.view(np.float16)).sum(axis=1)
        opposite = (-exact).astype(np.float32).view(np.uint32)
        beside = (exact * 2.0 ** rng.integers(-30, 30, count)).astype(np.float32).view(np.uint32)
    opposite = opposite + rng.integers(-2, 3, count).astype(np.uint32)
    beside = beside & (np.uint32(0xFFFFFFFF) << rng.integers(0, 24, count).astype(np.uint32))
    choices = [opposite, beside, rng.choice(singles, count), rng.integers(0, 1 << 32, count)]
    c = np.choose(rng.integers(0, 4, count), [x.astype(np.uint32) for x in choices])
    return a, b, c.astype(np.uint32)


def half(*values):
    return np.array(values, np.float16).view(np.uint16)


def single(*values):
    return np.array(values, np.float32).view(np.uint32)


UNITS = {
    "discrete": (DotProduct4, reference.discrete),
    "discrete-4": (partial(DotProduct4, 4), reference.discrete),
    "discrete-booth": (partial(DotProduct4, booth=True), reference.discrete),
    "fused": (FusedDotProduct, reference.fused),
    "fused-booth": (partial(FusedDotProduct, booth=True), reference.fused),
    "fused-2": (partial(FusedDotProduct, 0, 2), partial(reference.fused, guard=0)),
}


@pytest.mark.parametrize("name", swept(UNITS, 2))
def test_results_are_the_references(name):
    make, expected = UNITS[name]
    given = operands()
    got, want = results(make, *given), expected(*given)
    wrong = np.flatnonzero(got != want)
    assert len(got) == CASES
    assert not len(wrong), [[hex(v) for v in np.r_[x[wrong[0]]]] for x in (*given, got, want)]
