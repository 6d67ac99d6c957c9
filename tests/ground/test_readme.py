"""What README and quick start show in Python runs, and does what its comments say."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_readme_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(snippet, names)
    assert names["result"].values.shape == (4, 32)
    assert capsys.readouterr().out.startswith("(4, 32) ") and names["result"].report.mismatches == 0
    assert names["planes"].ndim == 4


def test_the_quick_start_runs(capsys):
    runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    assert re.search(r"RTL: [\d]+ cycles, 0 mismatches", capsys.readouterr().out)
