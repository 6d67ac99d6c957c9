"""Metadata of networks that make no sense: one short line."""

import pytest

from lutcore.compiler.graph.facts import read_facts
from lutcore.compiler.graph.reading import Reading
from lutcore.errors import InputError
from lutcore.verif.samples.networks import bert


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hidden_act", ["gelu"] * 99, "hidden_act .* is not known"),
        ("num_hidden_layers", [1] * 9999, "num_hidden_layers must be 1"),
        ("num_hidden_layers", True, "num_hidden_layers must be 1"),
        ("layer_norm_eps", float("nan"), "must be positive, not nan"),
        ("layer_norm_eps", {"a": [0] * 999}, "must be positive"),
        ("layer_norm_eps", 10**400, "must be positive, not 1000"),
        ("model_type", "y" * 9999, "architecture 'y+' is not known"),
    ],
)
def test_absurd_metadata(key, value, message):
    checkpoint = bert()
    checkpoint.metadata[key] = value
    with pytest.raises(InputError, match=message) as caught:
        read_facts(Reading(checkpoint))
    assert len(str(caught.value)) < 400
