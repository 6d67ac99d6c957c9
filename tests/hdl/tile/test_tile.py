"""Small tiles between their streams, against dot products written out."""

import pytest
from plain_tile import play

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.tile import Tile

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
    play(Tile(CoreConfig(**(COMMON | TILES[name]))), stall)
