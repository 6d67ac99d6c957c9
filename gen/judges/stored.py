"""What a judge said of a network, and all that makes the network again without the judge."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lutcore.compiler.importers.checkpoint import Checkpoint, open_checkpoint
from lutcore.compiler.importers.safetensors_header import read_parts
from lutcore.verif.samples.networks_gguf import write_gguf
from lutcore.verif.samples.random_tensors import random_tensor, random_trits

_TRITS = "trits"
#: Files beside the tensors that say something of a network.
_SAYING = ("config.json", "modules.json", "1_Pooling/config.json")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A random network and its text.

    Attributes
    ----------
    name, judge : str
        What is tried, and who judged it, with version.
    seed : int
        Of the tensors.
    tokens : list of int
    files : dict
        Name -> contents of the JSON files beside the tensors; none: the network is a GGUF file.
    pairs : dict
        GGUF's metadata, key -> [type, value].
    tensors : dict
        Name -> shape, which begins with ``trits`` where these are packed in bytes.
    rows : list of int
        Rows of the output that were judged.
    """

    name: str
    judge: str
    seed: int
    tokens: list[int]
    files: dict[str, Any] = field(default_factory=dict)
    pairs: dict[str, list[Any]] = field(default_factory=dict)
    tensors: Mapping[str, Any] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """Write the network; returns the path of the checkpoint."""
        if self.pairs:
            write_gguf(folder / "model.gguf", self.pairs, self.tensors, self.seed)
            return folder / "model.gguf"
        made = {
            name: (random_trits if shape[0] == _TRITS else random_tensor)(
                self.seed, name, tuple(size for size in shape if size != _TRITS)
            )
            for name, shape in self.tensors.items()
        }
        save_file(made, folder / "model.safetensors")
        for name, content in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(json.dumps(content))
        return folder

    def open(self, folder: Path) -> Checkpoint:
        """The network as a checkpoint, written into a folder."""
        return open_checkpoint(self.write(folder))


def of_folder(folder: Path) -> dict[str, Any]:
    """``files`` and ``tensors`` of what a judge wrote."""
    tensors, _ = read_parts(folder / "model.safetensors")
    return {
        "files": {
            name: json.loads((folder / name).read_text())
            for name in _SAYING
            if (folder / name).is_file()
        },
        "tensors": {
            name: [*([_TRITS] if part.dtype == "U8" else []), *part.shape]
            for name, part in tensors.items()
        },
    }


def save(stem: Path, cases: list[tuple[Case, np.ndarray]]) -> None:
    """Write ``stem.json`` and ``stem.npz``."""
    lines = ",\n".join(json.dumps(asdict(case), separators=(",", ":")) for case, _ in cases)
    stem.with_suffix(".json").write_text(f"[\n{lines}\n]\n")
    outputs: dict[str, Any] = {case.name: out for case, out in cases}
    np.savez_compressed(stem.with_suffix(".npz"), **outputs)


def load(stem: Path) -> list[tuple[Case, np.ndarray]]:
    """What :func:`save` wrote."""
    with np.load(stem.with_suffix(".npz")) as outputs:
        plain = json.loads(stem.with_suffix(".json").read_text())
        return [(Case(**case), outputs[case["name"]]) for case in plain]
