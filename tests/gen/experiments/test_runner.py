"""Runner: points are measured once, what is finished is kept, lost workers are made up for."""

import os
import signal
import time
from pathlib import Path

import pytest
from distributed.protocol.pickle import dumps, loads

from lutcore.errors import InputError
from lutcore.gen.experiments import runner as running
from lutcore.gen.experiments.point import Point
from lutcore.gen.experiments.runner import Runner, Store
from lutcore.hdl.config.core import CoreConfig

POINTS = [Point(config=CoreConfig(m=1, n=n, k=2)) for n in range(1, 7)]


def finished(point: Point) -> dict:
    return {"key": point.key, "n": point.config.n, "error": None}


class Counting:
    """A measure that counts its calls."""

    def __init__(self, measure=finished):
        self.keys: list[str] = []
        self._measure = measure

    def __call__(self, point: Point) -> dict:
        self.keys.append(point.key)
        return self._measure(point)


def test_finished_points_are_not_measured_again(tmp_path):
    measure = Counting()
    with Runner(tmp_path, measure=measure) as runner:
        first = runner.run([*POINTS[:3], POINTS[0]])
    with Runner(tmp_path, measure=measure) as runner:
        records = runner.run(POINTS)
    assert measure.keys == [point.key for point in POINTS]
    assert first[0] == first[3] == records[0]
    assert [record["key"] for record in records] == [point.key for point in POINTS]


def test_damaged_and_failed_points_are_measured_again(tmp_path):
    measure = Counting()
    with Runner(tmp_path, measure=measure) as runner:
        runner.run(POINTS[:3])
        (tmp_path / f"{POINTS[0].key}.json").write_text("{")
        Store(tmp_path).put(finished(POINTS[1]) | {"error": "energy: no"})
        runner.run(POINTS[:3])
    assert measure.keys[3:] == [POINTS[0].key, POINTS[1].key]


def test_an_interrupt_keeps_what_is_finished(tmp_path):
    def interrupted(point: Point) -> dict:
        if point is POINTS[2]:
            raise KeyboardInterrupt
        return finished(point)

    with pytest.raises(KeyboardInterrupt), Runner(tmp_path, measure=interrupted) as runner:
        runner.run(POINTS)
    assert {path.stem for path in tmp_path.iterdir()} == {point.key for point in POINTS[:2]}


def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    sound, written = running.write_files, []

    def full(folder, files):
        if len(written) == 2:
            raise InputError(f"cannot write to {folder}: No space left on device")
        written.extend(files)
        return sound(folder, files)

    with Runner(tmp_path, measure=finished) as runner:
        monkeypatch.setattr(running, "write_files", full)
        with pytest.raises(InputError, match=r"No space left on device; finished points are kept$"):
            runner.run(POINTS)
    assert {path.stem for path in tmp_path.iterdir()} == {point.key for point in POINTS[:2]}


def test_a_folder_that_cannot_be_written_is_refused_at_once():
    with (
        pytest.raises(InputError, match="cannot write to /proc/none"),
        Runner(Path("/proc/none"), measure=lambda _: pytest.fail("measured")) as runner,
    ):
        runner.run(POINTS)


def leave_marks(point: Point) -> dict:
    """A worker's measure: every call leaves a file; the first one of some points is the last."""
    marks = Path(os.environ["LUTCORE_MARKS"])
    calls = len(list(marks.glob(f"{point.key}*")))
    (marks / f"{point.key}-{calls}").touch()
    time.sleep(0.2)
    if point.config.n == 3 and calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if point.config.n == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return finished(point)


@pytest.mark.slow
def test_killed_workers_lose_and_repeat_nothing(tmp_path, monkeypatch):
    """One point kills its worker once, another always; all others are measured once."""
    monkeypatch.setenv("LUTCORE_MARKS", str(tmp_path))
    with Runner(tmp_path / "points", jobs=2, measure=leave_marks) as runner:
        records = runner.run(POINTS)
    assert [record["key"] for record in records] == [point.key for point in POINTS]
    wrong = [record["error"] for record in records if record["error"]]
    assert wrong == [records[4]["error"]] == ["its worker was lost three times: out of memory?"]
    marks = [path.name.partition("-")[0] for path in tmp_path.glob("*-*")]
    calls = [marks.count(point.key) for point in POINTS]
    assert calls == [1, 1, 2, 1, 3, 1]
    assert len(list((tmp_path / "points").iterdir())) == len(POINTS)


def test_a_worker_with_another_flow_is_refused():
    found = running._checked(finished, POINTS[0], "0" * 24)
    assert found["key"] == "0" * 24
    assert "other sources, tools or library" in found["error"]


def test_the_key_is_not_sent_to_workers():
    """A worker would compare what it was sent with itself."""
    assert POINTS[0].key and "key" in vars(POINTS[0])
    sent = loads(dumps(POINTS[0]))
    assert sent == POINTS[0] and "key" not in vars(sent) and sent.key == POINTS[0].key


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_PATIENCE", 1)
    with (
        pytest.raises(InputError, match="no Dask scheduler answers at tcp"),
        Runner(tmp_path, scheduler="tcp://127.0.0.1:9", measure=finished) as runner,
    ):
        runner.run(POINTS)


_PEMS = Path(__file__).resolve().parents[2] / "data/tls"
#: Authority, certificate (its own), and key.
TLS = (_PEMS / "cert.pem", _PEMS / "cert.pem", _PEMS / "key.pem")


@pytest.mark.slow
def test_a_scheduler_with_tls_is_spoken_to_with_tls_only(tmp_path):
    """A cluster of its own key; who comes without one is not heard."""
    from distributed import LocalCluster
    from distributed.security import Security

    authority, certificate, key = map(str, TLS)
    names = {"tls_ca_file": authority, "require_encryption": True}
    for side in ("client", "worker", "scheduler"):
        names |= {f"tls_{side}_cert": certificate, f"tls_{side}_key": key}
    options = {"processes": False, "dashboard_address": None, "protocol": "tls://"}
    with LocalCluster(n_workers=1, security=Security(**names), **options) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://")
        with Runner(tmp_path, scheduler=address, tls=TLS, measure=finished) as runner:
            assert [record["key"] for record in runner.run(POINTS)] == [p.key for p in POINTS]
        with pytest.raises(InputError, match=r"--tls and a scheduler at tls://host:port go"):
            Runner(tmp_path, scheduler=address)


@pytest.mark.parametrize(
    ("scheduler", "tls", "message"),
    [
        ("tcp://127.0.0.1:9", TLS, "go together"),
        (None, TLS, "go together"),
        ("tls://127.0.0.1:9", None, "go together"),
        ("tls://127.0.0.1:9", (Path("no.pem"), *TLS[1:]), r"--tls: no\.pem: no such file"),
        ("tls://127.0.0.1:9", (Path(__file__), *TLS[1:]), "are no certificate and its key"),
        ("tls://127.0.0.1:9", (*TLS[:2], TLS[0]), "are no certificate and its key"),
    ],
)
def test_tls_that_cannot_be_is_one_line(tmp_path, scheduler, tls, message):
    with pytest.raises(InputError, match=message) as told:
        Runner(tmp_path, scheduler=scheduler, tls=tls)
    assert "\n" not in str(told.value)
