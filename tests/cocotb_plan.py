"""Verilog and a plan for a cocotb bench of the tests: build, run, and what cocotb counts."""

import json
import os
import sys

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from lutcore.verif.sim.simulator import build


def run(bench, text, top, plan, folder):
    """Tests and failures of a module's tests, which find the plan at ``LUTCORE_PLAN``."""
    path, results = folder / "plan.json", folder / "results.xml"
    path.write_text(json.dumps(plan))
    get_runner("verilator").test(
        test_module=bench,
        hdl_toplevel=top,
        hdl_toplevel_lang="verilog",
        build_dir=build(text, top, optimised=False).folder,
        test_dir=folder,
        results_xml=str(results),
        extra_env={
            "LUTCORE_PLAN": str(path),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COCOTB_REWRITE_ASSERTION_FILES": "",  # of every module, NumPy's included
        },
    )
    return get_results(results)
