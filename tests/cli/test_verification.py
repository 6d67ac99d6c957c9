"""The command ``verify``: what it says, writes and ends with; bad input in one line."""

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
from sweeps import later
from typer.testing import CliRunner

from lutcore.cli import verification
from lutcore.cli.main import app
from lutcore.errors import InputError
from lutcore.gen.emit.rtl import verilog
from lutcore.gen.verify import tile_runs

TILE = 'name = "mine"\nm = 1\nn = 2\nk = 2\nmax_k = 64\ngroup_size = 16\nzero_points = "column"\n'
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "signoff.md"


def lutcore(*words):
    return CliRunner().invoke(app, ["-q", *words])


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(TILE)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to verify: give a preset"),
        (("mine.toml", "mine.toml"), "two configurations are named 'mine'"),
        (("mine.toml", "--until", "soon"), "--until takes a duration"),
        (("mine.toml", "--require", "V9"), "--require takes one of V0, V1, V2, V3"),
        (("mine.toml", "--top", "spline"), "--top must be one of tile, core, axi"),
        (("mine.toml", "--top", "axi"), "a core needs precompute = buffered"),
        (("mine.toml", "--waves", "w"), "--waves goes with --replay"),
        (("mine.toml", "--replay", "m=x"), "no case: 'm=x'"),
        (("mine.toml", "--replay", "order=up"), "order is one of"),
        (("edge", "w2a8", "--replay", "m=1"), "--replay takes one configuration, not 2"),
        (("edge", "--top", "axi", "--replay", "x=1"), "no case: 'x=1'"),
        *(
            (("edge", "--top", "axi", "--replay", word), said)
            for word, said in {
                "choices=99": "choices are 0 to 9, not choices=99",
                "ending=xx": "ending is one of halt, ",
                "code=-16": "code is a multiple of",
                "base=1": "base is a multiple of 4096",
                "window=x": "window is one of all, pages",
                "stall=2": "stall is a probability",
                "stall=nan": "no number",
                "latency=-1": "latency is 0 to 1000",
                "error=3": "error is a multiple of",
                "abort_at=-1": "are cycles up to",
                "seed=2,seed=1": "seed stands twice",
            }.items()
        ),
        *(
            (("mine.toml", "--replay", word), said)
            for word, said in {
                "m=0": "no case of mine: m, n, k, group and resets are 1 or more, not m=0",
                "k=-1": "m, n, k, group and resets",
                "bits=99": "bits are 1 to ",
                "resets=0": "m, n, k, group and resets",
                "order=": "order is one of",
                "activations=xx": "activations are one of rows, mixed",
                "weights=uniform": "weights are profiles",
                "stalls=2/0/0/0": "stalls are probabilities",
                "most=-1": "most is 0 or more",
                "k=999999999999": "slices at most",
                "m=1_0": "no number",
                "seed=-1": "seed is 0 or more",
            }.items()
        ),
        (("mine.toml", "--junit", "none/j.xml"), "none/j.xml"),
        (("edge", "--top", "axi", "--replay", "seed=1", "--waves", "w"), "--waves is for tiles"),
        (("mine.toml", "--suite", "none.py"), "none.py: No such file or directory: a suite is"),
        (("mine.toml", "--suite", "mine.toml"), "mine.toml: it has no test, golden model, cons"),
        (("mine.toml", "--suite", "mine.toml", "--replay", "m=1"), "mine.toml: it has no test"),
        (("--check", "none.json"), "none.json: No such file"),
        (("mine.toml", "--check", "none.json"), "--check takes a certificate alone"),
        (("--check", "mine.toml"), "no certificate of lutcore verify"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(place, words, said):
    found = lutcore("verify", *words)
    assert isinstance(found.exception, InputError)
    assert said in str(found.exception)
    assert [path.name for path in place.iterdir()] == ["mine.toml"]


def test_durations():
    assert verification._end(None) == 0
    assert verification._end("2h") - verification._end("20m") == pytest.approx(6000, abs=1)


@pytest.mark.slow
def test_a_broken_design_ends_with_one_and_its_command_repeats_it(place, monkeypatch):
    def broken(config):
        text = verilog(config)
        changed = re.sub(r"(counts_0 <=) counts;", r"\1 1'h1;", text)
        assert changed != text
        return changed

    monkeypatch.setattr(tile_runs, "verilog", broken)
    found = lutcore("verify", "mine.toml", "--seeds", "1", "--json", "--junit", "j.xml")
    assert found.exit_code == 1
    (design,) = json.loads(found.stdout)["designs"]
    assert design["failures"] and Path("j.xml").read_text().count("<failure") > 0
    assert list(Path("verification/failures").iterdir())
    command = shlex.split(design["failures"][0]["replay"])
    assert command[:3] == ["lutcore", "verify", "verification/configs/mine.toml"]
    again = lutcore(*command[1:], "--json")
    assert again.exit_code == 1
    assert json.loads(again.stdout)["mismatches"] > 0
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert lutcore(*command[1:]).exit_code == 0
    assert lutcore("verify", "--check", "verification/certificate.json").exit_code == 1


@pytest.mark.slow
def test_files_of_others_stay(place):
    """Of a user, or another program's."""
    Path("out").mkdir()
    Path("out/certificate.json").write_text("mine")
    found = lutcore("verify", "mine.toml", "--seeds", "1", "-o", "out")
    assert "out/certificate.json is in the way, it is not of this program" in str(found.exception)
    assert Path("out/certificate.json").read_text() == "mine"
    assert not Path("out/certificate.html").exists()
    assert lutcore("verify", "mine.toml", "--seeds", "1", "-o", "out", "--force").exit_code == 0
    assert lutcore("verify", "mine.toml", "--seeds", "1", "-o", "out").exit_code == 0


CORE = """name = "mine_core"
precompute = "buffered"
zero_points = "external"
n = 8
result_columns = 2
activation_buffer = 512
weight_buffer = 512
scale_buffer = 256
output_buffer = 1024
program_buffer = 256
group_size = 32
"""


def verified_core(*words):
    Path("core.toml").write_text(CORE)
    most = ("verify", "core.toml", "--top", "axi", "--seeds", "16", "--require", "V1", "--json")
    found = lutcore(*most, *words)
    assert found.exit_code == 0, found.stdout
    (design,) = json.loads(found.stdout)["designs"]
    assert design["cases"] >= 48 and not design["functional"]["holes"]
    return design


@pytest.mark.slow
def test_a_core_is_verified_between_its_buses(place):
    verified_core()
    case = "choices=0/1/2,seed=3,base=4096"
    assert lutcore("verify", "core.toml", "--top", "axi", "--replay", case).exit_code == 0


@pytest.mark.slow
@pytest.mark.long
def test_lines_and_mutants_of_a_core_are_counted(place):
    design = verified_core("--lines", "--mutate", "8")
    assert design["code"]["lines"] > 0.7 and design["code"]["toggles"] > 0.5
    mutation = design["mutation"]
    assert 8 == mutation["killed"] + mutation["equivalent"] + len(mutation["survivors"])
    assert mutation["killed"] > 4


def commands():
    blocks = re.findall(r"```console\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    lines = itertools.chain.from_iterable(block.splitlines() for block in blocks)
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


#: What `make test` asks for less of than the guide: each of the kind once.
FEWER = {"--seeds 4 ": "--seeds 1 ", "--mutate 40": "--mutate 4"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "fewer", [pytest.param(FEWER, id="fewer"), later(pytest.param({}, id="whole"))]
)
def test_the_guide_runs_as_it_stands_from_an_empty_folder(fewer, tmp_path, monkeypatch):
    """On the configuration that it tells to write, which no preset has."""
    monkeypatch.chdir(tmp_path)
    (toml,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    Path("my_tile.toml").write_text(toml)
    (suite,) = re.findall(r"```python\n(# my_suite.py\n.*?)```", GUIDE.read_text(), re.DOTALL)
    Path("my_suite.py").write_text(suite)
    ran = commands()
    assert len(ran) >= 4
    for whole, less in fewer.items():
        assert whole in "\n".join(ran)
        ran = [line.replace(whole, less) for line in ran]
    for line in ran:
        found = lutcore(*shlex.split(line)[1:])
        assert found.exit_code == 0, (line, found.stdout, found.exception)
