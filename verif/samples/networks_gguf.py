"""Small random networks in GGUF, as llama.cpp defines the architectures: data that makes a file.

:func:`network` gives metadata and shapes as plain dictionaries; with a seed they are the whole
file, so that JSON holds a network of any size in a few lines and :func:`write_gguf` makes it again.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from lutcore.errors import InputError
from lutcore.verif.samples.random_tensors import random_tensor

#: Key -> [name of its GGUF type, value]; the type of a list of values is ``ARRAY`` and theirs.
Pairs = dict[str, list[Any]]

#: Name of a tensor -> shape in the order of NumPy: a matrix is [N, K].
Shapes = dict[str, tuple[int, ...]]

_ARRAY = "ARRAY "
_ARCHITECTURE = "general.architecture"

#: Architecture -> linear layers that have a bias where nothing else is said.
_BIASES: dict[str, tuple[str, ...]] = {
    "llama": (),
    "qwen2": ("attn_q", "attn_k", "attn_v"),
    "qwen3": (),
    "bitnet": (),
    "bert": ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"),
}

#: Ways to make one vector of a sentence -> llama.cpp's number.
POOLING = {"none": 0, "mean": 1, "cls": 2, "last": 3}

_SCALING_TYPES = {"type": "STRING", "original_context_length": "UINT32", "finetuned": "BOOL"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Sizes and conventions of a network.

    Parameters
    ----------
    architecture : {"llama", "qwen2", "qwen3", "bitnet", "bert"}
    layers, width, hidden, heads, vocabulary, context : int
    kv_heads, head_size, rotated : int, optional
        By default as many heads of keys as of queries, ``width // heads``, and ``head_size``.
    epsilon, rope_base : float
    tied : bool
        The embedding serves as the output matrix too. A bitnet of llama.cpp is always tied.
    biases : tuple of str, optional
        Linear layers with a bias, e.g. ``attn_q``; by default those of the architecture.
    scaling : mapping
        What stands behind ``rope.scaling.``, e.g. ``{"type": "linear", "factor": 4.0}``; longrope
        gets its two tensors of factors.
    rope_freqs : bool
        A tensor of factors as llama 3.1 has it.
    pooling : {"none", "mean", "cls", "last"}, optional
        Of bert; None: the key is not there.
    pairs : mapping
        More metadata, by the key behind the architecture; None takes a key away.
    shapes : mapping
        More tensors.

    Raises
    ------
    InputError
        The architecture or the pooling is unknown.
    """

    architecture: str
    layers: int = 2
    width: int = 32
    hidden: int = 48
    heads: int = 4
    kv_heads: int | None = None
    head_size: int | None = None
    rotated: int | None = None
    vocabulary: int = 64
    context: int = 64
    epsilon: float = 1e-5
    rope_base: float = 10000.0
    tied: bool = False
    biases: tuple[str, ...] | None = None
    scaling: Mapping[str, Any] = field(default_factory=dict)
    rope_freqs: bool = False
    pooling: str | None = "mean"
    pairs: Mapping[str, list[Any] | None] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.architecture not in _BIASES:
            raise InputError(f"architecture must be of {list(_BIASES)}, not {self.architecture!r}")
        if self.pooling is not None and self.pooling not in POOLING:
            raise InputError(f"pooling must be of {list(POOLING)}, not {self.pooling!r}")

    @property
    def kv(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def size(self) -> int:
        """Length of a head."""
        return self.width // self.heads if self.head_size is None else self.head_size

    @property
    def turned(self) -> int:
        """Elements of a head that the rotary embedding turns."""
        return self.size if self.rotated is None else self.rotated


def network(architecture: str, **options: Any) -> tuple[Pairs, Shapes]:
    """Metadata and shapes of a network; ``options`` are those of :class:`Options`."""
    chosen = Options(architecture=architecture, **options)
    pairs = _metadata(chosen) | tokenizer(chosen)
    for key, pair in chosen.pairs.items():
        pairs.pop(f"{architecture}.{key}", None)
        if pair is not None:
            pairs[f"{architecture}.{key}"] = list(pair)
    shapes = _bert(chosen) if architecture == "bert" else _decoder(chosen)
    return pairs, shapes | dict(chosen.shapes)


def _metadata(options: Options) -> Pairs:
    pairs: Pairs = {
        "context_length": ["UINT32", options.context],
        "embedding_length": ["UINT32", options.width],
        "block_count": ["UINT32", options.layers],
        "feed_forward_length": ["UINT32", options.hidden],
        "attention.head_count": ["UINT32", options.heads],
        "vocab_size": ["UINT32", options.vocabulary],
    }
    if options.architecture == "bert":
        pairs["attention.layer_norm_epsilon"] = ["FLOAT32", options.epsilon]
        pairs["attention.causal"] = ["BOOL", False]
        if options.pooling is not None:
            pairs["pooling_type"] = ["UINT32", POOLING[options.pooling]]
    else:
        pairs |= {
            "attention.head_count_kv": ["UINT32", options.kv],
            "attention.key_length": ["UINT32", options.size],
            "attention.value_length": ["UINT32", options.size],
            "attention.layer_norm_rms_epsilon": ["FLOAT32", options.epsilon],
            "rope.dimension_count": ["UINT32", options.turned],
            "rope.freq_base": ["FLOAT32", options.rope_base],
        }
        for name, value in options.scaling.items():
            kind = _SCALING_TYPES.get(name, "FLOAT32")
            pairs[f"rope.scaling.{name}"] = [kind, value]
    architecture = options.architecture
    return {_ARCHITECTURE: ["STRING", architecture]} | {
        f"{architecture}.{key}": pair for key, pair in pairs.items()
    }


def tokenizer(options: Options) -> Pairs:
    """The least tokenizer that llama.cpp takes: a word for each token, no merges, nothing added."""
    special = [f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")]
    words = [f"t{token}" for token in range(options.vocabulary)]
    pairs: Pairs = {"tokenizer.ggml.add_bos_token": ["BOOL", False]}
    pairs["tokenizer.ggml.add_eos_token"] = ["BOOL", False]
    names = {"unknown": 1, "padding": 0}
    if options.architecture == "bert":
        kind, words[:5] = "bert", special
        names |= {"cls": 2, "seperator": 3, "mask": 4}
        pairs["tokenizer.ggml.token_type_count"] = ["UINT32", 2]
    else:
        kind, words[:4] = "llama", ["<pad>", "<unk>", "<s>", "</s>"]
        names |= {"bos": 2, "eos": 3}
        pairs["tokenizer.ggml.scores"] = [_ARRAY + "FLOAT32", [0.0] * options.vocabulary]
        types = [3, 2, 3, 3] + [1] * (options.vocabulary - 4)
        pairs["tokenizer.ggml.token_type"] = [_ARRAY + "INT32", types]
    for name, token in names.items():
        pairs[f"tokenizer.ggml.{name}_token_id"] = ["UINT32", token]
    first: Pairs = {
        "tokenizer.ggml.model": ["STRING", kind],
        "tokenizer.ggml.tokens": [_ARRAY + "STRING", words],
    }
    return first | pairs


def _decoder(options: Options) -> Shapes:
    width, hidden, size = options.width, options.hidden, options.size
    queries, keys = options.heads * size, options.kv * size
    linear = {
        "attn_q": (queries, width),
        "attn_k": (keys, width),
        "attn_v": (keys, width),
        "attn_output": (width, queries),
        "ffn_gate": (hidden, width),
        "ffn_up": (hidden, width),
        "ffn_down": (width, hidden),
    }
    gains = {"attn_norm": width, "ffn_norm": width}
    if options.architecture == "qwen3":
        gains |= {"attn_q_norm": size, "attn_k_norm": size}
    if options.architecture == "bitnet":
        gains |= {"attn_sub_norm": width, "ffn_sub_norm": hidden}
    shapes: Shapes = {"token_embd.weight": (options.vocabulary, width)}
    if options.rope_freqs:
        shapes["rope_freqs.weight"] = (options.turned // 2,)
    if options.scaling.get("type") == "longrope":
        shapes["rope_factors_long.weight"] = (options.turned // 2,)
        shapes["rope_factors_short.weight"] = (options.turned // 2,)
    shapes |= _blocks(options, linear, gains, gain_biases=False)
    shapes["output_norm.weight"] = (width,)
    if not options.tied and options.architecture != "bitnet":
        shapes["output.weight"] = (options.vocabulary, width)
    return shapes


def _bert(options: Options) -> Shapes:
    width, hidden = options.width, options.hidden
    linear = {
        "attn_q": (width, width),
        "attn_k": (width, width),
        "attn_v": (width, width),
        "attn_output": (width, width),
        "ffn_up": (hidden, width),
        "ffn_down": (width, hidden),
    }
    gains = {"attn_output_norm": width, "layer_output_norm": width}
    shapes: Shapes = {
        "token_embd.weight": (options.vocabulary, width),
        "position_embd.weight": (options.context, width),
        "token_types.weight": (2, width),
        "token_embd_norm.weight": (width,),
        "token_embd_norm.bias": (width,),
    }
    return shapes | _blocks(options, linear, gains, gain_biases=True)


def _blocks(
    options: Options, linear: dict[str, tuple[int, int]], gains: dict[str, int], gain_biases: bool
) -> Shapes:
    biases = _BIASES[options.architecture] if options.biases is None else options.biases
    shapes: Shapes = {}
    for layer in range(options.layers):
        stem = f"blk.{layer}."
        for name, shape in linear.items():
            shapes[f"{stem}{name}.weight"] = shape
            if name in biases:
                shapes[f"{stem}{name}.bias"] = shape[:1]
        for name, length in gains.items():
            shapes[f"{stem}{name}.weight"] = (length,)
            if gain_biases:
                shapes[f"{stem}{name}.bias"] = (length,)
    return shapes


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """All tensors of a network."""
    return {name: random_tensor(seed, name, tuple(shape)) for name, shape in shapes.items()}


def write_gguf(
    path: str | Path,
    pairs: Mapping[str, list[Any]],
    shapes: Mapping[str, tuple[int, ...]],
    seed: int,
) -> None:
    """Write a network with random weights; the same file for the same arguments.

    Parameters
    ----------
    pairs, shapes
        Of :func:`network`, or the same out of JSON, where tuples are lists.
    seed : int

    Raises
    ------
    InputError
        The architecture is not among the pairs.
    """
    path = Path(path)
    if _ARCHITECTURE not in pairs:
        raise InputError(f"{path}: the metadata must have {_ARCHITECTURE}")
    temporary = path.with_name(path.name + ".partial")
    writer = gguf.GGUFWriter(temporary, pairs[_ARCHITECTURE][1])
    types = gguf.GGUFValueType
    for key, (kind, value) in pairs.items():
        if key == _ARCHITECTURE:
            continue  # the writer has put it first
        if kind.startswith(_ARRAY):
            writer.add_key_value(key, value, types.ARRAY, types[kind.removeprefix(_ARRAY)])
        else:
            writer.add_key_value(key, value, types[kind])
    for name, values in random_tensors(shapes, seed).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, path)
