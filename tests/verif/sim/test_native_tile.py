"""Tiles without Python in a cycle: long runs are waited for, and a tile that stops is given up."""

import dataclasses

import pytest

from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify import tile_runs
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim import native_tile
from lutcore.verif.sim.job import longest_work
from lutcore.verif.sim.native_tile import NativeTile

pytestmark = pytest.mark.slow

#: The tile has read a run when it begins to look for the greatest entry of its tables.
LONG = CoreConfig(
    m=1, n=1, k=3, max_weight_bits=1, activation="fp16", float_mode="aligned", table="int8",
    group_size=450, max_k=900, precompute="buffered", zero_points="column", result_columns=1,
)  # fmt: skip


def test_a_long_run_is_waited_for_and_a_tile_that_stops_is_not(monkeypatch):
    tile = NativeTile(LONG, verilog(LONG), design_name(LONG))
    source = tile_runs.PLANNED
    cases = [source.draw(LONG, "extremes", seed) for seed in range(3)]
    assert any("k=450" in case.to_text() for case in cases)
    jobs = [source.job(LONG, case) for case in cases]
    (played,) = tile.play(jobs)
    assert not played.problem
    late = dataclasses.replace(jobs[0], expected=dict(jobs[0].expected))
    for part in (late.expected, late.checked):
        part |= {name: values.repeat(2, axis=0) for name, values in part.items()}
    (stopped,) = tile.play([late])
    assert stopped.problem == "it stopped"
    assert stopped.cycles > native_tile.PATIENCE + longest_work(LONG)
    monkeypatch.setattr(native_tile, "longest_work", lambda config: 0)
    (impatient,) = tile.play(jobs)
    assert impatient.problem == "it stopped"
