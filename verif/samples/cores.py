"""Cores that build and run fast, for tests and campaigns: one for each way a core can differ."""

from typing import Any

from lutcore.hdl.config.core import CoreConfig

_COMMON: dict[str, Any] = {
    "precompute": "buffered",
    "zero_points": "external",
    "result_columns": 2,
    "activation_buffer": 512,
    "weight_buffer": 512,
    "scale_buffer": 256,
    "output_buffer": 1024,
    "program_buffer": 256,
    "group_size": 32,
}
_ROOMY: dict[str, Any] = {
    "activation_buffer": 1024,
    "weight_buffer": 4096,
    "scale_buffer": 1024,
    "output_buffer": 4096,
}
_FIELDS: dict[str, dict[str, Any]] = {
    "w4a8": {"n": 8, "max_weight_bits": 4},
    "w2a16": {
        "m": 1,
        "n": 32,
        "activation": "int16",
        "bus_bits": 64,
        "table_form": "subset",
    },
    # A result beat covers two of the tiles.
    "4-tiles": _ROOMY | {"tiles": 4, "n": 8, "result_columns": 16},
    "ternary": {"n": 8, "k": 3, "weight_coding": "ternary", "group_size": 33},
    "int8-tables": {"n": 8, "table": "int8", "max_weight_bits": 3},
    "fp16": {"n": 8, "activation": "fp16", "max_weight_bits": 4},
    "bf16": _ROOMY
    | {
        "n": 8,
        "activation": "bf16",
        "table_form": "subset",
        "tiles": 2,
        "k": 2,
        "lookups": 2,
        "result_columns": 4,
    },
    "fp16-exact": {"n": 4, "activation": "fp16", "float_mode": "exact", "max_weight_bits": 3},
    "bf16-exact": {
        "n": 4,
        "activation": "bf16",
        "float_mode": "exact",
        "k": 2,
        "lookups": 2,
        "tiles": 2,
    },
    "fp8-int8-tables": {
        "n": 8,
        "plane_order": "descending",
        "activation": "fp8-e4m3",
        "table": "int8",
        "bus_bits": 64,
    },
    "bus-256": _ROOMY | {"n": 8, "bus_bits": 256, "k": 2, "lookups": 2, "weight_coding": "ternary"},
    "bus-512": _ROOMY | {"n": 16, "bus_bits": 512, "result_columns": 4},
}

#: Name -> configuration.
SMALL_CORES = {name: CoreConfig(**_COMMON | fields) for name, fields in _FIELDS.items()}
