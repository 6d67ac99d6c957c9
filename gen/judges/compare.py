"""Our outputs beside those of a judge."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.compiler.importers.checkpoint import Checkpoint
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.weights.quantise import Rounding
from lutcore.gen.judges.stored import Case
from lutcore.gen.run.backends import GoldenBackend
from lutcore.gen.run.floats import float_network
from lutcore.gen.run.network import Executor
from lutcore.hdl.config.presets import preset

#: Largest difference in floats, over the root of the mean square of what the judge computes.
LIMIT = 1e-4
#: llama.cpp's GELU is a table from float16 to float16.
HALF_LIMIT = 3e-3
#: Relative error with weights and activations of 8 bits.
ROUNDED_LIMIT = 0.06
#: The same where the judge rounds weights and activations as well.
QUANTISED_LIMIT = 1e-6


@dataclass(frozen=True)
class Verdict:
    """How far we are from a judge.

    Attributes
    ----------
    floats : float or None
        The largest difference of the float backend over the root of the mean square.
    rounded : float
        Relative error (of norms) with eight bits on the golden model; beside the judge's own
        arithmetic of that kind where the producer has quantised the network.
    best : bool
        Whether the best token is the judge's wherever its lead is over twice the largest error.
    limit : float
        What ``floats`` may be.
    """

    floats: float | None
    rounded: float
    best: bool
    limit: float
    rounded_limit: float = ROUNDED_LIMIT

    @property
    def right(self) -> bool:
        """Whether it is within the limits."""
        return (
            (self.floats is None or self.floats <= self.limit)
            and self.rounded <= self.rounded_limit
            and self.best
        )


def judged(case: Case, found: np.ndarray) -> np.ndarray:
    """The rows that were judged; scores of tokens without what is the same for all of them.

    Log probabilities are scores less one number for all tokens, so that both become the same here.
    """
    rows = found[case.rows] if case.rows else found
    if case.pairs and case.rows:
        return rows - rows.mean(axis=1, keepdims=True, dtype=np.float64)
    return rows


def in_floats(case: Case, checkpoint: Checkpoint) -> np.ndarray:
    """What the float backend computes of the rows that were judged."""
    return judged(case, Executor(float_network(checkpoint)).run(np.array(case.tokens)))


def _packed(case: Case) -> bool:
    """Whether its producer has quantised it."""
    return "quantization_config" in case.files.get("config.json", {})


def in_eight_bits(case: Case, checkpoint: Checkpoint) -> np.ndarray:
    """As :func:`in_floats`, compiled with weights of 8 bits, on the golden model."""
    rounding = None if _packed(case) else Rounding(8, 32)
    container, _ = compile_network(
        checkpoint, preset("default").replace(max_weight_bits=8), rounding=rounding
    )
    found = Executor(container, GoldenBackend(container)).run(np.array(case.tokens))
    return judged(case, found)


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference over the root of the mean square of what is wanted."""
    return float(np.abs(found - wanted).max() / np.sqrt(np.square(wanted).mean()))


def compare(case: Case, wanted: np.ndarray, folder: Path) -> Verdict:
    """Run a case's network in floats and in eight bits."""
    checkpoint = case.open(folder)
    rounded = in_eight_bits(case, checkpoint)
    error = np.abs(rounded - wanted).max(axis=1)
    ordered = np.sort(wanted, axis=1)
    leads = ordered[:, -1] - ordered[:, -2] > 2 * error
    same = rounded.argmax(axis=1) == wanted.argmax(axis=1)
    relative = float(np.linalg.norm(rounded - wanted) / np.linalg.norm(wanted))
    best = bool((same | ~leads).all())
    if _packed(case):
        return Verdict(None, relative, best, LIMIT, QUANTISED_LIMIT)
    return Verdict(
        floats=distance(in_floats(case, checkpoint), wanted),
        rounded=relative,
        best=best,
        limit=HALF_LIMIT if "bert.embedding_length" in case.pairs else LIMIT,
    )
