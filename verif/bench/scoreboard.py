"""Holds every received result against the golden model's."""

from dataclasses import dataclass, field

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.fields import from_words, result_bits, result_fields


@dataclass
class Verdict:
    """What the scoreboard found.

    ``checked`` counts the numbers compared, ``mismatches`` those that are wrong and missing or
    surplus beats, ``max_abs_error`` is the greatest error of an integer; ``problems`` says the
    first ones in words, ``received`` has the fields of all beats that came.
    """

    beats: int
    checked: int
    mismatches: int
    max_abs_error: int
    problems: list[str]
    received: dict[str, np.ndarray] = field(default_factory=dict)


def judge(
    config: CoreConfig,
    words: list[int],
    expected: dict[str, np.ndarray],
    counts: dict[str, np.ndarray],
) -> Verdict:
    """Compare result words, in order, with the expected fields, where they count."""
    beats = len(expected["last"])
    verdict = Verdict(len(words), 0, 0, 0, [])
    if len(words) != beats:
        verdict.mismatches += abs(len(words) - beats)
        verdict.problems.append(f"received {len(words)} result beats, expected {beats}")
    if not words:
        verdict.mismatches = max(1, verdict.mismatches)
        verdict.problems.append("received nothing")
        return verdict
    compared = min(len(words), beats)
    received = verdict.received = result_fields(config, from_words(words, result_bits(config)))
    if set(received) != set(expected):
        raise ValueError(f"expected fields {sorted(expected)}, the tile has {sorted(received)}")
    for name, values in received.items():
        wanted, matters = expected[name][:compared], counts[name][:compared]
        error = np.where(matters, np.abs(values[:compared] - wanted), 0)
        wrong = np.argwhere(error)
        verdict.checked += int(matters.sum())
        verdict.mismatches += len(wrong)
        verdict.max_abs_error = max(verdict.max_abs_error, int(error.max(initial=0)))
        for where in wrong[:3]:
            place = tuple(int(i) for i in where)
            verdict.problems.append(
                f"beat {place[0]}: {name}{list(place[1:])} is {values[place]}, "
                f"expected {wanted[place]}"
            )
    return verdict
