"""Files of a checkpoint: shards of a folder, config.json, and what is refused unread."""

import json
import zipfile
from pathlib import Path
from typing import Any

from lutcore.compiler.importers.settings import METHODS
from lutcore.errors import InputError

_JSON_LIMIT = 16 << 20
#: Files beside config.json that are read too: settings of quantisation, and what of
#: sentence-transformers follows the network.
_SIDECARS = (*METHODS, "modules.json", "1_Pooling/config.json")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
#: First bytes of pickles, and of the zip files that PyTorch puts them in.
_ZIP = b"PK\x03\x04"
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", _ZIP)


def refuse_pickle(path: Path) -> None:
    """Refuse a file that would have to be unpickled.

    Raises
    ------
    InputError
        Its name or its first bytes are those of a pickle, or it is another zip file.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix not in _PICKLES and start == _ZIP and not _holds_pickle(path):
        raise InputError(
            f"{path}: is a zip archive, no checkpoint: give a safetensors or GGUF file"
        )
    if path.suffix in _PICKLES or start.startswith(_PICKLE_STARTS):
        raise InputError(
            f"{path}: is a pickle, which may run any code when it is loaded: "
            "convert it to safetensors or GGUF"
        )


def _holds_pickle(path: Path) -> bool:
    """Whether a zip file has a pickle, as far as it can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(_PICKLES) for name in archive.namelist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return True


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file.

    Raises
    ------
    InputError
        It is absurdly large or nested, or no object.
    """
    found = _parsed(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold an object, not {type(found).__name__}")
    return found


def read_sidecars(folder: Path) -> dict[str, Any]:
    """Those of :data:`_SIDECARS` that a folder has, objects or lists, by their names.

    Raises
    ------
    InputError
        One is absurdly large or nested, or neither object nor list.
    """
    found = {}
    for name in _SIDECARS:
        path = folder / name
        if path.is_file():
            found[name] = _parsed(path)
            if not isinstance(found[name], dict | list):
                kind = type(found[name]).__name__
                raise InputError(f"{path}: must hold an object or a list, not {kind}")
    return found


def _parsed(path: Path) -> Any:
    """What a JSON file holds."""
    try:
        if path.stat().st_size > _JSON_LIMIT:
            raise InputError(f"{path}: over {_JSON_LIMIT >> 20} MiB, which no such file has")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error)[:120] if isinstance(error, ValueError) else "nested too deep"
        raise InputError(f"{path}: no JSON ({reason}): download it again") from None
    return found


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a folder: those of its index, or all.

    Raises
    ------
    InputError
        There are none, or the index names files that are not there.
    """
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        found = sorted(folder.glob("*.safetensors"))
        if not found:
            for path in sorted(folder.iterdir()):
                if path.suffix in _PICKLES:
                    refuse_pickle(path)
            raise InputError(f"{folder}: no *.safetensors in this folder: give one, or a GGUF file")
        return found
    plain = folder / "model.safetensors"
    files = read_json(index).get("weight_map")
    if plain.is_file() and isinstance(files, dict) and plain.name not in files.values():
        raise InputError(f"{folder}: has {plain.name}, and {index.name} of others: remove one")
    if not isinstance(files, dict) or not files:
        raise InputError(f"{index}: has no weight_map: download it again")
    names = set()
    for name in files.values():
        if not isinstance(name, str) or name != Path(name).name or not name.isprintable():
            raise InputError(f"{index}: names the file {str(name)[:40]!r}, which is no plain name")
        names.add(name)
    paths = [folder / name for name in sorted(names)]
    absent = [path.name for path in paths if not path.is_file()]
    if absent:
        listed = ", ".join(absent[:3])
        raise InputError(f"{folder}: {len(absent)} files of its index are absent: {listed}")
    return paths


def snapshot(path: Path) -> Path:
    """The files of a folder ``models--ORGANISATION--NAME`` of Hugging Face's cache, or the path.

    They are those of the branch ``main``, or the only ones.

    Raises
    ------
    InputError
        There are none, or several and no ``main`` among them.
    """
    folder, branch = path / "snapshots", path / "refs" / "main"
    if not (folder.is_dir() and path.absolute().name.startswith("models--")):
        return path
    try:
        found = sorted(one.name for one in folder.iterdir() if one.is_dir())
        main = (
            branch.read_bytes()[:200].decode(errors="replace").strip() if branch.is_file() else ""
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if main in found or (not main and len(found) == 1):
        return folder / (main or found[0])
    if main:
        raise InputError(
            f"{path}: refs/main is {main[:60]!r}, which is not in snapshots: download it again"
        )
    if not found:
        raise InputError(f"{path}: has no snapshots: download it again")
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    raise InputError(
        f"{path}: has {len(found)} snapshots and no refs/main: give the path of one: "
        f"snapshots/{', '.join(found[:8])}{more}"
    )
