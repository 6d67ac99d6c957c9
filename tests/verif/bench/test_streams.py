"""The words for streams, in both simulators: a sound design passes, a broken one never does."""

import os
import sys

import pytest
from amaranth.hdl import Module, Signal
from broken_stages import FAULTS, WORDS, Stage, Stages
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from lutcore.gen.emit.rtl import component_verilog
from lutcore.verif.bench import contexts
from lutcore.verif.bench.contexts import simulate
from lutcore.verif.bench.streams import ProtocolError, expect, get, put
from lutcore.verif.sim.simulator import build


@pytest.mark.parametrize("stalls", [(0, 0), (0.5, 0), (0, 0.5), (0.7, 0.7)])
def test_a_sound_stage_passes(stalls):
    stage = Stage()
    simulate(stage, put(stage.i, WORDS, stalls[0]), expect(stage.o, WORDS, stalls[1], seed=7))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_stage_fails(fault):
    stage = Stage(fault)
    with pytest.raises(ProtocolError, match=FAULTS[fault]):
        simulate(stage, put(stage.i, WORDS, limit=100), expect(stage.o, WORDS, 0.5, limit=100))


@pytest.mark.parametrize("fault", ["changes while stalled", "withdraws valid", "waits for ready"])
def test_only_stalls_find_a_broken_promise(fault):
    stage = Stage(fault)
    simulate(stage, put(stage.i, WORDS, 0), expect(stage.o, WORDS, 0))


def test_what_is_got_is_returned_and_the_same_seed_stalls_the_same():
    times = []
    for seed in (1, 1, 2):
        m, now = Module(), Signal(16)
        m.submodules.stage = stage = Stage()
        m.d.sync += now.eq(now + 1)
        words = get(stage.o, 9, seed=seed)

        async def timed(ctx, words=words, now=now):
            return await words(ctx), ctx.get(now)

        _, (found, time) = simulate(m, put(stage.i, WORDS[:9], seed=seed), timed)
        assert found == WORDS[:9]
        times.append(time)
    assert times[0] == times[1] != times[2]


def test_a_bench_that_never_ends_or_expects_nothing_is_an_error(monkeypatch):
    async def forever(ctx):
        while True:
            await ctx.tick()

    monkeypatch.setattr(contexts, "_PATIENCE", 100)
    with pytest.raises(ProtocolError, match="not come to their end in 100 cycles"):
        simulate(Module(), forever)
    with pytest.raises(ValueError, match="expects nothing"):
        expect(None, [])


@pytest.mark.slow
def test_cocotb_says_the_same(tmp_path):
    built = build(component_verilog(Stages(), "stages"), "stages", optimised=False)
    results = tmp_path / "results.xml"
    get_runner("verilator").test(
        test_module="stages_in_cocotb",
        hdl_toplevel="stages",
        hdl_toplevel_lang="verilog",
        build_dir=built.folder,
        test_dir=tmp_path,
        results_xml=str(results),
        extra_env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert get_results(results) == (1, 0)
