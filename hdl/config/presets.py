"""Named configurations, and configurations from files and the command line."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig

_DENSE: dict[str, Any] = {"n": 16, "k": 2, "lookups": 8, "table_form": "subset", "group_size": 32}
_ALIGNED: dict[str, Any] = {"float_mode": "aligned", "group_size": 32}
_EXACT: dict[str, Any] = {"float_mode": "exact", "zero_points": "external", "n": 16}
_PRODUCTS: dict[str, Any] = {"engine": "mac", "n": 16, "k": 4, "lookups": 4, "pipeline": 1}

_FPGA: dict[str, Any] = {"max_weight_bits": 1, "zero_points": "external", "group_size": 128}
#: Four rows of nine stored bits fill RAM of four bits' width, banks of eight its 16 words.
_RAM16: dict[str, Any] = {
    **_FPGA,
    **{"table_storage": "lutram", "passes": 16, "m": 4, "n": 24, "k": 4, "lookups": 16},
}

_FIELDS: dict[str, dict[str, Any]] = {
    "w1a8": {"max_weight_bits": 1},
    "w2a8": {"max_weight_bits": 2},
    "w4a8": {"max_weight_bits": 4},
    "w8a8": {"max_weight_bits": 8},
    "ternary-a8": {"weight_coding": "ternary", "k": 3},
    "w2a8-int8-tables": {"table": "int8", "group_size": 32},
    "w2a8-buffered": {"precompute": "buffered", "group_size": 128},
    "w2a8-external": {"precompute": "external"},
    "w2a16": {"max_weight_bits": 2, "activation": "int16"},
    "w4-fp16": {"max_weight_bits": 4, "activation": "fp16", **_ALIGNED},
    "w2-bf16": {"max_weight_bits": 2, "activation": "bf16", **_ALIGNED},
    "w4-fp8": {"max_weight_bits": 4, "activation": "fp8-e4m3", **_ALIGNED},
    "w2-fp8-e5m2": {"max_weight_bits": 2, "activation": "fp8-e5m2", **_ALIGNED},
    "w2-fp16-exact": {"max_weight_bits": 2, "activation": "fp16", **_EXACT},
    "w2-bf16-exact": {"max_weight_bits": 2, "activation": "bf16", **_EXACT},
    "w2-fp8-exact": {"max_weight_bits": 2, "activation": "fp8-e4m3", **_EXACT},
    # MXFP4 weights are integers -12..12 times half their scale: five planes, exact.
    "mxfp4-bf16": {"max_weight_bits": 5, "activation": "bf16", **_ALIGNED},
    "mac-int8": {"max_weight_bits": 8, **_PRODUCTS},
    "mac-w2a8": {"max_weight_bits": 2, **_PRODUCTS},
    "mac-fp16": {"max_weight_bits": 4, "activation": "fp16", **_PRODUCTS, **_EXACT, "n": 4},
    "mac-fp8": {"max_weight_bits": 4, "activation": "fp8-e4m3", **_PRODUCTS, **_EXACT, "n": 4},
    "add-w2a8": {"engine": "add", "n": 32, "k": 4, "lookups": 2},
    "conventional-w2a8": {"engine": "conventional-lut"},
    # The paper's tile as published: M2 N64 K4, symmetric tables, results leave as they are summed.
    "paper-w1a8": {"max_weight_bits": 1, "zero_points": "external"},
    "paper-w2a8": {"max_weight_bits": 2, "zero_points": "external"},
    # Fewer columns, several two-activation tables summed before one exact-width accumulator.
    "dense-w1a8": {"max_weight_bits": 1, "zero_points": "external", **_DENSE},
    "dense-w2a8": {
        "max_weight_bits": 2,
        "plane_order": "descending",
        "zero_points": "external",
        **_DENSE,
    },
    # For FPGAs. 7 series: three rows of ten bits in RAM of six bits and 32 words; two steps of 65
    # cover a scale group of 128.
    "fpga-xilinx-w1a8": {
        **_FPGA,
        **{"table_storage": "lutram", "passes": 32, "m": 3, "n": 16, "k": 5, "lookups": 13},
        "group_size": 130,
    },
    "fpga-ecp5-w1a8": _RAM16,
    "fpga-gowin-w1a8": _RAM16,
    "fpga-ice40-w1a8": {
        **_FPGA,
        **{"table_storage": "chain", "n": 16, "k": 2, "lookups": 8},
    },
    # For boards that are too small for a core. A slice of 120 bits fills four words of the link.
    "board-tile": {
        **{"table_storage": "chain", "m": 1, "n": 15, "k": 2, "lookups": 4, "result_columns": 1},
        **{"max_weight_bits": 4, "plane_order": "descending", "group_size": 128},
        "zero_points": "external",
    },
}

_CORE: dict[str, Any] = {
    "precompute": "buffered",
    "zero_points": "external",
    "group_size": 128,
    "max_weight_bits": 4,
}

_EDGE: dict[str, Any] = {
    "m": 1,
    "n": 16,
    "result_columns": 2,
    "bus_bits": 64,
    "activation_buffer": 1 << 11,
    "weight_buffer": 1 << 12,
    "scale_buffer": 1 << 10,
    "output_buffer": 1 << 12,
    "program_buffer": 256,
}

#: Cores; results leave so that groups of 32 at 2 bits run at full rate.
_CORES: dict[str, dict[str, Any]] = {
    "edge": _EDGE,
    "board-core": _EDGE | {"n": 8, "result_columns": 1},
    "default": {"result_columns": 8},
    "default-ternary": {
        "weight_coding": "ternary",
        "k": 3,
        "max_weight_bits": 2,
        "group_size": 129,
        "result_columns": 8,
    },
    "default-fp16": {
        "activation": "fp16",
        "result_columns": 8,
        "activation_buffer": 1 << 15,
    },
    "large": {
        "tiles": 4,
        "result_columns": 32,
        "bus_bits": 512,
        "weight_buffer": 1 << 17,
        "scale_buffer": 1 << 14,
        "output_buffer": 1 << 17,
    },
}


def _named(fields: dict[str, dict[str, Any]], **common: Any) -> dict[str, CoreConfig]:
    return {
        name: CoreConfig(name=f"{'lutcore_' * bool(common)}{name.replace('-', '_')}", **common | v)
        for name, v in fields.items()
    }


#: Preset name -> configuration of a tile.
PRESETS: dict[str, CoreConfig] = _named(_FIELDS)
#: Preset name -> configuration of a core; a tile can be made of each too.
CORE_PRESETS: dict[str, CoreConfig] = _named(_CORES, **_CORE)
_ALL = PRESETS | CORE_PRESETS


def preset(name: str) -> CoreConfig:
    """Return the configuration of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in _ALL:
        raise InputError(f"no preset {name!r}; presets: {', '.join(_ALL)}")
    return _ALL[name]


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
    if source in _ALL:
        config = _ALL[source]
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
            f"{source!r} is neither a preset nor a .toml file; presets: {', '.join(_ALL)}"
        )
    return config.replace(**dict(_override(text) for text in overrides))
