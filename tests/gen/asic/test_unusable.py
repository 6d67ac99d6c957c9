"""Libraries that do not do: what is wrong is said before Yosys starts, and what ABC says after."""

import re

import pytest

from lutcore.errors import InputError
from lutcore.gen.asic import mapping
from lutcore.gen.asic.synth import NEUTRAL_CELLS, synthesise
from lutcore.hdl.config.core import CoreConfig

TINY = CoreConfig(m=1, n=1, max_weight_bits=1, max_k=256, zero_points="external")
CELLS = NEUTRAL_CELLS.read_text()


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Nothing that an earlier run left may answer."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))


def without(cell: str) -> str:
    text, found = re.subn(rf"  cell \({cell}\) \{{.*?\n  \}}\n", "", CELLS, flags=re.DOTALL)
    assert found == 1
    return text


BAD = {
    "text": ("lorem ipsum", ": not a Liberty file: give one"),
    "empty": ("", ": not a Liberty file: give one"),
    "cut": (CELLS[:3000], r", line \d+: .* does not end: .* cut off, fetch it again"),
    "no-flip-flop": (without("DFF"), ": no D flip-flop cell: give a library"),
    "no-nand": (without("NAND2"), ": no 2-input NAND cell with an area: give a library"),
    "no-inverter": (without("INV"), ": no inverter cell with an area: give a library"),
    "no-buffer": (without("BUF"), ": no buffer cell with an area: give a library"),
    "latch": (CELLS.replace("ff (IQ", "latch (IQ"), ": no D flip-flop cell: give a library"),
    "unreadable": (CELLS.replace("area : 6.0;", "area : 6.0; ) ;"), r", line 150: unexpected '\)'"),
    "statetable": (
        CELLS.replace("ff (IQ, IQN)", 'statetable ("D CLK", "IQ")'),
        r", line 149: no D flip-flop cell, and DFF has a statetable, which is not read: give a",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_library(case, tmp_path, monkeypatch):
    text, message = BAD[case]
    path = tmp_path / "bad.lib"
    path.write_text(text)
    monkeypatch.setattr(mapping, "run_yosys", lambda *_: pytest.fail("Yosys has started"))
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}{message}") as caught:
        synthesise(TINY, path)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.asic
def test_a_used_cell_without_an_area(tmp_path):
    path = tmp_path / "bad.lib"
    path.write_text(CELLS.replace("area : 6.0;", ""))
    with pytest.raises(InputError, match=r"bad\.lib: cell DFF has no area: give a complete"):
        synthesise(TINY, path)


@pytest.mark.slow
@pytest.mark.asic
def test_what_abc_says_reaches_the_user(tmp_path):
    """Of a function that only it reads: no gate is needed that has it."""
    path = tmp_path / "odd.lib"
    path.write_text(CELLS.replace('"!(A | B | C | D)"', '"!(A | B | C | E)"'))
    with pytest.raises(InputError, match=r"odd\.lib: Yosys cannot use this library: ") as caught:
        synthesise(TINY, path)
    for words in ("ABC error: Mio_ParseFormula(): The parser cannot find var", "has failed."):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)
