"""Mutants of our own Python: the table names what there is, and faults put in are noticed."""

import ast
from pathlib import Path

import pytest

from lutcore.errors import InputError, ToolError
from lutcore.gen.campaigns import mutants
from lutcore.gen.campaigns.mutant_sites import Mutant, Site, difference
from lutcore.gen.campaigns.mutants import Accepted, Module, Player, Score, read_table

ROOT = Path(__file__).resolve().parents[3]
TABLE = read_table()
SOUND = "def double(x: int) -> int:\n    return 2 * x\n"
TESTS = """
from helper import doubled

def test_one():
    assert doubled() == 6
"""
#: Tests share modules that load what is mutated.
HELPER = "import part\n\ndef doubled():\n    return part.double(3)\n"


def functions(path):
    """Names of all functions of a file, with those of their classes."""
    found = {""}

    def visit(node, around):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                found.add(".".join([*around, child.name]))
                visit(child, [*around, child.name])
            else:
                visit(child, around)

    visit(ast.parse(path.read_text("utf-8")), [])
    return found


def test_the_table_is_of_many_rooms():
    paths = [module.path for module in TABLE]
    assert len(paths) == len(set(paths)) > 20
    assert {Path(path).parent.as_posix() for path in paths} >= {
        "compiler/weights", "compiler/importers", "verif/golden", "verif/isa"
    }  # fmt: skip


@pytest.mark.parametrize("module", TABLE, ids=lambda module: module.path)
def test_modules_tests_and_what_is_accepted_are_there(module):
    text = (ROOT / module.path).read_text("utf-8")
    assert 0.9 <= module.floor <= 1 and module.tests
    for test in module.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), test
        assert not name or name in functions(ROOT / path), test
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for accepted in module.accepted:
        if accepted.function == "*":
            continue
        assert accepted.function in functions(ROOT / module.path), accepted
        assert any(accepted.before in line for line in lines), accepted


@pytest.fixture
def project(tmp_path):
    """A module of two lines, and its test."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "part.py").write_text(SOUND)
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "test_part.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\npythonpath = .\n")
    return tmp_path


PART = Module(path="src/part.py", tests=("test_part.py",), floor=1)


def test_faults_are_noticed_and_the_module_stays(project):
    with Player(PART, project) as player:
        assert not player.play(SOUND)
        assert player.play(SOUND.replace("2", "3"))
        assert player.play("import nothing_of_this_name\n")
        assert not player.play(SOUND.replace("2 * x", "x + x"))
        assert (project / PART.path).read_text() == SOUND
        assert player.seconds > 0


@pytest.mark.slow
def test_mutants_that_never_end_are_noticed(project):
    with Player(PART, project) as player:
        assert player.play(SOUND.replace("return", "while x: pass\n    return"))
        assert not player.play(SOUND)


def test_tests_that_fail_anyway_say_nothing(project):
    (project / "test_part.py").write_text(TESTS.replace("6", "7"))
    with pytest.raises(InputError, match=r"the tests of src/part\.py fail without a mut"):
        Player(PART, project)
    (project / "pytest.ini").write_text("[pytest\n")
    with pytest.raises(ToolError, match="pytest tells nothing of mutants"):
        Player(PART, project)


def test_a_fault_in_our_own_numbers_is_noticed(tmp_path):
    """In a copy of all that there is, as ``make mutants`` does it."""
    (module,) = [module for module in TABLE if module.path == "hdl/config/forms.py"]
    text = (ROOT / module.path).read_text("utf-8")
    with Player(module, mutants._copied(tmp_path / "copy")) as player:
        assert player.play(text.replace("scale=1", "scale=2"))


def mutant(before="a + b", after="a - b", operator="ReplaceBinaryOperator_Add_Sub"):
    return Mutant(Site(operator, 0, "Sum.of", 7, 3), "", before, after)


def test_what_is_accepted_is_played_too(monkeypatch):
    """Killed, it counts as killed, and is told; so a reason that says too much is seen."""

    class Noticing:
        seconds = 1.0

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def play(self, text):
            return text == "killed"

    drawn = [Mutant(mutant().site, text, "a + b", "a - b") for text in ("killed", "alive")]
    monkeypatch.setattr(mutants, "Player", Noticing)
    monkeypatch.setattr(mutants, "drawn", lambda text, each, seed: drawn)
    entry = Accepted(function="Sum.*", before="a", reason="none")
    for accepted in ((), (entry,)):
        module = Module(path="verif/isa/rings.py", tests=("x",), floor=0.5, accepted=accepted)
        found = mutants.score(module, ROOT, 0, 0)
        assert (found.killed, found.count) == (1, 2)
        lists = found.accepted, found.survivors, found.mistaken
        assert lists == (([drawn[1]], [], [drawn[0]]) if accepted else ([], [drawn[1]], []))
        assert found.share == (1 if accepted else 0.5) and bool(found.problem) == bool(accepted)


def test_what_is_accepted_is_named():
    given = {"function": "Sum.of", "before": "a +", "reason": "b is 0"}
    assert Accepted(**given).has(mutant())
    assert Accepted(**given, after="- b", operator="*_Sub").has(mutant())
    for other in ({"function": "Sum"}, {"before": "a + c"}, {"after": "*"}, {"operator": "Add"}):
        assert not Accepted(**given | other).has(mutant())
    with pytest.raises(InputError, match=r"mutants of 'Sum\.of' are accepted without a reason"):
        Accepted(**given | {"reason": " "})


def test_entries_of_the_table_are_checked(tmp_path):
    path = tmp_path / "table.toml"
    path.write_text('floor = 0.5\n[[module]]\npath = "a.py"\ntests = ["b.py"]\n')
    assert read_table(path) == [Module(path="a.py", tests=("b.py",), floor=0.5)]
    path.write_text('floor = 0.5\n[[module]]\npath = "a.py"\ntests = ["b.py"]\nfloors = 1\n')
    with pytest.raises(InputError, match="unexpected keyword argument 'floors'"):
        read_table(path)


@pytest.mark.parametrize(
    ("killed", "mistaken", "problem"),
    [
        (19, [], ""),
        (18, [], "rings.py: fewer mutants are killed than its floor asks for"),
        (20, [mutant()], "rings.py: mutants are killed that the table accepts"),
    ],
)
def test_the_status_tells(killed, mistaken, problem, monkeypatch, capsys):
    def scores(modules, each, seed, jobs):
        assert [module.path for module in modules] == ["verif/isa/rings.py"]
        assert (each, seed, jobs) == (0, 3, 1)
        yield Score(modules[0], killed, [mutant()], [mutant()] * (20 - killed), mistaken, 1.0)

    monkeypatch.setattr(mutants, "scores", scores)
    options = ["--each", "all", "--seed", "3", "--jobs", "1", "--only", "rings"]
    assert mutants.main(options) == bool(problem)
    said = capsys.readouterr()
    line = "survives: verif/isa/rings.py:7 Sum.of, ReplaceBinaryOperator_Add_Sub\n"
    assert said.out.count(line + "  - a + b\n  + a - b\n") == 20 - killed
    assert said.out.count("is noticed: verif/isa/rings.py:7 Sum.of") == len(mistaken)
    assert said.err.strip().endswith(problem) and bool(said.err) == bool(problem)
    assert difference(mutant(), "x.py").startswith("x.py:7 Sum.of")


TEXT = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Part:
    size: int | None = 3

    def more(self, by: int | None = None) -> int | None:
        if by is None or by < self.size:
            return None
        return self.size + by
"""


def test_faults_are_drawn_place_by_place():
    pytest.importorskip("cosmic_ray", reason="cosmic-ray comes with the extra 'mutants'")
    from lutcore.gen.campaigns.mutant_sites import drawn, sites

    found = sites(TEXT)
    # The default, is, or, less than, the sum, and the condition as a whole.
    places = {(site.line, site.column) for site in found}
    assert {line for line, _ in places} == {6, 9, 11}
    assert {site.function for site in found} == {"Part", "Part.more"}
    assert not any("_Is_Eq" in site.operator for site in found)
    made = list(drawn(TEXT, 0, 1))
    assert len(made) <= len(found) and len({mutant.text for mutant in made}) == len(made)
    first = made[: len(places)]
    assert {(mutant.site.line, mutant.site.column) for mutant in first} == places
    assert list(drawn(TEXT, 4, 1)) == made[:4] != list(drawn(TEXT, 4, 2))
    for mutant in made:
        compile(mutant.text, "mutant", "exec")
        assert mutant.before in TEXT and mutant.before != mutant.after
        assert mutant.text.count("\n") == TEXT.count("\n")
