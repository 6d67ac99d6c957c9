"""CoreConfig: validation, derived widths, files, presets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutcore.errors import InputError
from lutcore.hdl.config.bits import signed_bits
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.presets import PRESETS, load_config
from lutcore.hdl.config.rules import CORE_RULES, RULES, check_core


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
        ("w3a8", [], r"'w3a8' is neither a preset nor a \.toml file: did you mean"),
        ("absent.toml", [], r"cannot read configuration absent\.toml"),
        ("w2a8", ["n"], r"--set takes field=value"),
        ("w2a8", ["q=1"], r"unknown configuration field 'q'; fields: "),
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


#: For each rule, by its name, what breaks it and none before it.
BROKEN = {
    "units of a tile": {"m": 200},
    "bits of a slice": {"lookups": 5, "n": 4096},
    "a run of at least one step": {"max_k": 1},
    "group within a row": {"group_size": 1 << 20},
    "whole result beats": {"result_columns": 77},
    "tables of other engines": {"table_form": "subset", "engine": "mac"},
    "ternary weights of other engines": {"engine": "mac", "weight_coding": "ternary"},
    "rounded tables of other engines": {"engine": "add", "table": "int8"},
    "precompute of other engines": {"engine": "conventional-lut", "precompute": "external"},
    "passes with distributed RAM": {"passes": 16},
    "passes while tables are written": {"passes": 3, "table_storage": "lutram"},
    "engine = lut": {"engine": "mac", "table_storage": "chain"},
    "table_form = symmetric": {"table_form": "subset", "table_storage": "chain"},
    "weight_coding = binary": {"weight_coding": "ternary", "table_storage": "chain"},
    "table = exact": {"table": "int8", "table_storage": "chain"},
    "precompute = inline": {"precompute": "buffered", "table_storage": "chain"},
    "pipeline = 0": {"pipeline": 2, "table_storage": "chain"},
    "tiles = 1": {"tiles": 64, "table_storage": "chain"},
    "activation = int8 or int16": {"activation": "fp8-e5m2", "table_storage": "chain"},
    "k = 2 or 3 or 4 or 5 or 6": {"k": 1, "table_storage": "chain"},
    "k = 2 or 3": {"weight_coding": "ternary"},
    "max_weight_bits = 2": {"k": 3, "weight_coding": "ternary", "max_weight_bits": 1},
    "rounded tables are of planes": {"k": 3, "weight_coding": "ternary", "table": "int8"},
    "ternary weights without exact floats": {
        **{"k": 3, "weight_coding": "ternary"},
        **{"float_mode": "exact", "activation": "fp16"},
    },
    "symmetric where signs are used": {"table": "int8", "table_form": "subset"},
    "rounded tables are of integers": {
        **{"activation": "fp16", "float_mode": "exact", "table": "int8"}
    },
    "length of a scaled run": {"activation": "fp16"},
    "bits that aligned floats need": {"align_bits": 6, "group_size": 16, "activation": "bf16"},
    "exact floats are not corrected": {
        **{"table_form": "subset", "float_mode": "exact", "activation": "fp16"}
    },
    "exact floats without zero points": {"activation": "bf16", "float_mode": "exact"},
    "weights that multipliers hold": {
        **{"engine": "mac", "activation": "fp8-e4m3", "float_mode": "exact"},
        **{"zero_points": "external", "max_weight_bits": 6},
    },
    "multipliers of other engines": {"multiplier": "booth"},
    "one multiple of short weights": {
        **{"engine": "mac", "multiplier": "select", "max_weight_bits": 3},
    },
    "order of planes": {"plane_order": "descending", "engine": "mac"},
    "bits of a drain lane": {"result_columns": 1, "m": 75},
    "steps of a buffered run": {"precompute": "buffered"},
}

#: The same for a core; rules of sizes and powers of two are tables in the code.
BROKEN_CORES = {
    "engine = lut": {"precompute": "inline", "engine": "mac"},
    "precompute = buffered": {"precompute": "inline"},
    "zero_points = external": {"zero_points": "column"},
    "activation_buffer a power of two": {"activation_buffer": 65},
    "weight_buffer a power of two": {"weight_buffer": 65},
    "scale_buffer a power of two": {"scale_buffer": 65},
    "output_buffer a power of two": {"output_buffer": 65},
    "program_buffer a power of two": {"program_buffer": 17},
    "m a power of two": {"m": 3},
    "tiles a power of two": {"tiles": 3},
    "n a power of two": {"n": 94},
    "bus_bits a power of two": {"bus_bits": 65},
    "a step within a bus word": {"lookups": 32},
    "columns of a core": {"tiles": 64},
    "slices of whole bytes": {"n": 1},
    "least activation_buffer": {"m": 16, "activation_buffer": 64},
    "least weight_buffer": {"lookups": 2, "weight_buffer": 64},
    "least scale_buffer": {"scale_buffer": 64},
    "least output_buffer": {"output_buffer": 256},
}


@pytest.mark.parametrize(
    ("rules", "broken"), [(RULES, BROKEN), (CORE_RULES, BROKEN_CORES)], ids=["tile", "core"]
)
def test_every_rule_has_a_name_and_a_configuration_that_breaks_it(rules, broken):
    assert [rule.name for rule in rules] == list(broken)


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_rule_is_refused_with_its_words(name, monkeypatch):
    (rule,) = (rule for rule in RULES if rule.name == name)
    with pytest.raises(InputError) as refused:
        CoreConfig(**BROKEN[name])
    monkeypatch.setattr("lutcore.hdl.config.core.check", lambda config: None)
    assert str(refused.value) == rule.message(CoreConfig(**BROKEN[name]))


@pytest.mark.parametrize("name", BROKEN_CORES)
def test_what_breaks_a_rule_of_cores_is_refused_with_its_words(name):
    (rule,) = (rule for rule in CORE_RULES if rule.name == name)
    config = CORE.replace(**BROKEN_CORES[name])
    with pytest.raises(InputError) as refused:
        check_core(config)
    assert str(refused.value) == rule.message(config)


def test_results_of_the_widest_configuration_fit_64_bits():
    widest = CoreConfig(
        max_weight_bits=8, activation="int16", max_k=DOMAINS["max_k"].high, zero_points="column"
    )
    scaled = CoreConfig(
        max_weight_bits=8, activation="fp16", align_bits=24, group_size=1024, zero_points="column"
    )
    for config in (widest, scaled):
        assert max(config.accumulator_bits, config.dot_bits) <= 64


def test_each_field_has_a_meaning_and_a_default_within_its_domain():
    assert list(DOMAINS) == list(CoreConfig().to_dict())
    for name, domain in DOMAINS.items():
        assert domain.meaning.endswith((".", ").")), name
        domain.check(name, getattr(CoreConfig(), name))
        assert f"{name} : {domain.text}\n" in (CoreConfig.__doc__ or "")
