"""Our tree of a Liberty file is that of a reader which is not ours."""

import re
from pathlib import Path
from typing import Any

import pytest
from liberty_variants import SEEDS, chosen, variant

from lutcore.gen.asic.liberty import DEMO_CELLS, Group, library_group
from lutcore.gen.asic.synth import NEUTRAL_CELLS

judge = pytest.importorskip("liberty_parser", reason="eda-liberty-parser comes with 'dev'")

#: A group: kind, arguments, attributes with a value, attributes with arguments, groups.
Tree = tuple[str, list[str], dict[str, str], list[tuple[str, list[str]]], list[Any]]


def words(text: str) -> list[str]:
    """Arguments as both give them, without quotes, white space and continued lines."""
    found = re.findall(r'"[^"]*"|[^\s,"\\]+', text.replace("\\\n", ""))
    return [re.sub(r'["\s]', "", word) for word in found]


def ours(group: Group) -> Tree:
    def spelled(arguments):
        return words(" ".join(arguments))

    simple = {name: "".join(words(value)) for name, value in group.simple.items()}
    complex_ = [(name, spelled(each)) for name, many in group.complex.items() for each in many]
    inner = [ours(each) for each in group.groups]
    return group.kind, spelled(group.arguments), simple, sorted(complex_), inner


def theirs(element: Any) -> Tree:
    """Of the reader's own objects: T(ype), N(ame), V(alue) and E(lements)."""
    found = element.lib_dict
    inner = [each for each in found["E"] if not judge.is_comment(each)]
    simple, complex_, groups = {}, [], []
    for each in inner:
        if judge.is_simple_attribute(each):
            simple[each.lib_dict["N"].strip()] = "".join(words(each.lib_dict["V"]))
        elif judge.is_complex_attribute(each):
            complex_.append((each.lib_dict["T"].strip(), words(each.lib_dict["N"])))
        else:
            groups.append(theirs(each))
    return found["T"].strip(), words(found["N"]), simple, sorted(complex_), groups


def judged(path: Path) -> Tree:
    (library,) = (each for each in judge.LP(str(path)).lib_dict["E"] if not judge.is_comment(each))
    return theirs(library)


@pytest.mark.parametrize("path", [DEMO_CELLS, NEUTRAL_CELLS], ids=lambda path: path.name)
def test_the_libraries_here(path):
    assert ours(library_group(path.read_bytes(), path.name)) == judged(path)


@pytest.mark.parametrize("part", range(8))
def test_variants(part, tmp_path):
    path = tmp_path / "variant.lib"
    for seed in SEEDS[part::8]:
        path.write_text(variant(chosen(seed), seed, tame=True))
        assert ours(library_group(path.read_bytes(), path.name)) == judged(path), seed
