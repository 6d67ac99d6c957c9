"""From a configuration to the files that a hardware engineer takes away."""

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from lutcore.files import write_files
from lutcore.gen.asic.synth import synthesise
from lutcore.gen.collateral.bench import bench_files
from lutcore.gen.collateral.checkers import assertions
from lutcore.gen.collateral.fusesoc import fusesoc_core
from lutcore.gen.collateral.integration import instance, sdc, xdc, yosys_script
from lutcore.gen.collateral.ipxact import component_xml
from lutcore.gen.collateral.systemverilog import systemverilog
from lutcore.gen.datasheet.datasheet import datasheet_files
from lutcore.gen.emit.interfaces import TOPS, check_top, ports
from lutcore.gen.emit.lint import verible_rules
from lutcore.gen.emit.registers import c_header, python_module, system_rdl
from lutcore.gen.emit.rtl import command, design_name, header, summary, verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import VERSION
from lutcore.version import __version__


def tool_versions() -> dict[str, str]:
    """Versions of what a generated file depends on."""
    packages = ("lut-tensor-core", "amaranth")
    return {package: importlib.metadata.version(package) for package in packages}


def metadata(config: CoreConfig, text: str, top: str = "tile") -> dict[str, Any]:
    """What a reader of the Verilog must know: configuration, ports, timing, versions, hash."""
    return {
        "design": design_name(config, top),
        "top": top,
        "command": command(config, top),
        "license": "Apache-2.0",
        "config": config.to_dict(),
        "products_per_cycle": config.products_per_cycle,
        **(_of_core(config) if TOPS[top].is_core else _of_tile(config)),
        "ports": ports(config, top),
        "tool_versions": tool_versions(),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _of_tile(config: CoreConfig) -> dict[str, Any]:
    bits = range(1, config.max_weight_bits + 1)
    return {
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
        "reset": "synchronous; controls only, datapath registers have none",
    }


def _of_core(config: CoreConfig) -> dict[str, Any]:
    return {
        "isa_version": VERSION,
        "weight_formats": [f"{b} bits" for b in range(1, config.max_weight_bits + 1)],
        "longest_run": config.run_length,
        "reset": "synchronous",
    }


#: End of a file's name -> its role for tools; the first that fits.
_ROLES = {
    "_tb.v": "testbench",
    ".hex": "vectors",
    ".v": "rtl",
    ".sv": "systemverilog",
    ".sdc": "sdc",
    ".xdc": "xdc",
    ".ys": "yosys",
}


def _for_tools(config: CoreConfig, top: str, text: str, vlnv: str | None) -> dict[str, str]:
    """What tools read: sources, benches, constraints, and descriptions that name them."""
    name = design_name(config, top)
    files = {
        **systemverilog(config, top),
        f"{name}.v": text,
        **bench_files(config, top),
        f"{name}.sdc": sdc(config, top),
        f"{name}.xdc": xdc(config, top),
        f"{name}.ys": yosys_script(config, top),
    }
    roles = {
        file: next(role for end, role in _ROLES.items() if file.endswith(end))
        for file in files
        if not file.endswith(".py")
    }
    return files | {
        f"{name}.core": fusesoc_core(
            name, summary(config, top), __version__, roles, header(config, top, "#"), vlnv
        ),
        f"{name}.xml": component_xml(config, top, name, __version__, roles),
        f"{name}.verible": verible_rules(),
    }


def generate(
    config: CoreConfig,
    folder: Path,
    top: str = "tile",
    force: bool = False,
    datasheet: bool = False,
    sva: bool = False,
    vlnv: str | None = None,
) -> list[Path]:
    """Write a design's files, all named as its top module; the same bytes on every run.

    Files of the same configuration are replaced, others only with ``force``.

    Parameters
    ----------
    datasheet : bool
        Write a datasheet too, for which the design is mapped and simulated: seconds to minutes.
    sva : bool
        Write assertions too (:mod:`lutcore.gen.collateral.checkers`).
    vlnv : str, optional
        Vendor, library, name and version for FuseSoC, by colons; default those of IP-XACT.

    Raises
    ------
    InputError
        There is no such top, no core can be built from the configuration, or the folder cannot be
        written; nothing is left behind.
    """
    check_top(config, top)
    text, name, by = verilog(config, top), design_name(config, top), command(config, top)
    files = _for_tools(config, top, text, vlnv) | {
        f"{name}.json": json.dumps(metadata(config, text, top), indent=2) + "\n",
        f"{name}.toml": header(config, top, "#") + config.to_toml(),
        f"{name}_instance.vh": instance(config, top),
    }
    if TOPS[top].has_registers:
        files |= {
            f"{name}_registers.h": header(config, top) + c_header(),
            f"{name}_registers.py": header(config, top, "#") + python_module(),
            f"{name}_registers.rdl": header(config, top) + system_rdl(name),
        }
    if sva:
        files |= assertions(config, top)
    if datasheet:
        files |= datasheet_files(config, top, name, by, synthesise(config))
    return write_files(folder, files, f"{by}, configuration {config.digest}", force)
