"""Misspelt names and what a message says of them."""

import pytest

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.names import nearest, remedy
from lutcore.hdl.config.presets import load_config, preset


def test_the_nearest_name():
    known = ("lookups", "pipeline", "m")
    assert nearest("lookup", known) == "lookups"
    assert nearest("LOOKUPS", known) == "lookups"
    assert nearest("zebra", known) is None
    assert remedy("pipelines", known) == ": did you mean 'pipeline'?"
    assert remedy("zebra", known, "fields") == "; fields: lookups, pipeline, m"


@pytest.mark.parametrize(
    "call",
    [
        lambda: CoreConfig.from_dict({"lookup": 2}),
        lambda: CoreConfig.from_toml("lookup = 2"),
        lambda: CoreConfig().replace(lookup=2),
        lambda: load_config("edge", ["lookup=2"]),
    ],
)
def test_a_misspelt_field_is_answered_by_the_nearest(call):
    with pytest.raises(InputError, match="unknown configuration field 'lookup': did you mean 'lo"):
        call()


def test_a_misspelt_field_of_a_file(tmp_path):
    (tmp_path / "tile.toml").write_text("piplein = 1\n")
    with pytest.raises(InputError, match=r"tile\.toml: unknown.*'piplein': did you mean 'pipeline"):
        load_config(str(tmp_path / "tile.toml"))


@pytest.mark.parametrize("call", [preset, load_config])
def test_a_misspelt_preset_is_answered_by_the_nearest(call):
    with pytest.raises(InputError, match=r"'defalt'.*: did you mean 'default'"):
        call("defalt")
    with pytest.raises(InputError, match=r"'zebra'.*; presets: w1a8, w2a8"):
        call("zebra")
