"""Statements of processes: what they read and assign, and what is plain of them."""

from collections.abc import Callable, Iterator

from lutcore.gen.emit.rtlil import Assign, Body, Signal, Switch

#: What becomes of a signal.
Change = Callable[[Signal], Signal]


def signals_of(body: Body) -> Iterator[tuple[Signal, bool]]:
    """Signals that statements read, and whether they decide rather than become a value."""
    for statement in body:
        if isinstance(statement, Assign):
            yield statement.value, False
        else:
            yield statement.on, True
            for _, inner in statement.cases:
                yield from signals_of(inner)


def assigned_in(body: Body) -> Iterator[Signal]:
    """Signals that statements assign."""
    for statement in body:
        if isinstance(statement, Assign):
            yield statement.target
        else:
            for _, inner in statement.cases:
                yield from assigned_in(inner)


def settled(body: Body) -> Body:
    """Statements without decisions on constants, as far as nothing was decided before."""
    found: Body = []
    for statement in body:
        if isinstance(statement, Assign):
            found.append(statement)
            continue
        cases = [(patterns, settled(inner)) for patterns, inner in statement.cases]
        taken = _taken(statement.on, cases)
        if taken is None:
            found.append(Switch(statement.on, cases))
        elif any(isinstance(before, Switch) for before in found):
            found.append(Switch((), [([], taken)]))  # in its place: what is said later counts
        else:
            found += taken
    return found


def _taken(on: Signal, cases: list[tuple[list[str], Body]]) -> Body | None:
    """The case of a decision that is always the same one."""
    if any(chunk.wire for chunk in on):
        first, body = cases[0] if cases else ([], [])
        return body if not first or set(first[0]) == {"-"} else None
    bits = "".join(chunk.bits for chunk in reversed(on))
    for patterns, body in cases:
        if not patterns or any(_matches(pattern, bits) for pattern in patterns):
            return body
    return []


def _matches(pattern: str, bits: str) -> bool:
    return all(p in ("-", b) for p, b in zip(pattern, bits, strict=True))


def changed(body: Body, target: Change, value: Change = lambda signal: signal) -> Body:
    """Statements with what they assign, and what they read, changed."""
    found: Body = []
    for statement in body:
        if isinstance(statement, Assign):
            found.append(Assign(target(statement.target), value(statement.value)))
        else:
            cases = [
                (patterns, changed(inner, target, value)) for patterns, inner in statement.cases
            ]
            found.append(Switch(value(statement.on), cases))
    return found
