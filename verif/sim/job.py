"""A tile job: what one mpGEMM sends into the tile, and what must come out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.layout import Layout


@dataclass(frozen=True)
class Stalls:
    """Probability per cycle that a stream pauses."""

    activations: float = 0.0
    weights: float = 0.0
    zero_points: float = 0.0
    results: float = 0.0


@dataclass(eq=False)
class TileJob:
    """One mpGEMM on a tile.

    Attributes
    ----------
    layout : Layout
        Where everything stands in the streams.
    inputs : dict of str to uint8 [beats, payload bits]
        Payload bits of every beat of each input stream, low bit first.
    expected : dict of str to int64 [beats, ...]
        Fields of the result beats (:func:`~lutcore.verif.sim.fields.result_fields`).
    checked : dict of str to bool, shaped as ``expected``
        Which of them count: what padding columns and invalid rows give is not checked.
    resets : sequence of int
        Cycles after each of which the job is given up by a reset, to begin anew.
    """

    layout: Layout
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    checked: dict[str, np.ndarray]
    stalls: Stalls = field(default_factory=Stalls)
    seed: int = 0
    resets: Sequence[int] = ()

    @property
    def beats(self) -> int:
        """Result beats."""
        return len(self.expected["last"])

    @property
    def slices(self) -> int:
        """Weight slices."""
        return len(self.inputs["weights"])

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        packed = {f"in_{k}": np.packbits(v, 1, "little") for k, v in self.inputs.items()}
        expected = {f"out_{k}": v for k, v in self.expected.items()}
        checked = {f"check_{k}": v for k, v in self.checked.items()}
        options = json.dumps(
            {"stalls": vars(self.stalls), "seed": self.seed, "resets": [*self.resets]}
        )
        arrays: dict[str, Any] = {**packed, **expected, **checked}
        np.savez(path, options=options, **arrays)


def tile_job(
    config: CoreConfig,
    activations: np.ndarray,
    tensor: QuantTensor,
    *,
    order: str | None = None,
    stalls: Stalls | None = None,
    seed: int = 0,
    resets: Sequence[int] = (),
) -> TileJob:
    """Lay out one mpGEMM for the tile, with the golden models' results.

    Parameters
    ----------
    activations : [M, K], integers or the float format's dtype
    tensor : QuantTensor
        N x K weights.
    order : str
        One of :data:`~lutcore.verif.sim.layout.PLANE_ORDERS`; exact floats take ``plane-major``
        only, their default.
    resets : sequence of int
        Cycles after each of which the job is given up by a reset, to begin anew.

    Raises
    ------
    InputError
        The activations or the tensor do not fit the configuration.
    """
    layout = Layout(config, activations, tensor, order, seed)
    return TileJob(layout, layout.inputs(), *layout.results(), stalls or Stalls(), seed, resets)


def longest_work(config: CoreConfig) -> int:
    """Cycles in which a tile may take and give nothing: it goes through a run a few times."""
    return 4 * -(-config.group_size // config.depth)
