"""Small random networks, as checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np

from lutcore.compiler.importers.checkpoint import Checkpoint, Facts, open_checkpoint
from lutcore.compiler.importers.ternary_model import ModelShape, random_model, write_model
from lutcore.errors import InputError

SHAPE = ModelShape(layers=2, width=256, heads=4, hidden=256, context=32)


def ternary_model(folder: Path, shape: ModelShape = SHAPE) -> Checkpoint:
    """A BitNet language model in GGUF."""
    path = folder / "tiny.gguf"
    write_model(path, shape, *random_model(shape))
    return open_checkpoint(path)


#: ``config.json`` of a mixture of experts.
MIXTURE: dict[str, Any] = {
    "model_type": "qwen3_moe", "hidden_size": 64, "num_hidden_layers": 1, "head_dim": 64,
    "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 96, "vocab_size": 96,
    "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
}  # fmt: skip


class Floats(Checkpoint):
    """Float tensors in memory."""

    def __init__(self, metadata: dict[str, Any], tensors: dict[str, np.ndarray]):
        self.path, self.metadata, self._tensors = Path("floats"), metadata, tensors

    def names(self):
        """Names."""
        return list(self._tensors)

    def _facts(self, name):
        array = self._tensors[name]
        return Facts("F32", array.shape, array.nbytes, problem="is not quantised")

    def _decode(self, name, index):
        raise InputError("is not quantised")

    def _floats(self, name, index):
        return self._tensors[name]


def _random(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in shapes.items():
        values = rng.normal(size=shape) / (shape[-1] ** 0.5 if len(shape) > 1 else 4)
        gain = name.endswith("weight") and len(shape) == 1
        made[name] = (values + gain).astype(np.float32)
    return made


def bert(layers: int = 1, width: int = 48, hidden: int = 96, heads: int = 4) -> Floats:
    """A sentence encoder with the names of Hugging Face."""
    metadata = {
        "model_type": "bert",
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_attention_heads": heads,
        "max_position_embeddings": 16,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    }
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (50, width),
        "embeddings.position_embeddings.weight": (16, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    linear = {
        "attention.self.query": (width, width),
        "attention.self.key": (width, width),
        "attention.self.value": (width, width),
        "attention.output.dense": (width, width),
        "intermediate.dense": (hidden, width),
        "output.dense": (width, hidden),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        stem = f"encoder.layer.{layer}."
        for name, shape in linear.items():
            shapes[f"{stem}{name}.weight"] = shape
            shapes[f"{stem}{name}.bias"] = shape[:1]
        norms += [f"{stem}attention.output.LayerNorm", f"{stem}output.LayerNorm"]
    for name in norms:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)
    return Floats(metadata, _random(shapes, 1))


def qwen(width: int = 32, hidden: int = 48, heads: int = 4, kv_heads: int = 2) -> Floats:
    """A decoder with grouped keys, norms of heads, biases and a tied output."""
    metadata = {
        "model_type": "qwen3",
        "num_hidden_layers": 1,
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 8,
        "attention_bias": True,
        "tie_word_embeddings": True,
        "max_position_embeddings": 16,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "hidden_act": "silu",
    }
    stem, kv = "model.layers.0.", kv_heads * 8
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (40, width),
        f"{stem}self_attn.q_proj.weight": (heads * 8, width),
        f"{stem}self_attn.k_proj.weight": (kv, width),
        f"{stem}self_attn.v_proj.weight": (kv, width),
        f"{stem}self_attn.q_proj.bias": (heads * 8,),
        f"{stem}self_attn.k_proj.bias": (kv,),
        f"{stem}self_attn.v_proj.bias": (kv,),
        f"{stem}self_attn.o_proj.bias": (width,),
        f"{stem}self_attn.o_proj.weight": (width, heads * 8),
        f"{stem}mlp.gate_proj.weight": (hidden, width),
        f"{stem}mlp.up_proj.weight": (hidden, width),
        f"{stem}mlp.down_proj.weight": (width, hidden),
        f"{stem}self_attn.q_norm.weight": (8,),
        f"{stem}self_attn.k_norm.weight": (8,),
        f"{stem}input_layernorm.weight": (width,),
        f"{stem}post_attention_layernorm.weight": (width,),
        "model.norm.weight": (width,),
    }
    return Floats(metadata, _random(shapes, 2))
