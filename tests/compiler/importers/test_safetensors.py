"""safetensors import: exact against the formats' definitions, written plainly here."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_matrices import NAME, definition, grouped, named
from safetensors.numpy import save_file

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import (
    E2M1,
    awq_parts,
    bitnet_packed,
    gptq_parts,
    mxfp4_blocks,
    safetensors_bytes,
    safetensors_folder,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoint")


@settings(max_examples=40, deadline=None)
@given(
    bits=st.sampled_from([2, 3, 4, 8]),
    version=st.sampled_from([1, 2]),
    act_order=st.booleans(),
    groups=st.integers(1, 4),
    eighths=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_gptq(folder, bits, version, act_order, groups, eighths, seed):
    n, k = 32 * eighths, 32 * groups
    codes, zeros, scales, group = grouped(n, k, groups, bits, seed)
    if act_order:
        group = np.random.default_rng(seed).permutation(group)
    parts = gptq_parts(codes, zeros, scales, bits, version) | {"g_idx": group.astype(np.int32)}
    config = {
        "quant_method": "gptq",
        "checkpoint_format": {1: "gptq", 2: "gptq_v2"}[version],
        "bits": bits,
        "group_size": 32,
        "sym": False,
        "desc_act": act_order,
    }
    checkpoint = open_checkpoint(safetensors_folder(folder, named(parts), config))
    tensor = checkpoint.tensor(f"{NAME}.weight")
    expected = definition(codes, zeros, scales, group)
    assert (tensor.bits, tensor.kind, tensor.shape) == (bits, f"GPTQ v{version}", (n, k))
    assert (tensor.column_order is None) == np.array_equal(group, np.sort(group))
    np.testing.assert_array_equal(tensor.dequantise(), expected)
    np.testing.assert_array_equal(checkpoint.array(f"{NAME}.weight"), expected.astype(np.float32))


@settings(max_examples=20, deadline=None)
@given(
    groups=st.integers(1, 4),
    eights=st.integers(1, 4),
    size=st.sampled_from([8, 20]),
    seed=st.integers(0, 99),
)
def test_awq(folder, groups, eights, size, seed):
    n, k = 8 * eights, groups * size
    codes, zeros, scales, group = grouped(n, k, groups, 4, seed)
    parts = awq_parts(codes, zeros - 1, scales)
    config = {"quant_method": "awq", "version": "gemm", "bits": 4, "group_size": size}
    checkpoint = open_checkpoint(safetensors_folder(folder, named(parts), config))
    tensor = checkpoint.tensor(f"{NAME}.weight")
    np.testing.assert_array_equal(tensor.dequantise(), definition(codes, zeros - 1, scales, group))


@settings(max_examples=20, deadline=None)
@given(
    quarter=st.integers(1, 5),
    k=st.integers(1, 70),
    scale=st.floats(0.0078125, 64, width=32),
    linear=st.sampled_from([None, "bitlinear", "autobitlinear"]),
    seed=st.integers(0, 99),
)
def test_bitnet(folder, quarter, k, scale, linear, seed):
    trits = np.random.default_rng(seed).integers(-1, 2, (4 * quarter, k))
    parts = {"weight": bitnet_packed(trits), "weight_scale": np.array([scale], np.float32)}
    config = {"quant_method": "bitnet"} | ({"linear_class": linear} if linear else {})
    checkpoint = open_checkpoint(safetensors_folder(folder, named(parts), config))
    one = np.float32(scale)
    expected = trits.astype(np.float32) * one
    if linear != "autobitlinear":
        expected = trits.astype(np.float32) / one
    assert checkpoint.names() == [f"{NAME}.weight"]
    assert checkpoint.shape(f"{NAME}.weight") == trits.shape
    np.testing.assert_array_equal(checkpoint.array(f"{NAME}.weight"), expected)


@settings(max_examples=20, deadline=None)
@given(
    experts=st.integers(0, 3),
    n=st.integers(1, 5),
    blocks=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_mxfp4_of_gpt_oss(folder, experts, n, blocks, seed):
    rng = np.random.default_rng(seed)
    stack = (experts,) if experts else ()
    codes = rng.integers(0, 16, (*stack, n, 32 * blocks))
    exponents = rng.integers(100, 150, (*stack, n, blocks)).astype(np.uint8)
    tensors = {"w_blocks": mxfp4_blocks(codes), "w_scales": exponents}
    scales = 2.0 ** (exponents.astype(np.float64) - 127)
    expected = np.array(E2M1)[codes] * np.repeat(scales, 32, axis=-1)
    checkpoint = open_checkpoint(safetensors_folder(folder, tensors, {"quant_method": "mxfp4"}))
    assert checkpoint.names() == ["w"] and checkpoint.shape("w") == codes.shape
    np.testing.assert_array_equal(checkpoint.array("w"), expected)
    for index in range(experts):
        tensor = checkpoint.tensor(f"w[{index}]")
        np.testing.assert_array_equal(tensor.dequantise(), expected[index])


def test_plain_numbers(tmp_path):
    values = np.array([[1.5, -2, 3.25]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    stored = {
        "f32": ("F32", [1, 3], values.tobytes()),
        "bf16": ("BF16", [1, 3], bits.tobytes()),
        "f16": ("F16", [1, 3], values.astype("<f2").tobytes()),
        "i64": ("I64", [1], bytes(8)),
        "odd": ("U8", [3], bytes(3)),
    }
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes(stored))
    checkpoint = open_checkpoint(path)
    assert set(checkpoint.names()) == set(stored)
    for name in ("f32", "bf16", "f16"):
        np.testing.assert_array_equal(checkpoint.array(name), values)
    with pytest.raises(InputError, match="'bf16' is BF16, holds plain numbers: read it with array"):
        checkpoint.tensor("bf16")
    for name in ("i64", "odd"):
        with pytest.raises(InputError, match=r"is (I64|U8), and no part of a matrix of gptq, awq"):
            checkpoint.array(name)


def test_shards_are_those_of_the_index(tmp_path):
    save_file({"a": np.ones(2, np.float32)}, tmp_path / "1.safetensors")
    save_file({"b": np.zeros(2, np.float32)}, tmp_path / "2.safetensors")
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"tensor 'a' is in .*1\.safetensors too"):
        open_checkpoint(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}))
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.names() == ["a", "b"] and checkpoint.array("a").all()
    for name, message in [
        ("3.safetensors", "1 files of its index are absent: 3.safetensors"),
        ("../1.safetensors", "which is no plain name"),
        (7, "names the file '7', which is no plain name"),
    ]:
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(InputError, match=message):
            open_checkpoint(tmp_path)


def gptq(seed=0, **changes):
    """Parts of a 4-bit GPTQ matrix of version 1, N 32, K 64, and its quantization_config."""
    codes, zeros, scales, _ = grouped(32, 64, 2, 4, seed)
    parts = gptq_parts(codes, zeros, scales, 4, 1)
    config = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": False}
    config["checkpoint_format"] = "gptq"
    return named(parts), config | changes


def symmetric(version):
    """The same, symmetric, stored as a version."""
    codes, zeros, scales, _ = grouped(32, 64, 2, 4, 1)
    return named(gptq_parts(codes, np.full_like(zeros, 8), scales, 4, version))


@pytest.mark.parametrize("version", [1, 2])
def test_a_mislabelled_version_shows_in_symmetric_zero_points(version, tmp_path):
    config = {"quant_method": "gptq", "checkpoint_format": {1: "gptq_v2", 2: "gptq"}[version]}
    safetensors_folder(tmp_path, symmetric(version), config)
    message = rf"GPTQ version {3 - version} by config\.json, .* as of version {version}: say which"
    with pytest.raises(InputError, match=message):
        open_checkpoint(tmp_path).tensor(f"{NAME}.weight")
    tensor = open_checkpoint(tmp_path, gptq_version=version).tensor(f"{NAME}.weight")
    assert (tensor.zero_points == 8).all() and tensor.kind == f"GPTQ v{version}"


def test_a_zero_point_out_of_range_shows_a_version(tmp_path):
    codes, zeros, scales, group = grouped(32, 64, 2, 4, 2)
    zeros[3, 1] = 15  # stored as 15: of version 1 that would be 16
    parts = gptq_parts(codes, zeros, scales, 4, 2)
    safetensors_folder(
        tmp_path, named(parts), {"quant_method": "gptq", "checkpoint_format": "gptq"}
    )
    message = r"is GPTQ version 1 with a zero point of 0 or 16, .*--gptq-version 2"
    for said in (None, 1):
        with pytest.raises(InputError, match=message):
            open_checkpoint(tmp_path, said).tensor(f"{NAME}.weight")
    tensor = open_checkpoint(tmp_path, gptq_version=2).tensor(f"{NAME}.weight")
    np.testing.assert_array_equal(tensor.dequantise(), definition(codes, zeros, scales, group))


def test_a_version_that_nobody_states_shows_in_symmetric_zero_points(tmp_path):
    for version in (1, 2):
        path = safetensors_folder(tmp_path, symmetric(version), {"quant_method": "gptq"})
        checkpoint = open_checkpoint(path)
        assert checkpoint.kind(f"{NAME}.weight") == "GPTQ"  # headers do not say it
        tensor = checkpoint.tensor(f"{NAME}.weight")
        assert tensor.kind == f"GPTQ v{version}" and (tensor.zero_points == 8).all()
        stated = open_checkpoint(path, version)
        assert stated.kind(f"{NAME}.weight") == f"GPTQ v{version}"
    with pytest.raises(InputError, match="gptq_version must be 1 or 2, not 3"):
        open_checkpoint(path, 3)


@pytest.mark.parametrize("symmetric", [True, False, None])
def test_a_version_that_nothing_shows_is_refused(symmetric, tmp_path):
    parts, config = gptq(checkpoint_format=None, sym=symmetric)
    path = safetensors_folder(tmp_path, parts, config)
    checkpoint, name = open_checkpoint(path), f"{NAME}.weight"
    message = "does not say its version of GPTQ.*--gptq-version 1 or 2"
    facts = checkpoint.facts(name)
    assert (facts.kind, facts.bits, facts.shape) == ("GPTQ", 4, (32, 64))
    assert bool(facts.problem) == (symmetric is False)  # which headers say
    for read in (checkpoint.tensor, checkpoint.array):
        with pytest.raises(InputError, match=message) as caught:
            read(name)
        assert "\n" not in str(caught.value)
    assert open_checkpoint(path, 1).tensor(name).kind == "GPTQ v1"


def change(part, edit):
    def apply(parts, config):
        parts[f"{NAME}.{part}"] = edit(parts[f"{NAME}.{part}"])

    return apply


def add(part, values):
    def apply(parts, config):
        parts[f"{NAME}.{part}"] = values

    return apply


def drop(part):
    def apply(parts, config):
        del parts[f"{NAME}.{part}"]

    return apply


def setting(**changes):
    def apply(parts, config):
        config.update(changes)

    return apply


def nan(values):
    values = values.copy()
    values[1, 2] = np.nan
    return values


DAMAGED = {
    "no zero points": (drop("qzeros"), "has no qzeros: the checkpoint is incomplete"),
    "no scales": (drop("scales"), "has no scales: the checkpoint is incomplete"),
    "rows": (change("qweight", lambda v: v[:, :-1].copy()), "has shapes of no gptq or awq"),
    "cut": (
        change("qweight", lambda v: v[:-4].copy()),
        "has 2 groups for K = 32, where group_size",
    ),
    "groups": (change("scales", lambda v: v[:1].copy()), r"has qzeros of type I32, shape \[2, 4\]"),
    "a stack of zero points": (change("qzeros", lambda v: v[None]), r"has qzeros \[1, 2, 4\]"),
    "no groups": (change("scales", lambda v: v[:0].copy()), r"and scales \[0, 32\]"),
    "type": (change("qweight", lambda v: v.astype(np.int64)), "has qweight of type I64"),
    "bits": (setting(bits=8), "has codes of 4 bits, where config.json says 8"),
    "bits that are text": (setting(bits="4"), "has bits = '4' in config.json, not a whole number"),
    "group size": (setting(group_size=16), "has 2 groups for K = 64, where group_size = 16"),
    "group size of 0": (setting(group_size=0), "where group_size = 0 of config.json disagrees"),
    "format": (
        setting(checkpoint_format="marlin"),
        "checkpoint_format 'marlin', which is not read",
    ),
    "format that is a list": (setting(checkpoint_format=[1]), "not a string"),
    "order": (setting(desc_act=True), "has no g_idx, where config.json says desc_act"),
    "g_idx shape": (add("g_idx", np.zeros(63, np.int32)), r"has g_idx of type I32, shape \[63\]"),
    "g_idx": (add("g_idx", np.zeros(64, np.int32)), "has g_idx whose groups are not of 32"),
    "g_idx out of range": (add("g_idx", np.full(64, -9, np.int32)), "has g_idx whose groups"),
    "NaN": (change("scales", nan), "scales must be finite, not nan at row 2, group 1"),
    "zeros": (change("scales", np.zeros_like), "has scales that are all 0"),
    "method": (setting(quant_method="awq"), "has the shapes of gptq, where config.json says 'awq'"),
    "unknown method": (setting(quant_method="zipped"), "where config.json says 'zipped'"),
    "method that is no text": (setting(quant_method=[1]), r"config.json says \[1\]"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_matrices_are_one_clear_line(case, tmp_path):
    edit, message = DAMAGED[case]
    parts, config = gptq()
    edit(parts, config)
    checkpoint = open_checkpoint(safetensors_folder(tmp_path, parts, config))
    with pytest.raises(InputError, match=message) as caught:
        checkpoint.tensor(f"{NAME}.weight")
    text = str(caught.value)
    assert "\n" not in text and text.startswith(f"{tmp_path}: tensor '{NAME}.weight'")


def test_methods_that_are_not_read_are_named(tmp_path):
    tensors = {f"{NAME}.weight": np.zeros((4, 4), np.uint8)}
    safetensors_folder(tmp_path, tensors, {"quant_method": "bitsandbytes"})
    with pytest.raises(InputError, match="is U8 of quantisation method 'bitsandbytes', which is"):
        open_checkpoint(tmp_path).tensor(f"{NAME}.weight")


@pytest.mark.parametrize(
    ("packed", "scale", "config", "message"),
    [
        (0b11, 1.0, {"quant_method": "bitnet"}, "has codes over 2: it is damaged"),
        (0b01, 0.0, {"quant_method": "bitnet"}, "has weight_scale 0: it is damaged"),
        (0b01, 1e-44, {"quant_method": "bitnet"}, "scales must be finite, not inf"),
        (0b01, np.nan, {"quant_method": "bitnet"}, "scales must be finite, not nan"),
        (0b01, 1.0, {"quant_method": "bitnet", "linear_class": "other"}, "linear_class 'other'"),
        (0b01, 1.0, None, r"needs config\.json beside it: whether weight_scale divides"),
    ],
)
def test_damaged_bitnet(packed, scale, config, message, tmp_path):
    tensors: dict[str, np.ndarray] = {
        "w.weight": np.full((2, 4), packed, np.uint8),
        "w.weight_scale": np.array([scale], np.float32),
    }
    with pytest.raises(InputError, match=message):
        open_checkpoint(safetensors_folder(tmp_path, tensors, config)).tensor("w.weight")


def test_damaged_awq_and_mxfp4(tmp_path):
    codes, zeros, scales, _ = grouped(8, 32, 1, 4, 0)
    parts = named(awq_parts(codes, zeros, scales))
    for changes, message in [
        ({"version": "gemv"}, "is AWQ of version 'gemv', which is not read; read: gemm"),
        ({"bits": 3}, "is AWQ of 3 bits, where only 4 are defined"),
    ]:
        safetensors_folder(tmp_path, parts, {"quant_method": "awq"} | changes)
        with pytest.raises(InputError, match=message):
            open_checkpoint(tmp_path).tensor(f"{NAME}.weight")
    wider = parts | {f"{NAME}.qzeros": np.zeros((1, 9), np.int32)}
    safetensors_folder(tmp_path, wider, {"quant_method": "awq"})
    with pytest.raises(InputError, match=r"has qzeros of type I32, shape \[1, 9\]"):
        open_checkpoint(tmp_path).tensor(f"{NAME}.weight")
    flat = parts | {f"{NAME}.qweight": np.zeros(32, np.int32)}
    safetensors_folder(tmp_path, flat, {"quant_method": "awq"})
    with pytest.raises(InputError, match="has shapes of no gptq or awq"):
        open_checkpoint(tmp_path).tensor(f"{NAME}.weight")
    blocks = {"w_blocks": np.zeros((2, 1, 15), np.uint8), "w_scales": np.zeros((2, 1), np.uint8)}
    for shape in ((2, 1, 15), (0, 1, 16), (2, 0, 16)):
        wrong = blocks | {"w_blocks": np.zeros(shape, np.uint8)}
        with pytest.raises(InputError, match=rf"has blocks \[{shape[0]}, {shape[1]}, {shape[2]}\]"):
            open_checkpoint(safetensors_folder(tmp_path, wrong, {})).tensor("w")
    blocks["w_blocks"] = np.zeros((2, 1, 16), np.uint8)
    blocks["w_scales"] = np.full((2, 1), 255, np.uint8)
    with pytest.raises(InputError, match="scales must be finite, not nan"):
        open_checkpoint(safetensors_folder(tmp_path, blocks, {})).tensor("w")


@pytest.mark.parametrize("zero", [8, 7])
def test_awq_without_zero_points_has_those_of_the_middle(zero, tmp_path):
    codes, zeros, scales, group = grouped(32, 64, 2, 4, 3)
    zeros[:] = zero
    settings = {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": False}
    path = safetensors_folder(tmp_path, named(awq_parts(codes, zeros, scales)), settings)
    checkpoint = open_checkpoint(path)
    if zero == 8:
        tensor = checkpoint.tensor(f"{NAME}.weight")
        np.testing.assert_array_equal(tensor.dequantise(), definition(codes, zeros, scales, group))
        return
    with pytest.raises(InputError, match=r"is AWQ without zero points by config\.json, but has"):
        checkpoint.tensor(f"{NAME}.weight")
