"""LUT reports of the FPGA families."""

import re

import numpy as np
import pytest

from lutcore.errors import InputError, ToolError
from lutcore.gen.emit.rtl import design_name
from lutcore.gen.luts import synth
from lutcore.gen.luts.families import FAMILIES
from lutcore.gen.luts.synth import netlist, synthesise_fpga
from lutcore.gen.run.tile import random_activations
from lutcore.gen.tools.yosys import run_yosys
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


#: Tables in distributed RAM.
STORED = CoreConfig(
    **{"table_storage": "lutram", "passes": 5, "m": 1, "n": 2, "k": 2, "lookups": 3},
    **{"max_weight_bits": 1, "group_size": 32, "zero_points": "external"},
)


def test_a_memory_that_nobody_declared_takes_the_longer_way(monkeypatch):
    """Yosys says that there is one, as it says of one that is declared."""
    family = FAMILIES["ecp5"]
    files = {**synth._files(STORED, "ecp5")}
    with pytest.raises(ToolError, match=re.escape(synth._IS_MEMORY)) as said:
        script = synth._script(design_name(STORED), family, memories=False)
        run_yosys(script, files, ("kept.json",))
    tried = []

    def run(script, *given):
        tried.append("-assert-none" in script)
        if tried[-1]:
            raise said.value
        return {"kept.json": "{}"}

    monkeypatch.setattr(synth, "run_yosys", run)
    assert synth._netlists("top", family, files) and tried == [False]
    undeclared = {**files, "design.il": files["design.il"].replace(b"\n  memory ", b"\n  wire ")}
    assert synth._netlists("top", family, undeclared) and tried == [False, True, False]


def test_a_mapped_netlist_computes(make_tensor, run_tile):
    """Sums in the family's own cells, and tables, as mapped."""
    config = STORED
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
