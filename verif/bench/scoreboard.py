"""Holds every received result against the golden model's."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.config import CoreConfig
from verif.fields import from_words, unpack_fields


@dataclass
class Verdict:
    """What the scoreboard found.

    ``checked`` counts the integers compared (dots, row sums, ``last`` flags), ``mismatches`` those
    that are wrong and missing or surplus beats; ``problems`` says the first ones in words.
    """

    beats: int
    checked: int
    mismatches: int
    max_abs_error: int
    problems: list[str]


def judge(config: CoreConfig, words: list[int], expected: dict[str, Any]) -> Verdict:
    """Compare result words, in order, with the expected ``dot``, ``row_sum`` and ``last``."""
    dot, row_sum, last = expected["dot"], expected["row_sum"], expected["last"]
    verdict = Verdict(len(words), 0, 0, 0, [])
    if len(words) != len(dot):
        verdict.mismatches += abs(len(words) - len(dot))
        verdict.problems.append(f"received {len(words)} result beats, expected {len(dot)}")
    if not words:
        verdict.mismatches = max(1, verdict.mismatches)
        verdict.problems.append("received nothing")
        return verdict
    compared = min(len(words), len(dot))
    m, columns = config.m, config.drain_columns
    dot_width, sum_width = m * columns * config.dot_bits, m * config.row_sum_bits
    flat = from_words(words, dot_width + sum_width + 1)
    parts = {
        "dot": unpack_fields(flat[:, :dot_width], config.dot_bits, True).reshape(-1, m, columns),
        "row_sum": unpack_fields(
            flat[:, dot_width : dot_width + sum_width], config.row_sum_bits, True
        ),
        "last": flat[:, -1:].astype(np.int64),
    }
    wanted = {"dot": dot, "row_sum": row_sum, "last": last.astype(np.int64)[:, None]}
    used = {"dot": expected["used"][:compared, None, :]}
    for name, got in parts.items():
        error = np.abs(got[:compared] - wanted[name][:compared])
        counts = np.broadcast_to(used.get(name, True), error.shape)
        error = error * counts
        wrong = np.argwhere(error)
        verdict.checked += int(counts.sum())
        verdict.mismatches += len(wrong)
        verdict.max_abs_error = max(verdict.max_abs_error, int(error.max(initial=0)))
        for where in wrong[:3]:
            place = tuple(int(i) for i in where)
            verdict.problems.append(
                f"beat {place[0]}: {name}{list(place[1:])} is {got[place]}, "
                f"expected {wanted[name][place]}"
            )
    return verdict
