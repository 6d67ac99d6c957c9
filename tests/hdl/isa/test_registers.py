"""Places of the host's registers and what the constant ones hold, by hand from docs/core.md."""

from lutcore.hdl.config.presets import CORE_PRESETS
from lutcore.hdl.isa.registers import COUNTERS, IDENTITY, REGISTERS, constants

PLACES = {
    **{"identity": 0x00, "version": 0x04, "control": 0x08, "status": 0x0C, "irq_status": 0x10},
    **{"irq_enable": 0x14, "program": 0x18, "length": 0x20, "window_low": 0x24},
    **{"window_high": 0x2C, "error_address": 0x34, "shape": 0x3C, "formats": 0x40},
    **{"cycles": 0x44, "slices": 0x4C, "instructions": 0x54, "read_beats": 0x5C},
    **{"write_beats": 0x64, "wait_load": 0x6C, "wait_store": 0x74, "wait_tile": 0x7C},
}


def reference(*fields):
    """A word of fields, each a value and its bits, the lowest first."""
    word, low = 0, 0
    for value, bits in fields:
        assert 0 <= value < 1 << bits
        word, low = word | value << low, low + bits
    return word


def test_places():
    assert {name: offset for name, (offset, _) in REGISTERS.items()} == PLACES
    assert list(COUNTERS) == list(PLACES)[13:]


def test_sizes_and_texts():
    found = list(REGISTERS.values())
    ends = [offset + register.size // 8 for offset, register in found]
    assert ends == [*[offset for offset, _ in found[1:]], 0x84]
    texts = [register.text for _, register in found]
    texts += [text for _, register in found for *_, text in register.fields]
    assert all(texts) and not [text for text in texts if set(text) & set("`*[]")]


def test_fields_do_not_overlap():
    for _, register in REGISTERS.values():
        end = 0
        for _, low, bits, _ in register.fields:
            assert low >= end
            end = low + bits
        assert end <= register.bits


def test_constants():
    assert IDENTITY.to_bytes(4, "little") == b"LUTC"
    core = CORE_PRESETS["edge"]
    found = constants(core)
    assert found["shape"] == reference((core.m, 12), (core.n, 12), (core.k * core.lookups, 8))
    bus = core.bus_bits // 8
    formats = [(0, 4), (core.max_weight_bits, 4), (bus, 8), (core.group_size, 12), (0, 3)]
    assert found["formats"] == reference(*formats)
