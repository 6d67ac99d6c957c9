"""Coverage as Verilator writes it: read, merged, asked for holes, excluded from, and kept."""

import json
import re

import pytest

from lutcore.errors import InputError
from lutcore.verif.coverage.code import Coverage, Place, Ratio, read_coverage, read_points, save

HEAD = "# SystemC::Coverage-3\n"


def point(kind, instance, module, line, what, count, column=3):
    facts = {"f": "/x/t.v", "l": line, "n": column, "t": kind, "page": f"v_{kind}/{module}"}
    facts |= {"o": what, "h": instance}
    text = "".join(f"\1{key}\2{value}" for key, value in facts.items())
    return f"C '{text}' {count}\n"


def toggles(instance, name, *counts, line=7):
    """Rises and falls of the bits of a signal, from bit 0 on."""
    ways = ("0->1", "1->0")
    places = [(i // 2, ways[i % 2]) for i in range(len(counts))]
    return "".join(
        point("toggle", instance, "t___05Fleaf", line, f"{name}[{bit}]:{way}", count)
        for (bit, way), count in zip(places, counts, strict=True)
    )


def text(*counts, branch=1):
    """Two instances of one module; the first has the counts, the second has seen nothing."""
    return (
        HEAD
        + toggles("t.a", "in___05Fbus", *counts)
        + toggles("t.b", "in___05Fbus", *(0 for _ in counts))
        + point("branch", "t", "t", 20, "if", branch, column=5)
        + point("line", "t", "t", 19, "block", 9)
    )


@pytest.fixture
def read(tmp_path):
    def reader(*counts, branch=1):
        path = tmp_path / "coverage.dat"
        path.write_text(text(*counts, branch=branch))
        return read_coverage(path)

    return reader


def test_points_say_what_and_where():
    found = list(read_points(text(3, 0, 1, 0).splitlines()))
    assert len(found) == 10
    assert found[2] == (Place("toggle", "t.a", "t__leaf", 7, "in__bus"), 2, 1)
    assert found[8] == (Place("branch", "t", "t", 20, "if:5"), 0, 1)


def test_the_top_is_first_in_a_path_whoever_runs_it():
    """A model that its harness has not named is TOP for Verilator."""
    one, other = (HEAD + toggles(path, "a", 1) for path in ("t.a", "TOP.t.a"))
    assert [*read_points(one.splitlines())] == [*read_points(other.splitlines())]


@pytest.mark.parametrize(
    "broken, said",
    [
        ("TN:verilator_coverage\n", "its first line is not"),
        ("", "its first line is not"),
        (HEAD + "C 'x' 1\n", "no point"),
        (HEAD + "nothing\n", "no point"),
        (HEAD + point("toggle", "t", "t", 1, "a[1]", 1), "no signal"),
    ],
)
def test_other_files_are_refused(broken, said):
    with pytest.raises(InputError, match=said):
        list(read_points(broken.splitlines()))


def test_what_the_start_does_counts_for_nothing(read):
    """Bits rise for Verilator when they start at 1, and fall when they are loaded first."""
    started, moved = read(1, 1, 0, 0), read(2, 2, 0, 0)
    assert started.toggle == Ratio(0, 8)
    assert moved.toggle == Ratio(2, 8)
    assert moved.line == started.line == Ratio(2, 2)
    assert read(0, 0, 0, 0, branch=0).line == Ratio(1, 2)


def test_merging_is_commutative_and_idempotent(read):
    a, b = read(2, 0, 0, 5, branch=0), read(0, 2, 0, 2)
    assert a.merge(b) == b.merge(a) != a
    assert a.merge(a) == a and a.merge(b).merge(b) == a.merge(b)
    assert a.merge(b).toggle == Ratio(3, 8) and a.merge(b).line == Ratio(2, 2)


def test_other_designs_and_other_exclusions_do_not_merge(read):
    a = read(2, 0)
    first = next(place for place in a.points if place.kind == "toggle")
    for other in (read(2, 2, 0, 0), a.without("why", {first: 0b10})):
        with pytest.raises(InputError, match="another"):
            a.merge(other)


def test_holes_are_told_by_instance(read):
    holes = [str(hole) for hole in read(2, 2, 2, 0, 0, 2, 0, 0, 0, 0, branch=0).holes()]
    assert holes == [
        "t: line 20: if:5 never ran",
        "t.a: line 7: in__bus[4:3] never changed, in__bus[2] never rose, in__bus[1] never fell",
        "t.b: line 7: in__bus[4:0] never changed",
    ]


def test_instances_and_modules(read):
    found = read(2, 2, 2, 0)
    assert found.instances() == {
        "t": (Ratio(2, 2), Ratio(0, 0)),
        "t.a": (Ratio(0, 0), Ratio(3, 4)),
        "t.b": (Ratio(0, 0), Ratio(0, 4)),
    }
    assert found.ratio(instance="t.*") == Ratio(3, 8)
    assert found.modules().toggle == Ratio(3, 4)  # what one of the instances has seen
    assert Ratio(0, 0).part == 1


def test_what_is_excluded_is_not_counted_and_must_not_be_seen(read):
    found = read(2, 2, 0, 0)
    first, second = (place for place in found.points if place.kind == "toggle")
    less = found.without("constant", {first: 0b1100})
    assert less.toggle == Ratio(2, 6) and less.excluded == {"constant": {first: 0b1100}}
    more = less.without("constant", {second: 0b1111}).without("again", {second: 0b1111})
    assert more.toggle == Ratio(2, 2) and "again" not in more.excluded
    assert more.modules().excluded == {"constant": {first._replace(instance="t__leaf"): 0b1100}}
    with pytest.raises(ValueError, match=re.escape("(wrong) but seen: t.a: line 7: in__bus[0]")):
        found.without("wrong", {first: 0b0001})


def test_json_keeps_all_of_it(read):
    found = read(2, 2, 0, 0)
    first = next(place for place in found.points if place.kind == "toggle")
    found = found.without("constant", {first: 0b1100})
    plain = json.loads(save(found))
    assert Coverage.from_dict(plain) == found
    with pytest.raises(InputError, match="schema 0"):
        Coverage.from_dict(plain | {"schema": 0})
