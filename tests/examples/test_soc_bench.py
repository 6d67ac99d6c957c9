"""A user's own system around a core passes its own bench, and a broken core does not."""

import re

import pytest

from lutcore.examples import soc_bench

pytestmark = pytest.mark.slow


def test_programs_in_the_system():
    assert soc_bench.main() == 0


def test_a_broken_core_fails():
    def edit(text):
        changed = re.sub(r"(sums_keep <=|keep_0 <=)[^;]*;", r"\1 1'h1;", text)
        assert changed != text
        return changed

    assert soc_bench.main(edit) == 1
