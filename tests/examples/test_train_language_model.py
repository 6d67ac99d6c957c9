"""Training writes what it trained: the reference computes the same scores from the file."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.verif.golden.language_model import ExactLinear, LanguageModel

torch = pytest.importorskip("torch", reason="PyTorch comes with the extra 'train'")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_reference_agrees_with_pytorch(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import train_language_model as script
    from ternary_network import TernaryModel

    from lutcore.compiler.importers.ternary_model import ModelShape, write_model

    torch.manual_seed(2)
    model = TernaryModel(ModelShape(layers=2, hidden=256))
    write_model(tmp_path / "m.gguf", model.shape, *script.tensors(model))
    checkpoint = open_checkpoint(tmp_path / "m.gguf")
    tokens = np.random.default_rng(1).integers(0, 256, 40)
    with torch.no_grad():
        expected = model(torch.from_numpy(tokens)[None])[0].numpy()
    found = LanguageModel(checkpoint).logits(tokens, ExactLinear(checkpoint))
    # A float32 and a float64 network may round an activation to neighbouring codes.
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(found**2))
    assert error < 0.02


def test_training_resumes_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import train_language_model as script

    text = tmp_path / "text"
    text.write_bytes(b"the same line again and again, and then once more.\n" * 3000)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: None)
    command = ["train", "--text", str(text), "-o", str(tmp_path / "m.gguf"), "--batch", "1"]
    for steps in ("1", "2"):
        monkeypatch.setattr(sys, "argv", [*command, "--steps", steps])
        script.main()
    state = torch.load(tmp_path / "m.state.pt", weights_only=True)
    assert state["step"] == 2
    assert next(iter(state["adam"]["state"].values()))["step"] == 2
    assert open_checkpoint(tmp_path / "m.gguf").names()
