"""Settings of a quantisation: beside config.json, in agreement, and each understood or refused."""

import json

import numpy as np
import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.importers.harmless import HARMLESS
from lutcore.compiler.importers.safetensors_file import SafetensorsFile
from lutcore.compiler.importers.settings import NEUTRAL, USED
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import (
    awq_parts,
    bitnet_packed,
    gptq_parts,
    mxfp4_blocks,
    safetensors_folder,
)

RNG = np.random.default_rng(0)
CODES, ZEROS = RNG.integers(0, 16, (32, 64)), RNG.integers(1, 16, (32, 2))
SCALES = RNG.normal(size=(32, 2)).astype(np.float16)


def tensors(method, name="w", version=2):
    """A small quantised matrix."""
    parts = {
        "gptq": gptq_parts(CODES, ZEROS, SCALES, 4, version),
        "awq": awq_parts(CODES, ZEROS, SCALES),
        "bitnet": {"weight": bitnet_packed(CODES % 3 - 1), "weight_scale": np.ones(1, np.float32)},
    }
    if method == "mxfp4":
        return {"w_blocks": mxfp4_blocks(CODES), "w_scales": np.full((32, 2), 127, np.uint8)}
    return {f"{name}.{part}": values for part, values in parts[method].items()}


def beside(folder, **files):
    """Write JSON files, named without their ends."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def opened(folder, method, config=None, **files):
    """A checkpoint of that matrix; ``config`` is its quantization_config."""
    safetensors_folder(folder, tensors(method), config)
    beside(folder, **files)
    checkpoint = open_checkpoint(folder)
    assert isinstance(checkpoint, SafetensorsFile)
    return checkpoint


#: Settings as producers write them: method, and a quantization_config.
CALIBRATED = {
    **{"tokenizer": None, "dataset": "c4", "damp_percent": 0.1, "true_sequential": True},
    **{"model_seqlen": 2048, "block_name_to_quantize": "model.layers", "batch_size": 1},
    **{"module_name_preceding_first_block": ["model.embed_tokens"], "pad_token_id": None},
    **{"max_input_length": None, "cache_block_outputs": True, "act_group_aware": True},
    **{"modules_in_block_to_quantize": None, "meta": None, "backend": "auto"},
}
REAL = {
    "AutoGPTQ 0.7": (
        "gptq",
        {
            **{"bits": 4, "group_size": 32, "damp_percent": 0.01, "desc_act": False},
            **{"static_groups": False, "sym": False, "true_sequential": True},
            **{"model_name_or_path": None, "model_file_base_name": "model"},
            **{"is_marlin_format": False, "quant_method": "gptq", "checkpoint_format": "gptq_v2"},
        },
    ),
    "GPTQModel 7.7": (
        "gptq",
        {
            **{"bits": 4, "group_size": 32, "desc_act": False, "lm_head": False, "sym": False},
            **{"method": "gptq", "quant_method": "gptq", "pack_dtype": "int32"},
            **{"format": "gptq_v2", "checkpoint_format": "gptq_v2"},
            "dynamic": {"-:.*gate.*": {}, "+:.*down.*": {"bits": 8, "group_size": 64}},
            "meta": {"quantizer": ["gptqmodel:7.7.0"], "mse": 0.0, "gptaq": None},
        },
    ),
    "transformers 5, GPTQ": (
        "gptq",
        CALIBRATED
        | {
            **{"bits": 4, "group_size": 32, "desc_act": False, "sym": False, "format": "gptq_v2"},
            **{"quant_method": "gptq", "checkpoint_format": "gptq_v2"},
        },
    ),
    "AutoAWQ 0.2": (
        "awq",
        {
            **{"quant_method": "awq", "zero_point": True, "group_size": 32, "bits": 4},
            **{"version": "gemm", "modules_to_not_convert": None},
        },
    ),
    "transformers 5, AWQ": (
        "awq",
        CALIBRATED
        | {
            **{"quant_method": "awq", "zero_point": True, "group_size": 32, "bits": 4},
            **{"version": "gemm", "format": "gemm", "desc_act": False, "sym": True},
            "modules_to_not_convert": ["visual"],
        },
    ),
    "transformers 5, BitNet": (
        "bitnet",
        {
            **{"quant_method": "bitnet", "modules_to_not_convert": ["lm_head"]},
            **{"linear_class": "autobitlinear", "quantization_mode": "offline"},
            **{"use_rms_norm": True, "rms_norm_eps": 1e-6},
        },
    ),
    "gpt-oss": (
        "mxfp4",
        {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"], "dequantize": False},
    ),
}


@pytest.mark.parametrize("case", REAL)
def test_what_producers_write_is_understood_key_by_key(case, tmp_path):
    method, config = REAL[case]
    checkpoint = opened(tmp_path, method, config)
    verdicts = checkpoint.judge_settings()
    assert verdicts.keys() == config.keys()
    assert {*verdicts.values()} - {NEUTRAL, *HARMLESS.values()} == {USED}
    used = {"quant_method", "bits", "group_size", "sym", "checkpoint_format", "use_rms_norm"}
    if method == "awq":
        used.remove("sym")
    assert all(verdicts[key] == USED for key in used & config.keys())
    for name in checkpoint.names():
        checkpoint.tensor(name)


def test_the_table_of_harmless_keys_is_small():
    assert len(HARMLESS) <= 40 and all(HARMLESS.values())


GPTQ = {"quant_method": "gptq", "checkpoint_format": "gptq_v2", "bits": 4, "group_size": 32}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
#: A change of the settings of a method -> what is said.
REFUSED = [
    (
        "gptq",
        {"act_bits": 8},
        r"has the setting 'act_bits' in config\.json, which is not understood",
    ),
    ("gptq", {"act_bits": None}, "the setting 'act_bits' in config.json"),
    (
        "gptq",
        {"is_marlin_format": True},
        "has is_marlin_format = True in config.json.*read: False",
    ),
    ("gptq", {"is_marlin_format": 0}, "has is_marlin_format = 0 in config.json"),
    ("gptq", {"checkpoint_format": "marlin"}, "checkpoint_format 'marlin', which is not read"),
    ("gptq", {"checkpoint_format": "gptq_p"}, "checkpoint_format 'gptq_p', which is not read"),
    ("gptq", {"pack_dtype": "int16"}, "has pack_dtype = 'int16'.*read: int32"),
    ("gptq", {"rotation": "hadamard"}, "has rotation = 'hadamard'"),
    ("gptq", {"activation": {"mode": "w4a8"}}, "has activation = "),
    ("gptq", {"adapter": {"name": "lora"}}, "has adapter = "),
    ("gptq", {"sym": "no"}, "has sym = 'no' in config.json, not true or false"),
    ("gptq", {"bits": 4.5}, "has bits = 4.5 in config.json, not a whole number"),
    ("gptq", {"dynamic": {"+:a": {"sym": True}}}, "has dynamic with 'sym' for some modules"),
    ("gptq", {"dynamic": {"+:a": {"bits": "8"}}}, "has dynamic with bits = '8', not a whole"),
    ("gptq", {"dynamic": {"a": 3}}, "has dynamic 'a': 3, no object"),
    ("gptq", {"dynamic": [1]}, "has dynamic = .* not an object"),
    ("awq", {"version": "gemv"}, "is AWQ of version 'gemv', which is not read; read: gemm"),
    ("awq", {"format": "llm-awq"}, "is AWQ of version 'llm-awq'"),
    ("awq", {"backend": "llm-awq"}, "has backend = 'llm-awq'"),
    ("awq", {"desc_act": True}, "has desc_act = True"),
    ("bitnet", {"quantization_mode": "later"}, "has quantization_mode = 'later'"),
    ("bitnet", {"linear_class": "x"}, "linear_class 'x', which is not read"),
    ("mxfp4", {"dequantize": 1}, "has dequantize = 1"),
    ("gptq", {"quant_method": "bitsandbytes"}, "'bitsandbytes'"),
]


@pytest.mark.parametrize(("method", "change", "message"), REFUSED)
def test_settings_that_are_not_understood_are_refused(method, change, message, tmp_path):
    config = {"gptq": GPTQ, "awq": AWQ}.get(method, {"quant_method": method}) | change
    checkpoint = opened(tmp_path, method, config)
    with pytest.raises(InputError, match=message) as caught:
        checkpoint.judge_settings()
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)
    (name,) = checkpoint.names()
    assert checkpoint.facts(name).problem
    for read in (checkpoint.tensor, checkpoint.array):
        with pytest.raises(InputError) as caught:
            read(name)
        assert "\n" not in str(caught.value)


def test_the_version_of_the_caller_makes_no_marlin_readable(tmp_path):
    opened(tmp_path, "gptq", GPTQ | {"checkpoint_format": "marlin"})
    problem = open_checkpoint(tmp_path, gptq_version=1).facts("w.weight").problem
    assert problem == "has checkpoint_format 'marlin', which is not read; read: gptq, gptq_v2"


def test_dynamic_says_which_widths_and_groups_there_may_be(tmp_path):
    config = GPTQ | {"bits": 8, "group_size": 64, "dynamic": {"w": {"bits": 4, "group_size": 32}}}
    assert opened(tmp_path, "gptq", config).facts("w.weight").group_size == 32
    config["dynamic"] = {"w": {"bits": 4}}
    assert "where group_size = 64" in str(
        opened(tmp_path, "gptq", config).facts("w.weight").problem
    )
    config["dynamic"] = {"w": {"bits": 3, "group_size": 32}}
    message = "has codes of 4 bits, where config.json says 8 or 3"
    assert opened(tmp_path, "gptq", config).facts("w.weight").problem == message
    config["dynamic"] = {"w": {"bits": 4, "group_size": 32}, "v": {"group_size": 33}}
    assert "leaves it open" in str(opened(tmp_path, "gptq", config).facts("w.weight").problem)


@pytest.mark.parametrize("quantised", [True, False])
def test_a_head_is_quantised_as_the_settings_say(quantised, tmp_path):
    head = tensors("gptq", "lm_head") if quantised else {"lm_head.weight": np.ones((4, 4), "f4")}
    for stated in (None, quantised, not quantised):
        config = GPTQ | {"lm_head": stated}
        safetensors_folder(tmp_path, tensors("gptq") | head, config)
        checkpoint = open_checkpoint(tmp_path)
        assert isinstance(checkpoint, SafetensorsFile)
        if stated in (None, quantised):
            assert checkpoint.judge_settings()["lm_head"] == USED
            continue
        with pytest.raises(InputError, match=f"has lm_head = {stated} .* where lm_head.weight is"):
            checkpoint.judge_settings()


def test_without_settings_shapes_decide(tmp_path):
    assert opened(tmp_path, "mxfp4", {}).judge_settings() == {}
    config = {"bits": 4, "sym": True, "checkpoint_format": "gptq_v2", "is_marlin_format": False}
    verdicts = opened(tmp_path, "gptq", config).judge_settings()
    assert verdicts == dict.fromkeys(config, USED) | {"is_marlin_format": NEUTRAL}


SIDE = {"bits": 4, "group_size": 32, "sym": False, "checkpoint_format": "gptq_v2"}


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("config", [None, {}, {"bits": 4, "quant_method": "gptq"}])
def test_settings_of_gptq_beside_config_json(config, single, tmp_path):
    opened(tmp_path, "gptq", config, quantize_config=SIDE)
    checkpoint = open_checkpoint(tmp_path / "model.safetensors" if single else tmp_path)
    assert isinstance(checkpoint, SafetensorsFile)
    assert checkpoint.sidecars == {"quantize_config.json": SIDE}
    tensor = checkpoint.tensor("w.weight")
    assert tensor.kind == "GPTQ v2"
    np.testing.assert_array_equal(tensor.zero_points, ZEROS)
    assert checkpoint.judge_settings() == dict.fromkeys(SIDE | (config or {}), USED)


def test_settings_of_awq_beside_config_json(tmp_path):
    side = {"zero_point": True, "q_group_size": 32, "w_bit": 4, "version": "GEMM"}
    checkpoint = opened(tmp_path, "awq", quant_config=side)
    assert checkpoint.tensor("w.weight").kind == "AWQ"
    assert checkpoint.judge_settings() == dict.fromkeys(side, USED)
    both = opened(tmp_path, "awq", AWQ | {"zero_point": None}, quant_config=side)
    assert both.judge_settings() == dict.fromkeys(side | AWQ, USED)
    (tmp_path / "config.json").unlink()
    wide = opened(tmp_path, "awq", quant_config=side | {"q_group_size": 64})
    message = "has 2 groups for K = 64, where group_size = 64 of quant_config.json disagrees"
    assert wide.facts("w.weight").problem == message


def test_a_sidecar_may_name_another_method(tmp_path):
    side = {"quant_method": "awq", "bits": 4}
    assert opened(tmp_path, "awq", quantize_config=side).tensor("w.weight").kind == "AWQ"
    (tmp_path / "quantize_config.json").write_text('{"bits": 4}')
    problem = open_checkpoint(tmp_path).facts("w.weight").problem
    assert problem == "has the shapes of awq, where quantize_config.json says 'gptq'"


CONTRADICTIONS = {
    "bits": (GPTQ, {"bits": 8}, "'bits' = 8, where config.json has 'bits' = 4"),
    "type": (GPTQ, {"bits": "4"}, "'bits' = '4', where config.json has 'bits' = 4:"),
    "old name": (GPTQ, {"q_group_size": 64}, "'q_group_size' = 64, where .* 'group_size' = 32"),
    "version": (GPTQ, {"format": "gptq"}, "'format' = 'gptq', where .* 'checkpoint_format' = "),
    "method": (GPTQ, {"quant_method": "awq"}, "'quant_method' = 'awq', where config.json"),
    "itself": (None, {"bits": 4, "w_bit": 3}, "where quantize_config.json has 'bits' = 4"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused(case, tmp_path):
    config, side, message = CONTRADICTIONS[case]
    with pytest.raises(InputError, match=message) as caught:
        opened(tmp_path, "gptq", config, quantize_config=side)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/quantize_config.json: has ") and "\n" not in text


def test_files_beside_config_json_are_kept(tmp_path):
    pooling = {"pooling_mode_mean_tokens": True}
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    checkpoint = opened(tmp_path, "mxfp4", modules=[{"idx": 0}], other={})
    assert checkpoint.sidecars == {
        "modules.json": [{"idx": 0}],
        "1_Pooling/config.json": pooling,
    }
    for name, text, message in [
        ("modules.json", "3", "must hold an object or a list, not int"),
        ("modules.json", "{", "no JSON"),
        ("quant_config.json", "[]", "it must be an object"),
    ]:
        (tmp_path / "modules.json").write_text("[]")
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            open_checkpoint(tmp_path)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"quant_method": "torchao"}, "quant_method is torchao, whose tensors are not read"),
        (
            {"quant_method": "bitnet", "quantization_mode": "online"},
            "quantization_mode is online: weights are stored as floats and rounded while",
        ),
    ],
)
def test_checkpoints_whose_tensors_are_others_than_they_seem(config, message, tmp_path):
    floats = {"w.weight": np.ones((4, 4), np.float32)}
    path = safetensors_folder(tmp_path, floats, config)
    with pytest.raises(InputError, match=message) as caught:
        open_checkpoint(path)
    assert str(caught.value).startswith(f"{tmp_path}/config.json: ")
    assert "\n" not in str(caught.value)
