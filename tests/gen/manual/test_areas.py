"""Figures of docs/area.md are of the present designs and flow, and stand as they were measured."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from opensta import needs_opensta

from lutcore.errors import InputError
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.manual import areas
from lutcore.gen.manual.areas import LIBRARIES, ROWS, TABLES, Row, filled, fingerprint, main

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/area.md"
AGAIN = "python -m lutcore.gen.manual.areas --liberty FILE"


@pytest.fixture(scope="module")
def figures():
    return json.loads(DOCUMENT.with_name("areas.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ROWS)
def test_no_figure_is_stale(figures, name):
    assert figures[name]["fingerprint"] == fingerprint(ROWS[name]), AGAIN


def test_figures_are_those_of_the_tables(figures):
    assert figures.keys() == ROWS.keys()


def test_tables_are_those_of_the_figures(figures):
    text = DOCUMENT.read_text("utf-8")
    assert filled(text, figures) == text, AGAIN
    name = next(iter(ROWS))
    assert filled(text, figures | {name: figures[name] | {"core_ge_ns": 1.0}}) != text


def test_another_design_period_or_flow_is_another_fingerprint(monkeypatch):
    row = Row("dense-w1a8", 1.0)
    others = [
        dataclasses.replace(row, period=0.9),
        dataclasses.replace(row, changes={"n": 15}),
        dataclasses.replace(row, library=list(LIBRARIES)[1]),
    ]
    found = {fingerprint(each) for each in (row, *others)}
    monkeypatch.setattr(areas, "_flow", lambda: "another")
    assert len(found | {fingerprint(row)}) == 5


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_rows_are_measured_and_written(tmp_path, monkeypatch, capsys):
    """With the library of the tests, in a document of one small table."""
    row = Row("dense-w1a8", 3.0, {"n": 1, "lookups": 1}, "small", "lutcore_demo")
    monkeypatch.setattr(areas, "TABLES", {"areas": [row]})
    monkeypatch.setattr(areas, "LIBRARIES", LIBRARIES | {"lutcore_demo": "demo.lib"})
    monkeypatch.setattr(areas, "ROWS", {f"demo.lib: {row.key}": row})
    monkeypatch.setattr(areas, "ratios", lambda figures: "none\n")
    page = tmp_path / "area.md"
    markers = (
        "<!-- areas:begin -->\n<!-- areas:end -->\n<!-- ratios:begin -->\n<!-- ratios:end -->\n"
    )
    page.write_text(markers)
    monkeypatch.setattr(sys, "argv", ["areas", "--document", str(page)])
    with pytest.raises(SystemExit, match=r"stale, give the library.*\ndemo.lib: dense-w1a8 "):
        main()
    assert page.read_text() == markers
    sys.argv += ["--liberty", str(DEMO)]
    main()
    assert "dense-w1a8 --set n=1 --set lookups=1 --period 3" in capsys.readouterr().out
    assert "| `dense-w1a8 --set n=1 --set lookups=1` (small) | 3, met | " in page.read_text()
    monkeypatch.setattr(areas, "fingerprint", lambda row: "another")
    sys.argv[-2:] = []
    with pytest.raises(SystemExit, match="stale"):
        main()


def test_without_opensta_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(areas, "sta_command", lambda: None)
    with pytest.raises(InputError, match="figures need OpenSTA"):
        areas.measure(Row("dense-w1a8", 1.0), [DEMO])


def test_tables_have_every_row_once():
    assert sum(map(len, TABLES.values())) == len(ROWS)
