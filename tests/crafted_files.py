"""Small files of programs and networks, and others of them whose digests are right all the same."""

import copy
import hashlib
import json
import struct

import numpy as np

from lutcore.compiler.importers.checkpoint import Facts
from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.presets import preset
from lutcore.verif.samples.networks import Floats, bert

TRAILER = struct.Struct("<8sI4xQQ32s")


def small_program():
    """A product of eight columns on ``edge``."""
    core, rng = preset("edge"), np.random.default_rng(0)
    tensor = random_tensor((8, 32), 2, 32, rng)
    tensor.zero_points[:] = 1
    return gemm(core, tensor, random_activations(core, 1, 32, rng))


class _OneMatrix(Floats):
    """A network of floats but for one matrix, with minimums and an order of its columns."""

    name = "encoder.layer.0.output.dense.weight"

    def _facts(self, name):
        facts = super()._facts(name)
        return Facts("codes", facts.shape, facts.nbytes, 2) if name == self.name else facts

    def _decode(self, name, index):
        rng = np.random.default_rng(1)
        return QuantTensor(
            name=name,
            kind="codes",
            bits=2,
            codes=rng.integers(0, 4, (8, 8)).astype(np.uint8),
            scales=np.full((8, 1), 0.25, np.float32),
            zero_points=np.zeros((8, 1), np.int16),
            minimums=np.full((8, 1), -0.25, np.float32),
            group_size=8,
            column_order=np.arange(8, dtype=np.int32)[::-1].copy(),
        )


def small_network():
    """A sentence encoder of one layer, with one matrix on ``edge``."""
    floats = bert(width=8, hidden=8, heads=2)
    model = _OneMatrix(floats.metadata, {n: floats.array(n) for n in floats.names()})
    return compile_network(model, preset("edge"), rows=(1, 2))[0]


def table_of(raw: bytes) -> dict:
    """The table of a file."""
    _, _, at, size, _ = TRAILER.unpack(raw[-64:])
    return json.loads(raw[at : at + size])


def sealed(raw: bytes, table, version: int = 2) -> bytes:
    """The file with another table, text or plain values, and a right digest of it."""
    at = TRAILER.unpack(raw[-64:])[2]
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    digest = hashlib.sha256(text).digest()
    trailer = TRAILER.pack(b"LUTCORE\n", version, at, len(text), digest)
    return raw[:at] + text + bytes(-len(text) % 64) + trailer


def with_section(raw: bytes, name: str, content: bytes) -> bytes:
    """The file with the begin of a section overwritten, and right digests."""
    table = table_of(raw)
    section = next(section for section in table["sections"] if section["name"] == name)
    at, end = section["at"], section["at"] + section["bytes"]
    raw = raw[:at] + content + raw[at + len(content) :]
    section["sha256"] = hashlib.sha256(raw[at:end]).hexdigest()
    return sealed(raw, table)


def changed(table, path, value):
    """A table with another value at a path of keys; ``changed`` itself: without it."""
    key, *rest = path
    made = copy.copy(table)
    if not rest and value is changed:
        del made[key]
    else:
        made[key] = changed(table[key], rest, value) if rest else value
    return made


def paths(plain, path=()):
    """Paths to all values inside of plain values, those that hold others before what they hold."""
    keys = plain if isinstance(plain, dict) else range(len(plain)) if type(plain) is list else ()
    for key in keys:
        yield (*path, key)
        yield from paths(plain[key], (*path, key))
