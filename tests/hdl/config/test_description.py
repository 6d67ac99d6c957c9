"""What is said of a configuration agrees with it."""

import json

import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.description import describe, full_rate, no_core
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, SUMMARIES, preset
from lutcore.hdl.config.rules import check_core

ALL = PRESETS | CORE_PRESETS


def test_every_preset_has_a_line_of_its_own():
    assert list(SUMMARIES) == list(ALL)
    assert len(set(SUMMARIES.values())) == len(SUMMARIES)
    assert all(line.endswith(".") and len(line) < 100 for line in SUMMARIES.values())


@pytest.mark.parametrize("name", ALL)
def test_all_fields_and_what_follows(name):
    config = preset(name)
    found = json.loads(json.dumps(describe(config)))
    assert [field["name"] for field in found["fields"]] == list(DOMAINS)
    assert {f["name"]: f["value"] for f in found["fields"]} == config.to_dict()
    default = CoreConfig().to_dict()
    assert all(f["changed"] == (f["value"] != default[f["name"]]) for f in found["fields"])
    assert all(item["meaning"].endswith(".") for item in found["derived"] + found["fields"])
    assert all(item["value"] == getattr(config, item["name"]) for item in found["derived"])


def test_meanings_are_plain_words():
    found = describe(CoreConfig())
    meanings = {item["name"]: item["meaning"] for item in found["fields"] + found["derived"]}
    assert not [name for name, text in meanings.items() if "`" in text or "()" in text]
    assert meanings["k"].endswith("(engines without tables: k * lookups counts).")
    assert "who gets the accumulators as they are and the row sums." in meanings["zero_points"]


@pytest.mark.parametrize("name", ALL)
def test_a_core_is_one_by_its_rules(name):
    found = describe(preset(name))
    assert (found["kind"] == "core") == (name in CORE_PRESETS) == (not found["no_core"])
    if found["kind"] == "core":
        check_core(preset(name))


def test_why_there_is_no_core():
    config = preset("default").replace(n=24, precompute="inline")
    precompute, columns = no_core(config)
    assert "precompute = buffered" in precompute and "n to be a power of two" in columns


def test_full_rate_is_told_with_numbers():
    said = " ".join(full_rate(preset("edge")))
    assert "a slice of 64 bits every cycle: 64 products of one-bit weights" in said
    assert "at least 9 slices: its results leave in 8 beats of 2 columns" in said
    assert "With 2-bit weights a step of 4 elements takes 2 slices" in said
    assert "from K = 20 on; one of group_size = 128 has 64 slices and is at full rate" in said


def test_a_run_that_is_too_short_is_said():
    said = " ".join(full_rate(preset("mac-int8").replace(group_size=32, pipeline=2)))
    assert "weights of any width" in said and "has 2 slices and waits for the drain" in said


def test_what_else_full_rate_asks_for():
    assert "multiples of 16" in " ".join(full_rate(preset("fpga-ecp5-w1a8")))
    assert "highest plane first" in " ".join(full_rate(preset("dense-w2a8")))
    assert "(1,024 entries) are offered" in " ".join(
        full_rate(preset("w2a8-external").replace(m=128))
    )
    narrow = " ".join(full_rate(preset("default").replace(bus_bits=64)))
    assert "takes 4 cycles of a bus of 64 bits" in narrow
