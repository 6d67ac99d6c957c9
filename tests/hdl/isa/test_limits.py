"""What cores take of each instruction, written out by hand from docs/isa.md: the RTL's decoder and
the ISA model read one definition, so that neither can find it wrong.
"""

import pytest

from lutcore.hdl.config.presets import CORE_PRESETS
from lutcore.hdl.isa.limits import alignments, examine, limits
from lutcore.hdl.isa.lmma import BY_NAME, Cause

_LOAD = {"rows": (1, 65535), "bytes": (1, 16777215)}
_LOADS = {name: _LOAD for name in ("load.act", "load.wgt", "load.scale")}
_COMMON = _LOADS | {
    "loop": {"count": (1, 4294967295)},
    "credit": {"edge": (0, 3), "count": (1, 65535)},
    "store": {"rows": (1, 65535), "columns": (1, 65535), "type": (0, 3)},
}
_LMMA = {
    **{"m": (1, 4095), "n": (1, 65535), "k": (1, 128), "bits": (1, 4)},
    **{"activation": (0, 0), "coding": (0, 0), "table": (0, 0), "mode": (0, 0)},
    **{"accumulator": (0, 1), "scales": (0, 2)},
}
#: Core -> limits of ``lmma``: groups of 128, or of 43 steps of three trits, which have two bits;
#: activation 4 is FP16, whose sums have a scale of their own and are no integers.
LMMA = {
    "edge": _LMMA,
    "large": _LMMA,
    "default-ternary": _LMMA | {"k": (1, 129), "bits": (2, 2), "coding": (1, 1)},
    "default-fp16": _LMMA | {"activation": (4, 4), "accumulator": (0, 0)},
}
#: Core -> bytes: a word of the bus; what weights start at (a slice where that is a power of two, a
#: word at least); scale records of a result beat; sums of a result beat.
UNITS = {
    "edge": (8, 8, 8, 8),  # 64-bit bus; 16 x 4 bits; 2 x 4 bytes; 1 row of them
    "large": (64, 128, 128, 256),  # 512; 4 x 64 x 4; 32 x 4; 2 rows
    "default-ternary": (16, 16, 32, 64),  # 128; 64 x 5 bits are no power of two; 8 x 4; 2 rows
    "default-fp16": (16, 32, 32, 64),  # 128; 64 x 4; 8 x 4; 2 rows
}


@pytest.mark.parametrize("core", LMMA)
def test_limits_are_those_of_the_manual(core):
    config = CORE_PRESETS[core]
    found = {name: limits(instruction, config) for name, instruction in BY_NAME.items()}
    assert {name: values for name, values in found.items() if values} == {
        **_COMMON,
        "lmma": LMMA[core],
    }


@pytest.mark.parametrize("core", UNITS)
def test_alignments_are_those_of_the_manual(core):
    bus, weights, scale, acc = UNITS[core]
    transfer = {"mem": bus, "local": bus, "pitch": bus}
    found = {name: alignments(made, CORE_PRESETS[core]) for name, made in BY_NAME.items()}
    assert {name: values for name, values in found.items() if values} == {
        **dict.fromkeys(_LOADS, transfer),
        "lmma": {"act": bus, "wgt": weights, "scale": scale, "acc": acc},
        "store": {"mem": bus, "local": acc, "pitch": bus},
    }


@pytest.mark.parametrize("core", LMMA)
def test_each_limit_is_enforced_on_both_sides(core):
    config = CORE_PRESETS[core]
    lowest = {name: low for name, (low, _) in LMMA[core].items()}
    lmma = BY_NAME["lmma"]
    assert examine(lmma.encode(lowest), config).cause is Cause.NONE
    tried = 0
    for name, bounds in LMMA[core].items():
        width = (1 << lmma.by_name[name].range[1].bit_length()) - 1
        for value in (bounds[0] - 1, bounds[0], bounds[1], bounds[1] + 1):
            if 0 <= value <= width:
                word = lmma.encode(lowest) & ~lmma.by_name[name].mask
                cause = examine(word | lmma.by_name[name].insert(value), config).cause
                legal = bounds[0] <= value <= bounds[1]
                assert (cause is Cause.NONE) == legal, (name, value)
                tried += not legal
    assert tried > 6


def test_a_register_must_hold_a_multiple_of_its_unit():
    config = CORE_PRESETS["large"]
    lowest = {name: low for name, (low, _) in LMMA["large"].items()}
    places = {"act": 1, "wgt": 2, "scale": 3, "acc": 4}
    found = examine(BY_NAME["lmma"].encode(lowest | places), config)
    right = [0, 64, 128, 128, 256, *[0] * 11]
    assert found.check(right) is Cause.NONE
    for number in (1, 2, 3, 4):
        wrong = list(right)
        wrong[number] //= 2
        assert found.check(wrong) is Cause.MISALIGNED
