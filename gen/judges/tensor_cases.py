"""A quantised matrix as somebody else's code wrote it, and the values which that code decodes."""

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TensorCase:
    """Files of a checkpoint with the values of some of its tensors.

    Attributes
    ----------
    name : str
    judge : str
        Whose code wrote or decodes it, with version.
    files : mapping
        Name -> bytes.
    wanted : mapping
        Our name of a tensor -> its values, float32.
    tolerance : float
        Largest difference over the largest value; 0: each number is the same.
    may_refuse : str
        Part of the error with which our reader may refuse; other values are wrong all the same.
    """

    name: str
    judge: str
    files: Mapping[str, bytes]
    wanted: Mapping[str, np.ndarray] = field(default_factory=dict)
    tolerance: float = 0.0
    may_refuse: str = ""

    def write(self, folder: Path) -> Path:
        """Write the files; returns the path of the checkpoint."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder / "model.gguf" if "model.gguf" in self.files else folder


class Beside(NamedTuple):
    """A tensor's values by our reader, None where it refused, and by a judge."""

    name: str
    ours: np.ndarray | None
    judged: np.ndarray
    tolerance: float

    @property
    def difference(self) -> float:
        """The largest difference over the largest value; zeros of both signs are the same."""
        if self.ours is None or np.array_equal(self.ours, self.judged):
            return 0.0
        if self.ours.shape != self.judged.shape:
            return float("inf")
        largest = np.abs(self.judged.astype(np.float64)).max()
        apart = np.abs(self.ours.astype(np.float64) - self.judged)
        return float(apart.max() / largest) if largest else float("inf")

    @property
    def right(self) -> bool:
        """Whether it is within the tolerance; not a number is never right."""
        return self.difference <= self.tolerance


def beside(case: TensorCase) -> Iterator[Beside]:
    """What our reader makes of a case's files, settings included, beside the judge's values."""
    with tempfile.TemporaryDirectory() as folder:
        path = case.write(Path(folder))
        for name, values in case.wanted.items():
            ours = None
            try:
                checkpoint = open_checkpoint(path)
                ours = checkpoint.array(name)
                checkpoint.judge_settings()
            except InputError as error:
                if not case.may_refuse or case.may_refuse not in str(error):
                    raise
            yield Beside(f"{case.name}: {name}", ours, values, case.tolerance)


def save(path: Path, cases: Iterable[TensorCase]) -> None:
    """Write cases to one file of NumPy's, ``.npz``: a list, all files' bytes, all values.

    Values stand byte by byte (first the lowest of each): so they become shortest.
    """
    listed: list[dict[str, Any]] = []
    content, values = bytearray(), []
    for case in cases:
        listed.append(
            {
                "name": case.name,
                "judge": case.judge,
                "tolerance": case.tolerance,
                "may_refuse": case.may_refuse,
                "files": {name: len(file) for name, file in case.files.items()},
                "wanted": {name: found.shape for name, found in case.wanted.items()},
            }
        )
        for file in case.files.values():
            content += file
        values += [found.astype("<f4").ravel() for found in case.wanted.values()]
    np.savez_compressed(
        path,
        cases=np.frombuffer(json.dumps(listed, separators=(",", ":")).encode(), np.uint8),
        files=np.frombuffer(bytes(content), np.uint8),
        values=np.concatenate(values).view(np.uint8).reshape(-1, 4).T.copy(),
    )


def load(path: Path) -> list[TensorCase]:
    """What :func:`save` wrote."""
    with np.load(path) as arrays:
        listed = json.loads(arrays["cases"].tobytes())
        content = io.BytesIO(arrays["files"].tobytes())
        values = io.BytesIO(arrays["values"].T.tobytes())
    found = []
    for case in listed:
        files, shapes = case.pop("files"), case.pop("wanted")
        made = {name: content.read(size) for name, size in files.items()}
        wanted = {
            name: np.frombuffer(values.read(4 * prod(shape)), "<f4").reshape(shape)
            for name, shape in shapes.items()
        }
        found.append(TensorCase(**case, files=made, wanted=wanted))
    return found
