"""The file of programs and networks: written front to back, judged by its end, read in parts."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from crafted_files import TRAILER, changed, sealed, table_of, with_section

from lutcore.compiler.program.sections import SectionFile, kind_of, written
from lutcore.errors import InputError
from lutcore.files import LEDGER
from lutcore.hdl.config.presets import preset

OLD = Path(__file__).resolve().parents[2] / "data"
CORE = preset("edge")
ARRAYS = {
    "bytes": np.arange(100, dtype=np.uint8),
    "matrix": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "one": np.array(-7, np.int64),
    "rows/short": np.array([[-1, 2]], np.int16),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.lut"
    with written(path, "program", CORE) as writer:
        for name, array in ARRAYS.items():
            writer.add(name, array)
        writer.about["note"] = 5
    return path


def test_what_is_written_is_read(file):
    found = SectionFile(file)
    assert (found.kind, found.config, found.about) == ("program", CORE, {"note": 5})
    assert list(found.sections) == list(ARRAYS) and found.named("rows") == ["short"]
    for name, array in ARRAYS.items():
        again = found.read(name)
        assert again.dtype == array.dtype and again.shape == array.shape
        np.testing.assert_array_equal(again, array)
        with pytest.raises(ValueError, match="read-only"):
            again[...] = 0


def test_the_bytes_are_those_of_the_manual(file):
    """Layout by hand: head, sections at multiples of 64, table, trailer."""
    raw = file.read_bytes()
    assert raw[:64] == b"LUTCORE\n" + struct.pack("<I", 2) + bytes(52)
    assert raw[64:164] == bytes(range(100)) and raw[164:192] == bytes(28)
    assert raw[192:240] == ARRAYS["matrix"].tobytes()
    magic, version, at, size = struct.unpack("<8sI4xQQ", raw[-64:-32])
    assert (magic, version, at % 64, len(raw)) == (
        b"LUTCORE\n",
        2,
        0,
        at + -(-size // 64) * 64 + 64,
    )
    table = json.loads(raw[at : at + size])
    assert table["sections"][1]["at"] == 192 and table["sections"][1]["shape"] == [3, 4]
    assert (table["kind"], table["format"], table["instructions"]) == ("program", 2, 3)


def test_only_what_is_read_is_checked(file):
    raw = bytearray(file.read_bytes())
    raw[70] ^= 1
    file.write_bytes(raw)
    found = SectionFile(file)
    np.testing.assert_array_equal(found.read("matrix"), ARRAYS["matrix"])
    with pytest.raises(InputError, match="the digest of section bytes differs"):
        found.read("bytes")


def put(*path):
    """A change of a table: the last of ``path`` is the new value."""
    *path, value = path
    return lambda raw: sealed(raw, changed(table_of(raw), path, value))


def swapped(raw):
    table = table_of(raw)
    table["sections"].reverse()
    return sealed(raw, table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: b"", "is no program or network: make it with lutcore compile or"),
        (lambda raw: raw[:100], "is truncated or damaged"),
        (lambda raw: raw + bytes(64), "does not end as it must"),
        (lambda raw: raw[:40] + b"x" + raw[41:], "is truncated or damaged"),
        (lambda raw: raw[:8] + b"\7" + raw[9:], "is of format 7, this is 2"),
        (lambda raw: sealed(raw, table_of(raw), version=3), "does not end as it must"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "the digest of its table differs"),
        (lambda raw: sealed(raw, b"{"), "has a damaged table"),
        (lambda raw: sealed(raw, b'{"kind": NaN}'), "has a damaged table: NaN is no number"),
        (lambda raw: sealed(raw, b"[" * 200_000), "nested|recursion"),
        (lambda raw: sealed(raw, [1]), "the table must be values by name"),
        (put("kind", "firmware"), "is neither a program nor a network, but 'firmware'"),
        (put("instructions", 2), "has instructions of version 2, this is 3: make it with"),
        (put("config", "depth", 1), "unknown configuration field 'depth'"),
        (put("config", "m", changed), "its configuration has no m"),
        (put("config", "precompute", "inline"), "precompute"),
        (put("extra", 1), "'extra' is missing or unknown"),
        (put("sections", 0, "bytes", 101), "section bytes has a shape, a size and a place that"),
        (put("sections", 0, "shape", [1 << 40] * 9), "section bytes has a shape"),
        (put("sections", 0, "shape", 0, -1), "size 0 must be a whole number in 1.."),
        (put("sections", 1, "at", 64), "section matrix is not inside of its place"),
        (put("sections", 1, "at", 1 << 40), "section matrix is not inside of its place"),
        (put("sections", 1, "at", 200), "section matrix has a shape"),
        (put("sections", 1, "name", "bytes"), "two sections have one name"),
        (put("sections", 1, "dtype", "f8"), "section matrix must be of u1, i2, i4, i8, f4"),
        (swapped, "is not inside of its place"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line(file, change, message):
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        SectionFile(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_the_table_may_end_anywhere_in_its_last_64_bytes(file):
    raw = file.read_bytes()
    for spaces in range(65):
        file.write_bytes(sealed(raw, json.dumps(table_of(raw)).encode() + b" " * spaces))
        assert SectionFile(file).kind == "program"
    _, _, at, size, digest = TRAILER.unpack(raw[-64:])
    moved = TRAILER.pack(b"LUTCORE\n", 2, at - 64, size + 64, digest)
    file.write_bytes(raw[:-64] + moved)
    with pytest.raises(InputError, match="digest of its table"):
        SectionFile(file)


def test_a_kind_that_is_not_wanted_is_refused(file):
    with pytest.raises(InputError, match=r"is a program, not a network: .* lutcore compile MODEL"):
        SectionFile(file, "network")


def test_kinds(file, tmp_path):
    assert kind_of(file) == "program"
    assert kind_of(tmp_path) is kind_of(tmp_path / "absent") is kind_of(Path(__file__)) is None
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    assert kind_of(tmp_path / "arrays.npz") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "program-1.npz",
            "is a program of format 1, this is 2: make it with lutcore matrix compile",
        ),
        (
            "network-1.lut",
            "is a network of format 1, this is 2: make it with lutcore compile MODEL",
        ),
    ],
)
def test_files_of_older_versions_say_how_to_make_them_again(name, message):
    for read in (SectionFile, kind_of):
        with pytest.raises(InputError, match=message) as caught:
            read(OLD / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_is_whole_or_stays_what_it_was(tmp_path, error):
    path = tmp_path / "x.lut"
    path.write_bytes(b"before")
    with pytest.raises(error), written(path, "program", CORE) as writer:
        writer.add("bytes", ARRAYS["bytes"])
        raise error
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_new_files_have_the_permissions_that_the_user_wants(file, tmp_path):
    before = os.umask(0o027)
    try:
        with written(tmp_path / "y.lut", "program", CORE) as writer:
            writer.add("bytes", ARRAYS["bytes"])
    finally:
        os.umask(before)
    assert (tmp_path / "y.lut").stat().st_mode & 0o777 == 0o640


def test_a_table_that_is_too_long_is_neither_read_nor_written(file, tmp_path):
    long = b" " * ((1 << 24) + 1)
    file.write_bytes(sealed(file.read_bytes(), long))
    with pytest.raises(InputError, match="does not end as it must"):
        SectionFile(file)
    file.unlink()
    with (
        pytest.raises(InputError, match="16777216 at most"),
        written(file, "program", CORE) as writer,
    ):
        writer.about["note"] = long.decode()
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    for path in (tmp_path / "absent" / "x.lut", tmp_path):
        refused = pytest.raises(InputError, match=r"cannot write|is in the way")
        with refused, written(path, "program", CORE):
            pass
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"cannot read .*absent: No such file"):
        SectionFile(tmp_path / "absent")


def test_a_section_may_be_overwritten_with_a_right_digest(file):
    """What the tests of damaged files stand on."""
    file.write_bytes(with_section(file.read_bytes(), "bytes", b"\xff\xfe"))
    assert SectionFile(file).read("bytes")[:3].tolist() == [255, 254, 2]
