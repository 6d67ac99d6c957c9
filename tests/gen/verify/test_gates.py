"""Mapped netlists, and cores on Icarus Verilog: what is X or wrong is seen, and nothing else."""

import itertools
import math
import re

import pytest

from lutcore import tools, verify
from lutcore.errors import InputError
from lutcore.gen.asic.functions import truth_table
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.synth import read_library
from lutcore.gen.emit.rtl import design_rtlil, verilog
from lutcore.gen.emit.rtlil import read
from lutcore.gen.verify import core_bench, gates
from lutcore.gen.verify.batch import Batch, measure
from lutcore.gen.verify.campaign import start
from lutcore.gen.verify.cell_models import cell_modules, cubes
from lutcore.gen.verify.evidence import not_shown
from lutcore.gen.verify.gates import MAPPED, apart, behaviour, netlist
from lutcore.gen.verify.programs import draw
from lutcore.hdl.config.presets import preset
from lutcore.verif.bench.known import handshakes
from lutcore.verif.samples.cores import SMALL_CORES

TILE = preset("w2a8").replace(name="few", n=4, result_columns=2, max_k=256)
CORE = SMALL_CORES["w4a8"]
LIBRARY = read_library(DEMO).library
#: A short case of a tile with pauses, one with a reset; and an undisturbed program.
CASES, PROGRAM = (("random", 4), ("resets", 8)), (("undisturbed", 1),)

needs_icarus = pytest.mark.skipif(
    tools.find("iverilog") is None, reason="Icarus Verilog is not installed"
)


def problems(batch):
    """What is said of the cases of a batch."""
    record = measure(batch)
    assert record["error"] is None and len(record["cases"]) == len(batch.cases)
    return [text for outcome in record["cases"] for text in outcome["problems"]]


@pytest.fixture
def broken(monkeypatch):
    """Breaks what is simulated of a netlist, wherever a pattern is found."""

    def breaks(pattern, replacement):
        def changed(config, top="tile"):
            text, count = re.subn(pattern, replacement, netlist(config, top))
            assert count
            return text

        monkeypatch.setattr(gates, "netlist", changed)

    return breaks


# Models of cells ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, cell in LIBRARY.cells.items() if cell.tables])
def test_a_primitive_says_what_the_function_says_and_x_only_where_it_depends_on_it(name):
    """For all inputs of 0, 1 and X: a row is there if, and only if, X makes no difference."""
    cell = LIBRARY.cells[name]
    for pin, function in cell.outputs.items():
        table = truth_table(function, cell.inputs)
        rows = list(cubes(cell.inputs, table))
        for inputs in itertools.product("01x", repeat=len(cell.inputs)):
            settled = itertools.product(*("01" if bit == "x" else bit for bit in inputs))
            values = {table >> int("".join(bits[::-1]), 2) & 1 for bits in settled}
            said = {
                v for c, v in rows if all(a in ("?", b) for a, b in zip(c, inputs, strict=True))
            }
            assert said == (values if len(values) == 1 else set()), (pin, inputs)


def test_a_cell_that_is_neither_gate_nor_flip_flop_is_refused():
    text = "  ICG_X1 gate (\n    .E(a),\n    .CK(b),\n    .GCK(c)\n  );\n"
    with pytest.raises(InputError, match="cell ICG_X1 cannot be simulated"):
        cell_modules(text, LIBRARY)


def test_memories_that_answer_later_stay_apart_and_hold_nothing():
    rtlil = design_rtlil(CORE, "axi")
    logic, memories = apart(rtlil)
    macros = {module.name for module in read(memories)}
    assert len(macros) == 6 and all(module.memories for module in read(memories))
    boxes = {module.name: module for module in read(logic) if module.name in macros}
    assert boxes.keys() == macros
    assert not any(box.cells or box.memories for box in boxes.values())
    assert sum(bool(module.memories) for module in read(logic)) == 11  # queues, and tables
    assert "initial" not in behaviour(memories)
    assert apart(design_rtlil(TILE)) == (design_rtlil(TILE), "")
    assert behaviour("") == ""


# Netlists ----------------------------------------------------------------------------------------


@needs_icarus
@pytest.mark.slow
def test_a_mapped_tile_computes_and_broken_ones_do_not(broken):
    batch = Batch(TILE, CASES, simulator=MAPPED)
    assert problems(batch) == []
    broken(r" FA_X1_to_CO ", " FA_X1_to_S ")
    found = problems(batch)
    assert found and all(said.startswith("mapped to gates: ") for said in found)
    broken(r"\.rst\(rst\)", ".rst(1'b0)")
    assert any(re.search(r" is X", said) for said in problems(batch))


@needs_icarus
@pytest.mark.slow
@pytest.mark.long
def test_a_mapped_core_computes_and_broken_ones_do_not(broken):
    batch = Batch(CORE, PROGRAM, top="core", simulator=MAPPED)
    assert problems(batch) == []
    broken(r"\.rst\(rst\)", ".rst(1'b0)")
    (said,) = problems(batch)
    assert re.search(r"mapped to gates: \w+ is X", said)


# Cores with X ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unset():
    """Verilog of the core whose answer to a write is there or not, whatever the reset says."""

    def text(config, top):
        found, count = re.subn(
            r"if \(rst\) (host__bvalid <= )1'b0;\n +else ", "", verilog(config, top)
        )
        assert count == 1
        return found

    return text


@needs_icarus
@pytest.mark.slow
def test_a_core_computes_with_x_in_all_that_has_no_reset():
    batch = Batch(CORE, PROGRAM, top="axi", simulator="icarus")
    (outcome,) = measure(batch)["cases"]
    assert not outcome["problems"] and outcome["slices"] and outcome["checked"]


@needs_icarus
@pytest.mark.slow
def test_a_register_that_is_not_reset_is_x(unset):
    (outcome,) = core_bench.outcomes(CORE, PROGRAM, "axi", unset)
    assert outcome["mismatches"] == 1
    assert outcome["problems"] == ["s_axi_bvalid is X in cycle 0 after the reset"]


@needs_icarus
@pytest.mark.slow
def test_a_wrong_result_and_no_end_are_mismatches(monkeypatch):
    """What else goes wrong on Icarus Verilog is an outcome too, not the end of its batch."""

    def silent(config, top):
        found, count = re.subn(r"assign irq = [^;]*;", "assign irq = 1'b0;", verilog(config, top))
        assert count == 1
        return found

    def wrong(config, top):
        found, count = re.subn(
            r"(assign m_axi_wdata = )([^;]*);", r"\1\2 ^ 1'b1;", verilog(config, top)
        )
        assert count == 1
        return found

    said = {
        edit: core_bench.outcomes(CORE, PROGRAM, "axi", edit)[0]["problems"]
        for edit in (silent, wrong)
    }
    assert re.fullmatch(r"no interrupt in \d+ cycles", said[silent][0])
    assert re.fullmatch(r"memory at 0x\w+ differs", said[wrong][0])


def test_disturbed_programs_are_not_for_the_bench():
    lengths = {seed: core_bench.length(CORE, "programs", seed) for seed in range(24)}
    cases = {seed: draw(CORE, seed) for seed in lengths}
    disturbed = {s for s, c in cases.items() if c.error is not None or c.abort_at or c.reset_at}
    assert disturbed and all(lengths[seed] == math.inf for seed in disturbed)
    assert any(length < math.inf for length in lengths.values())
    with pytest.raises(InputError, match="programs are played undisturbed"):
        core_bench.jobs(CORE, [("programs", min(disturbed))])


def test_what_must_be_known():
    always, offered = handshakes(CORE)
    assert {"irq", "m_axi_rready", "s_axi_awready", "m_axi_wvalid"} < set(always)
    assert offered["m_axi_wvalid"] == ["m_axi_wdata", "m_axi_wstrb", "m_axi_wlast"]
    assert "m_axi_araddr" in offered["m_axi_arvalid"]
    assert offered["s_axi_rvalid"] == ["s_axi_rdata", "s_axi_rresp"]


# The campaign ------------------------------------------------------------------------------------


def test_what_is_missing_is_said(monkeypatch):
    result = start(TILE, "tile")
    said = "No case was played on a mapped netlist (--gates)."
    assert said in not_shown(result)
    result.outcomes.append({"simulator": MAPPED, "mismatches": 0, "test": "smoke"})
    assert said not in not_shown(result)
    monkeypatch.setattr(tools.shutil, "which", lambda *_, **__: None)
    with pytest.raises(InputError, match="iverilog is missing: --gates plays netlists on it"):
        verify(TILE, gates=True)


def test_a_worker_without_icarus_says_so(monkeypatch):
    batch = Batch(CORE, PROGRAM, top="axi", simulator="icarus")
    monkeypatch.setattr(tools.shutil, "which", lambda *_, **__: None)
    record = measure(batch)
    assert record["error"].startswith("Icarus Verilog is missing: apt-get install iverilog")


@pytest.mark.parametrize(
    ("simulator_of", "counts"), [("verilator", False), ("icarus", True), (MAPPED, True)]
)
def test_versions_count(monkeypatch, simulator_of, counts):
    def key(version):
        monkeypatch.setattr(tools, "version", lambda *_: version)
        return Batch(TILE, CASES, simulator=simulator_of).key

    assert (key("11.0") != key("12.0")) is counts
