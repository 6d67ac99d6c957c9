"""Commands that somebody ends: their tools end with them, and nothing unfinished is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from small_commands import LANGUAGE, MARKS, TEXT, words, write_inputs
from sweeps import swept

pytestmark = pytest.mark.slow

#: Command lines that work for a while with an empty cache, and whether programs of others do.
LONG = {
    "simulate": True,
    "synth": True,
    "energy": True,
    "compare": True,
    "bitstream": True,
    "matrix run": True,
    "verify": True,
    "explore": True,
    "demo": True,
    "perplexity": False,
    "generate-text": False,
}
MORE = {
    "explore": ["--jobs", "2"],
    "generate-text": ["--tokens", "100000"],
    "perplexity": [],
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, lambda line: forked.run(line, folder, forked.Around()).status)
    long = Path(LANGUAGE).with_name("kjv-held-out.txt").read_text()
    (folder / TEXT).write_text(long * 20)
    return folder


def processes(mark):
    """Those that run with this text in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            state = (path.parent / "stat").read_text().rpartition(")")[2].split()[0]
            if mark.encode() in path.read_bytes() and state not in "ZX":
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait_until(condition, limit=60):
    """A moment in which something holds, or the end of patience."""
    for _ in range(limit * 50):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("it did not come to that")


def start(command, box, inputs):
    """A command at work in the folder of a case, its tools running."""
    for name in ("tmp", "work", "cache"):
        (box / name).mkdir()
    (box / "work" / "in").symlink_to(inputs / "in")
    process = subprocess.Popen(
        [sys.executable, "-m", "lutcore.cli.main", *words(command)[1:], *MORE.get(command, [])],
        cwd=box / "work",
        env={**os.environ, "LUTCORE_CACHE": str(box / "cache"), "TMPDIR": str(box / "tmp")},
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if LONG[command]:
        wait_until(lambda: len(processes(str(box))) > 1 or process.poll() is not None)
        time.sleep(0.5)
    else:
        time.sleep(3)
    assert process.poll() is None, process.stderr and process.stderr.read()
    return process


def check(process, number, box):
    """It has ended as it should, and left nothing."""
    out, err = process.communicate(timeout=60)
    # Python itself ends by the signal where it comes in an import.
    assert process.returncode in (128 + number, -number), err
    assert "Traceback" not in out + err
    notes = [line for line in err.splitlines() if line and "no --liberty" not in line]
    assert len(notes) == 1 and notes[0].startswith("lutcore: interrupted: "), err
    assert "run it again to go on" in notes[0]
    wait_until(lambda: not processes(str(box)), limit=5)
    assert not list((box / "tmp").rglob("*"))
    written = [
        path for path in (box / "work").rglob("*") if path.is_file() and "in" not in path.parts
    ]
    assert {path.parent.name for path in written} <= {"points", "runs", "configs"}
    builds = [path for path in (box / "cache").glob("*/*") if path.is_dir()]
    assert all((path / "manifest.json").exists() for path in builds)
    assert not list((box / "cache").rglob(".partial-*"))


@pytest.mark.parametrize(
    "command", swept([pytest.param(one, marks=MARKS.get(one, [])) for one in LONG], 2)
)
def test_an_interrupt_ends_a_command_and_its_tools(command, inputs, tmp_path):
    process = start(command, tmp_path, inputs)
    process.send_signal(signal.SIGINT)  # to it alone: a terminal's goes to all of the group
    check(process, signal.SIGINT, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ends_are_no_different(number, inputs, tmp_path):
    process = start("synth", tmp_path, inputs)
    process.send_signal(number)
    check(process, number, tmp_path)


def test_a_terminals_interrupt_reaches_all_and_twice(inputs, tmp_path):
    process = start("explore", tmp_path, inputs)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.05)
    check(process, signal.SIGINT, tmp_path)


def test_nobody_else_is_heard_with_the_last_words():
    """A thread of a library that fails because the program ends."""
    ending = (
        "import os, signal, sys, threading, time\n"
        "from lutcore.processes import heard, interrupted, interruptible\n"
        "def other():\n"
        "    while True:\n"
        "        print('Traceback', file=sys.stderr, flush=True) if interrupted() else None\n"
        "        time.sleep(0.001)\n"
        "threading.Thread(target=other, daemon=True).start()\n"
        "try:\n"
        "    with interruptible(): os.kill(os.getpid(), signal.SIGINT); time.sleep(9)\n"
        "except KeyboardInterrupt:\n"
        "    with heard() as errors: time.sleep(0.2); print('the last words', file=errors)\n"
    )
    done = subprocess.run([sys.executable, "-c", ending], capture_output=True, text=True)
    assert done.stderr == "the last words\n" and not done.stdout


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path):
    ignoring = (
        "import os, signal, time; from lutcore.processes import interruptible\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with interruptible(): os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    )
    done = subprocess.run([sys.executable, "-c", ignoring], capture_output=True, text=True)
    assert done.stdout == "goes on\n"
