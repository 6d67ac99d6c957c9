"""Libraries as tools are given them: plain, and what they were."""

import re

import pytest
from liberty_facts import facts, same
from liberty_variants import TEXT, chosen, in_units, read, variant
from opensta import needs_opensta

from lutcore.gen.asic.liberty import library_group
from lutcore.gen.asic.library import File
from lutcore.gen.asic.plain import plain_text
from lutcore.gen.asic.synth import synthesise
from lutcore.gen.tools.opensta import run_sta
from lutcore.hdl.config.core import CoreConfig

SEEDS = range(0, 200, 9)
TINY = CoreConfig(
    m=1, n=1, k=2, lookups=2, max_weight_bits=1, max_k=256, group_size=32, zero_points="external"
)


def plain(text: str) -> str:
    return plain_text(File.read(text.encode("latin-1"), "some.lib")).decode("latin-1")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plain_library_means_the_same(seed):
    text = variant(chosen(seed), seed)
    found, expected = facts(plain(text).encode()), facts(text.encode())
    del expected["WORD_X1"]  # whose pins have names of a bus
    assert found.keys() == expected.keys()
    assert all(same(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plain_library_is_plain(seed):
    text = plain(variant(chosen(seed), seed))
    assert not re.search(r"//|/\*|\\|\r", text)
    lines = text.splitlines()
    assert lines[0].startswith("library (") and lines[1].startswith("time_unit")
    kinds = [group.kind for group in library_group(text.encode(), "").groups]
    assert kinds.index("cell") == len(kinds) - kinds.count("cell")  # cells come last
    assert not re.search(r"^(bundle|bus|pin \([^)]*,)", text, re.MULTILINE)
    assert plain(text) == text


def test_what_refers_comes_after_what_it_refers_to():
    text = """library (l) { default_operating_conditions : hot; define (x, pin, string); a : 1;
      wire_load_selection (s) { wire_load_from_area (0, 1, w); }
      cell (c) { area : 1; pin (A, B) { x : "y"; } ff (Q) { } area : 2; }
      wire_load (w) { slope : 1; } operating_conditions (hot) { voltage : 1; }
      capacitive_load_unit (1, PF); bus (X) { } type (t) { bit_from : 1; } time_unit : "1 PS"; }"""
    assert plain(text).splitlines() == [
        *("library (l) {", 'time_unit : "1ps";', "capacitive_load_unit (1, pf);"),
        *("a : 1;", "define (x, pin, string);", "type (t) {", "bit_from : 1;", "}"),
        *("operating_conditions (hot) {", "voltage : 1;", "}", "wire_load (w) {", "slope : 1;"),
        *("}", "wire_load_selection (s) {", "wire_load_from_area (0, 1, w);", "}"),
        *("bus (X) {", "}", "default_operating_conditions : hot;", "cell (c) {", "area : 2;"),
        *("ff (Q) {", "}", 'pin ("A") {', 'x : "y";', "}", 'pin ("B") {', 'x : "y";', "}"),
        *("}", "}"),
    ]


@needs_opensta
@pytest.mark.asic
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_opensta_reads_it_without_a_word(seed):
    content = plain(variant(chosen(seed), seed)).encode()
    assert run_sta("read_liberty plain.lib", {"plain.lib": content})[0] == ""


@needs_opensta
@pytest.mark.slow
@pytest.mark.asic
class TestSynthesis:
    """Periods and slacks are in ns, and areas what they are, whatever a library is written in."""

    @pytest.fixture(autouse=True)
    def empty_cache(self, tmp_path_factory, monkeypatch):
        """Nothing of earlier runs, but tests of this class share their results."""
        monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "plain-cache"))

    def report(self, folder, text: str):
        path = folder / "some.lib"
        path.write_text(text)
        return synthesise(TINY, path, period=2.0)

    @pytest.mark.parametrize(
        "units",
        [("1ps", ("1", "ff"), "1V", "1nW"), ("10ps", ("1", "pf"), "100mV", "1pW")],
        ids=lambda units: units[0],
    )
    def test_in_other_units(self, units, tmp_path):
        own = self.report(tmp_path, TEXT)
        other = self.report(tmp_path, in_units(TEXT, *units))
        assert own.slack_ns is not None and 0 <= own.slack_ns < 2
        assert other.slack_ns == pytest.approx(own.slack_ns, abs=2e-4)
        assert (other.blocks, other.cells) == (own.blocks, own.cells)
        assert other.block_slack_ns == pytest.approx(own.block_slack_ns, abs=2e-4)
        assert [stage.split()[1:] for stage in other.path] == [
            stage.split()[1:] for stage in own.path
        ]

    @pytest.mark.parametrize("seed", [1, 2])
    def test_in_another_notation(self, seed, tmp_path):
        """Cells in another order: of two that are alike it may be the other one."""
        own = self.report(tmp_path, TEXT)
        other = self.report(tmp_path, variant(read(TEXT), seed))
        assert other.slack_ns is not None and other.slack_ns >= 0
        assert other.gate_equivalents == pytest.approx(own.gate_equivalents, rel=0.02)
