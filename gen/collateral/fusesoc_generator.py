"""Generator of FuseSoC: a core of a user asks for a configuration, and gets its design as a core.

FuseSoC runs ``python -m lutcore.gen.collateral.fusesoc_generator FILE.yml`` in a folder that it
made for the result. The core that asks has::

    filesets:
      parts: {depend: ["lutcore:tensor_cores:generator"]}
    generate:
      tile: {generator: lutcore, parameters: {config: w2a8, top: tile, set: [n=4]}}
    targets:
      default: {filesets: [parts], generate: [tile]}

Configurations in files are found beside it.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lutcore.errors import HostError, InputError, ToolError
from lutcore.gen.collateral.generate import generate
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.names import remedy
from lutcore.hdl.config.presets import load_config

#: What a core may say to the generator.
PARAMETERS = ("config", "top", "set")


def _request(path: Path) -> Mapping[str, Any]:
    """What FuseSoC asks, each part being of its type.

    Raises
    ------
    InputError
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        texts = [found["vlnv"], found["files_root"]]
        asked = found["parameters"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{path} is no request of FuseSoC for its generators: {why}") from error
    if not (isinstance(asked, dict) and all(isinstance(text, str) for text in texts)):
        raise InputError(f"{path} is no request of FuseSoC for its generators: types differ")
    return found


def _wanted(asked: Mapping[str, Any], beside: Path) -> tuple[CoreConfig, str]:
    """The configuration and the top that parameters name; files are found ``beside``.

    Raises
    ------
    InputError
    """
    for name in asked:
        if name not in PARAMETERS:
            raise InputError(f"unknown parameter {name!r}{remedy(name, PARAMETERS, 'parameters')}")
    config, top, changes = asked.get("config"), asked.get("top", "tile"), asked.get("set", [])
    if not isinstance(config, str):
        raise InputError("parameter config must name a preset or a .toml file")
    if not isinstance(top, str):
        raise InputError(f"parameter top must be a name, not {top!r}")
    if not (isinstance(changes, list) and all(isinstance(text, str) for text in changes)):
        raise InputError(f"parameter set must be a list such as [n=4], not {changes!r}")
    source = str(beside / config) if config.endswith(".toml") else config
    return load_config(source, changes), top


def answer(request: Path, folder: Path) -> list[Path]:
    """Write the design that a request of FuseSoC asks for, its core under the name given there.

    Raises
    ------
    InputError
        The request, or a parameter in it, is not as it must be; or nothing can be written.
    """
    asked = _request(request)
    try:
        config, top = _wanted(asked["parameters"], Path(asked["files_root"]))
        return generate(config, folder, top, force=True, vlnv=asked["vlnv"])
    except InputError as error:
        raise InputError(f"{asked['vlnv']}: {error}") from error


def main(arguments: Sequence[str]) -> int:
    """Answer the request in a file, into the working folder; exit status 2 for bad input."""
    try:
        if len(arguments) != 1:
            raise InputError("give one file: that which FuseSoC writes for its generators")
        answer(Path(arguments[0]), Path())
    except (InputError, HostError, ToolError, OSError) as error:
        print(f"lutcore: {error}", file=sys.stderr)
        return 1 if isinstance(error, ToolError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
