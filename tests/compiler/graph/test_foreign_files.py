"""Files as others publish them: taken as they are meant, or refused by name."""

import json

import numpy as np
import pytest
from judged import Altered, judged
from safetensors.numpy import load_file, save_file

from lutcore.compiler.graph.build import build_graph, describe
from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError
from lutcore.gen.judges.compare import distance
from lutcore.gen.judges.compare import judged as judged_rows
from lutcore.gen.run.floats import float_network
from lutcore.gen.run.network import Executor


def altered(folder, name, **metadata):
    case, wanted = judged()[name]
    checkpoint = Altered(folder, case)
    checkpoint.metadata |= metadata
    return checkpoint, case, wanted


def same(checkpoint, case, wanted):
    found = Executor(float_network(checkpoint)).run(np.array(case.tokens))
    assert distance(judged_rows(case, found), wanted) < 1e-4


def renamed(checkpoint, change):
    checkpoint._tensors = {change(name): values for name, values in checkpoint._tensors.items()}


def test_norms_of_the_first_berts_have_gamma_and_beta(tmp_path):
    checkpoint, case, wanted = altered(tmp_path, "bert: vectors")

    def old(name):
        if "LayerNorm" not in name:
            return name
        return name.replace(".weight", ".gamma").replace(".bias", ".beta")

    renamed(checkpoint, old)
    same(checkpoint, case, wanted)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("llama: grouped keys", "transformers.js_config", {"kv_cache_dtype": {"fp16": "float16"}}),
        ("llama: grouped keys", "_attn_implementation_autoset", True),
        ("llama: grouped keys", "num_experts", 0),
        ("mistral: a window", "attention_bias", False),
        ("mistral: a window", "use_sliding_window", False),
        ("bert: vectors", "directionality", "bidi"),
        ("bert: vectors", "pooler_type", "first_token_transform"),
        ("bert: vectors", "tokenizer_class", "XLMRobertaTokenizer"),
        ("bert: classes", "classifier_dropout", 0.1),
        ("llama in GGUF: grouped keys", "split.tensors.count", 300),
        ("bert in GGUF: pooled: cls", "bert.classifier.output_labels", ["LABEL_0"]),
    ],
)
def test_what_is_published_passes(name, key, value, tmp_path):
    checkpoint, _, _ = altered(tmp_path, name, **{key: value})
    build_graph(checkpoint)


def test_old_and_new_rope_of_one_file_are_refused(tmp_path):
    scaling = {"type": "linear", "factor": 4.0}
    checkpoint, _, _ = altered(tmp_path, "llama: linear", rope_scaling=scaling)
    with pytest.raises(InputError, match="both rope_parameters and rope_scaling are there"):
        build_graph(checkpoint)


@pytest.mark.parametrize("base", [1, 0.5])
def test_yarn_takes_logarithms_to_a_base_over_one(base, tmp_path):
    checkpoint, _, _ = altered(tmp_path, "llama: yarn")
    checkpoint.metadata["rope_parameters"]["rope_theta"] = base
    with pytest.raises(InputError, match="rotary base must be over 1 for yarn"):
        build_graph(checkpoint)


@pytest.mark.parametrize("original", [1, 0.5])
def test_an_original_context_of_one_token_is_refused(original, tmp_path):
    checkpoint, _, _ = altered(tmp_path, "llama: longrope, a long text")
    checkpoint.metadata["rope_parameters"]["original_max_position_embeddings"] = original
    with pytest.raises(InputError, match="original_max_position_embeddings must be over 1"):
        build_graph(checkpoint)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("bert: vectors", "head_dim", 32),
        ("llama: grouped keys", "is_causal", None),
        ("bert in GGUF: pooled: cls", "bert.attention.key_length", 16),
    ],
)
def test_what_others_read_otherwise_is_refused(name, key, value, tmp_path):
    checkpoint, _, _ = altered(tmp_path, name, **{key: value})
    with pytest.raises(InputError, match=f"not understood.*{key}"):
        build_graph(checkpoint)


@pytest.mark.parametrize("name", ["qwen2 in GGUF: grouped keys", "bert in GGUF: pooled: cls"])
def test_scales_that_llama_cpp_passes_over_are_refused(name, tmp_path):
    checkpoint, _, _ = altered(tmp_path, name)
    checkpoint.change("blk.0.ffn_up.scale", np.full(1, 2, np.float32))
    with pytest.raises(InputError, match=r"not understood.*blk\.0\.ffn_up\.scale"):
        build_graph(checkpoint)


def test_a_bias_that_no_one_adds_must_be_zero(tmp_path):
    checkpoint, case, wanted = altered(tmp_path, "qwen2: tied")
    name = "model.layers.0.self_attn.o_proj.bias"
    checkpoint.change(name, np.zeros(64, np.float32))
    same(checkpoint, case, wanted)
    checkpoint.change(name, np.full(64, 0.1, np.float32))
    with pytest.raises(InputError, match=r"o_proj\.bias' is not 0, but not understood"):
        build_graph(checkpoint)


def pooling(checkpoint, **changes):
    part = checkpoint.sidecars["modules.json"][1]
    checkpoint.sidecars["modules.json"][1] = part | changes


@pytest.mark.parametrize("changes", [{"path": "pool"}, {"type": "my_code.Pooling"}])
def test_modules_that_stand_elsewhere_or_are_not_the_librarys_are_refused(changes, tmp_path):
    checkpoint, _, _ = altered(tmp_path, "bert: pooled by mean")
    pooling(checkpoint, **changes)
    with pytest.raises(InputError, match=r"modules\.json: .* must be sentence_transformers' own"):
        build_graph(checkpoint)


def test_a_pooling_that_nothing_names_is_refused(tmp_path):
    checkpoint, _, _ = altered(tmp_path, "bert: pooled by mean")
    del checkpoint.sidecars["modules.json"]
    with pytest.raises(InputError, match=r"is there, but no modules\.json that names it"):
        build_graph(checkpoint)


def test_the_head_of_a_masked_model_is_left_over_in_a_sentence_encoder(tmp_path):
    checkpoint, case, wanted = altered(tmp_path, "bert: pooled by mean")
    other, _, _ = altered(tmp_path, "bert: masked")
    for name in other.names():
        if name.startswith("cls."):
            checkpoint.change(name, other.array(name))
    checkpoint.metadata["architectures"] = ["BertForMaskedLM"]
    same(checkpoint, case, wanted)
    assert "cls.predictions.transform.dense.weight" in describe(checkpoint)[1].harmless


def test_a_classifier_that_pools_says_who_has_vectors(tmp_path):
    checkpoint, _, _ = altered(tmp_path, "bert: classes")
    other, _, _ = altered(tmp_path, "bert: pooled by mean")
    checkpoint.sidecars = other.sidecars
    with pytest.raises(InputError, match=r"pools vectors of BertModel, which .* has not"):
        build_graph(checkpoint)


def test_a_pooled_text_is_read_whole(tmp_path):
    case, _ = judged()["qwen3: pooled by the last token"]
    executor = Executor(float_network(case.open(tmp_path)))
    executor.run(np.array(case.tokens))
    with pytest.raises(InputError, match="reads whole texts"):
        executor.decode(np.array([1]))


def test_a_network_that_is_said_to_be_quantised_and_is_not_is_refused(tmp_path):
    case, _ = judged()["bitnet: grouped keys"]
    path = case.write(tmp_path)
    config = case.files["config.json"] | {"quantization_config": {"quant_method": "bitnet"}}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="quant_method is 'bitnet', but no matrix is quantised so"):
        build_graph(open_checkpoint(path))


def test_a_whole_file_beside_the_shards_of_another_is_refused(tmp_path):
    case, _ = judged()["llama: grouped keys"]
    path = case.write(tmp_path)
    (path / "other.safetensors").write_bytes((path / "model.safetensors").read_bytes())
    index = {"weight_map": dict.fromkeys(case.tensors, "other.safetensors")}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"has model\.safetensors, and .* of others: remove one"):
        open_checkpoint(path)


def test_a_causal_model_that_is_pooled_ends_without_its_head(tmp_path):
    checkpoint, case, wanted = altered(tmp_path, "qwen3: pooled by the last token")
    checkpoint.metadata["architectures"] = ["Qwen3ForCausalLM"]
    same(checkpoint, case, wanted)
    checkpoint.change("lm_head.weight", np.ones((64, 64), np.float32))
    same(checkpoint, case, wanted)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("differs", [False, True])
def test_a_tied_matrix_that_is_stored_too_must_be_the_same(kind, differs, tmp_path):
    case, _ = judged()["qwen3: tied"]
    path = case.write(tmp_path) / "model.safetensors"
    tensors = load_file(path)
    embedding = tensors["model.embed_tokens.weight"].astype(np.float16).astype(np.float32)
    tensors |= {"model.embed_tokens.weight": embedding, "lm_head.weight": embedding.astype(kind)}
    if differs:
        tensors["lm_head.weight"] = np.roll(tensors["lm_head.weight"], 1, axis=0)
    save_file(tensors, path)
    if not differs:
        build_graph(open_checkpoint(tmp_path))
        return
    with pytest.raises(InputError, match=r"tie_word_embeddings is true, but .* differ"):
        build_graph(open_checkpoint(tmp_path))
