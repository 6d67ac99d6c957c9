"""A workload's operators as a table, and its files."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.gen.performance.model import estimate, total
from lutcore.gen.performance.roofline import roofline
from lutcore.gen.performance.shapes import MODELS, ModelShape, Phase, from_metadata
from lutcore.gen.performance.system import System


def model_shape(source: str) -> ModelShape:
    """A built-in shape by name, or that of a checkpoint or ``config.json``.

    Raises
    ------
    InputError
        It is neither.
    """
    if source in MODELS:
        return MODELS[source]
    path = Path(source)
    if path.suffix == ".json":
        try:
            metadata = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path}: {error}") from error
        if not isinstance(metadata, dict):
            raise InputError(f"{path} is no model's config.json")
        return from_metadata(path.stem, metadata)
    if not path.exists():
        raise InputError(
            f"{source!r} is neither a checkpoint nor a built-in shape: {', '.join(MODELS)}"
        )
    from lutcore.compiler.importers.checkpoint import open_checkpoint

    return from_metadata(path.stem, open_checkpoint(path).metadata)


def performance(model: ModelShape, phase: Phase, system: System) -> dict[str, Any]:
    """All facts as plain values: ``layers``, rows of
    :func:`~lutcore.gen.performance.model.estimate`.

    Raises
    ------
    InputError
        A core's buffers cannot hold a layer.
    """
    layers = list(estimate(model, phase, system))
    return {
        "model": model.name,
        "phase": vars(phase),
        "system": system.name,
        "peak_tops": system.operations / 1e12,
        "energy_source": system.energy.source if system.energy else None,
        **total(layers),
        "layers": layers,
    }


def write_performance(
    found: Mapping[str, Any], system: System, folder: Path, force: bool = False
) -> None:
    """Write ``performance.json``, ``.csv`` and the roofline, each whole or not at all.

    Raises
    ------
    InputError
        The folder cannot be written, or has somebody else's files.
    """
    table = io.StringIO()
    names = list(dict.fromkeys(name for row in found["layers"] for name in row))
    writer = csv.DictWriter(table, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found["layers"])
    texts = {"performance.json": json.dumps(found, indent=1) + "\n"}
    label = f"{found['model']}, {found['phase']['name']}"
    images = roofline(system, [(label, found["layers"])], "performance-roofline")
    files = {**texts, "performance.csv": table.getvalue(), **images}
    write_files(folder, files, f"performance {found['model']}", force)
