"""AutoAWQ, transformers and compressed-tensors as producers and judges of single matrices."""

import importlib
import importlib.metadata
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from lutcore.gen.judges.tensor_cases import TensorCase

_NAME = "model.layers.0.mlp.up_proj"
#: BitLinear's forward pass divides 127 by 127 times the scale: two roundings of float32.
_ROUNDED = 3e-7


def _version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _files(tensors: dict[str, Any], quantisation: dict[str, Any]) -> dict[str, bytes]:
    """A folder's files; tensors are PyTorch's."""
    save = importlib.import_module("safetensors.torch").save
    config = {"architectures": ["Test"], "quantization_config": quantisation}
    contiguous = {name: values.contiguous() for name, values in tensors.items()}
    return {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": save(contiguous),
    }


def autoawq(small: bool) -> Iterator[TensorCase]:
    """Layers of AWQ with any codes and zero points."""
    torch = importlib.import_module("torch")
    layers = importlib.import_module("awq.modules.linear.gemm")
    packing = importlib.import_module("awq.utils.packing_utils")
    configs = importlib.import_module("awq.models._config")
    n, k = (32, 64) if small else (128, 512)
    for size in (16, 32) if small else (16, 32, 64):
        rng = np.random.default_rng(size)
        codes = torch.from_numpy(rng.integers(0, 16, (k, n)))
        zeros = torch.from_numpy(rng.integers(0, 16, (k // size, n)).astype(np.float32))
        scales = torch.from_numpy(rng.normal(size=(k // size, n)) * 0.1).half().float()
        linear = torch.nn.Linear(k, n, bias=False)
        wide = [one.repeat_interleave(size, dim=0) for one in (zeros, scales)]
        linear.weight.data = ((codes - wide[0]) * wide[1]).T.contiguous()
        made = layers.WQLinear_GEMM.from_linear(linear, 4, size, scales=scales, zeros=zeros)
        values = packing.dequantize_gemm(made.qweight, made.qzeros, made.scales.float(), 4, size)
        config = configs.AwqConfig(q_group_size=size).to_transformers_dict()
        tensors = {f"{_NAME}.{key}": part for key, part in made.state_dict().items()}
        yield TensorCase(
            name=f"AWQ, groups of {size}",
            judge=_version("autoawq"),
            files=_files(tensors, config),
            wanted={f"{_NAME}.weight": values.T.contiguous().numpy()},
        )


def bitnet(small: bool) -> Iterator[TensorCase]:
    """Packed ternary matrices, with scales to divide by (BitLinear) or to multiply by."""
    torch = importlib.import_module("torch")
    n, k = (32, 64) if small else (256, 384)
    for kind in ("bitlinear", "autobitlinear"):
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            weights = torch.randn(n, k)
            scale = 1 / weights.abs().mean()
            trits = (weights * scale).round().clamp(-1, 1)
            stored = (scale if kind == "bitlinear" else 1 / scale).reshape(1).to(dtype)
            with torch.compiler.set_stance("force_eager"), torch.no_grad():
                yield from _bitnet_cases(kind, trits, stored)


def _bitnet_cases(kind: str, trits: Any, scale: Any) -> Iterator[TensorCase]:
    torch = importlib.import_module("torch")
    module = importlib.import_module("transformers.integrations.bitnet")
    configs = importlib.import_module("transformers.utils.quantization_config")
    n, k = trits.shape
    packed = module.pack_weights(trits.clone())
    unpacked = module.unpack_weights(packed, torch.float32)
    divides = kind == "bitlinear"
    layer = (module.BitLinear if divides else module.AutoBitLinear)(
        k, n, bias=False, dtype=torch.float32
    )
    parts = {"weight": packed if divides else unpacked, "weight_scale": scale.float()}
    layer.load_state_dict(parts)
    exact = unpacked / scale.float() if divides else unpacked * scale.float()
    config = configs.BitNetQuantConfig(linear_class=kind).to_dict()
    files = _files({f"{_NAME}.weight": packed, f"{_NAME}.weight_scale": scale}, config)
    for how, values, tolerance in (
        ("unpacked", exact, 0.0),
        ("forward pass", layer(torch.eye(k)).T, _ROUNDED if divides else 0.0),
    ):
        yield TensorCase(
            name=f"BitNet, {kind}, scale {scale.dtype}, {how}",
            judge=_version("transformers"),
            files=files,
            wanted={f"{_NAME}.weight": values.contiguous().numpy()},
            tolerance=tolerance,
        )


def mxfp4(small: bool) -> Iterator[TensorCase]:
    """Stacks of experts of gpt-oss: any blocks, as transformers converts them for a CPU.

    It quantises to them on GPUs alone.
    """
    torch = importlib.import_module("torch")
    module = importlib.import_module("transformers.integrations.mxfp4")
    configs = importlib.import_module("transformers.utils.quantization_config")
    experts, n, groups = (2, 8, 4) if small else (4, 96, 16)
    rng = np.random.default_rng(0)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    blocks = torch.from_numpy(rng.integers(0, 256, (experts, n, groups, 16), np.uint8))
    for how, low, high in (("ordinary", 118, 126), ("any", 0, 252)):
        scales = rng.integers(low, high, (experts, n, groups), np.uint8)
        scales[0, 0, :4] = (low, high, 127, 1)
        for dtype in (torch.bfloat16, torch.float32):
            values = module.convert_moe_packed_tensors(
                blocks, torch.from_numpy(scales), dtype=dtype
            )
            yield TensorCase(
                name=f"MXFP4, {how} scales, to {dtype}",
                judge=_version("transformers"),
                files=_files(
                    {f"{name}_blocks": blocks, f"{name}_scales": torch.from_numpy(scales)},
                    configs.Mxfp4Config().to_dict(),
                ),
                wanted={name: values.transpose(1, 2).contiguous().float().numpy()},
            )


def compressed_tensors(small: bool) -> Iterator[TensorCase]:
    """A layout that is not read: refused by its name."""
    torch = importlib.import_module("torch")
    compressors = importlib.import_module("compressed_tensors.compressors.pack_quantized.base")
    quantization = importlib.import_module("compressed_tensors.quantization")
    weights = quantization.QuantizationArgs(num_bits=4, strategy="group", group_size=32)
    scheme = quantization.QuantizationScheme(targets=["Linear"], weights=weights)
    config = quantization.QuantizationConfig(
        config_groups={"group_0": scheme}, format="pack-quantized"
    )
    rng = np.random.default_rng(0)
    plain = torch.from_numpy(rng.normal(size=(32, 64)).astype(np.float32))
    scale = plain.reshape(32, 2, 32).abs().amax(dim=2) / 7
    compressor = compressors.PackedQuantizationCompressor
    packed = compressor.compress({"weight": plain, "weight_scale": scale}, scheme)
    values = compressor.decompress(packed, scheme)["weight"]
    yield TensorCase(
        name="compressed-tensors",
        judge=_version("compressed-tensors"),
        files=_files(
            {f"{_NAME}.{key}": part for key, part in packed.items()},
            json.loads(config.model_dump_json()),
        ),
        wanted={f"{_NAME}.weight_packed": values.float().numpy()},
        may_refuse="compressed-tensors",
    )
