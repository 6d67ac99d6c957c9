"""Damaged checkpoints of every kind: each is read, or refused in one line, in bounded memory.

``python -m lutcore.verif.campaigns.checkpoints --seconds 600``. Small valid checkpoints are damaged
in their bytes and, so as to get past checks of the container, in the values of their JSON. A case
is known by its number and the seed, and its files stay in the folder where it failed.
"""

import argparse
import faulthandler
import json
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from lutcore.compiler.graph.build import build_graph
from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.importers.ternary_model import ModelShape, random_model, write_model
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import (
    RAW_BLOCKS,
    awq_parts,
    bitnet_packed,
    gguf_file,
    gptq_parts,
    i2_s_file,
    mxfp4_blocks,
    random_blocks,
    safetensors_folder,
)
from lutcore.verif.samples.networks import Floats, bert, qwen

#: A case may take this much time, and this much more address space than there was before it.
SECONDS_LIMIT = 20
MEMORY_LIMIT = 1 << 30

_QUANTISED = ("TQ1_0", "TQ2_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4")
_NUMBERS = (0, 1, 2, 3, 8, 31, 36, 41, 99, 255, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63)
_VALUES = (
    *(
        None,
        True,
        -1,
        0,
        1,
        3,
        1 << 31,
        1 << 63,
        1 << 80,
        10**400,
        0.5,
        float("nan"),
        "",
        "x",
        "gptq_v2",
    ),
    *("F16", "BF16", "I32", "U8", "F4", "awq", [], {}, [[[[0]]]], [1 << 62, 1 << 62], "y" * 999),
)


def _gguf(path: Path, rng: np.random.Generator) -> None:
    values = rng.normal(size=(3, 256))
    tensors = {f"w.{kind}": (values, kind) for kind in (*_QUANTISED, "F16", "BF16")}
    tensors |= {f"w.{kind}": (random_blocks(kind, 2, 256, rng), kind) for kind in RAW_BLOCKS}
    tensors["experts"] = (values.reshape(3, 1, 256), "Q8_0")
    gguf_file(path / "model.gguf", tensors, words=["a", "bc"], sizes=[1, 2], name="it")


def _i2_s(path: Path, rng: np.random.Generator) -> None:
    i2_s_file(path / "model.gguf", rng.integers(-1, 2, (3, 128)), 0.5)


def _gptq(path: Path, rng: np.random.Generator) -> None:
    bits, version = int(rng.choice([2, 3, 4, 8])), int(rng.integers(1, 3))
    codes, zeros = rng.integers(0, 1 << bits, (32, 64)), rng.integers(1, 1 << bits, (32, 2))
    parts = gptq_parts(codes, zeros, rng.normal(size=(32, 2)), bits, version)
    parts["g_idx"] = rng.permutation(np.arange(64, dtype=np.int32) // 32)
    config = {
        "quant_method": "gptq", "bits": bits, "group_size": 32, "desc_act": True, "sym": False,
        "checkpoint_format": {1: "gptq", 2: "gptq_v2"}[version],
    }  # fmt: skip
    tensors = {f"w.{name}": part for name, part in parts.items()}
    beside = bool(rng.integers(2))
    safetensors_folder(path, tensors, None if beside else config)
    if beside:
        (path / "quantize_config.json").write_text(json.dumps(config))


def _awq(path: Path, rng: np.random.Generator) -> None:
    parts = awq_parts(
        rng.integers(0, 16, (16, 64)), rng.integers(0, 16, (16, 2)), rng.normal(size=(16, 2))
    )
    config = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
    safetensors_folder(path, {f"w.{name}": part for name, part in parts.items()}, config)


def _bitnet(path: Path, rng: np.random.Generator) -> None:
    packed = bitnet_packed(rng.integers(-1, 2, (8, 24)))
    tensors: dict[str, np.ndarray] = {"w.weight": packed, "norm": np.ones(8, np.float16)}
    tensors["w.weight_scale"] = np.array([1.5], np.float32)
    config = {"quant_method": "bitnet", "linear_class": "autobitlinear"}
    safetensors_folder(path, tensors, config)


def _mxfp4(path: Path, rng: np.random.Generator) -> None:
    tensors = {
        "w_blocks": mxfp4_blocks(rng.integers(0, 16, (2, 3, 64))),
        "w_scales": rng.integers(100, 140, (2, 3, 2)).astype(np.uint8),
    }
    safetensors_folder(path, tensors, {"quant_method": "mxfp4"})


def _language_model(path: Path, rng: np.random.Generator) -> None:
    shape = ModelShape(layers=1, width=256, heads=4, hidden=256, context=32)
    write_model(path / "model.gguf", shape, *random_model(shape))


def _floats(network: Floats) -> Callable[[Path, np.random.Generator], None]:
    def write(path: Path, rng: np.random.Generator) -> None:
        tensors = {name: network.array(name) for name in network.names()}
        safetensors_folder(path, tensors, None)
        (path / "config.json").write_text(json.dumps(network.metadata))

    return write


#: Kind of checkpoint -> writes a valid one into a folder.
SEEDS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "gguf": _gguf,
    "i2_s": _i2_s,
    "gptq": _gptq,
    "awq": _awq,
    "bitnet": _bitnet,
    "mxfp4": _mxfp4,
    "bitnet-model": _language_model,
    "qwen-model": _floats(qwen()),
    "bert-model": _floats(bert()),
}


def _damage_bytes(raw: bytes, rng: np.random.Generator) -> bytes:
    """One change: of a bit, a byte or a number, the end cut off, or a stretch doubled."""
    if not raw:
        return b"GGUF"
    data = bytearray(raw)
    # Headers are a small part of a file and hold most of what can go wrong.
    place = int(rng.integers(len(data) if rng.random() < 0.4 else min(len(data), 600)))
    match int(rng.choice(5, p=[0.3, 0.25, 0.3, 0.05, 0.1])):
        case 0:
            data[place] ^= 1 << int(rng.integers(8))
        case 1:
            data[place] = int(rng.integers(256))
        case 2:
            code = "<Q" if rng.random() < 0.5 else "<I"
            number = int(rng.choice(np.array(_NUMBERS, np.uint64)))
            packed = struct.pack(code, number & (1 << 8 * struct.calcsize(code)) - 1)
            data[place : place + len(packed)] = packed
        case 3:
            del data[place:]
        case _:
            data[place:place] = data[place : place + int(rng.integers(1, 65))]
    return bytes(data)


def _damage_value(value: Any, rng: np.random.Generator) -> Any:
    """JSON with one value changed, dropped or doubled, at any depth."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = list(value)[int(rng.integers(len(value)))]
        changed = dict(value)
        if rng.random() < 0.1:
            changed[key + "_"] = changed.pop(key)
        elif rng.random() < 0.1:
            del changed[key]
        else:
            changed[key] = _damage_value(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = int(rng.integers(len(value)))
        return [*value[:place], _damage_value(value[place], rng), *value[place + 1 :]]
    if isinstance(value, int) and rng.random() < 0.5:
        return value + int(rng.integers(-4, 5)) * int(rng.choice([1, 8, 32]))
    return _VALUES[int(rng.integers(len(_VALUES)))]


def _damage_json(raw: bytes, rng: np.random.Generator) -> bytes:
    """JSON text, damaged in one value."""
    try:
        return json.dumps(_damage_value(json.loads(raw), rng)).encode()
    except ValueError:
        return _damage_bytes(raw, rng)


def _damage_header(raw: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file, damaged in one value of its header."""
    size = struct.unpack("<Q", raw[:8])[0] if len(raw) >= 8 else 0
    if not 0 < size <= len(raw) - 8:
        return _damage_bytes(raw, rng)
    header = _damage_json(raw[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + raw[8 + size :]


def damage(folder: Path, rng: np.random.Generator) -> None:
    """Damage the files of a checkpoint once, or up to three times."""
    paths = sorted(folder.iterdir())
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        path = paths[int(rng.integers(len(paths)))]
        change = {".json": _damage_json, ".safetensors": _damage_header}.get(path.suffix)
        if change is None or rng.random() < 0.4:
            change = _damage_bytes
        path.write_bytes(change(path.read_bytes(), rng))


def read_all(folder: Path) -> str:
    """Read all tensors of a checkpoint and build its graph.

    Returns ``refused``, or ``read`` where one tensor at least was.
    """
    model = folder / "model.gguf"
    seen = "refused"
    try:
        checkpoint = open_checkpoint(model if model.exists() else folder)
    except InputError as error:
        return _one_line(error)
    for name in checkpoint.names():
        facts = checkpoint.facts(name)
        stack = len(facts.shape) == 3 and facts.bits is not None
        for part in [name, *([f"{name}[{i}]" for i in range(facts.shape[0])][:4] if stack else ())]:
            for read in (checkpoint.tensor, checkpoint.array):
                try:
                    read(part)
                    seen = "read"
                except InputError as error:
                    _one_line(error)
    try:
        build_graph(checkpoint)
    except InputError as error:
        _one_line(error)
    return seen


def _one_line(error: InputError) -> str:
    text = str(error)
    if "\n" in text or len(text) > 2000:
        raise AssertionError(f"not one clear line: {text[:200]!r}") from error
    return "refused"


@contextmanager
def _bounded(seconds: int, memory: int) -> Iterator[None]:
    """Raise where a case takes more time or memory."""

    def late(signum: int, frame: object) -> None:
        raise TimeoutError(f"over {seconds} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, before[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def campaign(
    folder: Path, seed: int, seconds: float = float("inf"), cases: int | None = None
) -> Counter[str]:
    """Damage and read checkpoints until the time or the cases are used up.

    Returns
    -------
    collections.Counter
        How many cases of each kind were read and refused, e.g. ``gptq refused``.

    Raises
    ------
    AssertionError
        A case raised what is no InputError, or took too long or too much memory; the text says
        which, and its files stay in the folder.
    """
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    case = 0
    while time.monotonic() < end and case != cases:
        kind = list(SEEDS)[case % len(SEEDS)]
        rng = np.random.default_rng([seed, case])
        place = folder / f"{kind}-{seed}-{case}"
        place.mkdir(parents=True)
        SEEDS[kind](place, rng)
        damage(place, rng)
        try:
            with _bounded(SECONDS_LIMIT, MEMORY_LIMIT), warnings.catch_warnings():
                warnings.simplefilter("error")  # a user would see them
                counts[f"{kind} {read_all(place)}"] += 1
        except Exception as error:
            raise AssertionError(f"{place}: {type(error).__name__}: {error}") from error
        shutil.rmtree(place)
        case += 1
    return counts


def main() -> None:
    """Run the campaign and print how many cases there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long")
    parser.add_argument("--seed", type=int, default=0, help="seed of all cases")
    arguments = parser.parse_args()
    faulthandler.enable()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    console = Console(stderr=True)
    with console.status(f"fuzzing for {arguments.seconds:.0f} s in {folder}"):
        try:
            counts = campaign(folder, arguments.seed, arguments.seconds)
        except AssertionError as error:
            console.print(f"failed: {error}", style="red", highlight=False, soft_wrap=True)
            sys.exit(1)
    shutil.rmtree(folder)
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")
    print(f"{counts.total()} cases, none crashed")


if __name__ == "__main__":
    main()
