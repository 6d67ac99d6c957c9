"""A suite of a user's own: what is wrong in it is told in a line, and what it asks is kept."""

import hashlib
import itertools
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lutcore import files, verify
from lutcore.errors import InputError
from lutcore.gen.verify.batch import Batch, measure
from lutcore.gen.verify.kinds import kind_of
from lutcore.gen.verify.suite_file import SuiteFile, changed
from lutcore.gen.verify.suite_tiles import OwnTile, SuiteTiles
from lutcore.gen.verify.tile_cases import TileCase
from lutcore.gen.verify.tile_values import activations, limited, profiles
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import PRESETS

CONFIG = CoreConfig(name="little", m=2, n=2, k=2, max_k=64, group_size=16, zero_points="column")
HEAD = """from dataclasses import replace
import numpy as np
from lutcore.gen.verify.suite import Feature, constraint, golden, test
from lutcore.gen.verify.tile_cases import TileCase
"""
CASE = "@test\ndef t(c, s):\n    return TileCase()\n"
JOB = "@test\ndef t(c, s):\n    return TileCase().job(c)\n"
#: Right for whole numbers; ``{}`` is what is added.
GOLDEN = """
@golden{}
def products(config, activations, weights, spans):
    group = np.arange(weights.shape[1]) // weights.group_size
    factors = weights.codes.astype(float) - weights.zero_points[:, group]
    with np.errstate(invalid="ignore"):
        values = activations.astype(float)
        parts = [values[:, a:b] @ factors[:, a:b].T for a, b in spans]
    return np.stack(parts, axis=-1){}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(text, name="mine.py", head=HEAD):
        Path(name).write_text(head + text)
        return SuiteFile.read(name)

    return written


def tiles(file):
    return SuiteTiles(file.load())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def x(:\n", r"mine.py:5: invalid syntax"),
        ("x = 1\n1 / 0\n", r"mine.py:6: ZeroDivisionError: division by zero"),
        ("raise SystemExit('enough')\n", r"mine.py:5: SystemExit: enough"),
        ("import nowhere_to_be_found\n", r"mine.py:5: ModuleNotFoundError: No module"),
        ("x = 1\n", r"mine.py: it has no test, golden model, constraint or PLAN"),
        ("@test\ndef t(config):\n    pass\n", r"mine.py:5: t: it must take \(config, seed\)"),
        ("@constraint\ndef c():\n    pass\n", r"mine.py:5: c: it must take \(config, case\)"),
        ("@golden\ndef g(a, b):\n    pass\n", r"mine.py:5: g: .* \(config, activations, weights, "),
        (
            "@test\ndef random(c, s):\n    pass\n",
            r"mine.py:5: random: there is a test of that name",
        ),
        ("PLAN = 3\n", r"mine.py: PLAN must be a list of Feature"),
        (
            "PLAN = [Feature('f', 'F.', ('t',))]\n",
            r"mine.py: feature 'f': no test 't'; there are: ",
        ),
        ("PLAN = [Feature('f', 'F.', ())]\n", r"mine.py: feature 'f' has no tests"),
        (
            "PLAN = [Feature('f', 'F.', ('smoke',), ('bits',))]\n",
            r"feature 'f': no group of bins 'bits'; there are: activation in a row, ",
        ),
        ("DATA = [str(1)]\n", r"mine.py: line 5: DATA must be a list of names of files"),
        ("DATA: list = ['none.npz']\n", r"none.npz: No such file"),
        ("DATA = []\nDATA += ['x']\n", r"mine.py: line 6: DATA must be set once"),
        ("DATA = ['none.npz']\n", r"none.npz: No such file"),
        ("x = '\0'\n", r"mine.py:1: .*null bytes"),
    ],
)
def test_a_broken_file_is_told_in_one_line(text, said, write):
    with pytest.raises(InputError) as found:
        kind_of("tile", write(text))
    assert re.search(said, str(found.value)) and "\n" not in str(found.value)


def test_what_is_no_text_is_told(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"mine.py: .*decode"):
        SuiteFile.read(tmp_path / "mine.py")
    with pytest.raises(InputError, match=r"other.py: No such file or directory: a suite is"):
        SuiteFile.read(tmp_path / "other.py")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "@test\ndef t(c, s):\n    pass\n",
            r"mine.py:5: t: it must return a TileJob or .*NoneType",
        ),
        ("@test\ndef t(c, s):\n    return {}[s]\n", r"mine.py:7: t: KeyError: 0$"),
        ("@test\ndef t(c, s):\n    exit(s)\n", r"mine.py:7: t: SystemExit: 0$"),
        (
            "@test\ndef t(c, s):\n    return TileCase().job(c.replace(n=4))\n",
            r"mine.py:5: t: its job is laid out for another configuration",
        ),
        (
            "@test\ndef t(c, s):\n    return TileCase(order='up').job(c)\n",
            r"mine.py:7: t: no case of little: order is one of ascending",
        ),
        (
            CASE + "@constraint\ndef c(a, b):\n    pass\n",
            r"mine.py:8: c: it must return True, False or a TileCase, not NoneType",
        ),
        (
            CASE + "@constraint\ndef wide(c, case):\n    return replace(case, bits=9)\n",
            r"mine.py:8: wide: no case of little: bits are 1 to 2, not bits=9",
        ),
        (
            CASE + "@constraint\ndef odd(c, case):\n    return replace(case, bits='two')\n",
            r"mine.py:8: odd: no case: '<=' not supported",
        ),
        (
            JOB + "@golden\ndef g(c, a, w, s):\n    return a @ w\n",
            r"mine.py:10: g: ValueError: ",
        ),
        (
            JOB + "@golden\ndef g(c, a, w, s):\n    return a\n",
            r"mine.py:8: g: it must return numbers \[1, 1, 1\], not int64 \[1, 1\]",
        ),
    ],
)
def test_a_broken_function_is_told_in_one_line(text, said, write):
    source = tiles(write(text))
    with pytest.raises(InputError) as found:
        source.problem(CONFIG, source.job(CONFIG, source.draw(CONFIG, "t", 0)))
    assert re.search(said, str(found.value)) and "\n" not in str(found.value)


def test_what_is_printed_is_no_result(write, capsys):
    text = "print('loaded')\n@test\ndef t(c, s):\n    print('called')\n    return TileCase()\n"
    tiles(write(text)).draw(CONFIG, "t", 0)
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "loaded\ncalled\n")


def test_a_broken_function_is_an_error_of_its_batch(write):
    file = write("@test\ndef t(c, s):\n    return TileCase() if s < 5 else 1 / 0\n")
    record = measure(Batch(CONFIG, (("t", 5),), suite=file))
    assert record["error"] == "mine.py:7: t: ZeroDivisionError: division by zero"


@pytest.fixture(scope="module")
def example():
    return SuiteFile.read(files.example("own_suite.py"))


@pytest.mark.parametrize("name", ["w2a8", "ternary-a8", "mac-int8", "w4a8"])
def test_every_drawn_case_is_as_constraints_want(name, example):
    config = PRESETS[name].replace(max_k=256)
    source = tiles(example)
    for test, seed in itertools.product(source.tests(config), range(6)):
        case = source.draw(config, test, seed)
        if test == "real_layer":
            assert isinstance(case, OwnTile)
            continue
        assert isinstance(case, TileCase)
        small = next(filter(lambda c: source.allows(config, c), case.smaller()), case)
        for drawn in (case, small):
            assert (drawn.bits, drawn.stalls[2]) == (2, 0.0)
            assert drawn.k < 8 or drawn.k % 8 == 0
            values = drawn.job(config).layout.activations.astype(int)
            assert np.abs(values).max(initial=0) <= 100
        assert not source.allows(config, replace(case, bits=1))


def test_a_predicate_has_other_cases_drawn(write):
    source = tiles(write("@constraint\ndef even(config, case):\n    return case.k % 32 == 0\n"))
    cases = [source.draw(CONFIG, "random", seed) for seed in range(20)]
    assert all(isinstance(case, TileCase) and case.k % 32 == 0 for case in cases)
    assert len(set(cases)) == 20
    again = [source.draw(CONFIG, "random", seed) for seed in range(20)]
    assert cases == again


@pytest.mark.parametrize(
    "text",
    [
        "@constraint\ndef never(config, case):\n    return case.k < 0\n",
        # What one changes, the other changes back.
        """@constraint
def one(config, case):
    return replace(case, bits=1)
@constraint
def two(config, case):
    return replace(case, bits=2)
""",
    ],
)
def test_what_cannot_be_drawn_is_an_error_before_anything_is_played(text, write, tmp_path):
    write(text)
    with pytest.raises(InputError, match=r"mine.py:\d+: \w+: it refuses all of 1000 cases of te"):
        verify(CONFIG, seeds=1, suite="mine.py", folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_golden_model_that_is_right_agrees(write):
    source = tiles(write(GOLDEN.format("", "")))
    for name in ("w2a8", "ternary-a8", "mac-int8", "add-w2a8", "w4a8"):
        config = PRESETS[name].replace(max_k=256)
        for seed in range(4):
            job = source.job(config, source.draw(config, "random", seed))
            assert not source.problem(config, job), name


@pytest.mark.parametrize("name", ["w4-fp16", "w4-fp8", "w2a16"])
def test_a_golden_model_may_be_off_by_its_tolerance_only(name, write):
    config = PRESETS[name].replace(max_k=128)
    near, exact = (
        tiles(write(GOLDEN.format(args, add), f"{place}.py"))
        for place, args, add in (("near", "(tolerance=0.01)", ""), ("exact", "", " * 1.02"))
    )
    jobs = [near.job(config, near.draw(config, "smoke", seed)) for seed in range(4)]
    assert not any(near.problem(config, job) for job in jobs)
    assert any(exact.problem(config, job) for job in jobs)


def test_a_golden_model_that_is_wrong_is_named_with_both_numbers(write):
    source = tiles(write(GOLDEN.format("", " + 1")))
    job = source.job(CONFIG, TileCase(k=3, n=2, group=3, seed=1))
    said = source.problem(CONFIG, job, job.expected)
    found = re.fullmatch(
        r"mine.py:\d: products gives (\S+) for row 0, column 0, k from 0 to 3; lutcore's model "
        r"(\S+), the tile (\S+)",
        said,
    )
    assert found and float(found[1]) == float(found[2]) + 1 and found[2] == found[3]
    wrong = {name: values + (name == "dot") * 2 for name, values in job.expected.items()}
    assert f"the tile {found[1]}" in source.problem(CONFIG, job, wrong)
    short = {name: values[:-1] for name, values in job.expected.items()}
    assert "the tile" not in source.problem(CONFIG, job, short)


def test_a_job_of_her_own_is_written_in_a_line_and_made_smaller(example):
    source, config = tiles(example), CONFIG.replace(max_k=64)
    case = source.draw(config, "real_layer", 3)
    assert isinstance(case, OwnTile) and case.to_text() == "test=real_layer,seed=3"
    whole, steps = source.job(config, case).layout, 0
    part = replace(case, rows=(1, 2), columns=(1, 3), k=(0, 9))
    layout = source.job(config, part).layout
    np.testing.assert_array_equal(layout.activations[:1], whole.activations[1:2, :9])
    np.testing.assert_array_equal(layout.tensor.codes, whole.tensor.codes[1:3, :9])
    while smaller := next(case.smaller(), None):
        again = source.read(config, smaller.to_text())
        assert again == smaller
        ours, theirs = (source.job(config, c) for c in (again, smaller))
        assert all(np.array_equal(ours.inputs[n], theirs.inputs[n]) for n in ours.inputs)
        case, steps = smaller, steps + 1
    assert steps < 60
    assert source.job(config, case).layout.tensor.shape == (1, 1)
    assert not any(vars(source.job(config, case).stalls).values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("test=none", "has no test 'none'"),
        ("test=real_layer,rows=0/9", "rows of real_layer are 0 to 3, not 0 to 9"),
        ("test=real_layer,k=3/9", "k of real_layer begins with a scale group"),
        ("test=real_layer,m=1", "no case: 'm=1' is none of"),
        ("whole=1", "no case: 'whole=1' is none of"),
    ],
)
def test_what_is_no_case_of_a_suite_is_refused(text, said, example):
    source = tiles(example)
    with pytest.raises(InputError, match=re.escape(said)):
        source.job(CONFIG, source.read(CONFIG, text))


def test_a_batch_has_the_name_of_its_suite_and_data_and_takes_them_along(write):
    Path("data.npz").write_bytes(b"1")
    text = "DATA = ['data.npz']\n@test\ndef t(c, s):\n    return TileCase(k=3)\n"
    one = write(text)
    batch = Batch(CONFIG, (("t", 0),), suite=one)
    keys = {Batch(CONFIG, (("t", 0),)).key, batch.key}
    Path("data.npz").write_bytes(b"2")
    with pytest.raises(InputError, match=r"data.npz is another file now, or on this machine"):
        one.load()
    other = SuiteFile.read("mine.py")
    keys |= {Batch(CONFIG, (("t", 0),), suite=other).key}
    keys |= {Batch(CONFIG, (("t", 0),), suite=write(text + "#\n")).key}
    assert len(keys) == 4
    Path("mine.py").unlink()  # a worker elsewhere has no such file
    sent = pickle.loads(pickle.dumps(other))
    assert tiles(sent).draw(CONFIG, "t", 0) == TileCase(k=3)


def test_what_has_changed_since_is_noticed(write):
    Path("data.npz").write_bytes(b"1")
    file = write("DATA = ['data.npz']\n")
    assert file.sha256 == hashlib.sha256(Path("mine.py").read_bytes()).hexdigest()
    asked = (file.path, file.sha256, dict(file.data))
    assert changed(*asked) == []
    Path("data.npz").write_bytes(b"2")
    assert changed(*asked) == ["data.npz has changed: verify again"]
    Path("data.npz").unlink()
    (said,) = changed(*asked)
    assert said.startswith("data.npz: No such file or directory: run --check in the folder")
    write("#")
    assert "mine.py has changed: verify again" in changed(*asked)


@pytest.mark.parametrize("name", ["w2a8", "w4-fp16", "w4-fp8", "w2-fp8-e5m2", "mxfp4-bf16"])
@pytest.mark.parametrize("most", [100.0, 1.5, 1e-4])
def test_limited_activations_are_not_above(name, most):
    config = PRESETS[name]
    for profile in profiles(config):
        values = activations(config, 2, 64, profile, np.random.default_rng(1))
        found = limited(config, values, most)
        assert found.dtype == values.dtype
        with np.errstate(invalid="ignore"):
            wide, before = found.astype(float), values.astype(float)
        assert (np.abs(wide) <= most).all()
        kept = np.abs(before) <= most
        np.testing.assert_array_equal(wide[kept], before[kept])
        less = np.isfinite(before) & ~kept
        if most > 1:  # of FP8 nothing is left below
            assert (np.abs(wide[less]) >= most / 2).all()
            assert (np.sign(wide[less]) == np.sign(before[less])).all()
