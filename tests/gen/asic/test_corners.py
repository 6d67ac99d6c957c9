"""Other corners of a library: the same netlist, slower or faster, or no such library at all."""

import json
import re

import pytest
from command_line import lutcore
from opensta import needs_opensta

from lutcore.errors import InputError
from lutcore.gen.asic.corners import corners
from lutcore.gen.asic.liberty import DEMO, DEMO_CELLS
from lutcore.gen.asic.synth import synthesise
from lutcore.hdl.config.core import CoreConfig

TILE = CoreConfig(
    m=1, n=1, k=2, lookups=2, table_form="subset", group_size=12, max_weight_bits=1,
    zero_points="external",
)  # fmt: skip
#: Tables of delays and of transitions, which are numbers of time.
_TABLE = re.compile(r"((?:cell_\w+|\w+_transition) \(\w+\) \{ values \()(.*?)(\); \})")


def scaled(factor):
    """The demonstration library, slower or faster."""

    def change(found):
        values = re.sub(r"[\d.]+", lambda n: f"{float(n[0]) * factor:.5f}", found[2])
        return found[1] + values + found[3]

    text, count = _TABLE.subn(change, DEMO_CELLS.read_text())
    assert count > 50
    return text


@pytest.fixture
def files(tmp_path):
    found = {name: tmp_path / f"{name}.lib" for name in ("slow", "fast", "same")}
    for path, factor in zip(found.values(), (1.5, 0.7, None), strict=True):
        path.write_text(DEMO_CELLS.read_text() if factor is None else scaled(factor))
    return found


@pytest.mark.slow
@pytest.mark.asic
@needs_opensta
def test_the_worst_of_all_corners_counts(files, monkeypatch, tmp_path):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))
    period = 2.0
    typical = synthesise(TILE, DEMO, period=period)
    assert typical.slack_ns is not None and typical.slack_ns >= 0
    found = corners(TILE, DEMO, list(files.values()), period)
    assert list(found) == ["slow.lib", "fast.lib", "same.lib"]
    slow, fast, same = found.values()
    assert same.setup_ns == typical.slack_ns
    need = period - typical.slack_ns
    assert period - slow.setup_ns == pytest.approx(1.5 * need, rel=0.15)
    assert period - fast.setup_ns == pytest.approx(0.7 * need, rel=0.15)
    assert fast.hold_ns < same.hold_ns < slow.hold_ns
    source = tmp_path / "own.toml"
    source.write_text(TILE.replace(name="own").to_toml())
    at_need = str(round(need + 0.005, 3))
    command = ["synth", str(source), "--liberty", "demo", "--corner", str(files["slow"])]
    late = lutcore(*command, "--period", at_need)
    assert late.returncode == 1 and f"at slow.lib: {at_need} ns NOT met, " in late.stdout
    met = lutcore(*command, "--period", "20", "--json")
    assert met.returncode == 0
    assert json.loads(met.stdout)["corners"]["slow.lib"]["setup_ns"] > 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (r"DFF_X", "DFF_Y", "no cell DFF_X1, which the netlist has"),
        (r"\bCK\b", "CLK", "another cell DFF_X1, which the netlist has"),
    ],
)
@needs_opensta
@pytest.mark.asic
def test_another_library_is_no_corner(before, after, said, tmp_path):
    path = tmp_path / "other.lib"
    path.write_text(re.sub(before, after, DEMO_CELLS.read_text()))
    with pytest.raises(InputError, match=re.escape(said)):
        corners(TILE, DEMO, [path], 5.0)


def test_two_corners_have_two_names(tmp_path):
    with pytest.raises(InputError, match=r"two corners are called a\.lib"):
        corners(TILE, DEMO, [tmp_path / "a.lib", tmp_path / "b" / "a.lib"], 5.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--corner", "demo"], "give its clock with --period"),
        (["--corner", "demo", "--target", "ecp5"], "for target asic"),
        (["--corner", "demo", "--sweep", "1:2"], "leave one of them out"),
        (["--corner", "none.lib", "--period", "5", "--liberty", "demo"], "none.lib: no such file"),
    ],
)
def test_options_that_do_not_fit(arguments, said):
    ended = lutcore("synth", "w2a8", "--set", "n=1", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
