"""What commands print beside their results: errors, JSON, colours, logs, progress, completion."""

import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import lutcore
from rich.console import Console

from lutcore.cli import progress, shared
from lutcore.cli.logs import set_up
from lutcore.hdl.config.presets import SUMMARIES

COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38|4[0-7])[0-9;]*m")


@pytest.fixture
def restored():
    """The logger and the console as they were."""
    logger = logging.getLogger("lutcore")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    shared.ERR.silent = False


# JSON --------------------------------------------------------------------------------------------


def test_json_has_its_schema_first(capsys):
    shared.print_json({"a": 1})
    assert list(json.loads(capsys.readouterr().out).items()) == [("schema", 1), ("a", 1)]
    shared.print_json([1, 2])
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "items": [1, 2]}


@pytest.mark.parametrize(
    ("arguments", "kind", "message", "status"),
    [
        (["show", "egde", "--json"], "input", "'egde' is neither.*did you mean 'edge'", 2),
        (["show", "--json", "edge", "--set", "k=9"], "input", "k must be in 1..6, not 9", 2),
        (["shw", "--json"], "input", "No such command 'shw'.*Did you mean 'show'", 2),
        (["show", "edge", "--jsn", "--json"], "input", "No such option: --jsn", 2),
        (["show", "--json"], "input", "Missing argument 'CONFIG'", 2),
        (["-v", "-q", "show", "edge", "--json"], "input", "-v and -q exclude each other", 2),
    ],
)
def test_an_error_is_one_json_object(arguments, kind, message, status):
    result = lutcore(*arguments)
    assert result.returncode == status and result.stdout == ""
    assert result.stderr.count("\n") == 1
    found = json.loads(result.stderr)
    assert found["schema"] == 1 and found["error"]["kind"] == kind
    assert re.search(message, found["error"]["message"])


def test_a_failed_tool_is_told_as_such(monkeypatch, capsys, restored):
    from lutcore.cli import main
    from lutcore.errors import ToolError
    from lutcore.gen.asic import synth

    def fail(*_, **__):
        raise ToolError("Yosys failed: no memory")

    monkeypatch.setattr(synth, "synthesise", fail)
    for words, said in (
        (["--json"], '{"schema": 1, "error": {"kind": "tool", "message": "Yosys failed: no mem'),
        ([], "lutcore: Yosys failed: no memory"),
    ):
        monkeypatch.setattr(sys, "argv", ["lutcore", "synth", "edge", *words])
        with pytest.raises(SystemExit) as stop:
            main.main()
        assert stop.value.code == 1
        assert capsys.readouterr().err.startswith(said)


# Colours -----------------------------------------------------------------------------------------


def on_a_terminal(*arguments, **environment):
    """What a command writes to a terminal."""
    mine, its = pty.openpty()
    names = ("NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    process = subprocess.Popen(
        [sys.executable, "-m", "lutcore.cli.main", *arguments],
        stdout=its, stderr=its, stdin=its,
        env={**plain, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(its)
    parts = []
    try:
        while part := os.read(mine, 1 << 16):
            parts.append(part)
    except OSError:  # the other side is closed
        pass
    os.close(mine)
    process.wait()
    return b"".join(parts).decode()


@pytest.mark.parametrize("arguments", [["show", "egde"], ["show", "--help"], ["show", "--jsn"]])
def test_colours_only_on_terminals_and_not_against_no_color(arguments):
    assert COLOUR.search(on_a_terminal(*arguments))
    assert not COLOUR.search(on_a_terminal(*arguments, NO_COLOR="1"))
    piped = lutcore(*arguments, FORCE_COLOR=None, GITHUB_ACTIONS=None)
    assert "\x1b" not in piped.stdout + piped.stderr


# Logs --------------------------------------------------------------------------------------------


def test_warnings_are_lines_unless_quiet(restored, capsys):
    for verbose, quiet, lines in ((False, False, 1), (True, False, 2), (False, True, 0)):
        set_up(verbose, quiet)
        restored.info("a detail")
        restored.warning("a result is damaged:\nit is computed again")
        said = capsys.readouterr().err
        assert said.count("\n") == lines
        warned = "lutcore: a result is damaged: it is computed again\n"
        assert (warned in said) == (not quiet) and ("a detail" in said) == verbose


def test_quiet_leaves_errors(restored, capsys):
    set_up(False, True)
    shared.say("a hint", "dim")
    shared.old_spelling("a", "b")
    with shared.ERR.status("working"):
        pass
    assert capsys.readouterr().err == ""
    shared.fail("wrong", "input", False)
    assert capsys.readouterr().err == "lutcore: wrong\n"


@pytest.mark.slow
def test_verbose_tells_tools_and_hits_of_the_cache(tmp_path):
    words = ("synth", "dense-w1a8", "--set", "m=1", "--set", "n=1", "--set", "lookups=2")
    first = lutcore("-v", *words, LUTCORE_CACHE=str(tmp_path))
    assert "lutcore: runs " in first.stderr and "yosys" in first.stderr
    again = lutcore("--verbose", *words, LUTCORE_CACHE=str(tmp_path))
    assert "lutcore: found in the cache: synth/" in again.stderr
    assert lutcore(*words, LUTCORE_CACHE=str(tmp_path)).stderr == ""
    assert again.stdout == first.stdout


# Progress ----------------------------------------------------------------------------------------


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_plain_lines_come_at_most_every_ten_seconds(monkeypatch):
    clock, said = Clock(monkeypatch), []
    with progress.Bar(Console(file=io.StringIO()), "points", said.append) as bar:
        task = bar.add_task("space", total=None)
        for done in range(40):
            bar.update(task, completed=done, total=40)
            clock.now += 1
    assert said == ["space: 10 of 40 points", "space: 20 of 40 points", "space: 30 of 40 points"]


def test_short_work_says_nothing(monkeypatch):
    Clock(monkeypatch)
    said = []
    with progress.Bar(Console(file=io.StringIO()), "points", said.append) as bar:
        task = bar.add_task("", total=3)
        for _ in range(3):
            bar.advance(task)
    assert said == []


def test_a_terminal_has_a_bar_instead(monkeypatch, restored):
    clock, said = Clock(monkeypatch), []
    terminal = shared._Errors(force_terminal=True, file=io.StringIO())
    with progress.Bar(terminal, "points", said.append) as bar:
        task = bar.add_task("space", total=2)
        clock.now = 60
        bar.advance(task)
        assert not bar.disable
    assert said == []
    terminal.silent = True
    assert progress.Bar(terminal, "points", said.append).disable
    assert progress.spinners(terminal).disable


# Completion --------------------------------------------------------------------------------------


def completed(line):
    """What bash is offered in place of a line's last word."""
    command = Path(sys.executable).with_name("lutcore")
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    result = subprocess.run(
        [command],
        capture_output=True,
        text=True,
        env={**os.environ, "_LUTCORE_COMPLETE": "complete_bash", **words},
    )
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lutcore sho", ["show"]),
        ("lutcore show edg", ["edge"]),
        ("lutcore compare edge lar", ["large"]),
        ("lutcore bitstream --board orange", ["orangecrab"]),
    ],
)
def test_a_shell_completes(line, words):
    assert completed(line) == words


def test_completion_is_offered():
    said = lutcore("--help").stdout
    assert "--install-completion" in said and "--show-completion" in said


def test_configurations_are_completed(tmp_path, monkeypatch):
    from lutcore.cli.options import configurations

    monkeypatch.chdir(tmp_path)
    (tmp_path / "dense.toml").write_text("")
    found = dict(configurations("de"))
    assert set(found) == {*(n for n in SUMMARIES if n.startswith("de")), "dense.toml"}
    assert found["default"] == SUMMARIES["default"]
