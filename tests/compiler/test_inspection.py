"""What is said of a checkpoint, held against what planning its tensors gives."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from lutcore.cli.main import app
from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.inspection import inspect
from lutcore.compiler.lowering.gemm import plan
from lutcore.compiler.schedule.cycles import cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config
from lutcore.verif.samples.checkpoints import (
    bitnet_packed,
    gguf_file,
    gptq_parts,
    mxfp4_blocks,
    random_blocks,
    safetensors_folder,
)

CORE = ("max_weight_bits=8",)


def test_costs_are_those_of_the_plans(tmp_path):
    rng = np.random.default_rng(0)
    kinds = {"TQ2_0": None, "Q4_0": None, "Q5_0": None, "Q8_0": None, "Q4_1": None, "Q6_K": None}
    tensors = {
        kind: (
            (random_blocks(kind, 70, 256, rng), kind)
            if kind == "Q6_K"
            else (rng.normal(size=(70, 256)), kind)
        )
        for kind in kinds
    }
    path = gguf_file(tmp_path / "t.gguf", tensors)
    config = load_config("default", CORE)
    checkpoint = open_checkpoint(path)
    for report in inspect(path, config, rows=3).tensors:
        made = plan(config, checkpoint.tensor(report.name), 3)
        words = made.words(dict.fromkeys(made.sizes, 0))
        assert report.cost is not None, report
        assert report.cost.packed_bytes == made.weights.size + made.scales.size
        counted = cycles(config, words, Memory())
        assert (report.cost.slices, report.cost.cycles) == (counted.slices, counted.cycles)


def test_scale_records_hold_what_their_type_promises(tmp_path):
    """GPTQ: zero points of groups; BitNet: one scale for all."""
    rng = np.random.default_rng(1)
    codes, zeros = rng.integers(0, 16, (64, 64)), rng.integers(1, 15, (64, 2))
    parts = gptq_parts(codes, zeros, rng.normal(size=(64, 2)), 4, 1)
    gptq = {"quant_method": "gptq", "sym": False, "checkpoint_format": "gptq"}
    trits = {
        "w.weight": bitnet_packed(rng.integers(-1, 2, (64, 64))),
        "w.weight_scale": np.array([0.3], np.float32),
    }
    folders = {
        "gptq": ({f"w.{name}": part for name, part in parts.items()}, gptq),
        "bitnet": (trits, {"quant_method": "bitnet"}),
    }
    config = load_config("default")
    for name, (tensors, quantisation) in folders.items():
        path = safetensors_folder(tmp_path / name, tensors, quantisation)
        (report,) = inspect(path, config).tensors
        made = plan(config, open_checkpoint(path).tensor("w.weight"), 1)
        assert report.cost is not None
        assert report.cost.packed_bytes == made.weights.size + made.scales.size


def test_what_is_not_supported_says_why_and_the_remedy(tmp_path):
    rng = np.random.default_rng(2)
    tensors = {
        "norm": (rng.normal(size=64), "F32"),
        "plain": (rng.normal(size=(4, 64)), "F16"),
        "wide": (rng.normal(size=(4, 64)), "Q8_0"),
        "offset": (rng.normal(size=(4, 64)), "Q4_1"),
    }
    path = gguf_file(tmp_path / "t.gguf", tensors)
    report = inspect(path, load_config("default"))
    found = {tensor.name: tensor for tensor in report.tensors}
    assert "read it with array()" in (found["norm"].problem or "")
    assert "quantise it" in (found["plain"].problem or "")
    assert found["wide"].problem is not None and "max_weight_bits=8" in found["wide"].problem
    assert found["offset"].supported and found["offset"].host == "minimums times row sums"
    assert report.to_dict()["totals"]["supported"] == 1
    assert inspect(path).to_dict()["totals"] == {
        "tensors": 4,
        "supported": 2,
        "bytes": 64 * 4 + 256 * 2 + 8 * 34 + 8 * 20,
        "supported_bytes": 8 * 34 + 8 * 20,
    }
    ternary = inspect(path, load_config("default-ternary", ("max_weight_bits=2",)))
    problems = {tensor.name: tensor.problem for tensor in ternary.tensors}
    assert "has 4-bit codes" in (problems["offset"] or "")


def test_stacks_count_each_matrix(tmp_path):
    codes = np.random.default_rng(3).integers(0, 16, (3, 64, 64))
    tensors = {"w_blocks": mxfp4_blocks(codes), "w_scales": np.full((3, 64, 2), 127, np.uint8)}
    path = safetensors_folder(tmp_path, tensors, {"quant_method": "mxfp4"})
    report = inspect(path, load_config("default", CORE))
    (tensor,) = report.tensors
    assert tensor.matrices == 3 and tensor.supported and tensor.cost is not None
    assert report.total("cycles") == 3 * tensor.cost.cycles
    assert report.to_dict()["totals"]["bytes"] == 3 * 64 * 34


def test_a_tile_is_no_core(tmp_path):
    path = gguf_file(tmp_path / "t.gguf", {"w": (np.ones((4, 64)), "Q4_0")})
    with pytest.raises(InputError, match="a core needs"):
        inspect(path, load_config("w2a8"))


def test_the_command_prints_a_table_or_json(tmp_path):
    path = gguf_file(tmp_path / "t.gguf", {"blk[0]": (np.ones((4, 64)), "Q4_0")})
    run = CliRunner().invoke
    shown = run(app, ["inspect", str(path), "--core", "default"])
    assert shown.exit_code == 0 and "blk[0]" in shown.stdout and "4 x 64" in shown.stdout
    printed = run(app, ["inspect", str(path), "--core", "default", "--rows", "2", "--json"])
    values = json.loads(printed.stdout)
    assert values["rows"] == 2 and values["totals"]["supported"] == 1
    assert values["tensors"][0]["cost"]["cycles"] > values["tensors"][0]["cost"]["slices"] > 0
    missing = run(app, ["inspect", str(tmp_path / "absent.gguf")])
    assert isinstance(missing.exception, InputError)
