"""Functional bins: counted, merged, and refused where the plan calls them unreachable."""

import pytest

from lutcore.verif.coverage.bins import Bins

WANTED = {"bits": ["1", "2"], "order": ["up", "down"]}


def test_holes_are_what_was_not_hit():
    bins = Bins(WANTED)
    assert bins.ratio == 0
    bins.add([("bits", "1"), ("bits", "1"), ("order", "up")])
    assert bins.holes == [("bits", "2"), ("order", "down")]
    assert bins.groups["bits"]["1"] == 2
    assert bins.ratio == 0.5
    assert bins.would_fill([("bits", "2"), ("bits", "1")]) == 1


def test_what_cannot_be_hit_is_an_error():
    with pytest.raises(KeyError, match="unreachable"):
        Bins(WANTED).add([("bits", "3")])


def test_merging_adds_in_any_order():
    one, other = Bins(WANTED), Bins(WANTED)
    one.add([("bits", "1")])
    other.add([("bits", "1"), ("order", "down")])
    both, reverse = Bins.from_dict(one.to_dict()), Bins.from_dict(other.to_dict())
    both.merge(other)
    reverse.merge(one)
    assert both.to_dict() == reverse.to_dict()
    assert both.groups == {"bits": {"1": 2, "2": 0}, "order": {"up": 0, "down": 1}}


def test_other_bins_do_not_merge():
    with pytest.raises(ValueError, match="other bins"):
        Bins(WANTED).merge(Bins({"bits": ["1"]}))
