"""Peak memory of packing a checkpoint of LLAMA2-7B's shapes, tensor by tensor.

``python -m lutcore.gen.manual.checkpoint_memory`` writes a GGUF file whose matrices are zeros but
for their first row (holes take no space), plans every matrix and says how much memory the process
ever held.
"""

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gguf
import numpy as np
from rich.progress import track

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.lowering.gemm import plan
from lutcore.hdl.config.presets import load_config

_WIDTH, _HIDDEN, VOCABULARY, LAYERS = 4096, 11008, 32000, 32
_LAYER = {
    "attn_q": (_WIDTH, _WIDTH),
    "attn_k": (_WIDTH, _WIDTH),
    "attn_v": (_WIDTH, _WIDTH),
    "attn_output": (_WIDTH, _WIDTH),
    "ffn_gate": (_HIDDEN, _WIDTH),
    "ffn_up": (_HIDDEN, _WIDTH),
    "ffn_down": (_WIDTH, _HIDDEN),
}


def write_sparse(path: Path, layers: int, vocabulary: int, kind: str) -> int:
    """Write a GGUF file of one type, mostly holes; returns the number of its weights."""
    shapes = dict.fromkeys(("token_embd.weight", "output.weight"), (vocabulary, _WIDTH))
    for layer in range(layers):
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in _LAYER.items()}
    rng = np.random.default_rng(0)
    number = gguf.GGMLQuantizationType[kind]
    elements, size = gguf.GGML_QUANT_SIZES[number]
    place, entries, rows = 0, b"", {}
    for name, (n, k) in shapes.items():
        entries += struct.pack("<Q", len(name)) + name.encode()
        entries += struct.pack("<IQQIQ", 2, k, n, number, place)
        rows[place] = k // elements * size
        place += n * k // elements * size
    header = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), 0) + entries
    with path.open("wb") as file:
        file.write(header + bytes(-len(header) % 32))
        base = file.tell()
        file.truncate(base + place)
        for start, count in rows.items():  # bytes below 64 make finite numbers of all formats
            file.seek(base + start)
            file.write(rng.integers(0, 64, count, np.uint8).tobytes())
    return sum(n * k for n, k in shapes.values())


def pack_all(layers: int, vocabulary: int, kind: str) -> dict[str, float]:
    """Figures of packing such a checkpoint in this process."""
    config = load_config("default", ("max_weight_bits=8", "max_k=16384"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.gguf"
        weights = write_sparse(path, layers, vocabulary, kind)
        stored, packed, start = path.stat().st_size, 0, time.perf_counter()
        checkpoint = open_checkpoint(path)
        for name in track(checkpoint.names(), "packing", disable=not sys.stderr.isatty()):
            made = plan(config, checkpoint.tensor(name), 1)
            packed += made.weights.size + made.scales.size
            del made
    return {
        "weights (billions)": weights / 1e9,
        "file (GiB)": stored / 2**30,
        "packed (GiB)": packed / 2**30,
        "seconds": time.perf_counter() - start,
        "peak memory (GiB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def measure(**options: int | str) -> dict[str, float]:
    """The same in a process of its own, with the options of the command line."""
    given = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", __name__, "--json", *given]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Pack and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=LAYERS, help="layers beside the head")
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY, help="rows of the head")
    parser.add_argument("--kind", default="Q4_0", help="type of all matrices")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = pack_all(arguments.layers, arguments.vocabulary, arguments.kind)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
