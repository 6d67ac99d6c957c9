"""Damaged safetensors files and configurations, and what is none: one clear line each."""

import struct
from pathlib import Path

import numpy as np
import pytest
from damaged import check_refused

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import safetensors_folder

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
