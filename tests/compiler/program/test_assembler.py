"""Assembler: round trips of every legal instruction, and errors with line and column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutcore.compiler.program.assembler import assemble, disassemble, from_bytes, to_bytes
from lutcore.errors import InputError
from lutcore.hdl.isa.lmma import BY_NAME, Instruction


@st.composite
def words(draw) -> int:
    instruction: Instruction = draw(st.sampled_from(list(BY_NAME.values())))
    return instruction.encode(
        {field.name: draw(st.integers(*field.range)) for field in instruction.fields}
    )


@given(st.lists(words(), max_size=8))
def test_text_and_bytes_give_the_same_words_back(program):
    assert assemble(disassemble(program)) == program
    assert from_bytes(to_bytes(program)) == program


def test_fields_do_not_overlap():
    for instruction in BY_NAME.values():
        masks = [field.mask for field in instruction.fields]
        assert sum(masks) + 0xFF == instruction.mask


def test_mnemonic_carries_the_shape():
    line = (
        "lmma.m64n128k32.int8.w2.fp32 act=r4 wgt=r5 scale=r6 acc=r7 scales=fp32 zero=-3 accumulate"
    )
    lmma = BY_NAME["lmma"]
    assert lmma.decode(assemble(line + "  # comment\n\n")[0]) == dict.fromkeys(
        lmma.by_name, 0
    ) | {
        "m": 64, "n": 128, "k": 32, "bits": 2, "act": 4, "wgt": 5, "scale": 6, "acc": 7,
        "zero": -3, "accumulate": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("halt\n  jump", r"^p\.s, line 2, column 3: no instruction 'jump'; known: halt"),
        ("set reg=r16 value=1", r"line 1, column 9: reg must be a register r0\.\.r15, not 'r16'"),
        ("set reg=r1 value=x", r"line 1, column 18: value must be a number, not 'x'"),
        ("add reg=r1 value=1 value=2", r"line 1, column 20: value is given twice"),
        ("loop count=0", r"line 1, column 12: count must be in 1\.\.4294967295, not 0"),
        ("loop", r"line 1, column 5: loop needs count=\.\.\. \(how often\)"),
        ("set reg value=1", r"line 1, column 5: reg needs a value: reg=\.\.\."),
        ("halt now", r"line 1, column 6: halt has no operand 'now'; it has none"),
        ("store.fp64 mem=r1", r"line 1, column 7: type must be one of fp32, int32, fp16, bf16"),
        (
            "load.act mem=r0 local=r1 rows=1 bytes=4 pitch=0 wait_compute=1",
            r"line 1, column 49: wait_compute is a flag and takes no value",
        ),
    ],
)
def test_errors_name_line_and_column(text, message):
    with pytest.raises(InputError, match=message) as caught:
        assemble(text, "p.s")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", [0, 255, 1 << 8 | 1, BY_NAME["loop"].opcode])
def test_what_is_no_instruction_has_no_text(word):
    with pytest.raises(InputError, match="instruction 0"):
        disassemble([word])


def test_a_torn_image_is_refused():
    with pytest.raises(InputError, match="multiple of 16 bytes, not 17"):
        from_bytes(bytes(17))
