"""Networks beside transformers, sentence-transformers and llama.cpp, by what these computed."""

from pathlib import Path

import numpy as np
import pytest
from judged import DATA, judged

from lutcore.gen.judges.compare import judged as judged_rows
from lutcore.gen.judges.rows import ROWS
from lutcore.gen.judges.rows_gguf import ROWS as GGUF_ROWS
from lutcore.gen.manual.judgements import groups, verdicts

_GROUPS = groups(DATA)
_PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text("utf-8")
#: Cells of its tables.
_LINES = [[c.strip() for c in line.split("|")[1:-1]] for line in _PAGE.splitlines()]


def test_all_rows_are_stored():
    assert judged().keys() == {row.name for row in (*ROWS, *GGUF_ROWS)}
    assert len(judged()) > 150


@pytest.mark.parametrize("group", _GROUPS, ids=" by ".join)
def test_our_outputs_are_those_of_the_judge(group):
    found = verdicts(_GROUPS[group])
    assert not {name: verdict for name, verdict in found.items() if not verdict.right}
    *said, floats, rounded = next(line for line in _LINES if line[:2] == [*group])
    assert said == [*group, str(len(found))], "write the table anew"
    for name, verdict in found.items():
        assert verdict.floats is None or verdict.floats <= float(floats), name
        assert verdict.rounded <= float(rounded), name


def test_scores_and_log_probabilities_are_compared_as_one():
    case, _ = judged()["llama in GGUF: grouped keys"]
    scores = np.random.default_rng(0).normal(size=(24, 64))
    shifted = scores + np.arange(24)[:, None]
    np.testing.assert_allclose(judged_rows(case, scores), judged_rows(case, shifted), atol=1e-12)
