"""Regressions with a suite: what only it sees fails by its name; what it asks is certified."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from lutcore import files, tools, verify
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify import report, tile_runs
from lutcore.gen.verify.evidence import evidence
from lutcore.gen.verify.kinds import kind_of
from lutcore.gen.verify.suite_file import SuiteFile
from lutcore.hdl.config.core import CoreConfig

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(name="little", m=2, n=2, k=2, max_k=64, group_size=16, zero_points="column")
#: Four activations of one step that only the suite sends, among others.
SUITE = '''
from dataclasses import replace
import numpy as np
from lutcore.gen.verify.suite import Feature, constraint, golden, test
from lutcore.gen.verify.tile_cases import TileCase
from lutcore.verif.sim.job import Stalls, tile_job

@test
def odd_step(config, seed):
    """A step that nobody draws."""
    layout = TileCase(m=4, n=5, k=16, bits=2, group=16, seed=seed).job(config).layout
    activations = layout.activations.copy()
    activations[2:, 6:8] = [[17, -101], [93, 45]]
    return tile_job(
        config, activations, layout.tensor, seed=seed, stalls=Stalls(weights=0.3), resets=(9,)
    )

@golden
def products(config, activations, weights, spans):
    group = np.arange(weights.shape[1]) // weights.group_size
    factors = weights.codes.astype(int) - weights.zero_points[:, group]
    parts = [activations[:, a:b].astype(int) @ factors[:, a:b].T for a, b in spans]
    return np.stack(parts, axis=-1)

@constraint
def two_bits(config, case):
    return replace(case, bits=2)

PLAN = [Feature("my own", "What I care for is right.", ("odd_step", "random"), ("zero point",))]
'''


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Lines, toggles and mutants too, by two processes."""
    folder = tmp_path_factory.mktemp("sound")
    path = folder / "mine.py"
    path.write_text(SUITE)
    return path, verify(
        CONFIG, seeds=1, lines=True, mutate=2, jobs=2, suite=path, folder=folder / "out"
    )


def test_a_sound_design_passes_and_its_certificate_says_under_what(sound):
    path, found = sound
    (result,), (summary,) = found.results, found.summaries
    assert found.ok
    own = [item for item in evidence(result) if item.feature == "my own"]
    assert [(item.state, item.bins) for item in own] == [("shown", 3)]
    cases = [outcome for outcome in result.outcomes if outcome["test"] == "odd_step"]
    simulators = {"verilator"} | ({"icarus"} if tools.find("iverilog") else set())
    assert {outcome["simulator"] for outcome in cases} == simulators
    assert all(outcome["case"].startswith("test=odd_step") for outcome in cases)
    assert {f"weight bits: {bits}" for bits in (1, 2)} & set(summary["functional"]["holes"]) == {
        "weight bits: 1"
    }
    assert summary["not_shown"][0].startswith(f"The stimulus was constrained by two_bits of {path}")
    assert summary["code"]["lines"] > 0.9
    assert summary["mutation"]["mutants"] and not summary["errors"]
    page = found.files()["certificate.html"]
    assert "my own" in page and SuiteFile.read(path).sha256 in page
    assert 'name="odd_step[0]"' in found.junit()


def test_the_certificate_holds_until_the_suite_is_another(sound, tmp_path):
    path, _ = sound
    certificate = path.parent / "out" / "certificate.json"
    assert report.check(certificate) == []
    moved = tmp_path / "certificate.json"
    found = json.loads(certificate.read_text())
    found["designs"][0]["suite"]["path"] = str(tmp_path / "mine.py")
    moved.write_text(json.dumps(found | {"seal": report._seal(found)}))
    (said,) = report.check(moved)
    assert said.startswith(f"{tmp_path / 'mine.py'}: No such file")
    (tmp_path / "mine.py").write_text(SUITE + "\n")
    assert report.check(moved) == [f"{tmp_path / 'mine.py'} has changed: verify again"]


def broken(config):
    """Wrong where a step has the activations of ``odd_step``, and nowhere else."""
    text, name = verilog(config), "activations__payload"
    head, module, rest = text.partition(f"module {design_name(config)}")
    ports, end, body = rest.partition(");\n")
    pattern = 17 | (-101 & 255) << 8 | 93 << 16 | 45 << 24
    odd = f"  wire [31:0] odd = {name} ^ ({name} == 32'd{pattern});\n"
    changed = re.sub(rf"\b{name}\b", "odd", body)
    assert changed != body and not head.count(name)
    return head + module + ports + end + odd + changed


def test_a_fault_that_the_suite_alone_sees_fails_in_its_own_test_and_is_short(
    tmp_path, monkeypatch
):
    path = tmp_path / "mine.py"
    path.write_text(SUITE)
    monkeypatch.setattr(tile_runs, "verilog", broken)
    found = verify(CONFIG, seeds=1, suite=path)
    (result,), (summary,) = found.results, found.summaries
    assert {outcome["test"] for outcome in result.failures} == {"odd_step"}
    short = result.failures[0]["shortened"]
    assert "steady=1" in short and "undisturbed=1" in short
    parts = dict(word.split("=") for word in short.split(","))
    first, end = map(int, parts["k"].split("/"))
    assert end - first <= 8 and parts["rows"] == "2/4"  # both rows make the pattern
    command = summary["failures"][0]["replay"]
    assert command.endswith(f"little.toml --suite {path} --replay '{short}'")
    suites = ET.fromstring(found.junit().partition("\n")[2])
    failures = suites.findall("testsuite/testcase/failure")
    assert failures[0].text == command
    kind = kind_of("tile", SuiteFile.read(path))
    assert kind.play(CONFIG, short, None, False)["mismatches"]
    monkeypatch.undo()
    assert not kind.play(CONFIG, short, None, False)["mismatches"]


def test_a_golden_model_that_is_wrong_fails_by_its_name_and_the_case_is_short(tmp_path):
    path = tmp_path / "mine.py"
    wrong = "np.stack(parts, axis=-1) - 1"
    path.write_text(SUITE.replace("np.stack(parts, axis=-1)", wrong))
    kind = kind_of("tile", SuiteFile.read(path))
    (outcome,) = kind.outcomes(CONFIG, [("random", 1)], "verilator", None)
    line = SUITE[: SUITE.index("@golden")].count("\n") + 1
    said = outcome["problems"][0]
    assert said.startswith(f"{path}:{line}: products gives ")
    numbers = re.search(r"lutcore's model (\S+), the tile (\S+)", said)
    assert numbers and numbers[1] == numbers[2]
    assert outcome["mismatches"] == 1 and not outcome["hits"]
    short = outcome["shortened"]
    assert "bits=2" in short and not {"m=", "n=", "k="} & set(re.findall(r"\b[mnk]=", short))


def test_what_is_wrong_in_one_case_only_is_an_error_of_a_batch(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SUITE.replace("parts = [", "1 // (activations.shape[0] != 4)\n    parts = ["))
    found = verify(CONFIG, seeds=1, suite=path)
    assert not found.ok
    (error,) = {error for result in found.results for error in result.errors}
    line = SUITE[: SUITE.index("    parts = [")].count("\n") + 1
    assert error == (
        f"{path}:{line}: products: ZeroDivisionError: integer division or modulo by zero"
    )


def test_the_example_passes():
    kind = kind_of("tile", SuiteFile.read(files.example("own_suite.py")))
    asked = [(test, 0) for test in kind.tests(CONFIG)]
    for outcome in kind.outcomes(CONFIG, asked, "verilator", None):
        assert not outcome["mismatches"] and outcome["checked"], outcome
