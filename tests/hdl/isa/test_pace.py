"""Cycles that hardware and cycle model share, and that bursts fit the bus's rules."""

import pytest

from lutcore.hdl.isa import pace
from lutcore.verif.samples.cores import SMALL_CORES


@pytest.mark.parametrize(("name", "product"), [("w4a8", 2), ("fp16", 2), ("fp16-exact", 6)])
def test_cycles_of_the_epilogue(name, product):
    """A cycle for the records, then P, its scale in two and the sum in three."""
    config = SMALL_CORES[name]
    assert pace.product_cycles(config) == product
    assert pace.epilogue_cycles(config) == 1 + product + 2 + 3


def test_bursts_are_axis():
    assert (1 << pace.PAGE_BITS, pace.MOST_BEATS) == (4096, 256)
