"""LUT reports of the FPGA families."""

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.gen.luts.families import FAMILIES
from lutcore.gen.luts.synth import netlist, synthesise_fpga
from lutcore.gen.run.tile import random_activations
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import Stalls, tile_job

pytestmark = pytest.mark.slow

TINY = CoreConfig(
    m=1, n=2, k=2, max_weight_bits=1, group_size=32, table_form="subset", zero_points="external"
)


@pytest.mark.parametrize("family", FAMILIES)
def test_resources_follow_the_configuration(family):
    few, many = (synthesise_fpga(TINY.replace(n=n), family) for n in (2, 4))
    assert few.luts < many.luts
    assert many.blocks["columns"] == 2 * few.blocks["columns"] > 0
    # Accumulators and their copies, at least.
    assert few.ff >= 2 * few.config["n"] * TINY.accumulator_bits
    assert (few.bram, few.dsp, few.target) == (0, 0, family)
    assert few.carry > 0


def test_a_mapped_netlist_computes(make_tensor, run_tile):
    """Tables in distributed RAM, sums in the family's own cells, as mapped."""
    config = CoreConfig(
        **{"table_storage": "lutram", "passes": 5, "m": 1, "n": 2, "k": 2, "lookups": 3},
        **{"max_weight_bits": 1, "group_size": 32, "zero_points": "external"},
    )
    report, text = synthesise_fpga(config, "ecp5"), netlist(config, "ecp5")
    assert report.lutram > 0
    job = tile_job(
        config,
        random_activations(config, 2, 60, np.random.default_rng(1)),
        make_tensor(13, 60, 1, 32, shared=True),
        stalls=Stalls(activations=0.2, weights=0.2, results=0.3),
    )
    (verdict,) = run_tile(config, [job], edit=lambda _: text)
    assert verdict["mismatches"] == 0, verdict["problems"]
    assert verdict["beats"] == job.beats > 0


def test_unknown_family():
    with pytest.raises(InputError, match=r"^target must be one of .*, not 'abacus'$"):
        synthesise_fpga(TINY, "abacus")
