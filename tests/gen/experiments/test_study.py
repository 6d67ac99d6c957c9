"""Studies: rows are compared only where they may be, and reports link all that they say."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from lutcore.errors import InputError
from lutcore.files import LEDGER
from lutcore.gen.asic.synth import NEUTRAL_CELLS
from lutcore.gen.experiments import measure as measuring
from lutcore.gen.experiments.campaign import run, timing
from lutcore.gen.experiments.compare import best, comparable, front, ratio, status
from lutcore.gen.experiments.document import table
from lutcore.gen.experiments.paper import Published, bismo_luts
from lutcore.gen.experiments.point import FAMILIES, Point, ops_per_cycle
from lutcore.gen.experiments.points import Entry, Settings, tile
from lutcore.gen.experiments.results import files
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.explore.model import estimate
from lutcore.gen.study.shapes import baseline_shapes, lut_shapes
from lutcore.gen.study.studies import STUDIES, chosen
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config

pytestmark = [pytest.mark.slow, pytest.mark.asic]

TINY = CoreConfig(m=1, n=2, k=2, max_weight_bits=1, group_size=8, max_k=64)
POINTS = [Point(config=TINY.replace(n=n)) for n in range(1, 7)]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "study-cache"))


def closed(point: Point) -> dict:
    """A record like one of synthesis, in no time; area is that of an imaginary technology."""
    config = point.config
    area = 100.0 + 10 * config.m * config.n * config.depth * len(config.engine)
    rate = ops_per_cycle(config, point.bits)
    record = {
        "key": point.key,
        **point.facts(),
        "design": config.name,
        "products_per_cycle": config.products_per_cycle,
        "ops_per_cycle": rate,
        "closed": True,
        "error": None,
        "tool_versions": {"tool": "1"},
        "seconds": 1.0,
    }
    if point.measure in FAMILIES:
        return record | {
            "luts": area,
            "core_luts": area,
            "luts_per_op": area / rate,
            "closed": None,
        }
    areas = dict.fromkeys(("area_ge", "core_ge", "unit_ge", "columns_ge"), area)
    blocks = {"columns": area}
    energy = {"core_fj_per_op": area / rate, "power_mw": 1.0} if point.measure == "energy" else {}
    return record | areas | {"slack_ns": 0.1, "blocks": blocks, "ge_per_op": area / rate} | energy


def open_(point: Point) -> dict:
    """The same with timing that failed."""
    return closed(point) | {"closed": False, "slack_ns": -0.4}


# Comparison --------------------------------------------------------------------------------------


TIMED = [Point(config=point.config, period=1.0) for point in POINTS]


def rows(*records):
    return [Entry(series="s", point=TIMED[0]).row(record) for record in records]


def test_only_closed_timing_is_compared():
    failing = open_(TIMED[0])
    untimed = closed(TIMED[0]) | {"closed": None, "slack_ns": None}
    failed = measuring.failed(TIMED[0], "no")
    out = rows(failing, untimed, failed)
    assert comparable(out) == []
    assert not any("density" in row for row in out)
    assert front(out, {"ge_per_op": "min"}) == []
    words = ["not closed (-0.400 ns)", "timing not analysed", "failed: no"]
    assert [status(row) for row in out] == words
    finding = ratio("ours", out, rows(closed(TIMED[1])), paper=Published(2, "fig. 0"))
    assert (finding.ours, finding.paper, finding.rows) == (None, 2, [])
    assert "the first has no point that may be compared" in finding.note


def test_what_nearly_closed_counts_with_the_period_that_it_reaches():
    late, met = rows(open_(TIMED[0]) | {"slack_ns": -0.1}, closed(TIMED[0]))
    assert late["reached_ns"] == pytest.approx(1.1)
    assert late["density"] == pytest.approx(met["density"] / 1.1)
    assert status(late) == "closed at 1.100 ns"
    assert ratio("x", [late], [met]).ours == pytest.approx(1 / 1.1)


def test_density_is_products_per_ns_and_kge():
    record = closed(TIMED[0]) | {"period_ns": 2.0, "core_ge": 500.0}
    (row,) = rows(record)
    assert row["rate"] == record["ops_per_cycle"]
    assert row["density"] == pytest.approx(row["rate"] / 2.0 / 0.5)
    assert row["ge_per_op"] == 500 / row["rate"]


def test_waits_of_short_groups_are_no_engines_fault():
    config = tile(engine="mac", bits=2, m=2, n=4, k=4, lookups=4, pipeline=2)
    point = Point(config=config, period=1.0)
    record = closed(point)
    assert record["ops_per_cycle"] < 2 * 4 * 16
    assert Entry(series="s", point=point).row(record)["rate"] == 2 * 4 * 16
    padded = Point(config=tile(bits=2, m=1, n=4, k=3), period=1.0)  # 32 elements take 11 tables
    (row,) = [Entry(series="s", point=padded).row(closed(padded))]
    assert row["rate"] == pytest.approx(4 * 32 / 11 / 2)


def test_a_ratio_is_of_the_best_on_both_sides():
    ours = rows(*(closed(TIMED[0]) | {"core_ge": area} for area in (90.0, 30.0)))
    theirs = rows(*(closed(TIMED[1]) | {"core_ge": area} for area in (240.0, 600.0)))
    finding = ratio("x", ours, theirs)
    assert finding.ours == pytest.approx(
        (240 / theirs[0]["ops_per_cycle"]) / (30 / ours[0]["ops_per_cycle"])
    )
    assert best(ours, "ge_per_op") is ours[1]


def test_front_is_what_nothing_dominates():
    values = [(1, 1), (2, 3), (2, 2), (3, 3), (4, 1), (2, 3)]
    out = [{"closed": True, "a": a, "b": b} for a, b in values]
    found = front(out, {"a": "min", "b": "max"})
    assert [(row["a"], row["b"]) for row in found] == [(1, 1), (2, 3), (2, 3)]


def test_bismo_is_bit_serial_in_both():
    assert bismo_luts(1).value == pytest.approx(8 * (1.17 + 164.2 / 256))
    assert bismo_luts(2).value == 2 * bismo_luts(1).value


# Studies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_the_reduced_set_is_part_of_the_full_one(name):
    full, few = (
        {
            (entry.series, entry.point.config)
            for entry in STUDIES[name].entries(Settings(period=1.0, reduced=reduced))
        }
        for reduced in (False, True)
    )
    assert few and few < full


def test_only_the_full_set_measures_energy():
    for reduced, measure in ((False, "energy"), (True, "area")):
        entries = STUDIES["ablation"].entries(Settings(period=1.0, reduced=reduced))
        assert {entry.point.measure for entry in entries} == {measure}


def test_shapes_are_all_of_512_products_and_the_best_guess_first():
    shapes = lut_shapes("int8", 1)
    assert len(set(shapes)) == len(shapes) > 100
    assert all(abs(config.products_per_cycle - 512) <= 16 for config in shapes)
    assert tile(m=2, n=64, k=4) in shapes
    for field in ("m", "k", "lookups", "table_form"):
        assert len({getattr(config, field) for config in shapes}) > 1
    guesses = [estimate(config) / ops_per_cycle(config, 1) for config in shapes]
    assert guesses == sorted(guesses)
    assert lut_shapes("int8", 1, 3) == shapes[:3]
    assert all(config.engine == "add" for config in baseline_shapes("add", "int8", 2))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_compares_and_writes_everything(name, tmp_path):
    settings = Settings(period=1.0, reduced=True)
    with Runner(tmp_path / "points", measure=closed) as runner:
        (found,) = run([STUDIES[name]], settings, tmp_path, runner)
    assert found["findings"]
    assert all(finding["ours"] is not None for finding in found["findings"])
    assert found["counts"]["compared"] == found["counts"]["points"] > 0
    assert json.loads((tmp_path / f"{name}.json").read_text()) == found
    lines = list(csv.DictReader(io.StringIO((tmp_path / f"{name}.csv").read_text())))
    assert len(lines) == len(found["rows"])
    assert lines[0]["config.activation"] == found["rows"][0]["config"]["activation"]
    assert len(list(tmp_path.glob("*.svg"))) >= 1
    for plot in found["plots"]:
        if not any(plot["y"] in row for row in found["rows"]):
            continue  # energy, which a reduced set has not
        picture = (tmp_path / f"{name}-{plot['name']}.svg").read_text()
        assert "<svg" in picture and (tmp_path / f"{name}-{plot['name']}.png").stat().st_size > 999


@pytest.mark.parametrize("name", STUDIES)
def test_a_report_links_every_number_and_needs_no_network(name, tmp_path):
    settings = Settings(period=1.0, reduced=True)
    with Runner(tmp_path / "points", measure=closed) as runner:
        (found,) = run([STUDIES[name]], settings, tmp_path, runner)
    html = (tmp_path / f"{name}.html").read_text()
    anchors = set(re.findall(r'id="([^"]+)"', html))
    links = re.findall(r'href="#([^"]+)"', html)
    assert len(links) == sum(len(finding["rows"]) for finding in found["findings"]) > 0
    assert set(links) <= anchors
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert not re.search(r"@import|url\(", html)
    assert html.count("<details>") == len(found["rows"])


@pytest.mark.parametrize("name", STUDIES)
def test_a_rows_command_makes_its_configuration(name, tmp_path):
    settings = Settings(period=1.0, reduced=True)
    with Runner(tmp_path / "points", measure=closed) as runner:
        (found,) = run([STUDIES[name]], settings, tmp_path, runner)
    for row in found["rows"]:
        if row["measure"] == "dp4":
            continue
        words = shlex.split(row["command"])
        changes = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        assert load_config(words[2], changes).to_dict() == row["config"]


def test_energy_is_reproduced_by_its_own_command(tmp_path):
    settings = Settings(period=1.0, liberty=NEUTRAL_CELLS, most=1)
    with Runner(tmp_path / "points", measure=closed) as runner:
        (found,) = run([STUDIES["ablation"]], settings, tmp_path, runner)
    rows = [row for row in found["rows"] if row["measure"] == "energy"]
    assert rows
    for row in rows:
        words = shlex.split(row["command"])
        changes = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        assert words[:2] == ["lutcore", "energy"]
        assert load_config(words[2], changes).to_dict() == row["config"]
        measured = ["--liberty", str(NEUTRAL_CELLS), "--period", "1.0"]
        assert words[-6:] == [*measured, "--bits", str(row["weight_bits"])]


def test_timing_that_failed_is_listed_but_in_no_ratio(tmp_path):
    with Runner(tmp_path / "points", measure=open_) as runner:
        (found,) = run([STUDIES["ablation"]], Settings(period=1.0), tmp_path, runner)
    assert all(finding["ours"] is None for finding in found["findings"])
    assert found["counts"]["not_closed"] == found["counts"]["points"] == len(found["rows"])
    assert "not closed (-0.400 ns)" in (tmp_path / "ablation.html").read_text()
    assert not list(tmp_path.glob("*.svg"))


def test_several_studies_have_one_report(tmp_path):
    with Runner(tmp_path / "points", measure=closed) as runner:
        run(chosen("all"), Settings(period=1.0, reduced=True), tmp_path, runner)
    html = (tmp_path / "index.html").read_text()
    assert all(f'<section id="{name}">' in html for name in STUDIES)


def test_output_does_not_depend_on_when_it_is_written(tmp_path):
    for folder in ("a", "b"):
        with Runner(tmp_path / folder / "points", measure=closed) as runner:
            settings = Settings(period=1.0, reduced=True)
            run([STUDIES["ablation"]], settings, tmp_path / folder, runner)
    names = [path.name for path in (tmp_path / "a").iterdir() if path.is_file()]
    assert len(names) == 6 and LEDGER in names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_document_has_findings_and_no_path(tmp_path):
    settings = Settings(period=1.0, reduced=True, liberty=NEUTRAL_CELLS)
    with Runner(tmp_path / "points", measure=closed) as runner:
        (found,) = run([STUDIES["ablation"]], settings, tmp_path, runner)
    text = table(found)
    assert text.count("\n|") == 2 + len(found["findings"])
    assert "--liberty cells.lib --period 1.0 --reduced`" in text
    assert str(NEUTRAL_CELLS.parent) not in text


def test_files_of_an_empty_result_are_valid():
    found = {"name": "none", "rows": [], "columns": []}
    assert files(found)["none.csv"] == "series\n"


def test_an_unknown_study_is_named():
    with pytest.raises(InputError, match=r"no study 'k_sweep'; studies: k-sweep, .*, all"):
        chosen("k_sweep")


def test_timing_needs_a_library_and_opensta(monkeypatch, tmp_path):
    assert timing(None, None)[0] is None and "not compared" in timing(None, None)[1]
    with pytest.raises(InputError, match="--period needs --liberty"):
        timing(None, 1.0)
    with pytest.raises(InputError, match=r"no\.lib: no such file"):
        timing(Path("no.lib"), 1.0)
    library = NEUTRAL_CELLS
    monkeypatch.setattr("lutcore.gen.experiments.campaign.sta_command", lambda: None)
    with pytest.raises(InputError, match="OpenSTA is missing: apt-get install opensta"):
        timing(library, 1.0)
    assert timing(library, None)[0] is None and "OpenSTA is missing" in timing(library, None)[1]
    monkeypatch.setattr("lutcore.gen.experiments.campaign.sta_command", lambda: "sta")
    assert timing(library, None) == (1.0, "")
