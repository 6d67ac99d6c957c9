"""What users build with tools of their own, they build as these tools have it."""

import pytest


@pytest.fixture(autouse=True)
def plain_programs(monkeypatch):
    """Simulations are compiled without optimisation: here they run for less than a second."""
    levels = (f"OPT_{part}=-O0" for part in ("FAST", "SLOW", "GLOBAL"))
    monkeypatch.setenv("MAKEFLAGS", " ".join(levels))
