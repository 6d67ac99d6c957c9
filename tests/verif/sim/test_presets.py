"""Presets: each is legal, and a sample of them runs through the whole flow at reduced width."""

import pytest
from sweeps import later

from lutcore.gen.campaigns.presets import run
from lutcore.hdl.config.presets import PRESETS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "name", [*("ternary-a8", "w2a8-buffered", "w4-fp8", "dense-w2a8"), later("mac-fp8")]
)
def test_preset_runs(name):
    """The full-size campaign over all presets is ``make presets``."""
    report = run(PRESETS[name].replace(n=1, result_columns=1))
    assert report.checked > 0
    assert report.mismatches == 0, report.problems
