"""Measures many points on Dask, one file a point: what is finished is never lost nor repeated."""

import contextlib
import json
import logging
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from lutcore.errors import InputError, ToolError
from lutcore.files import write_files
from lutcore.gen.experiments.measure import failed, record
from lutcore.gen.experiments.point import Question

#: Seconds that a scheduler and its first worker may take to answer.
_PATIENCE = 30


Measure = Callable[[Any], dict[str, Any]]
OnDone = Callable[[dict[str, Any]], None]


class Store:
    """Finished points in a folder, a JSON file each, which appears whole or not at all."""

    def __init__(self, folder: Path):
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder, and see that it can be written; :class:`InputError` if it cannot."""
        write_files(self._folder, {})

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of that key unless it is missing, damaged or tells of a failure."""
        try:
            found = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and found.get("key") == key
        return found if whole and found.get("error") is None else None

    def put(self, record: dict[str, Any]) -> None:
        """Write one.

        Raises
        ------
        InputError
            The folder cannot be written, for example because the disk is full.
        """
        try:
            write_files(self._folder, {f"{record['key']}.json": json.dumps(record, indent=1)})
        except InputError as error:
            raise InputError(f"{error}; finished points are kept") from error


class Runner:
    """Measures points, on this machine or on a Dask cluster.

    A context manager: workers start with the first point that needs one and end with it. A worker
    that is lost is replaced and its point tried again, three times in all.

    Parameters
    ----------
    folder : Path
        Where finished points are kept; those found there are not measured again.
    jobs : int
        Local worker processes; with 1, points are measured in this process.
    scheduler : str, optional
        Address of a Dask scheduler, ``tcp://host:port``, in place of local processes. Its workers
        need the same installation; a library must have the same path there. Peers execute what
        they are sent: whoever reaches the scheduler runs code as its workers do.
    tls : (Path, Path, Path), optional
        Files of the authority, this side's certificate and its key, for ``tls://host:port``.
    measure : callable
        From a point to its record; must be importable by workers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        jobs: int = 1,
        scheduler: str | None = None,
        tls: tuple[Path, Path, Path] | None = None,
        measure: Measure = record,
    ):
        if jobs < 1:
            raise InputError(f"jobs must be at least 1, not {jobs}")
        self._store = Store(folder)
        self._jobs = jobs
        self._scheduler, self._security = scheduler, _security(scheduler, tls)
        self._measure = measure
        self._client: Any = None
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> "Runner":
        self._store.prepare()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()
        self._client = None

    def run(
        self, points: Sequence[Question], on_done: OnDone | None = None
    ) -> list[dict[str, Any]]:
        """Records of the points, in their order; equal points are measured once.

        Parameters
        ----------
        on_done : callable, optional
            Called with each record as it is there.

        Raises
        ------
        InputError
            The folder cannot be written, or no scheduler answers.
        ToolError
            The scheduler was lost.
        """
        tell = on_done or (lambda record: None)
        records: dict[str, dict[str, Any]] = {}
        missing: dict[str, Question] = {}
        for point in points:
            if point.key in records or point.key in missing:
                continue
            if (found := self._store.get(point.key)) is None:
                missing[point.key] = point
            else:
                records[point.key] = found
                tell(found)
        for found in self._measured(missing):
            self._store.put(found)
            records[found["key"]] = found
            tell(found)
        return [records[point.key] for point in points]

    def _measured(self, points: dict[str, Question]) -> Iterator[dict[str, Any]]:
        if self._jobs == 1 and self._scheduler is None:
            return map(self._measure, points.values())
        return self._on_dask(points) if points else iter(())

    def _on_dask(self, points: dict[str, Question]) -> Iterator[dict[str, Any]]:
        from distributed import KilledWorker, as_completed

        client = self._connect()
        futures = {
            client.submit(_checked, self._measure, point, key, pure=False): key
            for key, point in points.items()
        }
        # Results are fetched as they are there, and released: with its worker, a result that
        # somebody still wants would be lost and computed again.
        finished = as_completed(futures, with_results=True, raise_errors=False)
        try:
            for future, outcome in finished:
                key = futures.pop(future)
                if future.status == "finished":
                    future.release()
                    yield outcome
                elif future.status == "error" and isinstance(outcome[1], KilledWorker):
                    reason = "its worker was lost three times: out of memory?"
                    yield failed(points[key], reason)
                elif future.status == "error":
                    raise outcome[1]
                else:
                    where = self._scheduler or "of this machine"
                    raise ToolError(
                        f"the scheduler {where} was lost: run the command again; finished points "
                        "are kept"
                    )
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.cancel(list(futures))

    def _connect(self) -> Any:
        if self._client is not None:
            return self._client
        import dask.config
        from distributed import Client, LocalCluster

        settings: dict[str, Any] = {
            "distributed.scheduler.allowed-failures": 2,
            # A worker holds one point at a time: its loss is the fault of no other.
            "distributed.scheduler.worker-saturation": 1.0,
            "distributed.comm.timeouts.connect": f"{_PATIENCE}s",
            "distributed.admin.log-format": "%(message)s",
        }
        scratch = self._resources.enter_context(_scratch())
        settings["temporary-directory"] = scratch
        self._resources.enter_context(dask.config.set(settings))
        # What goes wrong is told by the errors raised here, in one line.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        if self._scheduler is None:
            options: dict[str, Any] = {
                "n_workers": self._jobs,
                "threads_per_worker": 1,
                "processes": True,
                "memory_limit": 0,
                "dashboard_address": "127.0.0.1:0",
                "worker_dashboard_address": "127.0.0.1:0",
                "silence_logs": logging.CRITICAL,
                "env": {"TMPDIR": scratch},
            }
            loop = self._resources.enter_context(_loop())
            cluster = self._resources.enter_context(LocalCluster(loop=loop, **options))
            self._client = self._resources.enter_context(Client(cluster))
            return self._client
        try:
            client = Client(self._scheduler, timeout=_PATIENCE, security=self._security)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {self._scheduler}: start one with 'dask scheduler' "
                "and give its address, for example tcp://127.0.0.1:8786"
            ) from error
        self._client = self._resources.enter_context(client)
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise InputError(
                f"the scheduler {self._scheduler} has no workers: start some with "
                f"'dask worker {self._scheduler}'"
            ) from error
        return client


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Where workers have their temporary files: they go with it, however a worker ends."""
    return tempfile.TemporaryDirectory(prefix="lutcore-", ignore_cleanup_errors=True)


def _security(scheduler: str | None, tls: tuple[Path, Path, Path] | None) -> Any:
    """TLS of both sides for a scheduler that has it, judged before anything is computed."""
    encrypted = (scheduler or "").startswith("tls://")
    if tls is None and not encrypted:
        return None
    if tls is None or not encrypted:
        raise InputError("--tls and a scheduler at tls://host:port go together")
    from distributed.security import Security

    for path in tls:
        if not path.is_file():
            raise InputError(f"--tls: {path}: no such file: give authority, certificate and key")
    authority, certificate, key = map(str, tls)
    security = Security(
        tls_ca_file=authority,
        tls_client_cert=certificate,
        tls_client_key=key,
        require_encryption=True,
    )
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:
        raise InputError(f"--tls: the files are no certificate and its key: {error}") from error
    return security


@contextlib.contextmanager
def _loop() -> Iterator[Any]:
    """Dask's event loop in a thread whose processes never hear of Ctrl-C, which a terminal sends to
    all: their end is this process's to say.
    """
    from distributed.utils import LoopRunner

    runner = LoopRunner()
    resource_tracker.ensure_running()  # which would unblock the signal in the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        runner.start()  # a thread has the mask of the one that starts it, and so have its processes
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield runner.loop
    finally:
        runner.stop()


def _checked(measure: Measure, point: Question, key: str) -> dict[str, Any]:
    """Measure on a worker, if it would call the point by the same key."""
    if point.key != key:
        return {
            **failed(point, "a worker has other sources, tools or library: install the same"),
            "key": key,
        }
    return measure(point)
