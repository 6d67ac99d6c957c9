"""Instruction words, by hand from docs/isa.md, and what the decoder makes of them."""

import random

import pytest

from lutcore.hdl.core.decoder import Decoder
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.bench.contexts import evaluate
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG = SMALL_CORES["w4a8"]
#: Fields after the opcode, lowest first.
LOAD = {"mem": 4, "local": 4, "rows": 16, "bytes": 24, "pitch": 32, "wait": 1, "signal": 1}
LMMA = {
    **{"m": 12, "n": 16, "k": 12, "activation": 3, "bits": 4, "coding": 1, "table": 1, "mode": 1},
    **{"accumulator": 1, "act": 4, "wgt": 4, "scale": 4, "acc": 4, "scales": 2, "zero": 10},
    **{"accumulate": 1, "wait_load": 1, "wait_store": 1, "signal_load": 1, "signal_store": 1},
}
STORE = {"mem": 4, "local": 4, "rows": 16, "columns": 16, "pitch": 32, "type": 2}
STORE |= {"wait": 1, "signal": 1}
#: Registers hold this, and multiples of the bus.
REGISTERS = [4096 * n + 64 for n in range(16)]


def reference(opcode, layout, values):
    word, low = opcode, 8
    for name, bits in layout.items():
        word |= values.get(name, 0) % (1 << bits) << low
        low += bits
    return word


def decoded(words, registers=REGISTERS):
    """``cause`` and the outputs of each word."""
    dut = Decoder(CONFIG)
    names = ("cause", "control", "to_load", "to_compute", "to_store", "load", "lmma", "store")
    names += ("load_waits", "compute_waits", "store_waits")
    held = sum(value << 48 * n for n, value in enumerate(registers))
    outputs = [getattr(dut, name) for name in names]
    found = evaluate(dut, [dut.word, dut.registers], outputs, [(word, held) for word in words])
    return [dict(zip(names, values, strict=True)) for values in found]


OK_LOAD = {"mem": 3, "local": 5, "rows": 7, "bytes": 33, "pitch": 48, "wait": 1, "signal": 1}
OK_LMMA = {
    **{"m": 4095, "n": 9, "k": 32, "bits": 4, "accumulator": 1, "act": 1, "wgt": 2, "scale": 15},
    **{"acc": 4, "scales": 2, "zero": -512, "accumulate": 1, "wait_store": 1, "signal_load": 1},
}
OK_STORE = {"mem": 1, "local": 2, "rows": 65535, "columns": 3, "pitch": 16, "type": 3, "wait": 1}


def test_operands():
    words = [reference(17, LOAD, OK_LOAD), reference(32, LMMA, OK_LMMA)]
    load, lmma, store = decoded([*words, reference(48, STORE, OK_STORE)])
    assert {load["cause"], lmma["cause"], store["cause"]} == {Cause.NONE}
    ways = [[d["to_load"], d["to_compute"], d["to_store"]] for d in (load, lmma, store)]
    assert ways == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert load["load"] == {"target": 1, "mem": REGISTERS[3], "local": REGISTERS[5]} | {
        **{"rows": 7, "bytes": 33, "pitch": 48, "signal": 1}
    }
    assert lmma["lmma"] == {name: OK_LMMA[name] for name in ("m", "n", "k", "bits")} | {
        **{"act": REGISTERS[1], "wgt": REGISTERS[2], "scale": REGISTERS[15], "acc": REGISTERS[4]},
        **{"integer": 1, "half": 1, "fixed_zero": 1, "zero": 0xFE00, "accumulate": 1},
        **{"signal_load": 1, "signal_store": 0},
    }
    assert store["store"] == {"mem": REGISTERS[1], "local": REGISTERS[2], "rows": 65535} | {
        **{"columns": 3, "pitch": 16, "type": 3, "signal": 0}
    }
    assert (load["load_waits"], lmma["compute_waits"], store["store_waits"]) == (1, 2, 1)


def test_control():
    found = decoded([1, 2, 3 | 9 << 12, 4, 5 | 1 << 8, 6, 7 | 1 << 10])
    assert [d["control"] for d in found] == [1 << n for n in range(7)]
    assert {d["cause"] for d in found} == {Cause.NONE}


FAULTS = [
    *((opcode, Cause.ILLEGAL) for opcode in (0, 8, 15, 19, 33, 255)),
    *((1 | 1 << 8, Cause.ILLEGAL), (reference(16, LOAD, OK_LOAD) | 1 << 127, Cause.ILLEGAL)),
    *((reference(16, LOAD, OK_LOAD | {n: 0}), Cause.UNSUPPORTED) for n in ("rows", "bytes")),
    *((reference(48, STORE, OK_STORE | {n: 0}), Cause.UNSUPPORTED) for n in ("rows", "columns")),
    *((reference(16, LOAD, OK_LOAD | {"pitch": p}), Cause.MISALIGNED) for p in (8, 1, 49)),
    *((reference(32, LMMA, OK_LMMA | {n: 0}), Cause.UNSUPPORTED) for n in ("m", "n", "k", "bits")),
    *(
        (reference(32, LMMA, OK_LMMA | {n: 1}), Cause.UNSUPPORTED)
        for n in ("coding", "table", "mode")
    ),
    *((reference(32, LMMA, OK_LMMA | v), Cause.UNSUPPORTED) for v in ({"k": 33}, {"bits": 5})),
    *(
        (reference(32, LMMA, OK_LMMA | v), Cause.UNSUPPORTED)
        for v in ({"scales": 3}, {"activation": 1})
    ),
]


@pytest.mark.parametrize(("word", "cause"), FAULTS)
def test_faults(word, cause):
    assert decoded([word])[0]["cause"] == cause


@pytest.mark.parametrize("seed", range(4))
def test_misaligned_registers(seed):
    """Each register that an instruction names must be a multiple of what it addresses."""
    chance = random.Random(seed)
    for opcode, layout, values in ((16, LOAD, OK_LOAD), (32, LMMA, OK_LMMA), (48, STORE, OK_STORE)):
        names = [name for name, bits in layout.items() if bits == 4 and name != "bits"]
        broken = values[chance.choice(names)]
        registers = [value + (n == broken) for n, value in enumerate(REGISTERS)]
        (found,) = decoded([reference(opcode, layout, values)], registers)
        assert found["cause"] == Cause.MISALIGNED
