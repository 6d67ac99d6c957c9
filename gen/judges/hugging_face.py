"""transformers, and sentence-transformers, as judges of networks of config.json's world."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.gen.judges.rows import SIZES, VOCABULARY, Row
from lutcore.verif.samples.random_tensors import random_tensor


def version() -> str:
    """The judge's name and version."""
    return f"transformers {importlib.import_module('transformers').__version__}"


def judge(row: Row, seed: int, text: np.ndarray, folder: Path) -> np.ndarray:
    """Write a row's network into a folder as transformers does, and compute its output.

    Parameters
    ----------
    text : int64 [T]
        Tokens.

    Returns
    -------
    float32 [T, vocabulary], [T, width], [1, width] or [1, classes]
    """
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    made = getattr(transformers, row.model)
    config = made.config_class(**SIZES, **row.config)
    config._attn_implementation = "eager"
    model = made(config).eval().float()
    for name, parameter in model.named_parameters():
        values = random_tensor(seed, name, tuple(parameter.shape))
        parameter.data = torch.from_numpy(values)
    model.tie_weights()
    model.save_pretrained(folder)
    tokens = torch.from_numpy(text)[None]
    with torch.no_grad():
        if row.pooling:
            return _pooled(row, folder, tokens)
        out = model(tokens)
    found: Any = out.logits if hasattr(out, "logits") else out.last_hidden_state
    return np.atleast_2d(found[0].numpy())


def _pooled(row: Row, folder: Path, tokens: Any) -> np.ndarray:
    """A sentence's vector, by a model of sentence-transformers that it writes into the folder."""
    torch = importlib.import_module("torch")
    st = importlib.import_module("sentence_transformers")
    transformers = importlib.import_module("transformers")
    words = [f"t{i}" for i in range(VOCABULARY - 4)]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    models = importlib.import_module("sentence_transformers.models")
    parts = [models.Transformer(str(folder))]
    parts.append(models.Pooling(SIZES["hidden_size"], pooling_mode=row.pooling))
    if row.unit:
        parts.append(models.Normalize())
    model = st.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder))
    given = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    return model(given)["sentence_embedding"].numpy()
