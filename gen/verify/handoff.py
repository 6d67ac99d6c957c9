"""A mapped tile for other tools: its netlist, models of its cells, and a bench that judges it."""

from collections.abc import Sequence
from pathlib import Path

from lutcore.gen.asic.synth import mapped_tile
from lutcore.gen.collateral.bench import bench_files
from lutcore.gen.emit.rtl import design_name, header
from lutcore.gen.verify.cell_models import cell_modules
from lutcore.hdl.config.core import CoreConfig, check_config


def netlist_files(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None = None,
    *,
    period: float | None = None,
) -> dict[str, str]:
    """Text of ``<design>_mapped.v`` and ``<design>_cells.v``, and of benches with their words.

    The netlist is that of :func:`lutcore.gen.asic.synth.synthesise`; parameters as there. Models of
    cells have their functions from the Liberty files, and X where an input that matters has it;
    whoever has the library's own Verilog takes that.

    Raises
    ------
    InputError
        The library cannot be used, has cells that no model can be made of, or a tool is missing.
    ToolError
        It failed.
    """
    check_config(config)
    name, head = design_name(config), header(config, "tile")
    mapped, files = mapped_tile(config, liberty, period)
    asked = "any period" if period is None else f"{period:g} ns"
    said = f"// Mapped to {files.library.name} for {asked}.\n\n"
    models = f"{head}// Cells of {files.library.name} that the netlist has.\n\n"
    return {
        f"{name}_mapped.v": head + said + mapped.netlist,
        f"{name}_cells.v": models + cell_modules(mapped.netlist, files.library),
        **bench_files(config, "tile"),
    }
