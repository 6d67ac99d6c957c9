"""The tree keeps what the house promises: names, links, rooms, and skips that count as failures."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lutcore

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("hdl", "compiler", "verif", "gen", "fpga", "cli")
FOLDERS = (*ROOMS, "src", "tests", "examples", "docs", ".ci")
TEXTS = {
    path: path.read_text("utf-8")
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".pyi", ".md", ".toml", ".cpp", ".h", ""}
    and path.is_file()
    and not {"_build", "__pycache__"} & set(path.parts)
    and not path.name.endswith(".egg-info")
} | {ROOT / name: (ROOT / name).read_text("utf-8") for name in ("README.md", "Makefile")}


def test_the_texts_are_there():
    assert len(TEXTS) > 300


def _top() -> set[str]:
    """What stands at the top: what git tracks there, or all of a tree that came without it."""
    if not (ROOT / ".git").exists():
        return {path.name for path in ROOT.iterdir()} - {".venv", ".hypothesis", ".pytest_cache"}
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {Path(name).parts[0] for name in listed.split("\0") if name}


def test_the_top_has_what_is_agreed_and_no_results_of_commands():
    texts = {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "NOTICE", "README.md"}
    hidden = {".github", ".gitignore", ".pre-commit-config.yaml"}
    built = {"Makefile", "benchmarks", "pyproject.toml", "requirements.lock"}
    assert _top() == {*FOLDERS, *texts, *hidden, *built}


@pytest.mark.parametrize("room", [*ROOMS, "examples"])
def test_a_room_is_a_link_to_the_folder_at_the_top(room):
    link = ROOT / "src" / "lutcore" / room
    assert link.is_symlink() and os.readlink(link) == f"../../{room}"
    assert (link / "__init__.py").is_file()


@pytest.mark.parametrize(
    "forbidden",
    [
        re.compile(rf"^\s*(from|import)\s+({'|'.join(ROOMS)})\b", re.M),
        re.compile(rf"python3? -m ({'|'.join(ROOMS)})\b"),
        re.compile(r"\.\./" + "shared"),
        re.compile(r"[\"']" + "shared" + r"[\"']\s*/|/\s*[\"']" + "shared" + r"[\"']"),
    ],
)
def test_no_old_import_and_no_path_to_outside(forbidden):
    here = Path(__file__).resolve()
    found = {
        path: match[0]
        for path, text in TEXTS.items()
        if path != here and (match := forbidden.search(text))
    }
    assert not found
    assert forbidden.search(
        "from hdl.x import y\npython -m gen.figures\n../" + "shared/\n'shared' / x"
    )


def test_every_room_says_what_it_is_for():
    """Two lines: what it is for, and where in the data's way it stands."""
    for path, text in TEXTS.items():
        if path.name == "__init__.py" and path.parts[len(ROOT.parts)] in ROOMS:
            docstring = text.split('"""')[1].strip()
            assert re.fullmatch(r"[^\n]+[.]\n\n[^\n]+[.]", docstring), path


def test_nothing_else_is_installed_at_the_top():
    files = __import__("importlib.metadata").metadata.files("lut-tensor-core") or []
    tops = {file.parts[0] for file in files if file.suffix == ".py" and file.parts[0] != ".."}
    assert tops <= {"lutcore"}
    assert Path(lutcore.__file__).parent == ROOT / "src" / "lutcore"


def sources():
    """Our Python files, each with its tree."""
    for folder in (*ROOMS, "src", "tests", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            yield path, TEXTS[path]


def test_no_function_is_longer_than_a_page():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"
        for path, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert not long


def test_a_file_is_no_longer_than_its_idea():
    """About 400 lines, or the reason stands in its docstring as "One file: ..."."""
    long = [
        str(path.relative_to(ROOT))
        for path, text in sources()
        if len(text.splitlines()) > 400 and "One file: " not in text.split('"""')[1]
    ]
    assert not long


TRIAL = """
import pytest

def test_allowed():
    pytest.skip("PyTorch comes with the extra 'train'")

@pytest.mark.skipif(True, reason="no such tool here")
def test_skipped():
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_expected():
    assert False
"""


@pytest.mark.parametrize(("value", "failed"), [("1", 1), ("", 0)])
def test_a_skip_is_a_failure_where_none_is_allowed(tmp_path, value, failed):
    (tmp_path / "test_trial.py").write_text(TRIAL)
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"LUTCORE_NO_SKIP": value},
        check=False,
    )
    assert done.returncode == failed
    wanted = "1 skipped, 1 xfailed, 1 error" if failed else "2 skipped, 1 xfailed"
    assert wanted in done.stdout
