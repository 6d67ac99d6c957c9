"""A slice of the fuzz campaign, and that it can fail."""

import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.verif.campaigns import checkpoints as fuzz_checkpoints
from lutcore.verif.campaigns.checkpoints import SEEDS, campaign


def test_damaged_checkpoints_are_read_or_refused(tmp_path):
    counts = campaign(tmp_path, seed=7, cases=300)
    assert counts.total() == 300 and not any(tmp_path.iterdir())
    assert {key.split()[0] for key in counts} == set(SEEDS)
    for verdict in ("read", "refused"):
        assert sum(count for key, count in counts.items() if verdict in key) > 60


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda path: [].pop(), "IndexError: pop from empty list"),
        (lambda path: bytearray(2 << 30), "MemoryError"),
    ],
)
def test_a_campaign_reports_what_is_no_refusal(fault, message, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_checkpoints, "open_checkpoint", fault)
    with pytest.raises(AssertionError, match=rf"gguf-0-0: .*{message}"):
        campaign(tmp_path, seed=0, cases=1)


def test_a_campaign_reports_a_hang(tmp_path, monkeypatch):
    def hang(path):
        while True:
            pass

    monkeypatch.setattr(fuzz_checkpoints, "open_checkpoint", hang)
    monkeypatch.setattr(fuzz_checkpoints, "SECONDS_LIMIT", 1)
    with pytest.raises(AssertionError, match="TimeoutError: over 1 s"):
        campaign(tmp_path, seed=0, cases=1)


@pytest.mark.parametrize("kind", SEEDS)
def test_checkpoints_are_valid_before_they_are_damaged(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_checkpoints, "damage", lambda folder, rng: None)
    opened = []

    def watch(path):
        opened.append(open_checkpoint(path))
        return opened[-1]

    monkeypatch.setattr(fuzz_checkpoints, "open_checkpoint", watch)
    monkeypatch.setattr(fuzz_checkpoints, "SEEDS", {kind: SEEDS[kind]})
    assert campaign(tmp_path, seed=0, cases=3) == {f"{kind} read": 3}
    for checkpoint in opened:
        problems = {checkpoint.facts(name).problem or "" for name in checkpoint.names()}
        assert all("plain numbers" in text or "stack" in text or not text for text in problems)
