"""What proofs say that indices mean is what packing puts into them, for every index there is."""

import itertools

import numpy as np
import pytest

from lutcore.compiler.weights.pack import _INDEX_BITS
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.formal.lookups import entries, factors, selected

#: Form -> a configuration of it, and the widest weights that are tried.
FORMS = {
    "symmetric": ({"k": 4, "max_weight_bits": 2}, 2),
    "subset": ({"k": 3, "max_weight_bits": 2, "table_form": "subset"}, 2),
    "twos-complement": ({"k": 3, "max_weight_bits": 2, "engine": "conventional-lut"}, 2),
    "ternary": ({"k": 3, "weight_coding": "ternary", "group_size": 33}, 2),
    "ternary pairs": ({"k": 2, "weight_coding": "ternary", "group_size": 32}, 2),
    "product": ({"k": 1, "max_weight_bits": 4, "engine": "mac"}, 4),
}


def wanted(form, bits, code):
    """The weight that a code stands for, in the unit of its form."""
    return {
        "symmetric": 2 * code - (1 << bits) + 1,
        "subset": code,
        "twos-complement": code - (1 << bits - 1),
        "ternary": code - 1,
        "product": code - (1 << bits - 1),
    }[form]


@pytest.mark.parametrize("form", FORMS)
def test_decoding_is_inverse_to_packing(form):
    fields, bits = FORMS[form]
    config, form = CoreConfig(m=2, n=2, **fields), form.split()[0]
    assert config.form.name == form
    k, index_bits = config.table_k, config.index_bits
    most = 3 if form == "ternary" else 1 << bits
    for codes in itertools.product(range(most), repeat=k):
        array = np.array([codes], np.uint8)
        weights = [0] * k
        for plane, packed in enumerate(_INDEX_BITS[form](config, array, bits)):
            places = np.asarray(packed).reshape(-1)
            index = sum(int(bit) << place for place, bit in enumerate(places))
            power = 1 << plane if config.form.bit_serial else 1
            negative = form == "twos-complement" and plane == bits - 1
            for t, factor in enumerate(factors(form, k, index_bits, index)):
                weights[t] += -power * factor if negative else power * factor
        assert weights == [wanted(form, bits, code) for code in codes]


#: Forms of tables, and their K.
TABLES = [(form, k) for form in ("symmetric", "subset", "twos-complement") for k in range(1, 6)]


@pytest.mark.parametrize(("form", "k"), [*TABLES, ("ternary", 2), ("ternary", 3)])
def test_every_index_selects_an_entry_with_a_sign(form, k):
    bits = k + 2 if form == "ternary" else k
    stored = entries(form, k, bits)
    for index in range(1 << bits):
        place, sign = selected(form, k, bits, index)
        assert [sign * digit for digit in stored[place]] == factors(form, k, bits, index)
