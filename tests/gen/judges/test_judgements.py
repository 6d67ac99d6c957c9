"""Networks beside transformers, sentence-transformers and llama.cpp, by what these computed."""

import numpy as np
import pytest
from judged import judged

from lutcore.gen.judges.compare import compare
from lutcore.gen.judges.compare import judged as judged_rows
from lutcore.gen.judges.rows import ROWS
from lutcore.gen.judges.rows_gguf import ROWS as GGUF_ROWS


def test_all_rows_are_stored():
    assert judged().keys() == {row.name for row in (*ROWS, *GGUF_ROWS)}
    assert len(judged()) > 150


@pytest.mark.parametrize("name", judged())
def test_our_outputs_are_those_of_the_judge(name, tmp_path):
    case, wanted = judged()[name]
    verdict = compare(case, wanted, tmp_path)
    assert verdict.floats <= verdict.limit, f"{case.judge} differs in floats"
    assert verdict.rounded <= 0.06 and verdict.best, f"{case.judge} differs in 8 bits"


def test_rows_differ_from_each_other():
    """A network of one thing of its own is another one without it: or nothing would be judged."""
    plain = {}
    for case, wanted in judged().values():
        key = (case.judge, case.seed, np.round(wanted, 3).tobytes())
        assert key not in plain, (case.name, plain.get(key))
        plain[key] = case.name


def test_scores_and_log_probabilities_are_compared_as_one():
    case, _ = judged()["llama in GGUF: grouped keys"]
    scores = np.random.default_rng(0).normal(size=(24, 64))
    shifted = scores + np.arange(24)[:, None]
    np.testing.assert_allclose(judged_rows(case, scores), judged_rows(case, shifted), atol=1e-12)
