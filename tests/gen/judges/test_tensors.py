"""Our readers beside what producers' own code wrote and decoded, as it is stored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lutcore.compiler.importers.gguf_blocks import BLOCKS
from lutcore.errors import InputError
from lutcore.gen.judges import tensors
from lutcore.gen.judges.tensor_cases import Beside, beside, load, save

STORED = Path(__file__).parents[2] / "data" / "judges" / "tensors.npz"
CASES = {case.name: case for case in load(STORED)}
PLAIN = "4 bits, any order, zero points from 0, gptq_v2"


def test_every_kind_is_stored():
    of = {case.judge.rpartition(" ")[0] for case in CASES.values()}
    ggml = "ggml of libggml-python"
    assert of == {ggml, "gptqmodel", "autoawq", "transformers", "compressed-tensors"}
    kinds = {name.partition(",")[0] for name, case in CASES.items() if case.judge.startswith(ggml)}
    assert kinds >= BLOCKS.keys() - {"I2_S"}  # bitnet.cpp's, which ggml has not
    assert STORED.stat().st_size < 200_000


@pytest.mark.parametrize("name", CASES)
def test_our_reader_decodes_the_same(name):
    found = list(beside(CASES[name]))
    assert len(found) == len(CASES[name].wanted) > 0
    for one in found:
        assert one.judged.dtype == np.float32 and one.judged.any()
        assert one.ours is not None or CASES[name].may_refuse
        assert one.right, f"{one.name}: {CASES[name].judge} differs by {one.difference}"


def test_what_is_refused_is_refused_by_its_name():
    (one,) = beside(CASES["compressed-tensors"])
    assert one.ours is None
    with pytest.raises(InputError, match="compressed-tensors"):
        list(beside(replace(CASES["compressed-tensors"], may_refuse="")))


def test_one_other_bit_is_a_difference():
    """In the last place of any case's values, and in the codes of a file."""
    for case in CASES.values():
        if case.tolerance or case.may_refuse:
            continue
        wanted = {name: values.copy() for name, values in case.wanted.items()}
        last = next(iter(wanted.values()))
        place = np.unravel_index(np.abs(last).argmax(), last.shape)
        last[place] = np.nextafter(last[place], np.float32(0))
        assert not all(one.right for one in beside(replace(case, wanted=wanted))), case.name
    changed = bytearray(CASES[PLAIN].files["model.safetensors"])
    changed[-1] ^= 1
    files = {**CASES[PLAIN].files, "model.safetensors": bytes(changed)}
    assert not all(one.right for one in beside(replace(CASES[PLAIN], files=files)))


def test_shapes_and_numbers_that_are_none_are_differences():
    values = np.ones((2, 3), np.float32)
    assert Beside("", values, values.T, 1.0).difference == float("inf")
    assert not Beside("", values, values * np.float32(np.nan), 1.0).right
    assert Beside("", -values * 0, values * 0, 0.0).right
    assert Beside("", values * 0, values, 0.5).difference == 1


def test_what_is_saved_is_loaded(tmp_path):
    save(tmp_path / "cases.npz", CASES.values())
    again = load(tmp_path / "cases.npz")
    assert [case.name for case in again] == list(CASES)
    assert again[0].files == CASES[again[0].name].files


def test_who_is_not_installed_is_not_asked(monkeypatch, capsys):
    judges = [one._replace(packages=("no_such_package",)) for one in tensors.JUDGES]
    wrong = next(iter(CASES[PLAIN].wanted))
    altered = replace(CASES[PLAIN], wanted={wrong: CASES[PLAIN].wanted[wrong] + 1})
    asked = tensors.Judge("one", (), lambda small: iter([CASES[PLAIN]]))
    monkeypatch.setattr(tensors, "JUDGES", [*judges, asked])
    assert tensors.main([]) == 0
    said = capsys.readouterr().out
    assert said.count("not asked, no_such_package is not installed") == len(judges)
    assert "1 tensors, largest difference 0, 0 refused, 0 differ" in said
    monkeypatch.setattr(tensors, "JUDGES", [asked._replace(cases=lambda small: iter([altered]))])
    assert tensors.main([]) == 1
    assert "1 tensors differ" in capsys.readouterr().out
