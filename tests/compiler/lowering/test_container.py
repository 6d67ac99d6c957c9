"""Files of compiled networks: what is written is what is read; nothing in them is trusted."""

import hashlib
import json
import struct

import numpy as np
import pytest

from lutcore.compiler.lowering.container import Container
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.weights.quantise import Rounding
from lutcore.compiler.weights.stored import StoredTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.samples.networks import bert

CORE = CoreConfig(
    precompute="buffered", zero_points="external", n=16, group_size=32, max_weight_bits=4
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    container, _ = compile_network(bert(), CORE, rows=(2, 4), rounding=Rounding(4))
    path = tmp_path_factory.mktemp("container") / "bert.lut"
    container.save(path)
    return container, path


def test_a_container_is_read_as_it_was_written(saved):
    container, path = saved
    again = Container.load(path)
    assert again.config == container.config and again.layers == container.layers
    assert again.graph.nodes == container.graph.nodes and again.facts == container.facts
    np.testing.assert_array_equal(again.image, container.image)
    for name, tensor in container.tensors.items():
        one, two = tensor.unpack(name), again.tensors[name].unpack(name)
        np.testing.assert_array_equal(one.dequantise(), two.dequantise())
    for name, array in container.graph.arrays.items():
        np.testing.assert_array_equal(again.graph.arrays[name], array)
    assert again.words("encoder.layer.0.output.dense.weight", 4)


def test_the_same_network_makes_the_same_file(saved, tmp_path):
    _, path = saved
    container, _ = compile_network(bert(), CORE, rows=(4, 2), rounding=Rounding(4))
    container.save(tmp_path / "again.lut")
    assert (tmp_path / "again.lut").read_bytes() == path.read_bytes()


def test_all_matrices_share_one_memory(saved):
    container, _ = saved
    taken = np.zeros(container.memory, np.int8)
    for layer in container.layers.values():
        for at, size in (layer.weights, layer.scales):
            taken[at : at + size] += 1
        for entry in layer.programs:
            taken[entry.address : entry.address + 16 * entry.length] += 1
    assert taken.max() == 1 and not taken[container.activations :].any()


@pytest.mark.parametrize("bits", range(1, 9))
def test_stored_codes_survive(bits, make_tensor):
    tensor = make_tensor(5, 19, bits, 8)
    again = StoredTensor.of(tensor).unpack("x")
    np.testing.assert_array_equal(again.codes, tensor.codes)
    np.testing.assert_array_equal(again.dequantise(), tensor.dequantise())


def sealed(raw: bytes, change) -> bytes:
    """A file with another header and a right checksum."""
    length = struct.unpack_from("<Q", raw, 12)[0]
    header = json.loads(raw[20 : 20 + length])
    header = change(header) or header
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 20) % 64)
    whole = raw[:12] + struct.pack("<Q", len(text)) + text + raw[20 + length : -32]
    return whole + hashlib.sha256(whole).digest()


def first_layer(**values):
    return lambda header: header["layers"][0].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: b"", "cannot read"),
        (lambda raw: b"PK\3\4" + raw[4:], "no compiled network"),
        (lambda raw: raw[:100], "truncated"),
        (lambda raw: raw[:-1], "damaged or truncated"),
        (lambda raw: raw[:9000] + b"\xff" + raw[9001:], "checksum"),
        (lambda raw: raw[:8] + b"\x09" + raw[9:], "has version 9, this is 1"),
        (lambda raw: raw[:12] + b"\xff" * 8 + raw[20:], "truncated"),
        (lambda raw: sealed(raw, lambda h: [1]), "damaged header"),
        (lambda raw: sealed(raw, lambda h: h.pop("graph") and None), "damaged header"),
        (lambda raw: sealed(raw, lambda h: h.update(memory=1 << 60)), "memory of"),
        (lambda raw: sealed(raw, lambda h: h.update(memory=8192)), "does not fit the memory"),
        (lambda raw: sealed(raw, lambda h: h.update(outputs=-1)), "do not belong together"),
        (lambda raw: sealed(raw, lambda h: h.update(layers=[])), "has no program"),
        (lambda raw: sealed(raw, first_layer(shape=[1, 1])), "do not belong together"),
        (lambda raw: sealed(raw, first_layer(runs=[[48, 1]])), "do not belong together"),
        (lambda raw: sealed(raw, first_layer(programs=[])), "do not belong together"),
        (
            lambda raw: sealed(raw, lambda h: h["sections"]["image"].update(shape=[1 << 60])),
            "not inside of the file",
        ),
        (
            lambda raw: sealed(raw, lambda h: h["sections"]["image"].update(shape=[1 << 40] * 9)),
            "not inside of the file",
        ),
        (
            lambda raw: sealed(raw, lambda h: h["tensors"].update({next(iter(h["tensors"])): 5})),
            "damaged header",
        ),
    ],
)
def test_a_damaged_file_is_refused(saved, tmp_path, change, message):
    path = tmp_path / "bad.lut"
    path.write_bytes(change(saved[1].read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        Container.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_is_left_where_a_file_cannot_be_written(saved, tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        saved[0].save(tmp_path / "absent" / "x.lut")
    assert not list(tmp_path.iterdir())


def test_a_core_for_other_activations_is_refused():
    config = CORE.replace(activation="int16")
    with pytest.raises(InputError, match="set activation=int8"):
        compile_network(bert(), config, rounding=Rounding(4))


def test_matrices_that_a_core_does_not_take_stay_with_the_host():
    with pytest.raises(InputError, match="no matrix that"):
        compile_network(bert(), CORE.replace(max_weight_bits=2), rounding=Rounding(4))
    with pytest.raises(InputError, match="give --bits to round them"):
        compile_network(bert(), CORE)
