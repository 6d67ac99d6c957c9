"""Mapped netlists are proved to do what the RTL does, and broken ones are not."""

import re

import pytest
from sweeps import swept

from lutcore.gen.verify.mapped import compare_mapped
from lutcore.hdl.config.presets import preset

pytestmark = pytest.mark.slow

CONFIG = preset("ternary-a8")


def test_a_netlist_gives_what_its_rtl_gives():
    compared = compare_mapped(CONFIG)
    assert compared.differing == [] and compared.points > 200


@pytest.mark.parametrize(
    ("found", "instead"),
    swept(
        [
            pytest.param(r"  NAND2_X1 (.*\()", r"  NOR2_X1 \1"),  # the first of them
            pytest.param(r"\.D\((.*)\)", r".D(1'b0)"),
        ],
        2,
    ),
)
def test_a_broken_one_does_not(found, instead):
    def change(netlist):
        changed, count = re.subn(found, instead, netlist, count=1)
        assert count == 1
        return changed

    compared = compare_mapped(CONFIG, change=change)
    assert compared.differing


def test_what_takes_too_long_is_not_decided():
    assert compare_mapped(CONFIG, limit=0.5).differing is None
