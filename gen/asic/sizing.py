"""Chooses the strength of every cell: small area that meets a clock period.

Where the design is late, the cells whose next strength gains most for its area are exchanged,
judged by a smooth maximum of all arrivals: ends that are equally late count equally, so that a
broad front of paths moves together. What is stronger than it need be is then exchanged for less.
"""

import numpy as np

from lutcore.gen.asic.library import Library
from lutcore.gen.asic.timing import Timing

#: Strengths up and down that are tried: the next one may be no better, as a clock buffer among
#: buffers is.
_UP, _DOWN = (1, 2, 3), (-1, -2, -3)
#: Cells exchanged at a time: so many, or this part of all.
_AT_ONCE, _AT_ONCE_OF = 8, 1000
#: Of these, only such as gain this part of what the best one does.
_FAIR = 0.25
#: Steps after which no more is tried, if the ends as a whole come no earlier by this part of the
#: period.
_PATIENCE, _PROGRESS = 30, 1e-4
#: Difference of arrival, as part of the period, at which an end, or a gate's input, counts e times
#: less.
_SHARPNESS = 0.01
#: Cells that are exchanged for weaker ones at a time, at first.
_WEAKENED = 64
#: Tries of that.
_TRIES = 150


class Sizer:
    """Sizes a design.

    Parameters
    ----------
    timing : Timing
        Its strengths are changed.
    library : Library
    """

    def __init__(self, timing: Timing, library: Library):
        self._timing = timing
        graph = timing.graph
        most = int(graph.most.max()) + 1
        #: Area of each strength, for all instances; [places, V].
        self._areas = np.array(
            [
                [library.cells[name].area * timing.counts[module] for name in family]
                + [np.inf] * (most - len(family))
                for (module, _), family in zip(
                    timing.graph.places, timing.graph.family, strict=True
                )
            ]
        )

    def run(self, period: float) -> bool:
        """Size for a period in ns; whether it is met. The best state stays."""
        met = self._strengthen(period)
        if met:
            self._weaken(period)
        return met

    def _strengthen(self, period: float) -> bool:
        timing = self._timing
        best, kept = np.inf, timing.strength.copy()
        front, waited = np.inf, 0
        at_once = max(_AT_ONCE, len(timing.strength) // _AT_ONCE_OF)
        while True:
            timing.bear_loads()
            timing.analyse()
            worst = float(timing.need.max())
            if worst < best:
                best, kept = worst, timing.strength.copy()
            smooth = timing.smooth(_SHARPNESS * period)
            waited += 1
            if smooth < front - _PROGRESS * period:
                front, waited = smooth, 0
            if best <= period or waited > _PATIENCE:
                break
            gain, area = self._changes(_UP, period)
            worth = np.where((area > 0) & (gain > 0), gain / np.where(area > 0, area, 1), 0)
            step, worth = worth.argmax(axis=0), worth.max(axis=0)
            chosen = np.argsort(-worth, kind="stable")[:at_once]
            chosen = chosen[worth[chosen] > _FAIR * worth[chosen[0]]]
            if not len(chosen):
                break
            timing.strength[chosen] += np.array(_UP)[step[chosen]]
        timing.strength[:] = kept
        timing.analyse()
        return best <= period

    def _weaken(self, period: float) -> None:
        timing = self._timing
        needed = np.zeros(len(timing.strength), dtype=bool)
        number = _WEAKENED
        for _ in range(_TRIES):
            gain, area = self._changes(_DOWN, period)
            loss = np.where((area < 0) & ~needed, gain / np.where(area < 0, area, 1), np.inf)
            step, loss = loss.argmin(axis=0), loss.min(axis=0)
            chosen = np.argsort(loss, kind="stable")[:number]
            chosen = chosen[np.isfinite(loss[chosen])]
            if not len(chosen):
                break
            before = timing.strength[chosen]
            timing.strength[chosen] += np.array(_DOWN)[step[chosen]]
            timing.analyse()
            if timing.need.max() <= period:
                number *= 2
                continue
            timing.strength[chosen] = before
            timing.analyse()
            needed[chosen] = len(chosen) == 1
            number = max(1, len(chosen) // 4)

    def _changes(self, ways: tuple[int, ...], period: float) -> tuple[np.ndarray, np.ndarray]:
        """What other strengths gain in delay, and cost in area, of each place; [ways, places]."""
        timing = self._timing
        worth = timing.worth(_SHARPNESS * period)
        now, places = timing.cost(worth, timing.strength), np.arange(len(timing.strength))
        strengths = [np.clip(timing.strength + way, 0, timing.graph.most) for way in ways]
        gain = np.array([now - timing.cost(worth, strength) for strength in strengths])
        area = np.array([self._areas[places, strength] for strength in strengths])
        return gain, area - self._areas[places, timing.strength]
