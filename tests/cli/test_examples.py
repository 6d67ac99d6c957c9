"""The example in the help of every command, as it stands there, in one folder."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import typer
from command_line import lutcore
from opensta import needs_opensta
from sweeps import later, swept
from typer.testing import CliRunner

from lutcore.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
#: Command -> files that its example needs, and the command whose example makes them.
MADE_BY = {"run": ("kjv.lut", "compile"), "disasm": ("ffn.lut", "matrix compile")}
MADE_BY |= {"matrix run": ("ffn.lut", "matrix compile")}
#: Examples of more than a few seconds.
SLOW = {
    *("demo", "bitstream", "explore", "energy", "compare", "simulate", "study", "perplexity"),
    *("synth", "generate-text", "chat"),
}
#: What is written to a command.
SAID = {"chat": "And God said\n\n"}
#: Examples that `make long` alone runs as they stand, and what `make test` says besides: here, the
#: few units that tests of bitstreams build anyway.
SHORTENED = {
    "bitstream": [
        f"--set={change}" for change in ("n=3", "lookups=1", "max_weight_bits=1", "plane_order=any")
    ]
}
#: Ranges of the design space of the example files, and what has fewer LUTs.
SMALLER = {
    "high = 32, log2": "high = 8, log2",
    "m = [1, 2]": "m = [1]",
    "low = 1, high = 8, log2": "low = 1, high = 2, log2",
    "min = 32": "min = 16",
}
#: Examples that would change what other tests use.
ALONE = ("cache prune",)


def commands():
    """Name of each command -> its help."""
    group = typer.main.get_command(app)
    found = {}

    def visit(group, words):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                visit(command, [*words, name])
            else:
                found[" ".join([*words, name])] = command.help or ""

    visit(group, [])
    return found


HELP = commands()


def marks(name):
    """Of a test that runs the example."""
    flow = {"asic": ("synth", "energy", "compare", "demo"), "board": ("bitstream",)}
    names = [mark for mark, users in flow.items() if name in users]
    found = [getattr(pytest.mark, mark) for mark in names + ["slow"] * (name in SLOW)]
    return [*found, needs_opensta] if name == "energy" else found


def example(name):
    """Words of the example with which the help of a command ends."""
    match = re.search(r"Example: (lutcore .+)$", " ".join(HELP[name].split()))
    assert match, f"the help of lutcore {name} does not end with an example"
    words = shlex.split(match[1])[1:]
    assert words[: len(name.split())] == name.split()
    return words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the examples run: a folder with the example files, the longest being cut short."""
    path = tmp_path_factory.mktemp("examples")
    assert lutcore("demo", "--files", "examples", cwd=path).returncode == 0
    space = path / "examples" / "space.toml"
    text = space.read_text()
    for whole, few in SMALLER.items():
        assert text.count(whole) == 1
        text = text.replace(whole, few)
    space.write_text(text + "trials = 2\n")
    text = path / "examples" / "kjv-held-out.txt"
    text.write_bytes(text.read_bytes()[:1000])
    return path


def shown_help(name):
    """What a command shows as its help, on a wide terminal."""
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    return shown.stdout


def run(name, folder, *more):
    cache = str(folder / "cache") if name in ALONE else os.environ.get("LUTCORE_CACHE")
    result = lutcore(
        *example(name), *more, cwd=folder, text=SAID.get(name, ""), LUTCORE_CACHE=cache
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    return result


def test_commands_are_found():
    assert {"show", "compare", "matrix run", "cache prune", "explore"} <= set(HELP)
    assert SLOW | set(MADE_BY) | set(SAID) <= set(HELP)


@pytest.mark.parametrize("name", HELP)
def test_the_help_ends_with_an_example(name):
    example(name)
    assert "Example: lutcore " in " ".join(shown_help(name).split())


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in HELP])
def test_the_example_runs(name, folder):
    file, maker = MADE_BY.get(name, ("", ""))
    if file and not Path(folder / file).exists():
        run(maker, folder)
    result = run(name, folder, *SHORTENED.get(name, ()))
    assert result.stdout


@pytest.mark.parametrize(
    "name", [later(pytest.param(name, marks=marks(name))) for name in SHORTENED]
)
def test_the_example_runs_as_it_stands(name, folder):
    assert run(name, folder).stdout


# JSON --------------------------------------------------------------------------------------------


def documented():
    """Command -> keys that its JSON always has, and those that it may have, as the manual says."""
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w -]+)` \| (`.*`) \| (.*)\|$", text, re.MULTILINE)
    return {
        name: (set(re.findall(r"`(.+?)`", always)), set(re.findall(r"`(.+?)`", sometimes)))
        for name, always, sometimes in rows
    }


KEYS = documented()


def has_json(name):
    return "--json" in shown_help(name)


def test_all_json_is_documented():
    assert {name for name in HELP if has_json(name)} == set(KEYS)


#: Commands whose counters depend on where they run.
COUNTED = {"run", "matrix run"}


#: Examples of which `make long` alone runs the JSON: that of each is the slow example again.
AGAIN = {"demo", "bitstream", "explore", "compare", "study", "perplexity"}


@pytest.mark.parametrize(
    "name",
    swept(
        [pytest.param(name, marks=marks(name)) for name in KEYS],
        lambda case: case.values[0] not in AGAIN,
    ),
)
def test_keys_are_those_of_the_manual(name, folder):
    file, maker = MADE_BY.get(name, ("", ""))
    if file and not Path(folder / file).exists():
        run(maker, folder)
    found = json.loads(run(name, folder, "--json").stdout)
    always, sometimes = KEYS[name]
    assert next(iter(found)) == "schema" and found.pop("schema") == 1
    assert always <= set(found)
    assert name in COUNTED or set(found) <= always | sometimes
