"""transformers, and sentence-transformers, as judges of networks of config.json's world."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from lutcore.gen.judges.rows import SIZES, VOCABULARY, Row
from lutcore.verif.samples.random_tensors import random_tensor, random_trits


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
    model = _random(row, seed, folder)
    tokens = torch.from_numpy(text)[None]
    if row.packed:
        model = _packed(row, seed, model, folder)
    with torch.no_grad():
        if row.pooling:
            return _pooled(row, folder, tokens)
        out = model(tokens)
    found: Any = out.logits if hasattr(out, "logits") else out.last_hidden_state
    return np.atleast_2d(found[0].numpy())


def _random(row: Row, seed: int, folder: Path) -> Any:
    """A random network, which is written into the folder."""
    torch = importlib.import_module("torch")
    made = getattr(importlib.import_module("transformers"), row.model)
    config = made.config_class(**SIZES, **row.config)
    config._attn_implementation = "eager"
    model = made(config).eval().float()
    for name, parameter in model.named_parameters():
        values = random_tensor(seed, name, tuple(parameter.shape))
        parameter.data = torch.from_numpy(values)
    model.tie_weights()
    model.save_pretrained(folder)
    return model


def _packed(row: Row, seed: int, model: Any, folder: Path) -> Any:
    """The network with ternary matrices in the place of its own, loaded from the folder."""
    torch = importlib.import_module("torch")
    torch._dynamo.config.disable = True  # its functions are compiled else, by a compiler of C
    tensors = {}
    for name, parameter in model.named_parameters():
        n, *k = parameter.shape
        stem = name.removesuffix(".weight")
        if not name.endswith("_proj.weight"):
            tensors[name] = random_tensor(seed, name, (n, *k))
            continue
        tensors[name] = random_trits(seed, name, (n // 4, *k))
        tensors[f"{stem}.weight_scale"] = random_tensor(seed, f"{stem}.weight_scale", (1,))
        if row.packed.get("use_rms_norm"):
            gain = f"{stem}.rms_norm.weight"
            tensors[gain] = random_tensor(seed, gain, tuple(k))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    about = json.loads((folder / "config.json").read_text())
    about["quantization_config"] = dict(row.packed)
    (folder / "config.json").write_text(json.dumps(about))
    loaded = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return loaded.eval()


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
