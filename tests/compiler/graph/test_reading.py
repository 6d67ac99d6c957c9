"""What is read of a checkpoint, and what becomes of the rest, name by name."""

from typing import Any

import numpy as np
import pytest

from lutcore.compiler.graph.reading import Account, Reading
from lutcore.errors import InputError
from lutcore.verif.samples.networks import Floats

TENSORS = ("model.layers.0.weight", "bert.odd", "spare")


def reading(metadata, ignored=(), sidecars=None):
    checkpoint = Floats(dict(metadata), {name: np.ones(2, np.float32) for name in TENSORS})
    checkpoint.sidecars = dict(sidecars or {})
    return Reading(checkpoint, ignored)


def test_keys_are_read_and_noted():
    found = reading({"a": 1, "b": None, "c": 2, "d": 2, "e": 3})
    assert (found.take("a"), found.take("b", 7), found.take("z"), found.take("z", 7)) == (
        1, None, None, 7
    )  # fmt: skip
    assert found.first(["z", "b", "c", "d"]) == ("c", 2)
    assert found.first(["z", "b"], 9) == ("", 9) and found.first(["z"]) == ("", None)
    with pytest.raises(InputError, match=": c = 2, but e = 3"):
        found.first(["c", "d", "e"])
    made = found.account()
    assert made.used == ["a", "b", "c", "d", "e"] and not made.harmless
    assert made.unknown == dict.fromkeys(TENSORS, "(tensor)")


def test_tensors_are_used_or_spare():
    found = reading({})
    assert found.tensor("spare") and not found.tensor("absent")
    found.spare("bert.odd", "for nothing")
    found.spare("absent", "for nothing")
    made = found.account()
    assert made.used == ["spare"] and made.harmless == {"bert.odd": "for nothing"}
    assert made.unknown == {TENSORS[0]: "(tensor)"}


def test_members_and_files_have_names_of_their_own():
    found = reading(
        {
            "rope_scaling": {"type": "linear", "factor": 2},
            "rope_parameters": {},
            "quantization_config": {"bits": 4},
            "head": {"x": 1},
        },
        sidecars={
            "1_Pooling/config.json": {"include_prompt": True, "mode": 1},
            "modules.json": [1],
            "other.json": {"x": 1},
        },
    )
    assert found.hugging_face
    assert not reading({"general.architecture": "llama"}).hugging_face
    assert found.said == {
        "rope_scaling.type": "linear",
        "rope_scaling.factor": 2,
        "rope_parameters": {},
        "head": {"x": 1},
        "1_Pooling/config.json: include_prompt": True,
        "1_Pooling/config.json: mode": 1,
        "modules.json": [1],
    }
    made = found.account()
    neutral = "says what networks do anyway"
    assert made.harmless["rope_parameters"] == neutral
    assert made.harmless["1_Pooling/config.json: include_prompt"] == neutral
    assert made.unknown["head"] == "= {'x': 1}"


def test_what_is_not_understood_says_what_it_may_mean():
    made = reading(
        {
            "general.architecture": "llama",
            "llama.expert_count": 8,
            "x.num_experts": 4,
            "llama.expert_used_count": 0,
            "general.name": "it",
            "general.tags": ["a", "b"],
            "general.counts": ["a", 1],
            "name": "it",
            "tokenizer.model": "x",
            "is_causal": None,
            "another": None,
        }
    ).account()
    assert made.harmless == {
        "llama.expert_used_count": "says what networks do anyway",
        "general.architecture": "text for people",
        "general.name": "text for people",
        "general.tags": "text for people",
        "tokenizer.model": "of the tokenizer: networks take tokens",
        "another": "says what networks do anyway",
    }
    texts = {name: what for name, what in made.unknown.items() if name not in TENSORS}
    assert texts == {
        "llama.expert_count": "= 8 (a mixture of experts)",
        "x.num_experts": "= 4 (a mixture of experts)",
        "general.counts": "= ['a', 1]",
        "name": "= 'it'",
        "is_causal": "= None",
    }


def test_what_somebody_ignores_is_harmless():
    made = reading({"odd": 3}, ignored=["odd", "spare"]).account()
    assert made.harmless == {
        "odd": "said = 3: ignored as asked", "spare": "said (tensor): ignored as asked"
    }  # fmt: skip
    for name in ("absent", "pretraining_tp"):
        with pytest.raises(InputError, match=f"'{name}' is to be ignored, but is not among what"):
            reading({"pretraining_tp": 1}, ignored=[name]).account()


@pytest.mark.parametrize("count", range(6))
def test_three_names_are_told(count):
    made = Account(unknown={f"n{i}": f"= {i}" for i in range(count)})
    if not count:
        made.refuse_unknown("here")
        return
    listed = "; ".join(f"n{i} = {i}" for i in range(min(count, 3)))
    more = f" and {count - 3} more" if count > 3 else ""
    with pytest.raises(InputError) as caught:
        made.refuse_unknown("here")
    assert f"would be another one: {listed}{more}: take a" in str(caught.value)
    made.refuse_unknown("here", only=["other"])
    with pytest.raises(InputError, match=r"another one: n0 = 0: take"):
        made.refuse_unknown("here", only=["n0"])


def test_only_keys_are_refused_before_tensors_are_known():
    reading({"pretraining_tp": 1}).refuse_unknown_keys()
    with pytest.raises(InputError, match="another one: odd = 3: take"):
        reading({"odd": 3}).refuse_unknown_keys()


#: Defaults of transformers' configurations and of llama.cpp, as those of networks without the part.
DEFAULTS: list[tuple[Any, list[str]]] = [
    (1, ["pretraining_tp"]),
    (
        0,
        [
            "chunk_size_feed_forward",
            "num_experts",
            "num_local_experts",
            "split.no",
            "llama.expert_count",
            "llama.expert_used_count",
            "llama.attention.sliding_window",
        ],
    ),
    (2, ["general.quantization_version"]),
    (768, ["pooler_fc_size"]),
    (12, ["pooler_num_attention_heads"]),
    (3, ["pooler_num_fc_layers"]),
    (128, ["pooler_size_per_head"]),
    (0.0, ["llama.rope.scaling.yarn_log_multiplier"]),
    (
        1.0,
        [
            "llama.rope.scaling.yarn_ext_factor",
            "llama.rope.scaling.yarn_attn_factor",
            "llama.rope.scaling.yarn_beta_slow",
            "partial_rotary_factor",
        ],
    ),
    (32.0, ["llama.rope.scaling.yarn_beta_fast"]),
    (
        False,
        [
            "is_encoder_decoder",
            "add_cross_attention",
            "output_attentions",
            "torchscript",
            "output_hidden_states",
            "gradient_checkpointing",
            "attention_bias",
            "mlp_bias",
            "use_sliding_window",
            "use_bfloat16",
            "tie_encoder_decoder",
            "use_mrope",
            "rope_interleaved",
            "llama.attention.causal",
        ],
    ),
    (True, ["output_past", "return_dict", "unsloth_fixed", "is_llama_config"]),
]
#: Keys that may say either.
EITHER = ("rope_scaling.finetuned", "rope_parameters.finetuned", "llama.rope.scaling.finetuned",
          "use_cache", "_attn_implementation_autoset")  # fmt: skip


def is_neutral(key, value):
    found = reading({"general.architecture": "llama", key: value}).account()
    return found.harmless.get(key) == "says what networks do anyway"


@pytest.mark.parametrize("value", [value for value, _ in DEFAULTS], ids=repr)
def test_defaults_change_nothing(value):
    """And no other value does, nor the same one of another type."""
    for key in next(keys for it, keys in DEFAULTS if it is value):
        assert is_neutral(key, value) and is_neutral(key, None), key
        if isinstance(value, bool):
            others = [not value, int(value), "x"]
        else:
            others = [value + 1, value - 1, bool(value), "x"]
        assert not any(is_neutral(key, other) for other in others), key


def test_some_keys_say_nothing_either_way():
    for key in EITHER:
        assert is_neutral(key, True) and is_neutral(key, False) and not is_neutral(key, 2), key
    assert is_neutral("pruned_heads", {}) and not is_neutral("pruned_heads", {"0": [1]})
    assert is_neutral("split.count", 1) and is_neutral("split.count", 0)
    assert not is_neutral("split.count", 2)
    assert is_neutral("partial_rotary_factor", 1) and not is_neutral("partial_rotary_factor", 0.5)
    for kind in ("rope_parameters", "rope_scaling"):
        assert is_neutral(kind, {}) and not is_neutral(kind, [])
    # Members of objects, as config.json has them.
    inner = reading({"rope_parameters": {"partial_rotary_factor": 1.0, "finetuned": False}})
    assert len(inner.account().harmless) == 2
