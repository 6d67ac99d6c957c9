"""Entries of lookup tables as sums of activations, with integer or with float adders."""

from collections.abc import Callable
from typing import Protocol

from amaranth.hdl import Value


class Arithmetic(Protocol):
    """What a table is built with; results are signals of their own, so that they are built once."""

    def add(self, a: Value, b: Value) -> Value:
        """``a + b``."""
        ...

    def subtract(self, a: Value, b: Value) -> Value:
        """``a - b``."""
        ...

    def negate(self, a: Value) -> Value:
        """``-a``."""
        ...


def symmetric(activations: list[Value], math: Arithmetic) -> list[Value]:
    """Entries ``T[x] = sum_{t<K-1} (x_t ? +a_t : -a_t) - a_{K-1}``, x ascending (equation 5).

    Each is one addition of an entry of the lower half of the group and one of the upper half: K = 4
    takes four sums of pairs and eight additions. For floats this tree is the order of rounding:
    ``T = upper + lower``, halves split at ``K // 2``.
    """
    if len(activations) == 1:
        return [math.negate(activations[0])]
    split = len(activations) // 2
    lower = symmetric(activations[:split], math)
    upper = symmetric(activations[split:], math)
    # All 2^split signed sums of the lower half; those with a positive top are negations.
    entries = []
    for high in upper:
        entries += [math.add(high, low) for low in lower]
        entries += [math.subtract(high, low) for low in reversed(lower)]
    return entries


def subset(activations: list[Value], math: Arithmetic) -> list[Value]:
    """Subset sums ``T[x] = sum_t x_t a_t`` for x = 1 .. 2^K - 1, by the same halves."""
    if len(activations) == 1:
        return activations
    split = len(activations) // 2
    lower = subset(activations[:split], math)
    upper = subset(activations[split:], math)
    entries = lower
    for high in upper:
        entries = [*entries, high, *(math.add(high, low) for low in lower)]
    return entries


def ternary(activations: list[Value], math: Arithmetic) -> list[Value]:
    """Sums ``T[x] = sum_t d_t a_t`` for x = 1 .. (3^K - 1) / 2, d the balanced ternary digits of x.

    ``x = d_0 + 3 d_1 + 9 d_2``: -x has the opposite digits, so a sign covers all 3^K combinations.
    """
    entries: list[Value] = []
    for activation in activations:
        entries = [
            *entries,
            *(math.subtract(activation, entry) for entry in reversed(entries)),
            activation,
            *(math.add(activation, entry) for entry in entries),
        ]
    return entries


#: Form -> the entries of one group of activations.
ENTRIES: dict[str, Callable[[list[Value], Arithmetic], list[Value]]] = {
    "symmetric": symmetric,
    "subset": subset,
    "twos-complement": subset,
    "ternary": ternary,
    "product": lambda activations, math: activations,
    "trit": lambda activations, math: activations,
}
