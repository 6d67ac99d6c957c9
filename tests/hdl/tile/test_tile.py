"""Small tiles between their streams, against dot products written out."""

import pytest
from plain_tile import streams

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.tile import Tile
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import expect, put

COMMON = {"m": 2, "n": 4, "group_size": 16, "result_columns": 2, "zero_points": "column"}
TILES = {
    "one table": {"k": 4},
    "two tables": {"k": 2, "lookups": 2, "pipeline": 1},
    "two tiles": {"k": 4, "n": 2, "tiles": 2},
    "multipliers": {"k": 4, "engine": "mac"},
}


@pytest.mark.parametrize("stall", [0, 0.4])
@pytest.mark.parametrize("name", TILES)
def test_runs(name, stall):
    dut = Tile(CoreConfig(**(COMMON | TILES[name])))
    words = streams(dut.config, (4, 1, 3, 2, 4))
    inputs = ("activations", "weights", "zero_points")
    drivers = [put(getattr(dut, s), words[s], stall, seed=i) for i, s in enumerate(inputs)]
    simulate(dut, *drivers, expect(dut.results, words["results"], stall))
