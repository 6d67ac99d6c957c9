"""The page on architecture is what the sources say, and no page names what is not there."""

import ast
import doctest
import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from lutcore.compiler.graph.draw import rendered
from lutcore.files import fill_table
from lutcore.gen.manual.architecture import dot, imports, reduced, table

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/architecture.md"
_NAMES = ("README.md", "examples/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = sorted((ROOT / "docs").glob("*.md")) + [ROOT / name for name in _NAMES]
PAGES = [page for page in PAGES if page.exists()]
#: Folders whose files pages speak of by their paths.
FOLDERS = ("hdl", "compiler", "verif", "gen", "fpga", "cli", "examples", "docs", "tests", "src")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page: Path) -> str:
    """A page; of the changelog, without what is no longer there."""
    text = page.read_text("utf-8")
    if page.name == "CHANGELOG.md":
        text = re.sub(r"### (Removed|Old names).*?(?=^#|\Z)", "", text, flags=re.DOTALL | re.M)
    return text


def resolve(name: str) -> tuple[Any, Any, list[str]]:
    """What a dotted name stands for, the module that it is in, and what follows the module."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or " "):
                raise
            continue
        found: Any = module
        for part in parts[length:]:
            get = getattr if inspect.ismodule(found) else inspect.getattr_static
            found = get(found, part)
        return found, module, parts[length:]
    raise ModuleNotFoundError(name)


def source(name: str) -> Path:
    """The file in which what a dotted name stands for is written."""
    found, module, rest = resolve(name)
    if not rest:
        return Path(module.__file__ or "").resolve()
    found = getattr(found, "fget", getattr(found, "func", found))
    if inspect.isclass(found) or inspect.isroutine(found):
        return Path(inspect.getsourcefile(inspect.unwrap(found)) or "").resolve()
    path = Path(module.__file__ or "").resolve()
    named = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named |= {target.id for target in targets if isinstance(target, ast.Name)}
    assert rest[0] in named, f"{name} is only imported in {path}"
    return path


def links(text: str) -> list[tuple[str, str]]:
    """Text and target of a page's links and images that lead nowhere outside."""
    found = re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", text)
    return [(title, target) for title, target in found if not re.match(r"\w+:|#", target)]


@functools.cache
def walk() -> doctest.DocTest:
    """The session of the walk: all that stands between fences for it, in its lines."""
    lines, inside = [], False
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside, line = line == "```pycon", ""
        lines.append(line if inside else "")
    return doctest.DocTestParser().get_doctest("\n".join(lines), {}, "walk", str(PAGE), 0)


def test_the_drawing_is_that_of_the_imports():
    again = "python -m lutcore.gen.manual.architecture docs/architecture.svg"
    assert (ROOT / "docs/architecture.svg").read_text("utf-8") == rendered(dot()), again


def test_the_table_is_that_of_the_docstrings():
    text = PAGE.read_text("utf-8")
    again = "python -m lutcore.gen.manual.architecture docs/architecture.md"
    assert fill_table(text, "rooms", table()) == text, again


def test_rooms_are_all_folders_with_modules():
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("*/*/*.py")}
    floors = {room.partition(".")[0] for room in imports()}
    expected = {name for name in folders if name.split(".")[0] in floors}
    assert expected <= imports().keys()
    assert "hdl.tile" in imports()["hdl.core"]


def test_implied_imports_are_left_out():
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_walk():
    found = walk()
    output: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(found, out=output.append)
    assert result.attempted > 50
    assert not result.failed, "".join(output)


def test_numbers_of_the_walk_stand_in_its_session():
    """What the text says in words, the session beside it shows."""
    shown = "\n".join(example.source + example.want for example in walk().examples)
    computed = set(re.findall(r"-?\d+", shown))
    text = PAGE.read_text("utf-8")
    text = text[text.index("## How a weight becomes") : text.index("## The ground")]
    text = re.sub(r"```pycon.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"\[[^\]]*\]\([^)]*\)|`[^`]*`", "", text)  # names of modules and types
    said = re.findall(r"(?<![\w.^-])-?\d+(?![\w^])", text)
    assert len(said) > 50
    assert not set(said) - computed


def test_links_of_the_page_lead_to_what_they_name():
    """Each dotted name is written in the file that it is linked to."""
    named = [link for link in links(text_of(PAGE)) if link[0].startswith("`lutcore")]
    assert len(named) > 120
    wrong = [
        (name, target)
        for name, target in named
        if source(name.strip("`")) != (PAGE.parent / target).resolve()
    ]
    assert not wrong


@pages
def test_linked_files_exist(page):
    missing = [
        target
        for _, target in links(text_of(page))
        if not (page.parent / target.partition("#")[0]).exists()
    ]
    assert not missing


@pages
def test_names_exist(page):
    """Modules, and what is in them: in text, in examples, and in what Sphinx is to document."""
    text = text_of(page)
    names = set(re.findall(r"(?<![\w/.-])lutcore(?:\.[A-Za-z_]\w*)+", text))
    imported = re.findall(r"from (lutcore[\w.]*) import ([\w, ]+)", text)
    documented = re.findall(r"automodule:: (lutcore[\w.]*)\n +:members: (.+)", text)
    for module, members in imported + documented:
        names |= {f"{module}.{member.strip()}" for member in members.split(",")}
    missing = []
    for name in sorted(names):
        try:
            resolve(name)
        except (ModuleNotFoundError, AttributeError):
            missing.append(name)
    assert not missing


@pages
def test_paths_exist(page):
    """What looks like a file of the repository, in code font or in a command."""
    text = text_of(page)
    floors = "|".join(FOLDERS)
    code = re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
    paths = {
        path.rstrip(".")
        for part in code
        for path in re.findall(rf"(?<![\w/.-])(?:{floors})/[\w./*-]*", part)
    }
    missing = sorted(path for path in paths if not list(ROOT.glob(path.rstrip("/") or path)))
    assert not missing
    # Packages are imported as lutcore's.
    short = re.findall(r"(?:from|import|python -m) (?:hdl|compiler|verif|gen|fpga|cli)\b", text)
    assert not short
    bare = re.findall(r"`(?:hdl|compiler|verif|gen|fpga|cli)\.\w[\w.]*`", text)
    assert not bare
