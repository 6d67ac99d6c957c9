"""Pins of cells in lists, buses and bundles, and what is wrong with some."""

import pytest

from lutcore.errors import InputError
from lutcore.gen.asic.liberty import library_group
from lutcore.gen.asic.pins import pins


def found(text: str, types: str = "") -> dict[str, dict[str, str]]:
    """Pin -> what it says, in the file's order; and the kinds of groups that it has."""
    library = library_group(
        f"library (l) {{\n{types}\ncell (c) {{\n{text}\n}} }}".encode(), "a.lib"
    )
    (cell,) = library.of("cell")
    named = {group.name: group for group in library.of("type")}
    return {
        name: {key: pin.text(key) for key in pin.simple}
        | ({"groups": " ".join(group.kind for group in pin.groups)} if pin.groups else {})
        for name, pin in pins(cell, named).items()
    }


TYPE = "type (two) { base_type : array; bit_from : 1; bit_to : 0; }"


def test_pins_of_lists():
    assert found("pin (A, B) { x : 1; } ff () { } pin (C) { x : 2; timing () { } }") == {
        **{"A": {"x": "1"}, "B": {"x": "1"}, "C": {"x": "2", "groups": "timing"}}
    }


def test_pins_of_a_bundle():
    """What the bundle says counts where a member does not say it itself."""
    text = 'members (A, "B"); x : 1; y : 2; timing () { } pin (B) { x : 3; power () { } }'
    assert found(f"bundle (AB) {{ {text} }}") == {
        "A": {"x": "1", "y": "2", "groups": "timing"},
        "B": {"x": "3", "y": "2", "groups": "timing power"},
    }
    assert list(found('bundle (AB) { members ("B A"); }')) == ["B", "A"]


@pytest.mark.parametrize("outside", [True, False])
def test_pins_of_a_bus(outside):
    text = "bus (D) { bus_type : two; x : 1; pin (D[0]) { x : 2; } }"
    read = found(text, TYPE) if outside else found(TYPE + text)
    assert read == {"D[1]": {"x": "1"}, "D[0]": {"x": "2"}}
    assert list(read) == ["D[1]", "D[0]"]


def test_ranges_in_a_bus():
    types = "type (four) { bit_from : 0; bit_to : 3; }"
    text = "bus (D) { bus_type : four; x : 1; pin (D[2:1]) { x : 2; } pin (D[3]) { x : 3; } }"
    read = found(text, types)
    assert {name: pin["x"] for name, pin in read.items()} == {
        **{"D[0]": "1", "D[1]": "2", "D[2]": "2", "D[3]": "3"}
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("bundle (AB) { x : 1; }", 4, r"bundle \(AB\) has no members: list them"),
        ("bus (D) { bus_type : three; }", 4, r"bus \(D\) has three for its bus_type, which is no"),
        ("bus (D) { }", 4, r"bus \(D\) has no name for its bus_type"),
        ("bus (D) { bus_type : wide; }", 2, r"type \(wide\) has bits 0 to 9999999, which is too"),
    ],
)
def test_pins_that_cannot_be_told(text, line, message):
    types = "type (wide) { bit_from : 0; bit_to : 9999999; }"
    with pytest.raises(InputError, match=rf"^a\.lib, line {line}: {message}"):
        found(text, types)
