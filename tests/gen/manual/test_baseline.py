"""Deterministic figures: none may get worse unless the same commit writes it into the file."""

import copy
from pathlib import Path

import pytest

from lutcore.errors import InputError
from lutcore.gen.manual.baseline import Figures, changes, measure, read

FILE = Path(__file__).parents[3] / "benchmarks" / "baseline.json"


@pytest.fixture(scope="module")
def figures() -> Figures:
    return measure()


@pytest.mark.slow
@pytest.mark.asic
def test_nothing_gets_worse(figures):
    worse = changes(read(FILE), figures).worse
    remedy = "if that is meant: `make baseline`, and commit benchmarks/baseline.json with it"
    if worse:
        pytest.fail("\n".join([*worse, remedy]), pytrace=False)


def test_of_the_file_all_figures_are_plain_numbers():
    found = read(FILE)
    assert sum(map(len, found.values())) > 60
    for room in found.values():
        assert all(type(value) in (int, float) and value > 0 for value in room.values())


def test_every_figure_that_is_worse_is_seen():
    before = read(FILE)
    for room, figures in before.items():
        for name in figures:
            now = copy.deepcopy(before)
            now[room][name] += 1
            (line,) = changes(before, now).worse
            assert line.startswith(f"{room}: {name} ") and " -> " in line
            assert changes(now, before) == ([], [line_reversed(line, before[room][name])])


def line_reversed(line: str, value: float) -> str:
    """The line of the same change the other way round."""
    head = line[: line.rindex(" (")]
    name_and_old, new = head.split(" -> ")
    name, old = name_and_old.rsplit(" ", 1)
    return f"{name} {new} -> {old} ({value / (value + 1) - 1:+.2%})"


def test_nothing_differs_from_itself():
    assert changes(read(FILE), read(FILE)) == ([], [])


def test_what_one_side_lacks_is_worse():
    before, now = {"a": {"x": 1.0}}, {"a": {"y": 1.0}}
    found = changes(before, now)
    assert found.worse == [
        "a: x is in the file, but not measured",
        "a: y is not in the file",
    ]


@pytest.mark.parametrize("content", [None, "{"])
def test_a_file_that_cannot_be_read_names_the_remedy(tmp_path, content):
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"baseline\.json: cannot be read.*make baseline"):
        read(path)
