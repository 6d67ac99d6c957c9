"""Bits of instructions, written out by hand from docs/isa.md."""

import random

import pytest

from lutcore.hdl.isa.lmma import BITS, BY_NAME, BY_OPCODE, EDGES, SIGNALS, WAITS

#: Instruction -> its opcode, and the bits of its fields, the lowest first.
_LOAD = [4, 4, 16, 24, 32, 1, 1]
LAYOUTS = {
    "halt": (1, []),
    "barrier": (2, []),
    "set": (3, [4, 48]),
    "add": (4, [4, 48]),
    "loop": (5, [32]),
    "end": (6, []),
    "credit": (7, [2, 16]),
    "load.act": (16, _LOAD),
    "load.wgt": (17, _LOAD),
    "load.scale": (18, _LOAD),
    "lmma": (32, [12, 16, 12, 3, 4, 1, 1, 1, 1, 4, 4, 4, 4, 2, 10, 1, 1, 1, 1, 1]),
    "store": (48, [4, 4, 16, 16, 32, 2, 1, 1]),
}


def reference(opcode, bits, values):
    word, low = opcode, 8
    for width, value in zip(bits, values, strict=True):
        word |= (value % (1 << width)) << low
        low += width
    return word, (1 << low) - 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_words(name):
    instruction, (opcode, bits), chance = BY_NAME[name], LAYOUTS[name], random.Random(name)
    assert BY_OPCODE[opcode] is instruction and [f.bits for f in instruction.fields] == bits
    for _ in range(50):
        low = [-(1 << f.bits - 1) if f.kind == "signed" else 0 for f in instruction.fields]
        ends = [chance.choice([0, (1 << b) - 1, chance.getrandbits(b)]) for b in bits]
        values = [end + least for end, least in zip(ends, low, strict=True)]
        word, mask = reference(opcode, bits, values)
        fields = dict(zip(instruction.by_name, values, strict=True))
        assert instruction.encode(fields) == word < 1 << BITS
        assert instruction.decode(word) == fields and instruction.mask == mask


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_does_not_fit_a_field_is_refused(name):
    """It would be another value, or one of a neighbour."""
    for field, bits in zip(BY_NAME[name].fields, LAYOUTS[name][1], strict=True):
        low = -(1 << bits - 1) if field.kind == "signed" else 0
        high = low + (1 << bits) - 1
        assert field.insert(low) | field.insert(high) <= field.mask
        for value in (low - 1, high + 1):
            message = rf"^{field.name} must be in {low}\.\.{high}, not {value}$"
            with pytest.raises(ValueError, match=message):
                BY_NAME[name].encode({field.name: value})


def test_no_instruction_is_missing_here():
    assert list(LAYOUTS) == list(BY_NAME)


def test_each_edge_has_one_who_gives_and_one_who_takes():
    for table, end in ((SIGNALS, 0), (WAITS, 1)):
        found = {edge: queue.value for queue, pairs in table.items() for _, edge in pairs}
        assert [found[edge] for edge in range(4)] == [name.split("-")[end] for name in EDGES]
