"""LUT reports of the FPGA families."""

import pytest

from gen.fpga_synth import synthesise_fpga
from hdl.config import CoreConfig
from hdl.errors import InputError

TINY = CoreConfig(
    m=1, n=2, k=2, max_weight_bits=1, group_size=32, table_form="subset", zero_points="external"
)


@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin", "xilinx"])
def test_resources_follow_the_configuration(family):
    few, many = (synthesise_fpga(TINY.replace(n=n), family) for n in (2, 4))
    assert few.luts < many.luts
    assert many.blocks["columns"] == 2 * few.blocks["columns"] > 0
    # Accumulators and their copies, at least.
    assert few.ff >= 2 * few.config["n"] * TINY.accumulator_bits
    assert (few.bram, few.dsp, few.target) == (0, 0, family)
    assert few.carry > 0


def test_unknown_family():
    with pytest.raises(InputError, match=r"^target must be one of .*, not 'abacus'$"):
        synthesise_fpga(TINY, "abacus")
