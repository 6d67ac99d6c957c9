"""The door to programs of others, with small programs of every bad manner."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from lutcore import tools
from lutcore.errors import InputError, ToolError

ROOT = Path(tools.__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_what_a_program_says_comes_back():
    script = "import sys; print(sys.stdin.read().upper()); print('aside', file=sys.stderr)"
    assert tools.run("it", python(script), text="words") == (0, "WORDS\n", "aside\n")


def test_lines_are_told_as_they_come():
    told: list[str] = []
    script = "import sys; print('one'); print('two', file=sys.stderr, flush=True)"
    done = tools.run("it", python(script), says=told.append)
    assert sorted(told) == ["one", "two"] and done.status == 0


def test_a_failure_quotes_what_matters_and_keeps_the_rest(tmp_path):
    script = "print('much\\n' * 50); print('ERROR: no such cell'); raise SystemExit(3)"
    with pytest.raises(
        ToolError, match=r"^Its name failed: ERROR: no such cell \(all of it: "
    ) as e:
        tools.run("Its name", python(script))
    kept = Path(str(e.value).rpartition(": ")[2].rstrip(")"))
    assert kept.read_text().count("much") == 50 and tmp_path in kept.parents
    assert "\n" not in str(e.value)
    assert tools.run("it", python("raise SystemExit(3)"), check=False).status == 3


def test_silent_failures_and_signals_are_told():
    with pytest.raises(ToolError, match=r"^it failed: no output$"):
        tools.run("it", python("raise SystemExit(3)"))
    with pytest.raises(ToolError, match=f"^it failed: ended by signal {int(signal.SIGKILL)}"):
        tools.run("it", python("import os; os.kill(os.getpid(), 9)"))


def test_a_log_that_cannot_be_kept_is_no_further_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolError, match=r"^it failed: words$"):
        tools.run("it", python("print('words'); raise SystemExit(3)"))


@pytest.mark.parametrize("says", [None, lambda line: None])
def test_a_program_that_hangs_is_given_up_with_its_children(tmp_path, says):
    child = "import time; time.sleep(60)"
    script = (
        f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); time.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"^it was given up after 1\.5 s: take less$"):
        tools.run("it", python(script), limit=1.5, advice="take less", says=says)
    assert time.monotonic() - began < 20
    assert not alive(int((tmp_path / "pid").read_text()))


def test_an_interrupted_caller_leaves_nothing_running(tmp_path):
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    script = (
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "print('line', flush=True); time.sleep(60)"
    )
    with pytest.raises(KeyboardInterrupt):
        tools.run("it", python(script), says=interrupt)
    assert not alive(int((tmp_path / "pid").read_text()))


def alive(pid: int) -> bool:
    """Whether a process is still running, after a moment to end in."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


def test_what_cannot_be_started_is_told(tmp_path):
    (tmp_path / "program").write_text("no program")
    with pytest.raises(ToolError, match=r"it cannot be started: Permission denied: .*program"):
        tools.run("it", [str(tmp_path / "program")])


def test_finding(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("#!/bin/sh\necho mine 4.2-x 9.9\n")
    (tmp_path / "mine").chmod(0o755)
    assert tools.find("mine") is None
    with pytest.raises(InputError, match=r"^mine is missing: write it$"):
        tools.need("mine", "write it")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = tools.need("mine", "write it")
    assert found == str(tmp_path / "mine") and tools.version(found) == "4.2-x"
    monkeypatch.setenv("OTHER", found)
    assert tools.find("sh", variable="OTHER") == found
    assert tools.find(Path(sys.executable).name, beside=True) == sys.executable


def test_a_program_that_does_not_answer_has_an_unknown_version(tmp_path):
    (tmp_path / "mute").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "mute").chmod(0o755)
    assert tools.version(str(tmp_path / "mute")) == "unknown"


#: Who starts programs of our own: one measurement of itself.
OWN = {"gen/manual/checkpoint_memory.py"}


def test_there_is_no_other_door():
    found = {
        str(path.relative_to(ROOT))
        for room in ("hdl", "compiler", "verif", "gen", "fpga", "cli")
        for path in (ROOT / room).rglob("*.py")
        if "import subprocess" in path.read_text() or "shutil.which" in path.read_text()
    }
    assert found == OWN
