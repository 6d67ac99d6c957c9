"""Files of compiled networks: what is written is what is read; nothing in them is trusted."""

import struct

import numpy as np
import pytest
from crafted_files import changed, sealed, small_network, table_of, with_section

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


def test_saving_twice_and_saving_what_was_read_give_the_same_bytes(saved, tmp_path):
    container, path = saved
    for content in (container, Container.load(path)):
        content.save(tmp_path / "again.lut")
        assert (tmp_path / "again.lut").read_bytes() == path.read_bytes()


def put(*path):
    """A change of what a file's table says of the network: the last of ``path`` is the value."""
    *path, value = path
    return lambda raw: sealed(raw, changed(table_of(raw), ("about", *path), value))


def shape_of_image(raw):
    table = table_of(raw)
    table["sections"][0]["shape"] = [table["sections"][0]["bytes"], 1]
    return sealed(raw, table)


LAYER = ("layers", 0)
WEIGHT = "encoder.layer.0.attention.self.query.weight"
TENSOR = ("tensors", WEIGHT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("graph", changed), "'graph' is missing or unknown"),
        (put("graph", "outputs", []), "the graph has no output"),
        (put("graph", "inputs", ["tokens"]), "reads positions, not made yet"),
        (put("graph", "nodes", 0, "op", "fused"), "no operation 'fused'"),
        (put("graph", "nodes", 0, "outputs", []), "node 0 makes nothing"),
        (
            put("graph", "inputs", ["tokens", "positions", "x"]),
            "input x must be one of tokens, pos",
        ),
        (put("facts", "context", 17), "has 16 positions, the context 17"),
        (put("facts", "context", changed), "context must be a whole number in 1.."),
        (put("host", WEIGHT, 1), "must be a text, not 1"),
        (put("memory", 1 << 60), "memory must be a whole number in 0.."),
        (put("memory", 1 << 41), "memory of .* bytes is not possible"),
        (put("memory", 1 << 39), "the memory is more than what is used"),
        (put("memory", 8192), "outputs: .* are not inside of the memory"),
        (put("activations", 0), "the image does not end before activations"),
        (put("outputs", -1), "outputs must be a whole number in 0.."),
        (put("outputs", 4096), "activations: .* are not inside of the memory"),
        (put("layers", []), "do not name the same matrices"),
        (put("tensors", {}), "section codes/.* is missing or unknown"),
        (put(*LAYER, "shape", [1, 1]), "its shapes or bits differ"),
        (put(*LAYER, "runs", [[48, 1]]), "its runs do not make a row of 48 activations"),
        (put(*LAYER, "runs", [[96, 96], [-48, 48]]), "must be a whole number in 0.."),
        (put(*LAYER, "programs", []), "must have programs for more and more rows"),
        (put(*LAYER, "programs", 0, "rows", 4), "must have programs for more and more rows"),
        (put(*LAYER, "programs", 1, "rows", 1 << 16), "for more and more rows, up to 65535, not"),
        (put(*LAYER, "programs", 0, "address", -4096), "address must be a whole number in 0.."),
        (put(*LAYER, "programs", 0, "address", 8), "program: .* at 0x8 are not inside"),
        (put(*LAYER, "programs", 0, "address", 1 << 40), "program: .* are not inside"),
        (put(*LAYER, "programs", 0, "length", 513), r"must have 1\.\.512 instructions"),
        (put(*LAYER, "weights", [0, 1 << 30]), "weights: .* are not inside of the memory"),
        (put(*LAYER, "scales", [-64, 64]), "scales must be a whole number in 0.."),
        (put(*LAYER, "output_pitch", 100), "output_pitch must be 192"),
        (put(*LAYER, "blocks", "2", "order", "x"), "blocks are not those of a schedule"),
        (put(*TENSOR, "bits", 2), "its shapes or bits differ"),
        (
            put(*TENSOR, "parts", ["codes", "scales"]),
            "section zero_points/.* is missing or unknown",
        ),
        (shape_of_image, "the image does not end before activations"),
    ],
)
def test_what_does_not_belong_together_is_refused(saved, tmp_path, change, message):
    path = tmp_path / "bad.lut"
    path.write_bytes(change(saved[1].read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        Container.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).endswith("make it with lutcore compile MODEL -o FILE")


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("scales", struct.pack("<f", float("nan")), "scales must be finite"),
        ("zero_points", struct.pack("<h", -1), "zero points must be in 0..16"),
        ("zero_points", struct.pack("<h", 17), "zero points must be in 0..16"),
    ],
)
def test_tensors_are_judged_when_they_are_read(saved, tmp_path, part, content, message):
    path = tmp_path / "bad.lut"
    path.write_bytes(with_section(saved[1].read_bytes(), f"{part}/{WEIGHT}", content))
    container = Container.load(path)
    assert container.words(WEIGHT, 2)
    with pytest.raises(InputError, match=f"{path}: .*{message}"):
        container.tensors[WEIGHT].unpack(WEIGHT)


def test_an_order_that_is_none_is_refused_before_anything_is_taken_by_it(tmp_path):
    path, network = tmp_path / "bad.lut", small_network()
    (name,) = network.layers
    network.save(path)
    raw = path.read_bytes()
    path.write_bytes(with_section(raw, f"column_order/{name}", struct.pack("<i", -1)))
    with pytest.raises(InputError, match="column_order must be an int32 permutation"):
        Container.load(path).tensors[name].parts.get("column_order")
    order = next(n for n in network.graph.arrays if n.endswith(".order"))
    path.write_bytes(with_section(raw, f"constant/{order}", struct.pack("<q", 1 << 40)))
    with pytest.raises(InputError, match="must be a permutation of its 8 inputs"):
        Container.load(path)


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
