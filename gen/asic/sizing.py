"""Chooses the strength of every cell: small area that meets a clock period.

Where the design is late, the cells whose next strength gains most for its area are exchanged,
judged by a smooth maximum of all arrivals: ends that are equally late count equally, so that a
broad front of paths moves together. What is stronger than it need be is then exchanged for less.
"""

import numpy as np

from lutcore.gen.asic.library import Library
from lutcore.gen.asic.timing import Timing

#: Cells exchanged at a time.
_AT_ONCE = 4
#: Of these, only such as gain this part of what the best one does.
_FAIR = 0.25
#: Steps without an earlier worst arrival after which no more is tried.
_PATIENCE = 40
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
        best, kept, waited = np.inf, timing.strength.copy(), 0
        while True:
            timing.bear_loads()
            timing.analyse()
            worst = float(timing.need.max())
            waited = 0 if worst < best else waited + 1
            if worst < best:
                best, kept = worst, timing.strength.copy()
            if best <= period or waited > _PATIENCE:
                break
            gain, area = self._change(1, period)
            worth = np.where((area > 0) & (gain > 0), gain / np.where(area > 0, area, 1), 0)
            chosen = np.argsort(-worth, kind="stable")[:_AT_ONCE]
            chosen = chosen[worth[chosen] > _FAIR * worth[chosen[0]]]
            if not len(chosen):
                break
            timing.strength[chosen] += 1
        timing.strength[:] = kept
        timing.analyse()
        return best <= period

    def _weaken(self, period: float) -> None:
        timing = self._timing
        needed = np.zeros(len(timing.strength), dtype=bool)
        number = _WEAKENED
        for _ in range(_TRIES):
            gain, area = self._change(-1, period)
            loss = np.where((area < 0) & ~needed, gain / np.where(area < 0, area, 1), np.inf)
            chosen = np.argsort(loss, kind="stable")[:number]
            chosen = chosen[np.isfinite(loss[chosen])]
            if not len(chosen):
                break
            timing.strength[chosen] -= 1
            timing.analyse()
            if timing.need.max() <= period:
                number *= 2
                continue
            timing.strength[chosen] += 1
            timing.analyse()
            needed[chosen] = len(chosen) == 1
            number = max(1, len(chosen) // 4)

    def _change(self, way: int, period: float) -> tuple[np.ndarray, np.ndarray]:
        """What one strength up or down gains in delay, and costs in area, of each place."""
        timing = self._timing
        worth = timing.worth(_SHARPNESS * period)
        strength = np.clip(timing.strength + way, 0, timing.graph.most)
        gain = timing.cost(worth, timing.strength) - timing.cost(worth, strength)
        places = np.arange(len(strength))
        return gain, self._areas[places, strength] - self._areas[places, timing.strength]
