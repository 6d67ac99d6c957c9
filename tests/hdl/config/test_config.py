"""CoreConfig: validation, derived widths, files, presets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig, signed_bits
from lutcore.hdl.config.presets import PRESETS, load_config
from lutcore.hdl.config.rules import check_core


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"m": 0}, r"m must be in 1\.\.256, not 0"),
        ({"k": 7}, r"k must be in 1\.\.6, not 7"),
        ({"n": 2.5}, r"n must be an integer, not 2\.5"),
        ({"n": True}, r"n must be an integer, not True"),
        ({"max_weight_bits": 9}, r"max_weight_bits must be in 1\.\.8, not 9"),
        ({"table_form": "full"}, r"table_form must be one of symmetric, subset, not 'full'"),
        ({"activation": "int4"}, r"activation must be one of int8, int16.*, not 'int4'"),
        ({"engine": "gpu"}, r"engine must be one of lut.*, not 'gpu'"),
        ({"name": "2fast"}, r"name must be a Verilog identifier, not '2fast'"),
        ({"result_columns": 3}, r"result_columns must divide tiles \* n = 64, not 3"),
        ({"lookups": 32, "max_k": 64}, r"max_k must be at least k \* lookups = 128, not 64"),
        ({"group_size": 128, "max_k": 64}, r"group_size must be at most max_k = 64, not 128"),
        ({"group_size": 2}, r"group_size must be at least k \* lookups = 4, not 2"),
        ({"tiles": 0}, r"tiles must be in 1\.\.64, not 0"),
        ({"tiles": 4, "result_columns": 3}, r"result_columns must divide tiles \* n = 256, not 3"),
        ({"tiles": 64, "n": 512}, r"a slice has at most 60000 bits, not 131072: lower tiles = 64"),
        (
            {"tiles": 2, "table_storage": "chain"},
            r"table_storage = chain needs tiles = 1, not 2",
        ),
        ({"n": 4096, "m": 256}, r"a tile holds at most 8192 units"),
        ({"passes": 8}, r"passes is for table_storage = lutram, which takes 2 or more, not pass"),
        ({"table_storage": "lutram"}, r"passes is for table_storage = lutram.*, not passes = 1"),
        ({"table_storage": "lutram", "passes": 12}, r"passes must be at least 13, the cycles"),
        (
            {"table_storage": "chain", "activation": "fp16", "group_size": 32},
            r"table_storage = chain needs activation = int8 or int16, not fp16",
        ),
        (
            {"table_storage": "chain", "table_form": "subset"},
            r"table_storage = chain needs table_form = symmetric, not subset",
        ),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        CoreConfig(**changes)


@given(st.integers(-(10**6), 0), st.integers(0, 10**6))
def test_signed_bits_is_the_narrowest_width(low, high):
    bits = signed_bits(low, high)
    assert -(1 << bits - 1) <= low and high < 1 << bits - 1
    assert bits == 1 or not (-(1 << bits - 2) <= low and high < 1 << bits - 2)


def test_accumulator_of_a_one_bit_group_of_32_has_13_bits():
    assert (
        CoreConfig(k=2, table_form="subset", max_weight_bits=1, group_size=32).accumulator_bits
        == 13
    )


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json_and_toml(name, tmp_path):
    config = PRESETS[name]
    assert CoreConfig.from_json(config.to_json()) == config
    path = tmp_path / "config.toml"
    path.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in config.to_dict().items()))
    assert load_config(str(path)) == config


def test_overrides():
    config = load_config("w2a8", ["n=16", "table_form=subset"])
    assert (config.n, config.table_form, config.max_weight_bits) == (16, "subset", 2)


@pytest.mark.parametrize(
    ("source", "overrides", "message"),
    [
        ("w3a8", [], r"'w3a8' is neither a preset nor a \.toml file; presets: w1a8"),
        ("absent.toml", [], r"cannot read configuration absent\.toml"),
        ("w2a8", ["n"], r"--set takes field=value"),
        ("w2a8", ["q=1"], r"--set takes field=value"),
        ("w2a8", ["n=many"], r"n must be an integer, not 'many'"),
    ],
)
def test_bad_sources_are_named(source, overrides, message):
    with pytest.raises(InputError, match=message):
        load_config(source, overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [("n = ", "not valid TOML"), ("depth = 3", "unknown configuration field 'depth'")],
)
def test_bad_toml_is_named(text, message, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(str(path))


CORE = CoreConfig(precompute="buffered", zero_points="external", group_size=128)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precompute": "inline"}, r"a core needs precompute = buffered .*, not inline"),
        ({"zero_points": "shared"}, r"a core needs zero_points = external .*, not shared"),
        ({"bus_bits": 96}, r"a core needs bus_bits to be a power of two, not 96"),
        ({"n": 48}, r"a core needs n to be a power of two, not 48"),
        ({"n": 1, "k": 3}, r"a core needs slices of whole bytes, not 3 bits: set n"),
        (
            {"lookups": 8},
            r"a core needs k \* lookups activations to fit the bus: set bus_bits to 256",
        ),
        ({"scale_buffer": 64}, r"a core needs scale_buffer = 128 or more, not 64"),
        ({"tiles": 3}, "tiles to be a power of two, not 3"),
        ({"tiles": 64}, r"at most tiles \* n = 2048 columns, not 4096"),
    ],
)
def test_what_makes_no_core_is_refused(changes, message):
    check_core(CORE)
    with pytest.raises(InputError, match=message):
        check_core(CORE.replace(**changes))
