"""Damaged safetensors files and configurations, and what is none: one clear line each."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from damaged import check_refused

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import safetensors_bytes, safetensors_folder

HEADERS = {
    "empty": (b"", "truncated or damaged safetensors file"),
    "length": (struct.pack("<Q", 1 << 60) + b"{}", "a header of 1152921504606846976 bytes"),
    "nested": (struct.pack("<Q", 10**6) + b"[" * 10**6, "truncated or damaged safetensors file"),
    "deep": (struct.pack("<Q", 10**6 + 5) + b'{"a":' + b"[" * 10**6, "recursion limit exceeded"),
    "no tensors there": (
        struct.pack("<Q", 56) + b'{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}   ',
        "file not fully covered",
    ),
    "name": (
        struct.pack("<Q", 58) + b'{"a\\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   0',
        r"damaged: the name 'a\\n' of a tensor",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_damaged_headers_are_one_clear_line(case, tmp_path):
    check_refused(tmp_path / "a.safetensors", *HEADERS[case])


CONFIGS = {
    "no JSON": (b"{", "no JSON"),
    "deep": (b"[" * 10**6, "no JSON .nested too deep"),
    "a list": (b"[]", "must hold an object, not list"),
    "bytes": (b"\xff\xfe\x00", "no JSON"),
    "quantisation": (b'{"quantization_config": 4}', "quantization_config must be an object"),
    "huge": (b" " * (1 << 24) + b"{}", "over 16 MiB, which no such file has"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_damaged_configurations_are_one_clear_line(case, tmp_path):
    raw, message = CONFIGS[case]
    safetensors_folder(tmp_path, {"a": np.ones(1, np.float32)}, None)
    (tmp_path / "config.json").write_bytes(raw)
    with pytest.raises(InputError, match=message) as caught:
        open_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights"])
def test_pickles_are_never_loaded(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04" + bytes(30))
    with pytest.raises(InputError, match="is a pickle, which may run any code when it is loaded"):
        open_checkpoint(path)
    if path.suffix:
        with pytest.raises(InputError, match="is a pickle, which may run any code"):
            open_checkpoint(tmp_path)


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match=r"no \*\.safetensors in this folder"):
        open_checkpoint(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_checkpoint(tmp_path / "absent.safetensors")
    (tmp_path / "short.safetensors").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="truncated or damaged"):
        open_checkpoint(Path(tmp_path / "short.safetensors"))


ENTRY = b'"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}'


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (b"{" + ENTRY + b"," + ENTRY + b"}", "a"),
        (b"{" + ENTRY.replace(b"8", b"4") + b"," + ENTRY.replace(b"[0,8]", b"[4,8]") + b"}", "a"),
        (b"{" + ENTRY.replace(b'"dtype"', b'"dtype":"I8","dtype"') + b"}", "dtype"),
        (b'{"__metadata__":{"x":"1","x":"2"},' + ENTRY + b"}", "x"),
        (b"{" + ENTRY + b',"\\u0061":' + ENTRY[4:] + b"}", "a"),
    ],
)
def test_a_key_twice_in_a_header_is_refused(header, key, tmp_path):
    raw = struct.pack("<Q", len(header)) + header + bytes(8)
    check_refused(tmp_path / "a.safetensors", raw, rf"\(the key '{key}' is twice in its header\)")


def test_a_zip_archive_is_no_pickle(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(3))
    check_refused(tmp_path / "b.npz", (tmp_path / "a.npz").read_bytes(), "is a zip archive, no ch")
    with zipfile.ZipFile(tmp_path / "weights", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(InputError, match="is a pickle, which may run any code"):
        open_checkpoint(tmp_path / "weights")


def cache(tmp_path, *hashes):
    """A folder as the Hugging Face cache lays it out, snapshots being links to blobs."""
    folder = tmp_path / "models--org--name"
    (folder / "refs").mkdir(parents=True)
    for number, name in enumerate(hashes):
        blobs, place = folder / "blobs", folder / "snapshots" / name
        place.mkdir(parents=True)
        files = safetensors_folder(blobs / name, {"a": np.full(2, number, np.float32)}, {})
        for path in files.iterdir():
            (place / path.name).symlink_to(path)
    return folder


def test_folders_of_the_hugging_face_cache(tmp_path, monkeypatch):
    folder = cache(tmp_path, "abc")
    expected = [0, 0]
    for path in (folder, folder / "snapshots" / "abc"):
        checkpoint = open_checkpoint(path)
        assert checkpoint.path == folder / "snapshots" / "abc" and checkpoint.metadata
        np.testing.assert_array_equal(checkpoint.array("a"), expected)
    single = open_checkpoint(folder / "snapshots" / "abc" / "model.safetensors")
    assert "quantization_config" in single.metadata
    monkeypatch.chdir(folder)
    np.testing.assert_array_equal(open_checkpoint(".").array("a"), expected)


def test_a_cache_of_several_snapshots_names_the_one(tmp_path):
    folder = cache(tmp_path, "abc", "def")
    (folder / "refs" / "main").write_text("def\n")
    np.testing.assert_array_equal(open_checkpoint(folder).array("a"), [1, 1])
    for main, message in [
        (None, "has 2 snapshots and no refs/main: give the path of one: snapshots/abc, def"),
        ("../../other", r"refs/main is '\.\./\.\./other', which is not in snapshots"),
        ("fed", "refs/main is 'fed', which is not in snapshots: download it again"),
    ]:
        (folder / "refs" / "main").unlink()
        if main:
            (folder / "refs" / "main").write_text(main)
        else:
            (folder / "refs" / "other").write_text("abc")
        with pytest.raises(InputError, match=message) as caught:
            open_checkpoint(folder)
        assert "\n" not in str(caught.value)
        (folder / "refs" / "main").touch()
    empty = tmp_path / "models--org--empty"
    (empty / "snapshots").mkdir(parents=True)
    with pytest.raises(InputError, match="has no snapshots: download it again"):
        open_checkpoint(empty)


#: Type -> bits of an element, as the format's own library has them.
ELEMENTS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64,
    "U64": 64, "F64": 64,
}  # fmt: skip


@pytest.mark.parametrize("kind", ELEMENTS)
def test_elements_have_their_size(kind, tmp_path):
    path = tmp_path / "a.safetensors"
    size = 8 * ELEMENTS[kind] // 8
    path.write_bytes(safetensors_bytes({"x": (kind, [2, 4], bytes(size))}))
    assert open_checkpoint(path).facts("x").nbytes == size
    path.write_bytes(safetensors_bytes({"x": (kind, [2, 4], bytes(size + 1))}))
    with pytest.raises(InputError, match="truncated or damaged"):
        open_checkpoint(path)
