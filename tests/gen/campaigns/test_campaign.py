"""A slice of the campaign on every small core, and that it finds and shortens what differs."""

import sys

import pytest
from sweeps import LATER_CORES, WITH_CORE_TESTS, swept

from lutcore.gen.campaigns import programs as campaign
from lutcore.gen.verify import programs
from lutcore.verif.samples.cores import SMALL_CORES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "name", swept(SMALL_CORES, lambda name: name not in (*WITH_CORE_TESTS, *LATER_CORES))
)
def test_a_slice_of_the_campaign(name):
    tally = campaign.run_core(name, 1 << 20, 80, 300)
    assert not tally.failure
    assert tally.programs == 80 and tally.instructions > 4000


def test_programs_that_differ_are_shortened(monkeypatch, capsys):
    """A core of other arithmetic than the model's: an ``lmma`` and a store show it."""
    real = programs.difference

    def other(config, core, case):
        return real(config.replace(table_form="subset"), core, case)

    for module in (campaign, programs):
        monkeypatch.setattr(module, "difference", other)
    tally = campaign.run_core("w4a8", 0, 100, 300)
    assert tally.failure.startswith("core w4a8: ") and tally.programs < 100
    assert "base=0, code=0, window='all', far=False, stall=0.0, latency=1" in tally.failure
    shortest = tally.failure.partition("choices=(")[2].partition(")")[0].strip(",")
    assert shortest in ("", "2", "9", "1, 2", "2, 1")


def test_time_ends_a_campaign():
    assert campaign.run_core("w4a8", 0, 100, 0).programs == 0


def test_the_status_tells(monkeypatch, capsys):
    options = ["campaign", "--cores", "w4a8", "--programs", "2", "--seed", "7"]
    monkeypatch.setattr(sys, "argv", options)
    assert campaign.main() == 0
    assert "w4a8" in capsys.readouterr().out
