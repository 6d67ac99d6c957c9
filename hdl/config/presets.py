"""Named configurations, and configurations from files and the command line."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.names import remedy

_DENSE: dict[str, Any] = {"n": 16, "k": 2, "lookups": 8, "table_form": "subset", "group_size": 32}
_ALIGNED: dict[str, Any] = {"float_mode": "aligned", "group_size": 32}
_EXACT: dict[str, Any] = {"float_mode": "exact", "zero_points": "external", "n": 16}
_PRODUCTS: dict[str, Any] = {
    **{"engine": "mac", "n": 16, "k": 4, "lookups": 4, "pipeline": 1, "pipeline_cut": 0},
}

_FPGA: dict[str, Any] = {"max_weight_bits": 1, "zero_points": "external", "group_size": 128}
#: Four rows of nine stored bits fill RAM of four bits' width, banks of eight its 16 words.
_RAM16: dict[str, Any] = {
    **_FPGA,
    **{"table_storage": "lutram", "passes": 16, "m": 4, "n": 24, "k": 4, "lookups": 16},
}

#: Preset name -> what it is, in one line, and the fields that it changes.
_FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "w1a8": (
        "One-bit weights, INT8 activations: the paper's shape, symmetric tables of four.",
        {"max_weight_bits": 1},
    ),
    "w2a8": (
        "Two-bit weights, INT8 activations: the paper's shape, planes in any order.",
        {"max_weight_bits": 2},
    ),
    "w4a8": ("Four-bit weights, INT8 activations.", {"max_weight_bits": 4}),
    "w8a8": ("Weights of up to eight bits, INT8 activations.", {"max_weight_bits": 8}),
    "ternary-a8": (
        "Ternary weights, three in five bits and one cycle, INT8 activations.",
        {"weight_coding": "ternary", "k": 3},
    ),
    "w2a8-int8-tables": (
        "Two-bit weights, table entries rounded to eight bits with a shift a group.",
        {"table": "int8", "group_size": 32},
    ),
    "w2a8-buffered": (
        "Two-bit weights, tables built once a run and kept for all planes and N tiles.",
        {"precompute": "buffered", "group_size": 128},
    ),
    "w2a8-external": ("Two-bit weights, tables arriving on a stream.", {"precompute": "external"}),
    "w2a16": ("Two-bit weights, INT16 activations.", {"max_weight_bits": 2, "activation": "int16"}),
    "w4-fp16": (
        "Four-bit weights, FP16 activations aligned to integers of one exponent a group.",
        {"max_weight_bits": 4, "activation": "fp16", **_ALIGNED},
    ),
    "w2-bf16": (
        "Two-bit weights, aligned BF16 activations.",
        {"max_weight_bits": 2, "activation": "bf16", **_ALIGNED},
    ),
    "w4-fp8": (
        "Four-bit weights, aligned FP8 (E4M3) activations.",
        {"max_weight_bits": 4, "activation": "fp8-e4m3", **_ALIGNED},
    ),
    "w2-fp8-e5m2": (
        "Two-bit weights, aligned FP8 (E5M2) activations.",
        {"max_weight_bits": 2, "activation": "fp8-e5m2", **_ALIGNED},
    ),
    "w2-fp16-exact": (
        "Two-bit weights, tables of FP16, accumulated in FP32.",
        {"max_weight_bits": 2, "activation": "fp16", **_EXACT},
    ),
    "w2-bf16-exact": (
        "Two-bit weights, tables of BF16's sums, accumulated in FP32.",
        {"max_weight_bits": 2, "activation": "bf16", **_EXACT},
    ),
    "w2-fp8-exact": (
        "Two-bit weights, tables of FP8's sums, accumulated in FP32.",
        {"max_weight_bits": 2, "activation": "fp8-e4m3", **_EXACT},
    ),
    # MXFP4 weights are integers -12..12 times half their scale: five planes, exact.
    "mxfp4-bf16": (
        "MXFP4 weights (five planes, exact), aligned BF16 activations.",
        {"max_weight_bits": 5, "activation": "bf16", **_ALIGNED},
    ),
    "mac-int8": (
        "Baseline: multipliers of INT8 activations and weights of up to eight bits.",
        {"max_weight_bits": 8, **_PRODUCTS},
    ),
    "mac-int8-csa": (
        "The reference: the same multipliers, M8 N4, the sums of 16 registered with their carries.",
        {"max_weight_bits": 8, **_PRODUCTS, "m": 8, "n": 4, "pipeline_cut": 6},
    ),
    "mac-w2a8": (
        "Baseline: multipliers of INT8 activations that are built for two-bit weights only.",
        {"max_weight_bits": 2, **_PRODUCTS},
    ),
    "mac-fp16": (
        "Baseline: multipliers of FP16 activations and four-bit weights, summed in FP32.",
        {"max_weight_bits": 4, "activation": "fp16", **_PRODUCTS, **_EXACT, "n": 4},
    ),
    "mac-fp8": (
        "Baseline: multipliers of FP8 activations and four-bit weights, summed in FP32.",
        {"max_weight_bits": 4, "activation": "fp8-e4m3", **_PRODUCTS, **_EXACT, "n": 4},
    ),
    "add-w2a8": (
        "Baseline: one conditional addition for each bit of a weight.",
        {"engine": "add", "n": 32, "k": 4, "lookups": 2},
    ),
    "conventional-w2a8": (
        "Baseline: full tables and two's-complement weights, as earlier LUT accelerators.",
        {"engine": "conventional-lut"},
    ),
    # The paper's tile as published: M2 N64 K4, symmetric tables, results leave as they are summed.
    "paper-w1a8": (
        "The paper's tile as published (M2 N64 K4), one-bit weights.",
        {"max_weight_bits": 1, "zero_points": "external"},
    ),
    "paper-w2a8": (
        "The paper's tile as published (M2 N64 K4), two-bit weights.",
        {"max_weight_bits": 2, "zero_points": "external"},
    ),
    # Fewer columns, several two-activation tables summed before one exact-width accumulator.
    "dense-w1a8": (
        "The smallest tile for one-bit weights: 16 columns that sum eight subset tables of two.",
        {"max_weight_bits": 1, "zero_points": "external", **_DENSE},
    ),
    "dense-w2a8": (
        "The smallest tile for two-bit weights: highest plane first, eight subset tables of two.",
        {
            "max_weight_bits": 2,
            "plane_order": "descending",
            "zero_points": "external",
            **_DENSE,
        },
    ),
    "dense-ternary-a8": (
        "The smallest tile for ternary weights: 16 columns that sum eight tables of two trits.",
        {
            **_DENSE,
            **{"table_form": "symmetric", "weight_coding": "ternary", "zero_points": "external"},
        },
    ),
    # For FPGAs. 7 series: three rows of ten bits in RAM of six bits and 32 words; two steps of 65
    # cover a scale group of 128.
    "fpga-xilinx-w1a8": (
        "For the 7 series: one-bit weights, tables in distributed RAM of 32 words.",
        {
            **_FPGA,
            **{"table_storage": "lutram", "passes": 32, "m": 3, "n": 16, "k": 5, "lookups": 13},
            "group_size": 130,
        },
    ),
    "fpga-ecp5-w1a8": ("For ECP5: one-bit weights, tables in distributed RAM of 16 words.", _RAM16),
    "fpga-gowin-w1a8": (
        "For Gowin: one-bit weights, tables in distributed RAM of 16 words.",
        _RAM16,
    ),
    "fpga-ice40-w1a8": (
        "For iCE40: one-bit weights, carry chains, tables in flip-flops.",
        {
            **_FPGA,
            **{"table_storage": "chain", "n": 16, "k": 2, "lookups": 8},
        },
    ),
    # For boards that are too small for a core. A slice of 120 bits fills four words of the link.
    "board-tile": (
        "For boards that are too small for a core: weights of up to four bits, one row.",
        {
            **{
                "table_storage": "chain",
                "m": 1,
                "n": 15,
                "k": 2,
                "lookups": 4,
                "result_columns": 1,
            },
            **{"max_weight_bits": 4, "plane_order": "descending", "group_size": 128},
            "zero_points": "external",
        },
    ),
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
_CORES: dict[str, tuple[str, dict[str, Any]]] = {
    "edge": ("Small core: one row, 16 columns, a bus of 64 bits.", _EDGE),
    "board-core": (
        "Smallest core, for FPGA boards: one row, eight columns, a bus of 64 bits.",
        _EDGE | {"n": 8, "result_columns": 1},
    ),
    "default": (
        "Core of 512 one-bit products a cycle, weights of up to four bits, a bus of 128 bits.",
        {"result_columns": 8},
    ),
    "default-ternary": (
        "The default core for ternary weights: three weights in five bits and one cycle.",
        {
            "weight_coding": "ternary",
            "k": 3,
            "max_weight_bits": 2,
            "group_size": 129,
            "result_columns": 8,
        },
    ),
    "default-fp16": (
        "The default core with aligned FP16 activations.",
        {
            "activation": "fp16",
            "result_columns": 8,
            "activation_buffer": 1 << 15,
        },
    ),
    "large": (
        "Core of four tiles: 2048 one-bit products a cycle, a bus of 512 bits.",
        {
            "tiles": 4,
            "result_columns": 32,
            "bus_bits": 512,
            "weight_buffer": 1 << 17,
            "scale_buffer": 1 << 14,
            "output_buffer": 1 << 17,
        },
    ),
}


def _named(fields: dict[str, tuple[str, dict[str, Any]]], **common: Any) -> dict[str, CoreConfig]:
    prefix = "lutcore_" if common else ""
    return {
        name: CoreConfig(name=f"{prefix}{name.replace('-', '_')}", **common | changed)
        for name, (_, changed) in fields.items()
    }


#: Preset name -> configuration of a tile.
PRESETS: dict[str, CoreConfig] = _named(_FIELDS)
#: Preset name -> configuration of a core; a tile can be made of each too.
CORE_PRESETS: dict[str, CoreConfig] = _named(_CORES, **_CORE)
#: Preset name -> what it is, in one line.
SUMMARIES: dict[str, str] = {name: line for name, (line, _) in (_FIELDS | _CORES).items()}
_ALL = PRESETS | CORE_PRESETS
_BY_NAME = {config.name: name for name, config in _ALL.items()}
_UNNAMED = CoreConfig().name


def preset(name: str) -> CoreConfig:
    """Return the configuration of that name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in _ALL:
        raise InputError(f"no preset {name!r}{remedy(name, _ALL, 'presets')}")
    return _ALL[name]


def origin(config: CoreConfig) -> tuple[str, dict[str, Any]]:
    """The preset whose name a configuration has, and the fields that it has otherwise.

    Without such a preset an empty name, and the fields that differ from their defaults.
    """
    name = _BY_NAME.get(config.name, "")
    base = (_ALL[name] if name else CoreConfig(name=config.name)).to_dict()
    return name, {key: value for key, value in config.to_dict().items() if value != base[key]}


def own_name(config: CoreConfig) -> str:
    """A configuration's name; of a changed preset, or without a name, one that no other has."""
    name, changed = origin(config)
    return _of_variant(config) if changed and (name or config.name == _UNNAMED) else config.name


def _of_variant(config: CoreConfig) -> str:
    return f"{config.name}_{config.digest[:6]}"


def _override(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    types = {field.name: field.type for field in fields(CoreConfig)}
    if not equals:
        raise InputError(f"--set takes field=value, for example n=32, not {text!r}")
    if name not in types:
        raise InputError(
            f"unknown configuration field {name!r}{remedy(name, sorted(types), 'fields')}"
        )
    if types[name] is not int:
        return name, value
    try:
        return name, int(value)
    except ValueError:
        raise InputError(f"{name} must be an integer, not {value!r}") from None


def load_config(source: str, overrides: Iterable[str] = ()) -> CoreConfig:
    """Configuration from a preset's name or a TOML file, with ``field=value`` overrides.

    What is changed of a file has a name of its own, unless the change is that of the name.

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
            f"{source!r} is neither a preset nor a .toml file{remedy(source, _ALL, 'presets')}"
        )
    changed = config.replace(**dict(_override(text) for text in overrides))
    if changed == config or changed.name != config.name or source in _ALL:
        return changed  # what is made of a preset is named by :func:`own_name`
    return changed.replace(name=_of_variant(changed))
