"""The commands ``presets`` and ``show``, and misspelt names."""

import json

import pytest
from command_line import lutcore

from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, SUMMARIES, preset


def test_presets_lists_all_of_them():
    found = json.loads(lutcore("presets", "--json").stdout)["presets"]
    assert [entry["name"] for entry in found] == [*PRESETS, *CORE_PRESETS]
    by_name = {entry["name"]: entry for entry in found}
    assert by_name["default"]["kind"] == "core" and by_name["w2a8"]["kind"] == "tile"
    assert by_name["dense-w1a8"]["products_per_cycle"] == 512
    table = lutcore("presets", COLUMNS="200").stdout
    assert all(name in table and line in table for name, line in SUMMARIES.items())


def test_show_tells_fields_and_what_follows():
    found = json.loads(lutcore("show", "default", "--set", "n=32", "--json").stdout)
    values = {field["name"]: field["value"] for field in found["fields"]}
    assert values == preset("default").replace(n=32).to_dict()
    text = lutcore("show", "default", "--set", "n=32", COLUMNS="160").stdout
    assert all(f" {name} " in text for name in DOMAINS)
    assert "``" not in text and ":class:" not in text
    assert "A core can be built around this tile." in text
    assert "precompute = buffered" in lutcore("show", "w2a8").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "defalt"], "'defalt' is neither a preset nor a .toml file: did you mean 'defa"),
        (["show", "edge", "--set", "lookup=2"], "'lookup': did you mean 'lookups'?"),
        (["show", "edge", "--set", "lookup"], "--set takes field=value, for example n=32"),
        (["shw", "edge"], "Did you mean 'show'?"),
    ],
)
def test_a_misspelt_name_is_answered_by_the_nearest(arguments, message):
    result = lutcore(*arguments)
    assert result.returncode == 2 and message in result.stderr and result.stdout == ""
