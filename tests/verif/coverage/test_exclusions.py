"""Written exclusions hold where they say, and are few."""

import pytest

from lutcore.errors import InputError
from lutcore.hdl.config.presets import preset
from lutcore.verif.coverage.code import Coverage, Place
from lutcore.verif.coverage.exclusions import Exclusion, read_exclusions, without_exclusions

LEAF = Place("toggle", "top.a", "top__leaf", 3, "sum")
TOP = Place("toggle", "top", "top", 2, "sum")
OTHER = Place("branch", "top.a", "top__leaf", 9, "if:5")
CONFIG = preset("w2a8")


def coverage():
    points = {LEAF: (1 << 400) - 1, TOP: 0b1111, OTHER: 1}
    return Coverage(points, dict.fromkeys(points, 0))


@pytest.mark.parametrize(
    "fields, left",
    [
        ({"module": "leaf", "signal": "sum", "bits": (1, 3)}, {LEAF: 396}),
        ({"module": "tile", "signal": "*"}, {TOP: 0}),
        ({"module": "le*", "signal": "if:*"}, {OTHER: 0}),
        ({"module": "leaf", "signal": "su"}, {}),
        ({"module": "tile", "signal": "sum", "activation": ("fp16",)}, {}),
        ({"module": "tile", "signal": "sum", "activation": ("fp16", "int8")}, {TOP: 0}),
    ],
)
def test_an_exclusion_takes_what_it_names(fields, left):
    found = without_exclusions(coverage(), CONFIG, [Exclusion(reason="why", **fields)])
    counts = {place: mask.bit_count() for place, mask in found.points.items()}
    assert counts == {LEAF: 400, TOP: 4, OTHER: 1} | left


def test_most_points_cannot_be_excluded():
    entry = Exclusion(module="leaf", signal="sum", bits=(0, 1, 2, 3, 4), reason="why")
    with pytest.raises(InputError, match="10 of 405 points"):
        without_exclusions(coverage(), CONFIG, [entry])


def test_what_was_seen_cannot_be_excluded():
    seen = coverage()
    seen.hits[TOP] = 1
    entry = Exclusion(module="tile", signal="sum", reason="why")
    with pytest.raises(ValueError, match="why"):
        without_exclusions(seen, CONFIG, [entry])


def test_the_table_is_whole(tmp_path):
    entries = read_exclusions()
    assert entries and all(len(entry.reason) > 20 for entry in entries)
    (tmp_path / "other.toml").write_text('[[exclusion]]\nmodule = "a"\nbit = [1]\n')
    with pytest.raises(InputError, match="bit"):
        read_exclusions(tmp_path / "other.toml")
