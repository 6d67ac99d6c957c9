"""Checkpoints in the performance model: every matrix by its own size and format, held by hand.

What a matrix takes is asked of ``cost_of``, as ``lutcore inspect --core`` asks; how many there are,
their sizes and formats, and how often a token uses them stand here, written down by hand.
"""

import json
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.inspection import cost_of
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.errors import InputError
from lutcore.gen.performance.checkpoints import REFUSED
from lutcore.gen.performance.model import estimate, total
from lutcore.gen.performance.report import model_shape, performance, weight_format
from lutcore.gen.performance.shapes import ModelShape, Phase
from lutcore.gen.performance.system import System
from lutcore.hdl.config.presets import load_config
from lutcore.verif.samples.checkpoints import (
    gguf_entry,
    gguf_header,
    gguf_text,
    gptq_parts,
    safetensors_folder,
)
from lutcore.verif.samples.networks import MIXTURE
from lutcore.verif.samples.networks_gguf import network, write_gguf

MEMORY = Memory(latency=40)
WIDE = load_config("default", ["max_weight_bits=8"])
ONE = Phase(name="one", batch=1, tokens=1, context=9)
#: GGUF type -> bits, scale group and scale records, by docs/formats.md.
FORMATS = {
    "Q4_0": (4, 32, "fp16"),
    "Q4_K": (4, 32, "fp32"),
    "Q6_K": (6, 16, "fp32"),
    "Q8_0": (8, 32, "fp16"),
}
D, FFN, VOCABULARY, HEAD, EXPERTS, USED = 256, 512, 320, 256, 4, 2
#: Two heads of 256 at a width of 256; one head of keys.
ATTENTION = {
    "attn_q": ((2 * HEAD, D), "Q4_K"),
    "attn_k": ((HEAD, D), "Q4_K"),
    "attn_v": ((HEAD, D), "Q4_K"),
    "attn_output": ((D, 2 * HEAD), "Q4_K"),
}
#: N and K of these.
SIZES = [(512, 256), (256, 256), (256, 256), (256, 512)]
DENSE = {
    "ffn_gate": ((FFN, D), "Q4_0"),
    "ffn_up": ((FFN, D), "Q4_0"),
    "ffn_down": ((D, FFN), "Q6_K"),
}
SPARSE = {
    "ffn_gate_inp": ((EXPERTS, D), "F32"),
    "ffn_gate_exps": ((EXPERTS, D, D), "Q4_K"),
    "ffn_up_exps": ((EXPERTS, D, D), "Q4_K"),
    "ffn_down_exps": ((EXPERTS, D, D), "Q6_K"),
    "ffn_up_shexp": ((FFN, D), "Q8_0"),
    "ffn_down_shexp": ((D, FFN), "F16"),
}
PAIRS: dict[str, Any] = {
    "general.architecture": "qwen3moe",
    "qwen3moe.embedding_length": D,
    "qwen3moe.block_count": 2,
    "qwen3moe.feed_forward_length": FFN,
    "qwen3moe.attention.head_count": 2,
    "qwen3moe.attention.head_count_kv": 1,
    "qwen3moe.attention.key_length": HEAD,
    "qwen3moe.attention.value_length": HEAD,
    "qwen3moe.vocab_size": VOCABULARY,
    "qwen3moe.expert_count": EXPERTS,
    "qwen3moe.expert_used_count": USED,
}


def tensors() -> dict[str, Any]:
    found: dict[str, Any] = {
        "token_embd.weight": ((VOCABULARY, D), "Q4_K"),
        "output.weight": ((VOCABULARY, D), "Q8_0"),
        "blk.0.attn_norm.weight": ((D,), "F32"),
    }
    for block, own in enumerate((ATTENTION | DENSE, ATTENTION | SPARSE)):
        found |= {f"blk.{block}.{role}.weight": tensor for role, tensor in own.items()}
    return found


def value(item: Any) -> bytes:
    if isinstance(item, str):
        return struct.pack("<I", 8) + gguf_text(item)
    if isinstance(item, list):
        return struct.pack(f"<IIQ{len(item)}I", 9, 4, len(item), *item)
    return struct.pack("<II", 4, item)


def write(path: Path, stored: dict, pairs: dict[str, Any] = PAIRS) -> Path:
    """A GGUF file whose tensors are holes."""
    body, place = b"".join(gguf_text(key) + value(item) for key, item in pairs.items()), 0
    for name, (shape, named) in stored.items():
        kind = gguf.GGMLQuantizationType[named]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        body += gguf_entry(name, shape, kind.value, place)
        place += -(-int(np.prod(shape)) // elements * size // 32) * 32
    start = gguf_header(len(stored), len(pairs), body=body)
    path.write_bytes(start + bytes(-len(start) % 32))
    os.truncate(path, len(start) + 32 + place)
    return path


def system(model: ModelShape, config=WIDE, **more: Any) -> System:
    bits, group = weight_format(model, config, None, None)
    return System(
        name="one core", clock=1.0, bandwidth=25.6, weight_bits=bits, activation_bits=8,
        group_size=group, config=config, host=1.0, **more,
    )  # fmt: skip


def modelled(path: Path, phase: Phase = ONE, config=WIDE) -> dict[str, Any]:
    model = model_shape(str(path))
    return performance(model, phase, system(model, config))


def cycles(n: int, k: int, kind: str, rows: int = 1) -> int:
    bits, group, scales = FORMATS[kind]
    return cost_of(WIDE, rows, (n, k), bits, group, scales, MEMORY).cycles


def on_core(found: dict[str, Any]) -> float:
    return sum(row["count"] * row["cycles"] for row in found["layers"] if row["where"] == "core")


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The checkpoint; whoever reads a tensor fails."""

    def refuse(*_):
        raise AssertionError("a tensor was read")

    monkeypatch.setattr("lutcore.compiler.importers.gguf_file.map_bytes", refuse)
    return write(tmp_path / "small.gguf", tensors())


def test_cycles_are_the_sum_over_matrices_by_hand(path):
    attention = cycles(512, 256, "Q4_K") + 2 * cycles(256, 256, "Q4_K") + cycles(256, 512, "Q4_K")
    dense = 2 * cycles(512, 256, "Q4_0") + cycles(256, 512, "Q6_K")
    experts = 2 * (2 * cycles(256, 256, "Q4_K") + cycles(256, 256, "Q6_K"))
    shared, head = cycles(512, 256, "Q8_0"), cycles(320, 256, "Q8_0")
    found = modelled(path)
    assert on_core(found) == 2 * attention + dense + experts + shared + head
    assert found["linear_s"] == pytest.approx(on_core(found) / 1e9)
    assert found["seconds"] == pytest.approx(found["linear_s"] + found["host_s"])


def test_many_tokens_spread_over_the_experts(path):
    """Five tokens use two of four experts each: all four, three rows each."""
    found = modelled(path, Phase(name="five", batch=1, tokens=5, context=5))
    attention = sum(cycles(*size, "Q4_K", 5) for size in SIZES)
    dense = 2 * cycles(512, 256, "Q4_0", 5) + cycles(256, 512, "Q6_K", 5)
    experts = 4 * (2 * cycles(256, 256, "Q4_K", 3) + cycles(256, 256, "Q6_K", 3))
    shared, head = cycles(512, 256, "Q8_0", 5), cycles(320, 256, "Q8_0", 1)
    assert on_core(found) == 2 * attention + dense + experts + shared + head


def test_the_host_takes_the_rest_and_it_is_said(path):
    found = modelled(path, config=load_config("default"))
    rows = {row["operator"]: row for row in found["layers"]}
    reasons = {name: row["problem"] for name, row in rows.items() if "problem" in row}
    assert reasons.keys() == {
        *("ffn_down", "ffn_gate_inp", "ffn_down_exps", "ffn_up_shexp", "ffn_down_shexp", "head")
    }
    assert "6-bit codes" in reasons["ffn_down"] and "max_weight_bits=8" in reasons["head"]
    assert "is F16" in reasons["ffn_down_shexp"] and "is F32" in reasons["ffn_gate_inp"]
    # At 25.6 GB/s: 34 bytes for 32 weights, and two bytes for each number in and out.
    stored = VOCABULARY * D // 32 * 34
    assert rows["head"]["seconds"] == pytest.approx((stored + 2 * (VOCABULARY + D)) / 25.6e9)
    down = 2 * (D * D // 256 * 210 + 2 * (D + D))
    assert rows["ffn_down_exps"]["bytes"] == down
    assert found["host_s"] == pytest.approx(found["seconds"] - found["linear_s"])
    kept = sum(cycles(*size, "Q4_K") for size in SIZES)
    up = 2 * cycles(512, 256, "Q4_0") + 2 * 2 * cycles(256, 256, "Q4_K")
    assert on_core(found) == 2 * kept + up


def test_attention_has_the_heads_of_the_file(path):
    rows = {row["operator"]: row for row in modelled(path)["layers"]}
    # Nine tokens seen; two heads of 256 for queries and for what is made, keys and values of one.
    assert rows["attention"]["operations"] == 2 * 2 * 9 * (512 + 512)
    assert rows["attention"]["bytes"] == 2 * 2 * (512 + 512 + 9 * (256 + 256))
    assert rows["rotary"]["bytes"] == 2 * 2 * 2 * (512 + 256)


def test_minimums_are_the_hosts(path):
    row = modelled(path)["layers"][-1]
    assert (row["operator"], row["where"]) == ("minimums", "host")
    sizes = 2 * SIZES + 2 * 2 * [(256, 256)]
    assert row["operations"] == sum(2 * n * k // 32 + k for n, k in sizes)
    assert row["bytes"] == sum(2 * (n * k // 32 + 2 * n) + k for n, k in sizes)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("blk.0.ffn_gate.weight", ((FFN, D), "Q8_0")),
        ("blk.1.attn_q.weight", ((2 * HEAD, D), "Q6_K")),
        ("output.weight", ((VOCABULARY, D), "Q4_0")),
        ("output.weight", ((2 * VOCABULARY, D), "Q8_0")),
        ("blk.1.ffn_up_exps.weight", ((EXPERTS, D, D), "Q8_0")),
        ("blk.0.attn_output.weight", ((D, 2 * HEAD), "F16")),
    ],
)
def test_every_matrix_counts(path, tmp_path, name, tensor):
    stored = tensors()
    (shape, kind), times = stored[name], USED if "exps" in name else 1
    stored[name] = tensor
    before, after = modelled(path), modelled(write(tmp_path / "other.gguf", stored))
    then = cycles(shape[-2], shape[-1], kind)
    now = cycles(tensor[0][-2], tensor[0][-1], tensor[1]) if tensor[1] in FORMATS else 0
    assert on_core(after) - on_core(before) == times * (now - then) != 0
    assert after["seconds"] != before["seconds"]


@pytest.mark.parametrize(
    ("key", "item", "role", "factor"),
    [
        ("qwen3moe.expert_used_count", 4, "ffn_down_exps", 2),
        ("qwen3moe.expert_used_count", 1, "ffn_down_exps", 0.5),
        ("qwen3moe.attention.key_length", 128, "attention", 0.75),
        ("qwen3moe.attention.value_length", 128, "attention", 0.75),
    ],
)
def test_every_fact_counts(path, tmp_path, key, item, role, factor):
    found = modelled(path), modelled(write(tmp_path / "o.gguf", tensors(), PAIRS | {key: item}))
    then, now = ({row["operator"]: row for row in each["layers"]}[role] for each in found)
    assert now["bytes"] == factor * then["bytes"]
    assert now["operations"] == factor * then["operations"]
    assert (found[1]["seconds"] > found[0]["seconds"]) == (factor > 1)


def test_a_head_of_the_file_or_the_embedding(path, tmp_path):
    stored = tensors()
    del stored["output.weight"]
    tied = modelled(write(tmp_path / "tied.gguf", stored))
    head = next(row for row in tied["layers"] if row["operator"] == "head")
    assert head["tensor"] == "token_embd.weight"
    assert head["cycles"] == cycles(VOCABULARY, D, "Q4_K")
    assert any("token_embd.weight" in note for note in tied["notes"])
    (note,) = modelled(path)["notes"]
    assert note.startswith(f"{REFUSED}: architecture 'qwen3moe' is not known")


def test_experts_in_tensors_of_their_own_are_as_in_a_stack(path, tmp_path):
    stored = tensors()
    for role in ("ffn_gate", "ffn_up", "ffn_down"):
        (_, *size), kind = stored.pop(f"blk.1.{role}_exps.weight")
        stored |= {f"blk.1.{role}.{i}.weight": (tuple(size), kind) for i in range(EXPERTS)}
    one, own = modelled(path), modelled(write(tmp_path / "own.gguf", stored))
    assert on_core(one) == on_core(own) and one["seconds"] == pytest.approx(own["seconds"])
    # One of four is wider: a token uses half of it on average.
    stored["blk.1.ffn_up.2.weight"] = ((D, D), "Q8_0")
    mixed = modelled(write(tmp_path / "mixed.gguf", stored))
    more = (cycles(D, D, "Q8_0") - cycles(D, D, "Q4_K")) / 2
    assert on_core(mixed) - on_core(one) == more


def test_several_cores_read_what_the_file_has(path):
    model = model_shape(str(path))
    rows = list(estimate(model, ONE, system(model, cores=4)))
    row = next(row for row in rows if row["operator"] == "head")
    # 8 bits, an FP16 scale for 32; inputs of a byte, results of four.
    assert row["bytes"] == VOCABULARY * D + 2 * VOCABULARY * D // 32 + D + 4 * VOCABULARY
    assert total(rows)["linear_energy_j"] is None


def test_float_matrices_are_rounded_where_that_is_asked_for(path):
    model = model_shape(str(path), bits=2)
    (down,) = [matrix for matrix in model.matrices if matrix.role == "ffn_down_shexp"]
    assert (down.bits, down.group_size, down.problem) == (2, 32, None)
    assert "1 matrices rounded to 2 bits" in model.notes[-2] and "4, 6, 8" in model.notes[-2]
    found = performance(model, ONE, system(model))
    more = cost_of(WIDE, 1, (D, FFN), 2, 32, "fp16-zero", MEMORY).cycles
    assert on_core(found) == on_core(modelled(path)) + more


def test_options_and_files_that_contradict_each_other(path, tmp_path):
    with pytest.raises(InputError, match="--group is that of --bits"):
        model_shape(str(path), group=64)
    stored = {name: (shape, "Q4_0") for name, (shape, _) in tensors().items() if len(shape) > 1}
    same = write(tmp_path / "same.gguf", stored)
    with pytest.raises(InputError, match=r"--bits 2 contradicts .*same.gguf.* 4 bits"):
        model_shape(str(same), bits=2)
    assert model_shape(str(same), bits=4) == model_shape(str(same))


@pytest.mark.parametrize(
    ("pairs", "gone", "message"),
    [
        ({"qwen3moe.block_count": 3}, "", "no matrices of block 2"),
        ({"qwen3moe.expert_used_count": 0}, "", "a token uses nobody says how many"),
        ({"qwen3moe.expert_used_count": 5}, "", "4 experts, of which a token uses 5"),
        ({"qwen3moe.expert_count": 8}, "", "one of 4 experts, where the metadata say 8"),
        ({"qwen3moe.attention.head_count": 0}, "", "head_count must be a positive integer"),
        ({"qwen3moe.attention.head_count_kv": [1, 2]}, "", "head_count_kv must be"),
        ({"general.architecture": "clip"}, "", "clip.embedding_length must be"),
        ({}, "blk.", "no matrices of blocks"),
    ],
)
def test_what_is_no_network_gets_a_line(tmp_path, pairs, gone, message):
    stored = {name: t for name, t in tensors().items() if not gone or not name.startswith(gone)}
    broken = write(tmp_path / "broken.gguf", stored, PAIRS | pairs)
    with pytest.raises(InputError, match=message) as caught:
        model_shape(str(broken))
    assert "\n" not in str(caught.value)


def test_a_width_of_heads_that_is_not_that_of_queries_is_said(tmp_path):
    odd = {"qwen3moe.attention.key_length": 64, "qwen3moe.attention.head_count_kv": [1, 1]}
    notes = model_shape(str(write(tmp_path / "odd.gguf", tensors(), PAIRS | odd))).notes
    assert notes[:-1] == (
        "blk.0.attn_q.weight has 512 rows, where attention is that of 2 heads of 64",
    )


def test_a_folder_of_safetensors(tmp_path):
    """GPTQ in two experts of three, plain halves in the third; the head is the embedding."""
    rng = np.random.default_rng(0)
    block, stored = "model.layers.0.", {}
    sizes = {f"mlp.experts.{i}.{name}_proj": (32, 64) for i in range(3) for name in ("gate", "up")}
    sizes |= {f"mlp.experts.{i}.down_proj": (64, 32) for i in range(3)}
    sizes |= {"self_attn.q_proj": (128, 64), "self_attn.k_proj": (64, 64)}
    sizes |= {"self_attn.v_proj": (64, 64), "self_attn.o_proj": (64, 128)}
    for name, (n, k) in sizes.items():
        if "experts.2" in name:
            stored[f"{block}{name}.weight"] = np.zeros((n, k), np.float16)
            continue
        codes, zeros = rng.integers(0, 16, (n, k)), rng.integers(1, 15, (n, k // 32))
        parts = gptq_parts(codes, zeros, rng.normal(size=(n, k // 32)), 4, 1)
        stored |= {f"{block}{name}.{end}": part for end, part in parts.items()}
    stored[f"{block}mlp.gate.weight"] = np.zeros((3, 64), np.float16)
    stored["model.embed_tokens.weight"] = np.zeros((96, 64), np.float16)
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 32}
    safetensors_folder(tmp_path, stored, gptq)
    config = MIXTURE | {"quantization_config": gptq}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = modelled(tmp_path, config=load_config("default"))
    scales = {open_checkpoint(tmp_path).facts(f"{block}{name}.weight").scales for name in sizes}
    assert scales - {"fp16"} == {"fp16-zero"}  # the plain ones have none

    def cost(n: int, k: int) -> int:
        return cost_of(load_config("default"), 1, (n, k), 4, 32, "fp16-zero", MEMORY).cycles

    attention = cost(128, 64) + 2 * cost(64, 64) + cost(64, 128)
    experts = 4 / 3 * (2 * cost(32, 64) + cost(64, 32))
    assert on_core(found) == pytest.approx(attention + experts)
    plain = [row for row in found["layers"] if row.get("kind") == "F16"]
    assert [row["operator"] for row in plain] == [
        *("mlp.gate", "mlp.experts.gate_proj", "mlp.experts.up_proj"),
        *("mlp.experts.down_proj", "head"),
    ]
    assert plain[1]["count"] == pytest.approx(2 / 3)


def test_an_encoder_sees_all_tokens_and_has_no_head(tmp_path):
    pairs = {key.replace("qwen3moe", "bert"): item for key, item in PAIRS.items()}
    pairs |= {"general.architecture": "bert", "bert.block_count": 1, "bert.expert_count": 0}
    stored = {name: t for name, t in tensors().items() if not name.startswith(("blk.1.", "out"))}
    phase = replace(ONE, tokens=9)
    found = modelled(write(tmp_path / "bert.gguf", stored, pairs), phase)
    rows = {row["operator"]: row["operations"] for row in found["layers"]}
    assert rows["attention"] == 2 * 9 * 9 * (512 + 512) and not {"head", "rotary"} & rows.keys()


def test_a_network_that_is_compiled_has_no_such_note(tmp_path):
    pairs, shapes = network("llama")
    write_gguf(tmp_path / "tiny.gguf", pairs, shapes, 0)
    assert not [n for n in model_shape(str(tmp_path / "tiny.gguf")).notes if REFUSED in n]
    pairs |= {"llama.final_logit_softcapping": ["FLOAT32", 30.0]}
    write_gguf(tmp_path / "capped.gguf", pairs, shapes, 0)
    (note,) = [n for n in model_shape(str(tmp_path / "capped.gguf")).notes if REFUSED in n]
    assert "final_logit_softcapping = 30.0" in note
