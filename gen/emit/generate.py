"""From a configuration to the files that a hardware engineer takes away."""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.gen.emit.lint import verible_rules
from lutcore.gen.emit.registers import c_header, python_module, system_rdl
from lutcore.gen.emit.rtl import TOPS, verilog
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.hdl.core.axi_core import axi_core_signature
from lutcore.hdl.core.core import core_signature
from lutcore.hdl.isa.lmma import VERSION
from lutcore.hdl.tile.tile import tile_signature


def tool_versions() -> dict[str, str]:
    """Versions of what a generated file depends on."""
    packages = ("lut-tensor-core", "amaranth")
    return {package: importlib.metadata.version(package) for package in packages}


def _fields(shape: Any, name: str, offset: int) -> list[dict[str, Any]]:
    """Leaf fields of a layout with bit offsets; arrays are given by their dimensions."""
    dims: list[int] = []
    inner = shape
    while isinstance(inner, data.ArrayLayout):
        dims.append(inner.length)
        inner = inner.elem_shape
    if isinstance(inner, data.StructLayout):
        return [
            leaf
            for key, member in inner
            for leaf in _fields(member.shape, str(key), offset + member.offset)
        ]
    leaf = Shape.cast(inner)
    return [
        {"name": name, "offset": offset, "width": leaf.width, "signed": leaf.signed, "dims": dims}
    ]


_CLOCK: list[dict[str, Any]] = [
    {"name": "clk", "direction": "input", "width": 1},
    {"name": "rst", "direction": "input", "width": 1},
]


#: Top -> the signature of its ports.
_SIGNATURES: dict[str, Callable[[CoreConfig], wiring.Signature]] = {
    "tile": tile_signature,
    "core": core_signature,
    "axi": axi_core_signature,
}


def _port(name: str, member: wiring.Member) -> dict[str, Any]:
    direction = {wiring.In: "input", wiring.Out: "output"}[member.flow]
    return {"name": name, "direction": direction, "width": Shape.cast(member.shape).width}


def ports(config: CoreConfig, top: str = "tile") -> list[dict[str, Any]]:
    """Ports of a top; the payload of a stream lists its fields, bit 0 lowest."""
    found: list[dict[str, Any]] = list(_CLOCK)
    for name, member in _SIGNATURES[top](config).members.items():
        if member.is_port:
            found.append(_port(name, member))
            continue
        for part, inner in member.signature.members.items():
            port = _port(f"{name}__{part}", inner)
            if part == "payload":
                port["fields"] = _fields(inner.shape, name, 0)
            found.append(port)
    return found


def metadata(config: CoreConfig, text: str) -> dict[str, Any]:
    """What a reader of the Verilog must know: configuration, ports, timing, versions, hash."""
    bits = range(1, config.max_weight_bits + 1)
    return {
        "design": config.name,
        "config": config.to_dict(),
        "products_per_cycle": config.products_per_cycle,
        "latency": config.latency,
        "initiation_interval": 1,
        "full_rate_slices": config.full_rate_slices,
        "slice_bits": config.slice_bits,
        "form": config.form.name,
        "result_scale": config.form.scale,
        "zero_point_offset": {b: config.form.offset(b) for b in bits},
        "index_bits": config.index_bits,
        "slices_per_step": {b: config.planes(b) for b in bits},
        "accumulator_bits": config.accumulator_bits,
        "scale_offset": config.scale_offset if config.block_scaled else None,
        "drain_columns": config.drain_columns,
        "reset": "rst: synchronous, active high; controls only, datapath registers have none",
        "ports": ports(config),
        "tool_versions": tool_versions(),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def core_metadata(config: CoreConfig, text: str, top: str) -> dict[str, Any]:
    """As :func:`metadata`, for a core."""
    return {
        "design": config.name,
        "top": top,
        "config": config.to_dict(),
        "isa_version": VERSION,
        "products_per_cycle": config.products_per_cycle,
        "weight_formats": [f"{b} bits" for b in range(1, config.max_weight_bits + 1)],
        "longest_run": config.run_length,
        "reset": "rst: synchronous, active high",
        "ports": ports(config, top),
        "tool_versions": tool_versions(),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def fusesoc_core(config: CoreConfig, top: str = "tile") -> str:
    """FuseSoC core description (CAPI2)."""
    version = importlib.metadata.version("lut-tensor-core")
    shape = f"M{config.m} N{config.columns} K{config.depth}"
    return f"""CAPI=2:
name: "::{config.name}:{version}"
description: "LUT Tensor Core {top}, {shape}, {config.activation}"

filesets:
  rtl:
    files:
      - {config.name}.v : {{file_type: verilogSource}}

targets:
  default: &default
    filesets: [rtl]
    toplevel: {config.name}
  lint:
    <<: *default
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall, -Wno-DECLFILENAME]
"""


def check_top(config: CoreConfig, top: str) -> None:
    """Refuse what is no top, or no configuration.

    Raises
    ------
    InputError
    """
    check_config(config)
    if top not in TOPS:
        raise InputError(f"--top must be one of {', '.join(TOPS)}, not {top!r}")


def generate(
    config: CoreConfig, folder: Path, top: str = "tile", force: bool = False
) -> list[Path]:
    """Write ``<name>.v``, ``.json``, ``.core`` and ``.verible``; the same bytes on every run.

    With top ``axi`` also ``<name>_registers.h``, ``.py`` and ``.rdl``. Files of the same
    configuration are replaced, others only with ``force``.

    Raises
    ------
    InputError
        There is no such top, no core can be built from the configuration, or the folder cannot be
        written; nothing is left behind.
    """
    check_top(config, top)
    text = verilog(config, top)
    facts = metadata(config, text) if top == "tile" else core_metadata(config, text, top)
    files = {
        f"{config.name}.v": text,
        f"{config.name}.json": json.dumps(facts, indent=2) + "\n",
        f"{config.name}.core": fusesoc_core(config, top),
        f"{config.name}.verible": verible_rules(),
    }
    if top == "axi":
        files |= {
            f"{config.name}_registers.h": c_header(),
            f"{config.name}_registers.py": python_module(),
            f"{config.name}_registers.rdl": system_rdl(config),
        }
    by = f"generate {config.name} --top {top}, configuration {config.digest}"
    return write_files(folder, files, by, force)
