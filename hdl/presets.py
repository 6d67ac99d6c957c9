"""Named configurations, and configurations from files and the command line."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from hdl.config import CoreConfig
from hdl.errors import InputError

_FIELDS: dict[str, dict[str, Any]] = {
    "w1a8": {"max_weight_bits": 1},
    "w2a8": {"max_weight_bits": 2},
    "w4a8": {"max_weight_bits": 4},
    "w8a8": {"max_weight_bits": 8},
    "ternary-a8": {"max_weight_bits": 2, "group_size": 256},
    "w2a16": {"max_weight_bits": 2, "activation": "int16"},
    # The paper's tile as published: M2 N64 K4, symmetric tables, results leave as they are summed.
    "paper-w1a8": {"max_weight_bits": 1, "zero_points": "external"},
    "paper-w2a8": {"max_weight_bits": 2, "zero_points": "external"},
    # Fewer columns, several two-activation tables summed before one exact-width accumulator.
    "dense-w1a8": {
        "n": 16,
        "k": 2,
        "lookups": 8,
        "table_form": "subset",
        "max_weight_bits": 1,
        "group_size": 32,
        "zero_points": "external",
    },
    "dense-w2a8": {
        "n": 16,
        "k": 2,
        "lookups": 8,
        "table_form": "subset",
        "max_weight_bits": 2,
        "group_size": 32,
        "zero_points": "external",
    },
}

#: Preset name -> configuration.
PRESETS: dict[str, CoreConfig] = {
    name: CoreConfig(name=name.replace("-", "_"), **values) for name, values in _FIELDS.items()
}


def preset(name: str) -> CoreConfig:
    """Return the configuration of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; presets: {', '.join(PRESETS)}")
    return PRESETS[name]


def _override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    types = {field.name: field.type for field in fields(CoreConfig)}
    if not equals or name not in types:
        raise InputError(
            f"--set takes field=value with a field of {', '.join(sorted(types))}, not {text!r}"
        )
    if types[name] is not int:
        return name, value
    try:
        return name, int(value)
    except ValueError:
        raise InputError(f"{name} must be an integer, not {value!r}") from None


def load_config(source: str, overrides: Iterable[str] = ()) -> CoreConfig:
    """Configuration from a preset's name or a TOML file, with ``field=value`` overrides.

    Raises
    ------
    InputError
        The source is neither, or a value is not allowed.
    """
    path = Path(source)
    if source in PRESETS:
        config = PRESETS[source]
    elif path.suffix == ".toml":
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read configuration {source}: {error}") from error
        try:
            config = CoreConfig.from_toml(text)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
    else:
        raise InputError(
            f"{source!r} is neither a preset nor a .toml file; presets: {', '.join(PRESETS)}"
        )
    return config.replace(**dict(_override(text) for text in overrides))
