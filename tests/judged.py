"""What judges said of small networks, as it is stored (``make judges`` asks them anew)."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.gen.judges.stored import Case, load
from lutcore.verif.samples.networks import Floats

#: Where it is stored.
DATA = Path(__file__).parent / "data" / "judges"


@functools.cache
def judged() -> dict[str, tuple[Case, np.ndarray]]:
    """Name -> case and output."""
    stems = sorted({path.with_suffix("") for path in DATA.glob("*.json")})
    return {case.name: (case, wanted) for stem in stems for case, wanted in load(stem)}


class Altered(Floats):
    """A case's network with other metadata, files beside it, or tensors, in memory."""

    def __init__(self, folder: Path, case: Case):
        made = open_checkpoint(case.write(folder))
        super().__init__(dict(made.metadata), {name: made.array(name) for name in made.names()})
        self.path = made.path
        self.sidecars: dict[str, Any] = dict(made.sidecars)

    def change(self, name: str, values: np.ndarray) -> None:
        """Put a tensor in, or another in its place."""
        self._tensors[name] = values
