"""Sizing: what it meets, what it wastes, and where a greedy search would stop too early."""

import numpy as np
import pytest
from small_cells import (
    LIBRARY,
    chain,
    flip_flop,
    gate,
    inverter,
    liberty,
    made,
    ports,
    tangle,
    timed,
)

from lutcore.gen.asic.closing import Closing
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.sizing import Sizer
from lutcore.gen.asic.timing import Timing
from lutcore.gen.tools.netlist import Json

pytestmark = pytest.mark.asic


def _area(timing: Timing) -> float:
    return sum(
        LIBRARY.cells[family[strength]].area
        for family, strength in zip(timing.graph.family, timing.strength, strict=True)
    )


@pytest.mark.parametrize("seed", range(3))
def test_sizing_meets_what_it_can_and_wastes_nothing(seed: int):
    timing = timed({"top": tangle(seed)})
    slow = timing.need.max()
    area = _area(timing)
    period = 0.95 * slow
    assert Sizer(timing, LIBRARY).run(period)
    assert timing.need.max() <= period
    assert area < _area(timing)
    for place in np.flatnonzero(timing.strength):  # none is stronger than it need be
        timing.strength[place] -= 1
        timing.analyse()
        assert timing.need.max() > period
        timing.strength[place] += 1
    assert not Sizer(timing, LIBRARY).run(0.1 * slow)


def test_sizing_passes_over_a_strength_that_is_no_better():
    """As clock buffers are among buffers: larger than the weakest, smaller than the next, slow."""
    slow = gate("INV_C", 1.2, "A", "!A", 1, 0.03)
    library = parse(liberty(False).replace(b"cell (INV2)", slow.encode() + b"cell (INV2)"), "small")
    assert library.variants["INV1"] == ("INV1", "INV_C", "INV2")
    best = timed({"top": chain()}, library)
    best.strength[:] = best.graph.most
    best.analyse()
    timing = timed({"top": chain()}, library)
    assert Sizer(timing, library).run(float(best.need.max()) + 1e-6)
    assert 1 not in timing.strength and 2 in timing.strength
    assert Sizer(timing, library).run(10.0)  # and all of them are weakened past it again
    assert not timing.strength.any()


def test_sizing_goes_on_while_a_broad_front_moves():
    """The worst arrival falls only when all of 500 equal paths were sped up."""
    cells: dict[str, Json] = {}
    for i in range(500):
        at = 10 * i + 10
        cells |= {
            f"start{i}": flip_flop(3, at),
            f"first{i}": inverter(at, at + 1),
            f"second{i}": inverter(at + 1, at + 2),
            f"other{i}": inverter(at + 1, at + 3),
            f"end{i}": flip_flop(at + 2, at + 4),
        }
    timing = timed({"top": made(ports(clk=2), **cells)})
    assert Sizer(timing, LIBRARY).run(float(timing.need.max()) - 0.01)
    assert timing.strength.sum() >= 500


@pytest.mark.parametrize("most", [2, 1])
def test_cells_that_are_too_weak_for_their_load_are_exchanged(most: int):
    """An inverter bears one or two loads in its weaker form; ``other`` makes its load two."""
    text = liberty(False).replace(b"max_capacitance : 100", b"max_capacitance : %d" % most, 1)
    library = parse(text, "small")
    design: Json = {"modules": {"top": chain()}}
    timing = Closing(library, {"small.lib": text}, "top", 5.0).timing(design)
    first = design["modules"]["top"]["cells"]["first"]["type"]
    assert first == ("INV2" if most == 1 else "INV1")
    assert timing.need.max() == pytest.approx(timed(design["modules"], library).need.max())
    timing.strength[:] = 0
    assert Sizer(timing, library).run(5.0)
    assert timing.strength.sum() == (most == 1)  # nor is it weakened again
