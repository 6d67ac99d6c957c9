"""A regression finds what is wrong, shortens it, says how to repeat it; certifies what is right."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ET

import pytest

from lutcore import verify
from lutcore.errors import InputError
from lutcore.gen.emit.rtl import verilog
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.verify import report, solver, tile_runs
from lutcore.gen.verify.batch import Batch, measure
from lutcore.gen.verify.campaign import start
from lutcore.gen.verify.evidence import evidence, not_shown, stage
from lutcore.gen.verify.tile_cases import TileCase, draw
from lutcore.gen.verify.verify import Report
from lutcore.hdl.config.core import CoreConfig

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(name="little", m=2, n=2, k=2, max_k=64, group_size=16, zero_points="column")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return folder, verify(CONFIG, seeds=1, folder=folder, formal=True)


def test_a_sound_design_is_covered_without_a_failure(sound):
    _, found = sound
    (result,) = found.results
    assert found.ok and not result.bins.holes
    assert {item.state for item in evidence(result)} == {"shown"}
    assert all(outcome["checked"] for outcome in result.outcomes)
    assert stage(result) == ("V1", ["90 % of lines and toggles"])
    assert found.reached("V1") and not found.reached("V2")


def test_a_feature_without_a_test_is_no_hindrance(tmp_path):
    """Rows that are too short for the whole rate: nothing can show it, with X or without."""
    fields = {"engine": "mac", "k": 4, "max_weight_bits": 2, "max_k": 13, "group_size": 9}
    config = CoreConfig(name="short", m=1, n=2, pipeline=1, result_columns=2, **fields)
    assert any(not feature.tests for feature in start(config, "tile").plan)
    assert verify(config, seeds=1, folder=tmp_path).ok


def test_finished_batches_are_not_played_again(sound, monkeypatch):
    folder, before = sound
    monkeypatch.setattr(tile_runs, "play_cases", lambda *_: pytest.fail("played again"))
    again = verify(CONFIG, seeds=1, folder=folder, formal=True)
    assert again.to_dict() == before.to_dict()


def test_the_certificate_holds_until_the_verilog_is_another(sound, monkeypatch):
    folder, _ = sound
    path = folder / "certificate.json"
    assert report.check(path) == []
    page = (folder / "certificate.html").read_text()
    assert page.index("What was not shown") < page.index("Plan")
    assert "No mutants were tried" in page
    monkeypatch.setattr(report, "verilog", lambda *design: verilog(*design) + "\n")
    assert report.check(path) == ["little: the Verilog is another one now: verify again"]


CHANGES = {
    "nothing is certified": lambda found: found.update(designs=[]),
    "a tool is left out": lambda found: found["tools"].popitem(),
    "a better stage": lambda found: found["designs"][0].update(stage="V3"),
    "all is shown": lambda found: found["designs"][0].update(not_shown=[]),
    "no failures": lambda found: found["designs"][0].pop("failures"),
    "another configuration": lambda found: found["designs"][0]["config"].update(n=4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_certificate_that_was_changed_does_not_hold(change, sound, tmp_path):
    found = json.loads((sound[0] / "certificate.json").read_text())
    CHANGES[change](found)
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(found))
    assert report.check(path) == ["it was changed after it was written: verify again"]


def test_another_tool_is_told(sound, monkeypatch):
    now = report._tools()
    monkeypatch.setattr(report, "_tools", lambda: now | {"Yosys": "0.9"})
    found = report.check(sound[0] / "certificate.json")
    assert found == [f"verified with Yosys {now['Yosys']}, here is 0.9"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seeds": 0}, "seeds must be a whole number from 1 on"),
        ({"seeds": "2"}, "seeds must be"),
        ({"mutate": -1}, "mutate must be"),
        ({"first": 1.5}, "first must be"),
        ({"until": "2h"}, "until must be a time in seconds"),
    ],
)
def test_efforts_that_are_none_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        verify(CONFIG, **given)


def test_without_a_solver_nothing_is_played(tmp_path, monkeypatch):
    monkeypatch.setattr(solver.tools, "find", lambda program, **_: None if program == "z3" else "y")
    with pytest.raises(InputError, match=r"z3 is missing: pip install 'lut-tensor-core\[formal\]'"):
        verify(CONFIG, formal=True, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_not_verified():
    with pytest.raises(InputError, match="nothing to verify"):
        verify()


@pytest.mark.parametrize(
    "damage", ["", "{}", "[" * 100_000, '{"designs": [{}]}', '{"designs": [], "tools": []}']
)
def test_a_file_that_is_no_certificate_is_refused(damage, tmp_path):
    path = tmp_path / "certificate.json"
    path.write_text(damage)
    with pytest.raises(InputError, match="no certificate of lutcore verify"):
        report.check(path)


def broken(config):
    """Row sums of the second row are one too high where a run begins."""
    text = verilog(config)
    changed = re.sub(r"(counts_0 <=) counts;", r"\1 1'h1;", text)
    assert changed != text
    return changed


def slow(config):
    """A run waits until none before it is left, which takes time and changes no result."""
    text = verilog(config)
    changed = re.sub(r"(blocked = [^&]*& \(uncaptured > 2'd0\)) &[^;]*;", r"\1;", text)
    assert changed != text
    return changed


def test_a_slow_design_fails_where_nothing_pauses_and_so_does_its_case_alone(monkeypatch):
    case = draw(CONFIG, "rate", 0)
    assert not tile_runs.play_case(CONFIG, case.to_text())["mismatches"]
    monkeypatch.setattr(tile_runs, "verilog", slow)
    verdict = tile_runs.play_case(CONFIG, case.to_text())
    assert verdict["mismatches"] == 1
    assert "though nothing pauses" in verdict["problems"][0]


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_runs, "verilog", broken)  # no longer than here: others play it, too
        found = verify(CONFIG, seeds=1, folder=folder)
    return folder, found


def test_a_broken_design_fails_and_its_case_is_short(failed, monkeypatch):
    folder, found = failed
    monkeypatch.setattr(tile_runs, "verilog", broken)
    (result,) = found.results
    assert not found.ok and result.failures
    assert stage(result)[0] in ("V0", "V1")
    shortened = [outcome for outcome in result.failures if "shortened" in outcome]
    assert {o["test"] for o in shortened} == {o["test"] for o in result.failures}
    for outcome in shortened:
        short, whole = (TileCase.from_text(outcome[n]) for n in ("shortened", "case"))
        assert short.m * short.n * short.k <= whole.m * whole.n * whole.k
        assert tile_runs.play_case(CONFIG, outcome["shortened"])["mismatches"]
    smallest = TileCase.from_text(shortened[0]["shortened"])
    assert smallest.m * smallest.n * smallest.k <= 8
    assert list((folder / "failures").iterdir())
    assert evidence(result)[0].state == "failing"


def test_junit_has_every_case_and_how_to_repeat_failures(failed):
    folder, found = failed
    suites = ET.fromstring(found.junit().partition("\n")[2])
    (suite,) = suites
    (result,) = found.results
    assert int(suite.get("tests", 0)) == len(result.outcomes) == len(suite.findall("testcase"))
    failures = suite.findall("testcase/failure")
    assert len(failures) == len(result.failures) > 0
    assert failures[0].text is not None
    assert failures[0].text.startswith(f"lutcore verify {folder}/configs/little.toml --replay '")
    assert report.check(folder / "certificate.json")


def test_what_cannot_be_played_is_an_error_and_no_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(tile_runs, "verilog", lambda config: "module nonsense(;")
    found = verify(CONFIG, seeds=1, folder=tmp_path)
    (result,) = found.results
    assert not found.ok and result.errors and not result.outcomes
    said = found.summaries[0]["not_shown"][0]
    assert said.startswith(f"{len(result.errors)} batches could not be played: ")
    assert "<error" in found.junit()


def test_two_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="two configurations are named 'little'"):
        verify(CONFIG, CONFIG.replace(n=4), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_batch_has_the_name_of_what_it_depends_on(tmp_path):
    one = Batch(CONFIG, (("smoke", 0),))
    assert one.key == Batch(CONFIG, (("smoke", 0),)).key
    others = [
        Batch(CONFIG, (("smoke", 1),)),
        Batch(CONFIG.replace(n=4), (("smoke", 0),)),
        Batch(CONFIG, (("smoke", 0),), simulator="icarus"),
    ]
    assert len({one.key, *(other.key for other in others)}) == 4
    with Runner(tmp_path, measure=measure) as runner:
        (record,) = runner.run([one])
    assert json.loads((tmp_path / f"{one.key}.json").read_text()) == record


def test_proofs_stand_in_the_certificate(sound):
    folder, found = sound
    (design,) = json.loads((folder / "certificate.json").read_text())["designs"]
    assert found.ok and {p["verdict"] for p in design["proofs"]} == {"holds"}
    names = {p["name"] for p in design["proofs"]}
    assert names == {"tables", "lookup", "engines", "accumulators", "drain", "zero points"}
    assert all(len(p["found"]) >= 3 and p["claimed"] for p in design["proofs"])
    by_feature = {item["feature"]: item["proofs"] for item in design["features"]}
    assert by_feature["table lookup"] == dict.fromkeys(("tables", "lookup", "engines"), "holds")
    assert not any("proved" in text for text in design["not_shown"])
    page = (folder / "certificate.html").read_text()
    assert "accumulators: Accumulators hold" in page and "unbounded" in page
    assert "of one row and one column; planes are those" in page  # of less than the tile
    assert "proof[lookup]" in found.junit()


def test_a_broken_proof_fails_and_an_open_one_is_told(sound, tmp_path):
    _, found = sound
    (result,) = found.results
    by_name = {proof.name: proof for proof in result.proofs}
    wrong = ["an entry is its sum"]
    broken = dataclasses.replace(by_name["tables"], holds=False, broken=wrong)
    open_ = dataclasses.replace(by_name["lookup"], holds=None, found=[])
    weak = dataclasses.replace(by_name["accumulators"], found=[])
    changed = dataclasses.replace(result, proofs=[broken, open_, weak])
    again = Report([changed], found.named, found.command)
    assert not again.ok and stage(changed)[0] == "V1"
    assert "no proof is broken" in stage(changed)[1]
    assert evidence(changed)[0].state == "failing"
    said = again.summaries[0]["not_shown"]
    assert any(text.startswith("The solver came to no end with lookup") for text in said)
    assert any("accumulators found only 0 mutants" in text for text in said)
    assert "an entry is its sum" in again.junit() and "<skipped" in again.junit()
    path = tmp_path / "broken.json"
    path.write_text(again.files()["certificate.json"])
    assert report.check(path) == ["little: the proof of tables is broken"]


def test_what_a_configuration_has_no_proof_of_is_told():
    result = start(CONFIG.replace(k=1, lookups=2, engine="mac"), "tile")
    result.proofs = []
    assert any("the engine multiplies" in text for text in not_shown(result))
