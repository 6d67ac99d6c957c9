"""Forms of tables against the numbers that they stand for."""

from itertools import product

import pytest

from lutcore.hdl.config.forms import FORMS

#: Form -> signed entries, bit by bit, factors in an entry, factors of two in P.
FACTS = {
    "symmetric": (True, True, (-1, 1), 1),
    "subset": (False, True, (0, 1), 2),
    "twos-complement": (False, True, (0, 1), 2),
    "ternary": (True, False, (-1, 1), 2),
    "product": (False, False, (1, 1), 2),
    "trit": (False, False, (1, 1), 2),
}
#: Form -> weight that a code q of b bits is read as.
WEIGHTS = {
    "symmetric": lambda q, b: 2 * q - (2**b - 1),
    "subset": lambda q, b: q,
    "twos-complement": lambda q, b: q - 2 ** (b - 1),
    "ternary": lambda q, b: q - 1,
    "product": lambda q, b: q - 2 ** (b - 1),
    "trit": lambda q, b: q - 1,
}


def test_every_form_is_here():
    assert FORMS.keys() == FACTS.keys()
    for name, form in FORMS.items():
        assert form.name == name
        assert (form.signed_entries, form.bit_serial, form.digits, form.scale) == FACTS[name]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("name", FORMS)
def test_codes_and_zero_points_give_the_same_product(name, bits):
    """``2 (q - z) == scale w - z''``, with ``z'' = 2 z + 1 - 2^b + offset``, for every code."""
    form = FORMS[name]
    ternary = name in ("ternary", "trit")
    if ternary and bits != 2:
        return
    codes = range(3) if ternary else range(2**bits)
    weights = [WEIGHTS[name](q, bits) for q in codes]
    for q, weight in zip(codes, weights, strict=True):
        for z in (0, 1, 2**bits):
            zero = 2 * z + 1 - 2**bits + form.offset(bits)
            assert form.scale * weight - zero == 2 * (q - z)
    wide = 2**bits - 1
    spread = (-wide, wide) if name == "symmetric" else (min(weights), max(weights))
    assert form.weights(bits) == spread


@pytest.mark.parametrize("k", range(1, 6))
def test_entries_sum_so_many_activations(k):
    masks = [sum(mask) for mask in product((0, 1), repeat=k) if any(mask)]
    assert FORMS["symmetric"].counts(k) == [k] * 2 ** (k - 1)
    for name in ("subset", "twos-complement"):
        assert sorted(FORMS[name].counts(k)) == sorted(masks)
        assert FORMS[name].counts(k)[:3] == [1, 1, 2][: 2**k - 1]
    assert FORMS["product"].counts(k) == FORMS["trit"].counts(k) == [1]
    # Entry x is the number x in balanced ternary; an activation counts where its digit is not 0.
    trits = {sum(d * 3**t for t, d in enumerate(p)): p for p in product((-1, 0, 1), repeat=k)}
    wanted = [sum(map(abs, trits[x])) for x in range(1, (3**k + 1) // 2)]
    assert FORMS["ternary"].counts(k) == wanted


def test_bits_of_an_index():
    found = {name: [form.index_bits(k, 4) for k in (2, 3)] for name, form in FORMS.items()}
    wanted = {"ternary": [4, 5], "product": [4, 4], "trit": [4, 4]}
    assert found == {name: wanted.get(name, [2, 3]) for name in FORMS}
