"""The file of a byte-level ternary language model: which tensors, and how GGUF holds them.

The layout is llama.cpp's for BitNet b1.58 (architecture ``bitnet``), with an output matrix of its
own: docs, page "language-model".
"""

import os
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from lutcore.errors import InputError

#: Tokens are bytes.
VOCABULARY = 256

_TQ1_0 = gguf.GGMLQuantizationType.TQ1_0
_BLOCK = 256  # weights of a TQ1_0 block, along K


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of a model.

    Parameters
    ----------
    layers, heads : int
    width : int
        Length of a token's vector, a multiple of 256 and of twice the heads.
    hidden : int
        Length inside the feed-forward network, a multiple of 256.
    context : int
        Bytes that attention looks back over, itself included.
    rope_base, epsilon : float
        Of the rotary embedding and of RMSNorm.

    Raises
    ------
    InputError
        A size is out of range.
    """

    layers: int = 3
    width: int = 256
    heads: int = 4
    hidden: int = 512
    context: int = 256
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for field in ("layers", "heads", "context", "width", "hidden"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{field} must be a positive integer, not {value!r}")
        for field in ("width", "hidden"):
            if getattr(self, field) % _BLOCK:
                value = getattr(self, field)
                raise InputError(f"{field} must be a multiple of {_BLOCK} (TQ1_0), not {value}")
        if self.width % (2 * self.heads):
            raise InputError(f"width {self.width} must be a multiple of 2 x {self.heads} heads")

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Ternary matrices by name: N, K."""
        width, hidden = self.width, self.hidden
        block = {
            "attn_q": (width, width),
            "attn_k": (width, width),
            "attn_v": (width, width),
            "attn_output": (width, width),
            "ffn_gate": (hidden, width),
            "ffn_up": (hidden, width),
            "ffn_down": (width, hidden),
        }
        return self._of_blocks(block) | {"output.weight": (VOCABULARY, width)}

    def floats(self) -> dict[str, tuple[int, ...]]:
        """Tensors kept in float32: the embedding and the gains of the norms."""
        gains = ("attn_norm", "attn_sub_norm", "ffn_norm")
        block: dict[str, tuple[int, ...]] = {gain: (self.width,) for gain in gains}
        block["ffn_sub_norm"] = (self.hidden,)
        first = {"token_embd.weight": (VOCABULARY, self.width)}
        return first | self._of_blocks(block) | {"output_norm.weight": (self.width,)}

    def _of_blocks(self, block: dict) -> dict:
        return {
            f"blk.{layer}.{name}.weight": shape
            for layer in range(self.layers)
            for name, shape in block.items()
        }


@dataclass(frozen=True, eq=False)
class Ternary:
    """A matrix of weights ``scale * codes``: int8 [N, K] of -1, 0, 1, and one scale."""

    codes: np.ndarray
    scale: np.float16

    def blocks(self) -> np.ndarray:
        """As TQ1_0, uint8 [N, bytes of a row]; every block has the matrix's scale."""
        n, k = self.codes.shape
        packed = gguf.quants.quantize(self.codes.astype(np.float32), _TQ1_0)
        packed = packed.reshape(n, k // _BLOCK, -1)
        # gguf takes the block's greatest magnitude for its scale: 0 where all weights are 0.
        packed[..., -2:] = np.frombuffer(np.float16(self.scale).astype("<f2").tobytes(), np.uint8)
        return packed.reshape(n, -1)


def _check(shape: ModelShape, matrices: dict[str, Ternary], floats: dict[str, np.ndarray]) -> None:
    wanted = shape.matrices() | shape.floats()
    given = {name: matrix.codes.shape for name, matrix in matrices.items()}
    given |= {name: values.shape for name, values in floats.items()}
    for name in wanted.keys() | given.keys():
        if wanted.get(name) != given.get(name):
            raise InputError(
                f"tensor {name!r} must have shape {wanted.get(name)}, not {given.get(name)}"
            )
    for name, matrix in matrices.items():
        if np.abs(matrix.codes).max() > 1:
            raise InputError(f"tensor {name!r}: codes must be -1, 0 or 1")
        if not (np.isfinite(matrix.scale) and matrix.scale > 0):
            raise InputError(f"tensor {name!r}: the scale must be positive, not {matrix.scale}")
    for name, values in floats.items():
        if not np.isfinite(values).all():
            raise InputError(f"tensor {name!r}: values must be finite")


def write_model(
    path: str | Path,
    shape: ModelShape,
    matrices: dict[str, Ternary],
    floats: dict[str, np.ndarray],
    about: dict[str, str] | None = None,
) -> None:
    """Write a model; the file appears whole or not at all, the same for the same arguments.

    Parameters
    ----------
    matrices, floats
        The tensors that ``shape.matrices()`` and ``shape.floats()`` name.
    about : dict, optional
        Values of GGUF's ``general.*`` keys, e.g. ``name``, ``license``, ``description``.

    Raises
    ------
    InputError
        Tensors are missing, unknown, of another shape, no ternary codes, or not finite.
    """
    _check(shape, matrices, floats)
    path = Path(path)
    temporary = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(temporary, "bitnet")
    for key, value in (about or {}).items():
        writer.add_string(f"general.{key}", value)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("none")  # a token is a byte
    for name in shape.floats():
        writer.add_tensor(name, floats[name].astype(np.float32))
    for name in shape.matrices():
        writer.add_tensor(name, matrices[name].blocks(), raw_dtype=_TQ1_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, path)


def random_model(
    shape: ModelShape, seed: int = 0
) -> tuple[dict[str, Ternary], dict[str, np.ndarray]]:
    """Tensors of an untrained model, whose activations stay of ordinary size: for tests."""
    rng = np.random.default_rng(seed)
    matrices = {
        name: Ternary(rng.integers(-1, 2, (n, k), dtype=np.int8), np.float16(k**-0.5))
        for name, (n, k) in shape.matrices().items()
    }
    floats = {
        name: (1 + 0.1 * rng.normal(size=size) if len(size) == 1 else rng.normal(size=size))
        for name, size in shape.floats().items()
    }
    return matrices, {name: values.astype(np.float32) for name, values in floats.items()}
