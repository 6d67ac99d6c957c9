"""Builds: made once, checked at every use, made again when damaged, pruned oldest first."""

import json
import logging
import os
import stat
import time
from pathlib import Path

import pytest
from filelock import FileLock

from lutcore import builds, cache
from lutcore.errors import HostError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Builds a program and notes, and counts how often."""

    def __init__(self, size=100):
        self.count, self.size = 0, size

    def __call__(self, folder):
        self.count += 1
        program = folder / "program"
        program.write_bytes(b"x" * self.size)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (folder / "notes.txt").write_text("nothing depends on them")


def test_a_build_is_made_once():
    make = Maker()
    found, *others = (builds.built("sim", "a", make) for _ in range(3))
    assert others == [found, found]
    assert make.count == 1 and (found / "program").read_bytes() == b"x" * 100
    assert builds.whole("sim", "a") == found and builds.whole("sim", "b") is None
    facts = json.loads((found / "manifest.json").read_text())
    assert set(facts["parts"]) == {"program"} and facts["parts"]["program"][0] == 100


DAMAGES = {
    "cut": lambda path: (path / "program").write_bytes(b"x" * 50),
    "changed": lambda path: (path / "program").write_bytes(b"x" * 99 + b"y"),
    "gone": lambda path: (path / "program").unlink(),
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "half a manifest": lambda path: (path / "manifest.json").write_text('{"version": '),
    "another manifest": lambda path: (path / "manifest.json").write_text("[1]"),
    "another version": lambda path: (path / "manifest.json").write_text('{"version": "0"}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again_once_and_named(damage, caplog):
    make = Maker()
    found = builds.built("sim", "a", make)
    DAMAGES[damage](found)
    with caplog.at_level(logging.WARNING, "lutcore"):
        for _ in range(2):
            assert builds.built("sim", "a", make) == found
    assert make.count == 2 and builds.whole("sim", "a") == found
    (said,) = caplog.messages
    assert said.startswith(f"{found} is made again: ") and "\n" not in said


def test_a_build_that_fails_is_made_anew():
    def fail(folder):
        (folder / "half").touch()
        raise RuntimeError("the compiler")

    with pytest.raises(RuntimeError):
        builds.built("sim", "a", fail)
    assert builds.whole("sim", "a") is None
    assert not (builds.built("sim", "a", Maker()) / "half").exists()


def test_the_oldest_go_first_and_what_is_used_stays(folder):
    for age, name in enumerate("abcd"):
        path = builds.built("sim", name, Maker(1000))
        used = time.time() - 10_000 + age
        os.utime(path, (used, used))
    builds.built("sim", "a", Maker())  # used again
    cache.store(cache.entry("synth", "e"), [1])
    assert {item.kind for item in builds.items()} == {"sim", "synth"}
    assert builds.prune(10**6) == []
    with FileLock(folder / "sim/b.lock"):
        removed = builds.prune(2800)
    assert [item.path.name for item in removed] == ["c", "d"]
    assert {item.path.name for item in builds.items()} == {"a", "b", "e.json.gz"}
    assert next(item.path.name for item in builds.prune(0, fresh=0)) == "b"
    assert builds.items() == []


def test_who_waits_for_an_entry_that_is_removed_still_builds_alone():
    """The lock stays when the entry goes: a second file of its name would let two build."""
    folder = builds.built("sim", "a", Maker())
    before = Path(f"{folder}.lock").stat().st_ino
    assert [item.path for item in builds.prune(0, fresh=0)] == [folder]
    builds.built("sim", "a", Maker())
    assert Path(f"{folder}.lock").stat().st_ino == before


def test_the_limit_is_kept_when_something_is_built(monkeypatch):
    old = builds.built("sim", "old", Maker(5000))
    os.utime(old, (0, 0))
    monkeypatch.setenv("LUTCORE_CACHE_LIMIT", "0.000004")
    builds.built("sim", "new", Maker(1000))
    assert not old.exists()


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf", "1e400"])
def test_a_limit_that_is_no_number_is_one_line(text, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE_LIMIT", text)
    with pytest.raises(HostError, match="LUTCORE_CACHE_LIMIT must be a number of GB"):
        builds.limit()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(HostError, match=r"^cannot write the cache .*: set LUTCORE_CACHE$"):
        builds.built("sim", "a", Maker())
    assert builds.items() == [] and builds.prune() == []
