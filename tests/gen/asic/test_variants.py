"""A library means the same however it is written: two hundred ways, each of a seed."""

import pytest
from liberty_facts import facts, same
from liberty_variants import NEEDED, SEEDS, SOME, TEXT, chosen, variant

PLAIN = facts(TEXT.encode())


@pytest.mark.parametrize("part", range(8))
def test_a_variant_means_what_the_library_does(part):
    for seed in SEEDS[part::8]:
        found = facts(variant(chosen(seed), seed).encode())
        assert len(found) == len(NEEDED) + SOME + 1
        for name in found:
            assert same(found[name], PLAIN[name]), (seed, name)
