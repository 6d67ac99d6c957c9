"""Arrays of users: what the header says is judged before anything expands."""

import io
import resource
import zipfile

import numpy as np
import pytest

from lutcore.arrays import read_array, write_array
from lutcore.errors import InputError

CASES = {
    "int8": np.arange(12, dtype=np.int8).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 4), np.int16),
    "big endian": np.arange(6, dtype=">i4").reshape(2, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_arrays_come_back(tmp_path, name):
    array = CASES[name]
    write_array(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", one=array, other=np.zeros(3))
    for found in (
        read_array(tmp_path / "a.npy"),
        read_array(tmp_path / "a.npz", "one"),
        np.load(tmp_path / "a.npy"),
    ):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_only_the_rows_that_are_wanted_are_read(tmp_path, suffix):
    array = np.arange(400, dtype=np.int32).reshape(100, 4)
    (np.save if suffix == "npy" else np.savez_compressed)(tmp_path / f"a.{suffix}", array)
    found = read_array(tmp_path / f"a.{suffix}", "arr_0", rows=3)
    np.testing.assert_array_equal(found, array[:3])


def header(shape, descr="|i1"):
    """An array's header, without the array."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return content.getvalue()


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_expands(tmp_path):
    """1.6 MB that say that they are 1.6 GB, honestly: shapes and limits speak first."""
    path, size = tmp_path / "bomb.npz", 1_600_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.npy", "w", force_zip64=True) as part:
            part.write(header((size // 1000, 1000)))
            for _ in range(size // 16_000_000):
                part.write(bytes(16_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="1,600,000,000 bytes are more than"):
        read_array(path, "a")
    assert read_array(path, "a", rows=2).shape == (2, 1000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize(
    "shape",
    [(1 << 40,), (-1,), (1 << 62, 4), (3, 5), (0,), (2.5,), ("a",), None, (1 << 31, 1 << 33)],
    ids=str,
)
def test_headers_that_lie_are_refused(tmp_path, shape):
    content = header((1,)).replace(b"(1,)", repr(shape).encode())[:128].ljust(128)
    (tmp_path / "a.npy").write_bytes(content[:127] + b"\n" + bytes(12))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content[:127] + b"\n" + bytes(12))
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        with pytest.raises(InputError, match=r"a\.np. is no array of NumPy, or damaged: ") as told:
            read_array(path, "a")
        assert "\n" not in str(told.value)


def test_python_objects_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="holds Python objects"):
        read_array(tmp_path / "a.npy")


def test_every_damage_is_one_line(tmp_path):
    """Each byte of small files flipped, each length cut: an error of one line, or an array."""
    array, refused = np.arange(6, dtype=np.int8).reshape(2, 3), 0
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", a=array)
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        whole = path.read_bytes()
        damaged = [whole[:size] for size in range(len(whole))]
        damaged += [
            whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :] for i in range(len(whole))
        ]
        for content in damaged:
            path.write_bytes(content)
            try:
                read_array(path, "a")
            except InputError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > 500
