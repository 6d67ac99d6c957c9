"""Times of past events, and loops whose turns take the same time once they have settled."""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable

_LONG_AGO = -(1 << 62)


class Timeline:
    """The last times of each kind of event that later events depend on.

    Every event of the hardware comes a fixed number of cycles after the latest of some earlier
    ones. So two moments at which all these times are equally far ahead have the same future, but
    for a shift.

    Parameters
    ----------
    histories : iterable of deque of int
        Those that it begins with.
    counts : Counter
        What happened, by name.
    """

    def __init__(
        self, histories: Iterable[deque[int]] = (), counts: Counter[str] | None = None
    ) -> None:
        self.histories = list(histories)
        self.counts: Counter[str] = Counter() if counts is None else counts

    def last(self, count: int = 1) -> deque[int]:
        """Times of the last ``count`` events of a kind, the oldest first; append the next."""
        history = deque([_LONG_AGO] * count, maxlen=count)
        self.histories.append(history)
        return history

    def part(self, *histories: deque[int]) -> "Timeline":
        """Some of the histories: those that the turns of an inner loop change or depend on."""
        return Timeline(histories, self.counts)

    def ahead(self, now: int) -> Hashable:
        """How far all times are ahead of ``now``; no later event may come before it."""
        return tuple([tuple([t - now if t > now else 0 for t in h]) for h in self.histories])

    def shift(self, cycles: int) -> None:
        """Move all times."""
        for history in self.histories:
            moved = [time + cycles for time in history]
            history.clear()
            history.extend(moved)

    def repeat(
        self,
        count: int,
        turn: Callable[[], None],
        now: Callable[[], int],
        phase: Callable[[], Hashable] = lambda: None,
        skipped: Callable[[int], None] = lambda turns: None,
    ) -> None:
        """Take ``count`` turns; where one begins as an earlier one did, whole periods are skipped.

        Parameters
        ----------
        turn : callable
            One turn: appends to histories, adds to ``counts``.
        now : callable
            A time that no later event comes before.
        phase : callable
            All else that the future depends on.
        skipped : callable
            Called with the turns that were skipped, to make up for what they do besides.
        """
        if count < 3:
            for _ in range(count):
                turn()
            return
        seen: dict[Hashable, tuple[int, int, dict[str, int]]] = {}
        done = 0
        while done < count:
            key = (self.ahead(now()), phase())
            if key in seen:
                before, time, counted = seen[key]
                period = done - before
                if times := (count - done) // period:
                    for name, value in self.counts.items():
                        self.counts[name] += times * (value - counted.get(name, 0))
                    self.shift(times * (now() - time))
                    skipped(times * period)
                    done += times * period
                    continue
            else:
                seen[key] = (done, now(), dict(self.counts))
            turn()
            done += 1
