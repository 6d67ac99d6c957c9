"""Tests mirror rooms: each part of ``hdl`` has a test of its own, named after its file."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Functions of these rooms are hardware, or numbers that hardware is built with.
ARITHMETIC = ("parts", "floats", "isa")
BASES = {"Component", "Elaboratable", "Tile"}


def base_names(node):
    return {
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in node.bases
    }


def has_parts(path):
    """Whether a file defines components, or arithmetic functions."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    return path.parent.name in ARITHMETIC or any(base_names(c) & BASES for c in classes)


def files():
    found = sorted(path for path in (ROOT / "hdl").glob("*/*.py") if path.name != "__init__.py")
    return [path for path in found if has_parts(path)]


def mirror(path):
    return ROOT / "tests" / path.parent.relative_to(ROOT) / f"test_{path.name}"


def test_parts_are_found():
    assert len(files()) > 30


@pytest.mark.parametrize("path", files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_part_has_a_test_of_its_own(path):
    """One that names what the file defines, is small, and has a reference by hand."""
    assert mirror(path).is_file(), f"write {mirror(path).relative_to(ROOT)}"
    module = ".".join(("lutcore", *path.relative_to(ROOT).with_suffix("").parts))
    text = mirror(path).read_text("utf-8")
    assert module in text or module.rsplit(".", 1)[0] in text
