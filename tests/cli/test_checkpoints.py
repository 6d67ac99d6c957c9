"""From a checkpoint to a result on the command line, for layouts that need care."""

import json

import numpy as np
from typer.testing import CliRunner

from lutcore.cli.main import app
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import gptq_parts, safetensors_folder


def test_gptq_with_act_order_compiles_and_runs(tmp_path):
    """The version is not stated and the zero points say 2: refused, until it is given."""
    rng = np.random.default_rng(0)
    n, k = 64, 96
    codes, zeros = rng.integers(0, 16, (n, k)), rng.integers(1, 16, (n, 3))
    zeros[0, 0] = 15
    scales = rng.normal(size=(n, 3)).astype(np.float16)
    group = rng.permutation(np.arange(k) // 32)
    parts = gptq_parts(codes, zeros, scales, 4, 2) | {"g_idx": group.astype(np.int32)}
    model = safetensors_folder(
        tmp_path / "model", {f"up.{name}": part for name, part in parts.items()}, {"bits": 4}
    )
    activations = rng.integers(-128, 128, (2, k)).astype(np.int8)
    np.save(tmp_path / "a.npy", activations)
    program, found = tmp_path / "p.npz", tmp_path / "o.npy"
    call = [
        "matrix",
        "compile",
        model,
        "--tensor",
        "up.weight",
        "--activations",
        tmp_path / "a.npy",
    ]
    run = CliRunner().invoke
    refused = run(app, [*map(str, call), "-o", str(program)])
    assert isinstance(refused.exception, InputError) and not program.exists()
    assert "does not say its version of GPTQ" in str(refused.exception)
    made = run(app, [*map(str, call), "-o", str(program), "--gptq-version", "2"])
    assert made.exit_code == 0, made.output
    ran = run(app, ["matrix", "run", str(program), "--on", "isa", "-o", str(found), "--json"])
    assert ran.exit_code == 0 and json.loads(ran.stdout), ran.output
    weights = scales.astype(np.float64)[:, group] * (codes - zeros[:, group])
    result = np.load(found)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, activations @ weights.T, rtol=1e-4, atol=0.05)
