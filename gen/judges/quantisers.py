"""GPTQModel as a producer and judge of GPTQ and AWQ: tiny models that it quantises and saves.

It goes its whole way on the CPU: calibration, rounding, packing, settings, files. Layers that it
packs alone have any codes, any zero points and any order of columns. Its scales become float32
before it multiplies by them, because in float16 the products are rounded.
"""

import contextlib
import importlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save
from safetensors.numpy import save_file as save_arrays

from lutcore.gen.judges.tensor_cases import TensorCase

_FILES = ("config.json", "quantize_config.json")
_VOCABULARY = 64
_TEXTS, _LENGTH = 16, 64
_WIDTHS = (2, 3, 4, 8)
#: Settings of all: no folder of this machine among what it writes.
_COMMON = {"group_size": 32, "device": "cpu", "offload_to_disk": False}
#: What v1 cannot say: its zero points are stored less 1, and borrow from their neighbours.

#: How names end of what is not stored, because others show the same.
_NOT_STORED = (
    *("asymmetric, gptq", " symmetric, gptq_v2", "from 1, gptq_v2"),
    *("groups of 64", "static groups", "act-order by groups", "8 bits, act-order"),
)
_SHORT = "4 bits, a short last group"
#: Name -> settings of GPTQ: each width, symmetric or not, both versions; orders; groups.
_GPTQ: dict[str, dict[str, Any]] = {
    f"{bits} bits, {'symmetric' if sym else 'asymmetric'}, {version}": {
        "bits": bits,
        "sym": sym,
        "format": version,
    }
    for bits in _WIDTHS
    for sym in (True, False)
    for version in ("gptq", "gptq_v2")
}
_ORDERED = {"desc_act": True, "act_group_aware": False}
_GPTQ |= {
    f"{bits} bits, act-order": {"bits": bits, **_ORDERED, "format": version, "sym": bits != 3}
    for bits, version in zip(_WIDTHS, ("gptq_v2", "gptq_v2", "gptq", "gptq"), strict=True)
}
_GPTQ |= {
    _SHORT: {"bits": 4, "group_size": 64},
    "3 bits, one group": {"bits": 3, "group_size": -1, "act_group_aware": False},
    "4 bits, groups of 16, act-order by groups": {"bits": 4, "group_size": 16},
    "4 bits, static groups": {"bits": 4, **_ORDERED, "static_groups": True},
}


def version() -> str:
    """The judge's name and version."""
    return f"gptqmodel {importlib.metadata.version('gptqmodel')}"


def _package() -> Any:
    # Otherwise it does not start on a machine of two cores.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    return importlib.import_module("gptqmodel")


def _write_model(folder: Path, width: int, keys: int) -> None:
    """A tiny random LLaMA in float16 with a tokenizer."""
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    tokenizers = importlib.import_module("tokenizers")
    torch.manual_seed(width)
    config = transformers.LlamaConfig(
        hidden_size=64,
        intermediate_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=keys,
        vocab_size=_VOCABULARY,
        tie_word_embeddings=False,
    )
    transformers.LlamaForCausalLM(config).half().save_pretrained(folder)
    words = {f"t{number}": number for number in range(_VOCABULARY)}
    level = tokenizers.models.WordLevel(words, unk_token="t0")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(level),
        unk_token="t0",
        eos_token="t1",
        pad_token="t2",
    ).save_pretrained(folder)


def _quantised(model: Path, folder: Path, settings: dict[str, Any]) -> Any:
    """Quantise and save a model, and load it again: GPTQModel's own."""
    package, torch = _package(), importlib.import_module("torch")
    made = package.QuantizeConfig(**{**_COMMON, **settings})
    loaded = package.GPTQModel.load(str(model), made)
    rng = np.random.default_rng(0)
    texts = rng.integers(3, _VOCABULARY, (_TEXTS, _LENGTH)).tolist()
    loaded.quantize(
        [{"input_ids": text, "attention_mask": [1] * _LENGTH} for text in texts], batch_size=1
    )
    loaded.save(str(folder))
    backend = package.BACKEND.AUTO if settings.get("method") == "awq" else package.BACKEND.TORCH
    again = package.GPTQModel.load(str(folder), backend=backend, device="cpu", dtype=torch.float16)
    return again.model


def _case(name: str, folder: Path, wanted: dict[str, np.ndarray], small: bool) -> TensorCase:
    """What stands in a folder; ``small``: one matrix of it."""
    tensors = load_file(folder / "model.safetensors")
    if small:
        one = ".down_proj." if name == _SHORT else ".k_proj."
        wanted = {key: values for key, values in wanted.items() if one in key}
        stems = tuple(key.removesuffix("weight") for key in wanted)
        tensors = {key: values for key, values in tensors.items() if key.startswith(stems)}
    files = {file: (folder / file).read_bytes() for file in _FILES if (folder / file).is_file()}
    return TensorCase(
        name=name,
        judge=version(),
        files={**files, "model.safetensors": save(tensors)},
        wanted=wanted,
    )


def _models(
    settings: dict[str, dict[str, Any]], small: bool, width: int, keys: int, decode: Any
) -> Iterator[TensorCase]:
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / "plain"
        _write_model(plain, width, keys)
        for number, (name, chosen) in enumerate(settings.items()):
            if small and name.endswith(_NOT_STORED):
                continue
            folder = Path(place) / str(number)
            with contextlib.chdir(place):  # it writes logs there
                model = _quantised(plain, folder, chosen)
            wanted = {
                f"{found}.weight": decode(module)
                for found, module in model.named_modules()
                if hasattr(module, "qweight")
            }
            assert len(wanted) == 7, list(wanted)
            yield _case(name, folder, wanted, small)


def _dequantised(module: Any) -> np.ndarray:
    """What a layer of GPTQ multiplies by, [N, K]."""
    torch = importlib.import_module("torch")
    module.scales = module.scales.float()
    with torch.no_grad():
        return np.ascontiguousarray(module.dequantize_weight().T.float().numpy())


def _dequantised_awq(module: Any) -> np.ndarray:
    packing = importlib.import_module("gptqmodel.quantization.awq.utils.packing_utils")
    values = packing.dequantize_gemm(
        module.qweight, module.qzeros, module.scales.float(), module.bits, module.group_size
    )
    return np.ascontiguousarray(values.T.numpy())


def gptq_models(small: bool) -> Iterator[TensorCase]:
    """Models of GPTQ; ``small``: one matrix of each, to be stored."""
    yield from _models(_GPTQ, small, 96, 1, _dequantised)


def awq_models(small: bool) -> Iterator[TensorCase]:
    """Models of AWQ."""
    settings = {
        f"AWQ, {'symmetric' if sym else 'asymmetric'}, groups of {size}": {
            "bits": 4,
            "sym": sym,
            "method": "awq",
            "format": "gemm",
            "group_size": size,
        }
        for sym, size in ((False, 32), (False, 64), (True, 32))
    }
    yield from _models(settings, small, 128, 2, _dequantised_awq)


def gptq_layers(small: bool) -> Iterator[TensorCase]:
    """Single layers with any codes, zero points and order of columns."""
    for bits in _WIDTHS:
        for form in ("gptq", "gptq_v2"):
            for least in (0, 1):
                case = _layer(bits, form, least, 32 if small else 256)
                if not (small and case.name.endswith(_NOT_STORED)):
                    yield case


def _sign(path: Path) -> None:
    """Say who has quantised, as GPTQModel does of whole models."""
    settings = json.loads(path.read_text())
    settings["meta"]["quantizer"] = [f"gptqmodel:{importlib.metadata.version('gptqmodel')}"]
    path.write_text(json.dumps(settings))


def _layer(bits: int, form: str, least: int, k: int) -> TensorCase:
    """A layer whose zero points start at ``least``: v1 cannot say 0, or says it by borrowing."""
    package, torch = _package(), importlib.import_module("torch")
    linear_of = importlib.import_module("gptqmodel.nn_modules.qlinear.torch")
    formats = importlib.import_module("gptqmodel.utils.model")
    rng, n, size = np.random.default_rng([bits, least]), 32, 16
    settings = {"bits": bits, "group_size": size, "sym": False, "desc_act": True}
    config = package.QuantizeConfig(**_COMMON | settings, format=form)
    layer = linear_of.TorchLinear(**settings, in_features=k, out_features=n)
    groups = rng.permutation(np.arange(k) // size).astype(np.int32)
    codes = rng.integers(0, 1 << bits, (n, k))
    zeros = rng.integers(least, 1 << bits, (n, k // size)).astype(np.float32)
    scales = (rng.normal(size=zeros.shape) * 0.1).astype(np.float16).astype(np.float32)
    plain = torch.nn.Linear(k, n, bias=False)
    weights = scales[:, groups] * (codes - zeros[:, groups])
    plain.weight.data = torch.from_numpy(weights.astype(np.float32))
    parts = (torch.from_numpy(one) for one in (scales, zeros, groups))
    layer.pack_original(plain, *parts)
    if form == "gptq":
        formats.convert_gptq_v2_to_v1_format_module(layer, config)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        config.save_pretrained(str(folder))
        _sign(folder / "quantize_config.json")
        names = ("qweight", "qzeros", "scales", "g_idx")
        tensors = {f"layer.{name}": getattr(layer, name).clone().numpy() for name in names}
        save_arrays(tensors, folder / "model.safetensors")
        if form == "gptq":
            formats.convert_gptq_v1_to_v2_format_module(layer, bits, torch.int32)
        layer.post_init()
        return _case(
            f"{bits} bits, any order, zero points from {least}, {form}",
            folder,
            {"layer.weight": _dequantised(layer)},
            small=False,
        )
