"""Graphs: builders, passes, printing."""

from dataclasses import replace

import numpy as np
import pytest

from lutcore.compiler.graph.build import build_graph
from lutcore.compiler.graph.draw import dot, summary, svg, text
from lutcore.compiler.graph.ir import Graph, Node, Value
from lutcore.compiler.graph.passes import PASSES, Target, run_passes
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.samples.networks import bert, qwen, ternary_model

CORE = CoreConfig(
    precompute="buffered", zero_points="external", n=16, group_size=32, max_weight_bits=4
)


def count(graph: Graph, op: str) -> int:
    return sum(node.op == op for node in graph.leaves())


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    graph, _ = build_graph(ternary_model(tmp_path_factory.mktemp("model")))
    return run_passes(graph, Target(CORE))


def test_a_ternary_model_becomes_a_graph(stages):
    built = stages["built"]
    assert count(built, "linear") == 15 and count(built, "norm") == 9
    assert built.values["output"] == Value(("T", 256), "f32")
    assert all(built.values[name].dtype == "w2" for name in built.weights)


def test_products_become_precompute_and_lookups(stages):
    assert count(stages["lower"], "mpgemm") == 15
    assert count(stages["split"], "mpgemm") == 0
    assert count(stages["split"], "lut_mpgemm") == count(stages["split"], "precompute") == 15


def test_consumers_of_one_activation_share_its_precompute(stages):
    # A block: q, k, v share; output; gate, up share; down. Then the head.
    assert count(stages["share"], "precompute") == count(stages["share"], "quantise") == 9
    assert count(stages["share"], "lut_mpgemm") == 15


def test_precompute_is_fused_with_what_makes_its_input(stages):
    fused = [node for node in stages["fuse"].nodes if node.op == "fused"]
    assert len(fused) == 9 and count(stages["fuse"], "precompute") == 9
    assert [part.op for part in fused[2].body][:2] == ["add", "norm"]
    ops = [part.op for part in fused[3].body]
    assert ops == ["activation", "multiply", "norm", "quantise", "precompute"]
    assert "blk.0.attention_residual" in fused[2].outputs, "the residual is read later, too"


def test_scales_of_attention_fold_into_those_of_the_product(stages):
    assert count(stages["built"], "scale") == 2 and count(stages["fold"], "scale") == 0
    factors = [n.attributes.get("factor") for n in stages["fold"].nodes if n.op == "rescale"]
    assert factors.count(0.125) == 2


def test_a_factor_that_folds_takes_the_bias_along():
    graph, _ = build_graph(bert(), 4)
    made = run_passes(graph, Target(CORE))["fold"]
    assert count(graph, "scale") == 1 and count(made, "scale") == 0
    (query,) = (n for n in made.nodes if n.op == "rescale" and "factor" in n.attributes)
    bias = graph.arrays["encoder.layer.0.attention.self.query.bias"]
    factor = np.float32(query.attributes["factor"])
    assert factor == np.float32(12**-0.5)
    np.testing.assert_array_equal(made.arrays[query.inputs[2]], bias * factor)
    assert "encoder.layer.0.attention.self.query.bias" not in made.arrays


def test_grouped_keys_norms_of_heads_and_a_tied_output():
    graph, facts = build_graph(qwen(), 4)
    assert (facts.kv_heads, facts.head_size, facts.family.pairs) == (2, 8, "halves")
    norms = [node.attributes.get("heads") for node in graph.nodes if node.op == "norm"]
    assert norms == [None, 4, 2, None, None]
    tied = next(node for node in graph.nodes if node.name == "output")
    assert graph.weights[tied.inputs[1]] == "model.embed_tokens.weight"
    assert graph.values[tied.inputs[1]].dtype == "w4"


def test_minimums_are_a_host_operator():
    graph, _ = build_graph(bert(), 4)
    weight = next(iter(graph.weights))
    target = Target(CORE, minimums={weight: (32, np.ones((48, 2), np.float32), None)})
    made = run_passes(graph, target)["fuse"]
    assert count(made, "offset") == 1


def test_refused_matrices_stay_with_the_host():
    graph, _ = build_graph(bert(), 4)
    weight = next(iter(graph.weights))
    made = run_passes(graph, Target(CORE, {weight: "too wide"}))["fuse"]
    assert count(made, "linear") == 1 and count(made, "lut_mpgemm") == 5


@pytest.mark.parametrize("stage", ["built", *PASSES])
def test_graphs_survive_as_plain_values(stages, stage):
    graph = stages[stage]
    again = Graph.from_dict(graph.to_dict(), graph.arrays)
    assert again.nodes == graph.nodes and again.values == graph.values


def test_what_is_printed_names_every_value(stages):
    printed = text(stages["fuse"])
    for name in ("blk.1.ffn_down.product: f32[T, 256]", "table[T, 64, 8]", "lut_mpgemm"):
        assert name in printed
    assert "9 " not in summary(stages["built"]).split("norm")[1]
    drawn = svg(stages["fuse"])
    assert drawn.count('class="node"') == dot(stages["fuse"]).count(' [label="') - dot(
        stages["fuse"]
    ).count("-> ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: replace(n, inputs=("nothing",)), "reads nothing, not made yet"),
        (lambda n: replace(n, op="magic"), "no operation 'magic'"),
        (lambda n: replace(n, attributes={"kind": "batch", "epsilon": 0}), "kind must be layer"),
        (lambda n: replace(n, attributes={"kind": "rms"}), "'epsilon'"),
        (lambda n: replace(n, inputs=n.inputs[:1] * 2), "gains must have 48 elements"),
    ],
)
def test_a_graph_that_is_not_right_is_refused(change, message):
    graph, _ = build_graph(bert(), 4)
    index = next(i for i, node in enumerate(graph.nodes) if node.op == "norm")
    graph.nodes[index] = change(graph.nodes[index])
    with pytest.raises(InputError, match=message):
        graph.check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "architecture 'mamba' is not known"),
        ({"num_hidden_layers": 10**9}, r"num_hidden_layers must be 1\.\.16777216"),
        ({"num_attention_heads": 5}, "5 heads, 5 of keys do not divide 48"),
        ({"layer_norm_eps": "small"}, "must be positive, not 'small'"),
        ({"hidden_act": "swoosh"}, "hidden_act 'swoosh' is not known"),
        ({"num_hidden_layers": 2}, "no tensor 'blk.1|no tensor 'encoder.layer.1"),
        ({"rope_scaling": {"type": "yarn"}}, "not understood, .*: rope_scaling.type = 'yarn'"),
    ],
)
def test_metadata_that_is_not_right_is_refused(change, message):
    checkpoint = bert()
    checkpoint.metadata |= change
    with pytest.raises(InputError, match=message):
        build_graph(checkpoint)


def test_a_node_makes_what_it_says():
    graph = Graph("g", ["tokens"], ["x"], [], {"tokens": Value(("T",), "i64")})
    graph.constant("w", np.zeros((4, 8), np.float32))
    graph.nodes.append(graph.typed(Node("embed", ("tokens", "w"), ("x",))))
    graph.check()
    graph.values["x"] = Value(("T", 9), "f32")
    with pytest.raises(InputError, match=r"x must be f32\[T, 8\], not f32\[T, 9\]"):
        graph.check()
