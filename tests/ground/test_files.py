"""Files of users: whole or not at all, with their umask, and nothing of others is lost."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lutcore import files
from lutcore.errors import InputError
from lutcore.files import LEDGER, write_files, writing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=[True, False], ids=["unnamed", "named"])
def unnamed(request, monkeypatch):
    """File systems with and without files that have no name."""
    if not request.param:
        sound = os.open

        def refuse(path, flags, *mode):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(95, "Operation not supported")
            return sound(path, flags, *mode)

        monkeypatch.setattr(files.os, "open", refuse)
    return request.param


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_users_umask(tmp_path, unnamed, mask):
    before = os.umask(mask)
    try:
        with writing(tmp_path / "a.bin", "me") as file:
            file.write(b"12")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~mask
    assert (tmp_path / "a.bin").read_bytes() == b"12" and names(tmp_path) == [LEDGER, "a.bin"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_what_fails_leaves_what_was_there(tmp_path, unnamed, kind):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(kind) as raised, writing(tmp_path / "a.bin") as file:
        file.write(b"new")
        raise kind
    assert type(raised.value) is kind
    assert names(tmp_path) == ["a.bin"] and (tmp_path / "a.bin").read_bytes() == b"old"


def test_the_same_command_replaces_its_own(tmp_path, unnamed):
    for text in ("one", "two"):
        write_files(tmp_path / "out", {"a.v": text, "b.v": text}, "generate x")
        assert (tmp_path / "out/a.v").read_text() == (tmp_path / "out/b.v").read_text() == text
    assert names(tmp_path / "out") == [LEDGER, "a.v", "b.v"]
    assert set(json.loads((tmp_path / "out" / LEDGER).read_text())["files"]) == {"a.v", "b.v"}


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (lambda path: path.write_text("mine"), "it is not of this program"),
        (lambda path: write_files(path.parent, {path.name: "x"}, "other"), "it is of 'other'"),
        (
            lambda path: (
                write_files(path.parent, {path.name: "x"}, "me"),
                path.write_text("edited"),
            ),
            "it was changed by hand",
        ),
        (lambda path: path.symlink_to("nowhere"), "it is not of this program"),
    ],
    ids=["a person's", "another's", "edited", "a dangling link"],
)
def test_what_others_wrote_stops_it(tmp_path, unnamed, prepare, why):
    prepare(tmp_path / "b.v")
    before = names(tmp_path)
    with pytest.raises(InputError, match=f"b.v is in the way, {why}: give --force"):
        write_files(tmp_path, {"a.v": "new", "b.v": "new"}, "me")
    assert names(tmp_path) == before
    write_files(tmp_path, {"a.v": "new", "b.v": "new"}, "me", force=True)
    assert (tmp_path / "b.v").read_text() == "new"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
@pytest.mark.parametrize("name", ["b.v", LEDGER])
def test_what_is_no_file_is_never_replaced(tmp_path, name, make, force):
    make(tmp_path / name)
    with pytest.raises(InputError, match=f"{name} is in the way, it is no regular file"):
        write_files(tmp_path, {"a.v": "new", "b.v": "new"}, "me", force=force)
    assert names(tmp_path) == [name]


def test_a_device_has_no_end(tmp_path):
    (tmp_path / "b.v").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"b.v is in the way, it is not of this program"):
        write_files(tmp_path, {"b.v": "new"}, "me")


def test_equal_content_is_nobodys_loss(tmp_path):
    (tmp_path / "a.v").write_text("same")
    write_files(tmp_path, {"a.v": "same"}, "me")
    write_files(tmp_path, {"a.v": "later"}, "me")
    assert (tmp_path / "a.v").read_text() == "later"


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"files": 3}', '{"files": {"a.v": 7}}', '{"files": {"a.v": {"size": 1}}}', "\xff"],
)
def test_a_damaged_ledger_knows_nothing(tmp_path, text):
    write_files(tmp_path, {"a.v": "one"}, "me")
    (tmp_path / LEDGER).write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match="it is not of this program"):
        write_files(tmp_path, {"a.v": "two"}, "me")


@pytest.mark.parametrize(
    "folder",
    ["file/below", "file", "no\0name", "/proc/nowhere", "x" * 300],
    ids=["below a file", "a file", "a NUL", "no file system", "long"],
)
def test_places_that_cannot_be_written_are_one_line(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as failure:
        write_files(tmp_path / folder, {"a": "b"}, "me")
    assert "\n" not in str(failure.value) and names(tmp_path) == ["file"]


def test_a_full_disk_leaves_nothing(tmp_path, unnamed, monkeypatch):
    def full(self, name):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files._Unfinished, "finish", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_files(tmp_path / "out", {"a": "b"}, "me")
    assert names(tmp_path) == []


KILLED = """
import sys, time
from pathlib import Path
from lutcore.files import writing
with writing(Path(sys.argv[1]) / "a.bin", "me") as file:
    file.write(b"x" * 100000)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whatever_kills_it_nothing_stays(tmp_path, number):
    words = [sys.executable, "-c", KILLED, tmp_path]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(10) != 0
    assert names(tmp_path) == []


def test_writers_of_one_folder_wait_for_each_other(tmp_path):
    words = [sys.executable, "-c", KILLED.replace("60", "0.5"), tmp_path]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        began = time.monotonic()
        write_files(tmp_path, {"b.bin": "y"}, "me")
        assert time.monotonic() - began > 0.2
    assert set(json.loads((tmp_path / LEDGER).read_text())["files"]) == {"a.bin", "b.bin"}
