"""How engines read weights: what a table holds, what an index is, what a sum then means."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """One way to hold weights and tables.

    A unit accumulates ``D = sum A w`` with w in :attr:`weights`. All forms give the same result
    ``P = 2 sum A (q - z) = scale * D - z'' R``, R the row sum and ``z'' = z' + offset(b)`` the zero
    point of b-bit weights as the form reads them.

    Attributes
    ----------
    name : str
        Its key in :data:`FORMS`.
    signed_entries : bool
        Whether the top bit of an index negates the entry.
    bit_serial : bool
        Whether a slice carries one bit plane, or whole codes.
    counts : callable
        How many activations each stored entry of a table of k activations sums.
    index_bits : callable
        Bits of a weight index, from k and the greatest weight bits.
    digits : tuple of int
        Least and greatest factor of an activation in a table entry.
    weights : callable
        Least and greatest factor of an activation in a run's sum, from the greatest weight bits.
    scale : int
    offset : callable
        See above; from the weight bits.
    """

    name: str
    signed_entries: bool
    bit_serial: bool
    counts: Callable[[int], list[int]]
    index_bits: Callable[[int, int], int]
    digits: tuple[int, int]
    weights: Callable[[int], tuple[int, int]]
    scale: int
    offset: Callable[[int], int]


def _subset_counts(k: int) -> list[int]:
    return [x.bit_count() for x in range(1, 1 << k)]


def _ternary_counts(k: int) -> list[int]:
    """By the construction of :func:`lutcore.hdl.parts.entries.ternary`."""
    counts: list[int] = []
    for _ in range(k):
        more = [count + 1 for count in counts]
        counts = [*counts, *more[::-1], 1, *more]
    return counts


def _own_bits(k: int, bits: int) -> int:
    return k


def _twos_complement(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


def ternary_most(k: int) -> int:
    """Greatest balanced ternary number of k trits: that of a table's last entry."""
    return (3**k - 1) // 2


#: Trits that one ternary index may have: two in four bits, or three in five.
TERNARY_K = (2, 3)

FORMS = {
    # Bits are -1 and +1; the top index bit negates (paper, equations 4 to 6).
    "symmetric": Form(
        name="symmetric",
        signed_entries=True,
        bit_serial=True,
        counts=lambda k: [k] * (1 << k - 1),
        index_bits=_own_bits,
        digits=(-1, 1),
        weights=lambda bits: (1 - (1 << bits), (1 << bits) - 1),
        scale=1,
        offset=lambda bits: 0,
    ),
    # Bits are 0 and 1.
    "subset": Form(
        name="subset",
        signed_entries=False,
        bit_serial=True,
        counts=_subset_counts,
        index_bits=_own_bits,
        digits=(0, 1),
        weights=lambda bits: (0, (1 << bits) - 1),
        scale=2,
        offset=lambda bits: (1 << bits) - 1,
    ),
    # Bits are 0 and 1, but the top plane counts negatively, as UNPU reads weights.
    "twos-complement": Form(
        name="twos-complement",
        signed_entries=False,
        bit_serial=True,
        counts=_subset_counts,
        index_bits=_own_bits,
        digits=(0, 1),
        weights=_twos_complement,
        scale=2,
        offset=lambda bits: -1,
    ),
    # Trits -1, 0, 1: sign and magnitude of their number, one slice for the whole weight.
    "ternary": Form(
        name="ternary",
        signed_entries=True,
        bit_serial=False,
        counts=_ternary_counts,
        index_bits=lambda k, bits: ternary_most(k).bit_length() + 1,
        digits=(-1, 1),
        weights=lambda bits: (-1, 1),
        scale=2,
        offset=lambda bits: 1,
    ),
    # No table: whole two's-complement codes meet a multiplier.
    "product": Form(
        name="product",
        signed_entries=False,
        bit_serial=False,
        counts=lambda k: [1],
        index_bits=lambda k, bits: bits,
        digits=(1, 1),
        weights=_twos_complement,
        scale=2,
        offset=lambda bits: -1,
    ),
}
# The same, of weights -1, 0, 1 alone.
FORMS["trit"] = dataclasses.replace(
    FORMS["product"], name="trit", weights=lambda bits: (-1, 1), offset=lambda bits: 1
)
