"""Whole cores between a host and a memory of cocotbext-axi, held against the ISA model."""

import pytest
from sweeps import swept

from lutcore.compiler.program.assembler import assemble
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.samples.programs import MEMORY, memory_image, random_program
from lutcore.verif.sim.axi_jobs import BENCH, STREAM_BENCH, TOP, HostJob, identified_core
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

pytestmark = pytest.mark.slow

STORE = "store.fp32 mem=r0 local=r1 rows=1 columns=4 pitch=0\nhalt"
LOAD = "load.act mem=r0 local=r1 rows=1 bytes=64 pitch=0\nhalt"
#: Cause -> a program that ends with it; the window is the memory and a page.
FAULTS = {
    Cause.READ: f"set reg=r0 value={MEMORY}\n{LOAD}",
    Cause.WRITE: f"set reg=r0 value={MEMORY}\n{STORE}",
    Cause.RANGE: f"set reg=r0 value={MEMORY + 0x1000}\n{STORE}",
    Cause.DEADLOCK: LOAD.replace("\n", " wait_compute\n"),
    Cause.MISALIGNED: f"set reg=r0 value=1\n{LOAD}",
    Cause.LOOP: "end\nhalt",
}


def play(config, jobs, top):
    core = config.replace(name="core")
    if top == "axi":
        around = identified_core(core, design_name(core, top))
        built = build(around + verilog(core, top), TOP, optimised=False)
    else:
        built = build(verilog(core, top), design_name(core, top), optimised=False)
    verdicts = run_jobs(built, core, jobs, bench={"axi": BENCH, "core": STREAM_BENCH}[top])
    assert len(verdicts) == len(jobs)
    return verdicts


#: Where memory begins: across 2^32 and the end of the address space too.
BASES = (0, (1 << 32) - 0x3000, (1 << 48) - 0x4000, 0xA5A512345000)


def random_job(config, seed, stall, **options):
    base = BASES[seed % len(BASES)]
    words = random_program(config, [0, 1, 2, 0, 2, 1, 1, 2, 3, 0, 1, 2], seed, base)
    options |= {"base": base, "address": base, "stall": stall, "seed": seed}
    return HostJob(config, words, memory_image(config, seed), **options)


BOTH = [pytest.param(name, top) for name in ("w4a8", "w2a16") for top in ("axi", "core")]


@pytest.mark.parametrize(("name", "top"), swept(BOTH, 3))
def test_programs_with_faults_between_them(small_cores, name, top):
    """Random programs, each fault between them, on one core that is never reset."""
    config = small_cores[name]
    jobs = [random_job(config, seed, stall) for seed, stall in enumerate((0.0, 0.2, 0.5, 0.8))]
    jobs.append(random_job(config, 9, 0.3, ring_again=True))
    memory = memory_image(config, 10)
    window = (0, MEMORY + 0x1000)
    for cause, text in FAULTS.items():
        job = HostJob(config, assemble(text), memory, window=window, stall=0.3, seed=cause)
        jobs += [job, random_job(config, 20 + cause, 0.3)]
    jobs.append(HostJob(config, assemble("halt"), memory, address=MEMORY, stall=0.3))
    for verdict in play(config, jobs, top):
        assert not verdict["problems"] and verdict["cycles"] > 0


def test_every_fault_is_the_one_that_it_is_meant_to_be(small_cores):
    config = small_cores["w4a8"]
    for cause, text in FAULTS.items():
        words, memory = assemble(text), memory_image(config, 10)
        job = HostJob(config, words, memory, window=(0, MEMORY + 0x1000))
        assert job.expected()[1].cause is cause
