"""Comparing rows: which count, which is best, what dominates, ratios of the best."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lutcore.gen.experiments.paper import Published
from lutcore.gen.experiments.points import Finding, Row


def counts(row: Row) -> bool:
    """Whether a row may be compared: measured; on an ASIC, with a period that is known met."""
    if "luts" in row:
        return row.get("error") is None
    return row.get("closed") is True or "reached_ns" in row


def status(row: Row) -> str:
    """What a reader must know of a row: ``closed``, or why it is not compared."""
    if "luts" in row:
        return "synthesised"
    if row.get("closed") is None:
        return f"failed: {row['error']}" if row.get("error") else "timing not analysed"
    words = "closed"
    if not row["closed"]:
        slacks = row.get("block_slack_ns") or {}
        where = f" in {min(slacks, key=slacks.__getitem__)}" if slacks else ""
        words = f"not closed ({row['slack_ns']:.3f} ns{where})"
        if "reached_ns" in row:
            words = f"closed at {row['reached_ns']:.3f} ns"
    return f"{words}; {row['error']}" if row.get("error") else words


def comparable(rows: Iterable[Row], **labels: Any) -> list[Row]:
    """Rows that count and have these labels; a tuple allows any of its values."""

    def fits(row: Row) -> bool:
        return all(
            row.get(name) in value if isinstance(value, tuple) else row.get(name) == value
            for name, value in labels.items()
        )

    return [row for row in rows if counts(row) and fits(row)]


def best(rows: Sequence[Row], metric: str, most: bool = False) -> Row | None:
    """The row with the least of a metric, or the ``most``; None if no row has it."""
    having = [row for row in rows if row.get(metric) is not None]
    return (max if most else min)(having, key=lambda row: row[metric], default=None)


def ratio(
    what: str,
    of: Sequence[Row],
    over: Sequence[Row],
    metric: str = "ge_ns_per_op",
    paper: Published | None = None,
    note: str = "",
) -> Finding:
    """How many times less of a metric the best row ``of`` needs than the best one ``over``.

    Rows that may not be compared do not take part.
    """
    ours, theirs = best(comparable(of), metric), best(comparable(over), metric)
    if ours is None or theirs is None:
        missing = "the first" if ours is None else "the second"
        note = f"{missing} has no point that may be compared" + (f"; {note}" if note else "")
    both = [] if ours is None or theirs is None else [ours["key"], theirs["key"]]
    return Finding(
        what=what,
        ours=theirs[metric] / ours[metric] if ours and theirs else None,
        paper=paper.value if paper else None,
        source=paper.source if paper else "",
        rows=both,
        note=note,
    )


def front(rows: Sequence[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Rows that no other dominates; ``objectives`` says ``min`` or ``max`` of each metric.

    Rows that may not be compared, or lack a metric, are not in it. Of equals all are.
    """
    signs = {name: -1 if way == "max" else 1 for name, way in objectives.items()}
    costs = [
        (row, tuple(sign * row[name] for name, sign in signs.items()))
        for row in rows
        if counts(row) and all(row.get(name) is not None for name in signs)
    ]
    return [row for row, cost in costs if not any(dominates(other, cost) for _, other in costs)]


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether ``one`` is nowhere greater than ``other`` and somewhere less."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)
