"""Files of a checkpoint: shards of a folder, config.json, and what is refused unread."""

import json
from pathlib import Path
from typing import Any

from lutcore.errors import InputError

_JSON_LIMIT = 16 << 20
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
#: First bytes of pickles, and of the zip files that PyTorch puts them in.
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def refuse_pickle(path: Path) -> None:
    """Refuse a file that would have to be unpickled.

    Raises
    ------
    InputError
        Its name or its first bytes are those of a pickle.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if path.suffix in _PICKLES or start.startswith(_PICKLE_STARTS):
        raise InputError(
            f"{path}: is a pickle, which may run any code when it is loaded: "
            "convert it to safetensors or GGUF"
        )


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file.

    Raises
    ------
    InputError
        It is absurdly large or nested, or no object.
    """
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
    if not isinstance(found, dict):
        raise InputError(f"{path}: must hold an object, not {type(found).__name__}")
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
    files = read_json(index).get("weight_map")
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
