"""How engines read weights: what a table holds, what an index is, what corrects a sum."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """One way to hold weights and tables.

    A unit accumulates ``D = sum A w`` with w in :attr:`weights`; the result that all forms share is
    ``D' = sum A q' = scale * D + sum``, where the sum is one of the row's own (:class:`RowSums`).

    Attributes
    ----------
    name : str
        Its key in :data:`FORMS`.
    signed_entries : bool
        Whether the top bit of an index negates the entry.
    bit_serial : bool
        Whether a slice carries one bit plane, or whole codes.
    entries : callable
        Stored entries of a table of k activations.
    index_bits : callable
        Bits of a weight index, from k and the greatest weight bits.
    digits : tuple of int
        Least and greatest factor of an activation in a table entry.
    weights : callable
        Least and greatest factor of an activation in a run's sum, from the greatest weight bits.
    scale : int
        See above.
    correction : int
        -1 or 1: how often the sum counts. 0: there is none.
    corrects_planes : bool
        Whether that sum runs over all planes, ``(2^b - 1) R``, or is the row sum R itself.
    """

    name: str
    signed_entries: bool
    bit_serial: bool
    entries: Callable[[int], int]
    index_bits: Callable[[int, int], int]
    digits: tuple[int, int]
    weights: Callable[[int], tuple[int, int]]
    scale: int
    correction: int
    corrects_planes: bool = False


def _own_bits(k: int, bits: int) -> int:
    return k


def _twos_complement(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


#: Trits of one ternary index, and its bits: sign and magnitude of one of 13 entries or zero.
TERNARY_K = 3
TERNARY_INDEX_BITS = 5

FORMS = {
    # Bits are -1 and +1; the top index bit negates (paper, equations 4 to 6).
    "symmetric": Form(
        name="symmetric",
        signed_entries=True,
        bit_serial=True,
        entries=lambda k: 1 << k - 1,
        index_bits=_own_bits,
        digits=(-1, 1),
        weights=lambda bits: (1 - (1 << bits), (1 << bits) - 1),
        scale=1,
        correction=0,
    ),
    # Bits are 0 and 1.
    "subset": Form(
        name="subset",
        signed_entries=False,
        bit_serial=True,
        entries=lambda k: (1 << k) - 1,
        index_bits=_own_bits,
        digits=(0, 1),
        weights=lambda bits: (0, (1 << bits) - 1),
        scale=2,
        correction=-1,
        corrects_planes=True,
    ),
    # Bits are 0 and 1, but the top plane counts negatively, as UNPU reads weights.
    "twos-complement": Form(
        name="twos-complement",
        signed_entries=False,
        bit_serial=True,
        entries=lambda k: (1 << k) - 1,
        index_bits=_own_bits,
        digits=(0, 1),
        weights=_twos_complement,
        scale=2,
        correction=1,
    ),
    # Trits -1, 0, 1: three of them in five bits, one slice for the whole weight.
    "ternary": Form(
        name="ternary",
        signed_entries=True,
        bit_serial=False,
        entries=lambda k: (3**k - 1) // 2,
        index_bits=lambda k, bits: TERNARY_INDEX_BITS,
        digits=(-1, 1),
        weights=lambda bits: (-1, 1),
        scale=2,
        correction=-1,
    ),
    # No table: whole two's-complement codes meet a multiplier.
    "product": Form(
        name="product",
        signed_entries=False,
        bit_serial=False,
        entries=lambda k: 1,
        index_bits=lambda k, bits: bits,
        digits=(1, 1),
        weights=_twos_complement,
        scale=2,
        correction=1,
    ),
}
