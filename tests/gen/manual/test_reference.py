"""Generated pages are what their definitions say."""

from pathlib import Path

import pytest

from lutcore.gen.manual.reference import fill

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("page", ["isa.md", "core.md"])
def test_page_is_up_to_date(page):
    text = (DOCS / page).read_text()
    assert fill(text) == text, f"python -m lutcore.gen.manual.reference docs/{page}"
