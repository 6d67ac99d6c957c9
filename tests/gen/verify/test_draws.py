"""Configurations at random: legal, of every kind and size, and not by luck."""

import itertools

import pytest

from lutcore.gen.verify.draws import CHOICES, MOST_PRODUCTS, combinations, draws, pairs
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.rules import is_core

COUNT = 200


@pytest.fixture(scope="module", params=[False, True], ids=["tiles", "cores"])
def drawn(request):
    return request.param, list(itertools.islice(draws(2, core=request.param), COUNT))


def words(config):
    return tuple(getattr(config, name) for name in CHOICES)


def test_all_fields_of_words_are_drawn():
    assert set(CHOICES) == {name for name, domain in DOMAINS.items() if domain.choices}


def test_every_pair_of_words_that_is_legal_is_drawn(drawn):
    core, found = drawn
    held = set().union(*(pairs(words(draw.config)) for draw in found))
    assert held == set().union(*map(pairs, combinations(core)))


def test_every_word_is_drawn():
    """Whatever a field may be, some configuration is."""
    found = [draw.config for draw in itertools.islice(draws(3), COUNT)]
    for name, choices in CHOICES.items():
        assert {getattr(config, name) for config in found} == set(choices), name


def test_sizes_go_from_the_smallest_to_the_largest(drawn):
    core, found = drawn
    sizes = [draw.config.products_per_cycle for draw in found]
    assert min(sizes) <= (8 if core else 1)
    assert MOST_PRODUCTS / 2 <= max(sizes) <= MOST_PRODUCTS
    assert {draw.config.max_weight_bits for draw in found} == set(range(1, 9))
    assert len({draw.config.run_steps for draw in found}) > 40


def test_few_are_refused_and_cores_are_cores(drawn):
    core, found = drawn
    refused = sum(draw.refused for draw in found)
    assert refused < (refused + COUNT) / 2
    assert not core or all(is_core(draw.config) for draw in found)


def test_draws_repeat_and_seeds_differ():
    first, again, other = (
        [draw.config for draw in itertools.islice(draws(seed), 5)] for seed in (7, 7, 8)
    )
    assert first == again != other
    assert len({config.name for config in (*first, *other)}) == 10


def test_none_is_larger_than_asked_for():
    found = [draw.config.products_per_cycle for draw in itertools.islice(draws(7, most=16), 20)]
    assert max(found) <= 16 and len(set(found)) > 3
