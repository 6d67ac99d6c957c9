"""Sizes, experts and formats that a ``config.json`` states."""

import json

import pytest

from lutcore.errors import InputError
from lutcore.gen.performance.model import estimate
from lutcore.gen.performance.report import model_shape, weight_format
from lutcore.gen.performance.shapes import Phase
from lutcore.gen.performance.system import System
from lutcore.hdl.config.presets import preset
from lutcore.verif.samples.networks import MIXTURE

CORE = System(
    name="core", clock=1.0, bandwidth=16.0, weight_bits=2, activation_bits=8, group_size=32,
    config=preset("default"),
)  # fmt: skip


def test_config_json_has_heads_experts_and_formats(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(MIXTURE | {"n_shared_experts": 1}))
    model = model_shape(str(config))
    assert (model.queries, model.kv, model.mixed, model.shared_ffn) == (128, 64, 128, 32)
    one = Phase(name="", batch=1, tokens=1, context=9)
    rows = {row["operator"]: row for row in estimate(model, one, CORE)}
    assert [rows[name]["n"] for name in ("qkv", "expert up, gate", "shared down")] == [256, 64, 64]
    assert rows["expert down"]["count"] == 2 and rows["expert down"]["k"] == 32
    assert weight_format(model, preset("default"), None, None) == (2, 128)
    stated = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64}}
    config.write_text(json.dumps({"model_type": "x", "text_config": MIXTURE} | stated))
    model = model_shape(str(config))
    assert weight_format(model, preset("default"), None, 64) == (4, 64)
    with pytest.raises(InputError, match="--bits 2 contradicts config"):
        weight_format(model, preset("default"), 2, None)
    with pytest.raises(InputError, match="--group 32 contradicts config"):
        weight_format(model, preset("default"), 4, 32)
    for item in ({"kv_lora_rank": 512}, {"num_experts_per_tok": 4}, {"head_dim": "big"}):
        config.write_text(json.dumps(MIXTURE | item))
        with pytest.raises(InputError, match="config"):
            model_shape(str(config))
