"""What ABC says when it fails, wherever a build of Yosys leaves it."""

import stat
import sys

import pytest

from lutcore.errors import ToolError
from lutcore.gen.asic.synth import NEUTRAL_CELLS
from lutcore.gen.tools.yosys import ABC_SPEAKS, run_yosys

#: A program in place of Yosys: it writes these files, says these words, and fails.
_FAKE = """#!{python}
import pathlib, sys
if "-V" in sys.argv:
    print("Yosys 0.1")
    sys.exit()
for name, text in {files!r}.items():
    pathlib.Path(name).write_text(text)
print({out!r})
print({err!r}, file=sys.stderr)
sys.exit(1)
"""
_NO_OUTPUT = "ERROR: Can't open ABC output file `x/output.blif'.\n"


@pytest.fixture
def fails(tmp_path, monkeypatch):
    """What :func:`run_yosys` raises of a Yosys that leaves these."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))

    def message(out: str = "", err: str = "", **files: str) -> str:
        program = tmp_path / "yosys"
        named = {name.replace("_", "."): text for name, text in files.items()}
        program.write_text(_FAKE.format(python=sys.executable, files=named, out=out, err=err))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("LUTCORE_YOSYS", str(program))
        with pytest.raises(ToolError) as caught:
            run_yosys("", {}, ())
        assert "\n" not in str(caught.value)
        return str(caught.value).partition(" (all of it")[0]

    return message


def test_its_own_log_comes_first(fails):
    own = "Warning: combinational\nError: Cannot find buffer gate in the library.\n"
    said = fails(abc_log=own, synthrun_log=_NO_OUTPUT, out="an unknown thing")
    assert said.startswith("Yosys failed: ABC error: Cannot find buffer gate in the library.")
    assert "unknown" not in said and "Warning" not in said


def test_its_words_in_the_log_of_yosys(fails):
    log = f"ABC: + strash\nABC: ** cmd error: unknown command 'x'\n{_NO_OUTPUT}"
    assert fails(synthrun_log=log).startswith("Yosys failed: ABC error: unknown command 'x'")


def test_its_words_in_the_open(fails):
    out = 'Liberty parser cannot read "time_unit".  Assuming   time_unit : "1ns".\nIt cannot find Z'
    said = fails(out=out, err="Reading has failed.", synthrun_log=_NO_OUTPUT)
    assert said.startswith(
        "Yosys failed: ABC error: It cannot find Z ABC error: Reading has failed."
    )


def test_without_words_yosys_has_the_last_one(fails):
    assert "Can't open ABC output file" in fails(synthrun_log=_NO_OUTPUT)
    other = fails(synthrun_log="ERROR: no module\n", abc_log="Error: an old one")
    assert other == "Yosys failed: ERROR: no module"


@pytest.mark.slow
@pytest.mark.asic
def test_abc_itself_is_heard(tmp_path, monkeypatch):
    """After its first call standard output is closed; a library without a buffer makes it fail."""
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))
    cells = NEUTRAL_CELLS.read_text().replace("cell (BUF) {", "cell (BUF) { dont_use : true;")
    verilog = "module top(input a, b, c, output y); assign y = a & b | c; endmodule\n"
    script = "read_verilog top.v\nsynth -top top -noabc\nabc -liberty c.lib -script abc.script"
    abc = f"{ABC_SPEAKS}strash; &get -n; &nf; &put\n"
    files = {"top.v": verilog, "c.lib": cells, "abc.script": abc}
    with pytest.raises(ToolError, match="ABC error: Cannot find buffer gate in the library"):
        run_yosys(script, {name: text.encode() for name, text in files.items()}, ())
