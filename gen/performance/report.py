"""A workload's operators as a table, and its files."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.gen.performance.checkpoints import checkpoint_shape
from lutcore.gen.performance.metadata import from_metadata
from lutcore.gen.performance.model import estimate, total
from lutcore.gen.performance.roofline import roofline
from lutcore.gen.performance.shapes import MODELS, ModelShape, Phase
from lutcore.gen.performance.system import System
from lutcore.hdl.config.core import CoreConfig

#: Formats where neither the model nor the user says them; those of a checkpoint's rounding.
_BITS, _GROUP, _ROUNDING_GROUP = 2, 128, 32


def model_shape(source: str, bits: int | None = None, group: int | None = None) -> ModelShape:
    """A built-in shape by name, or that of a checkpoint or ``config.json``.

    Parameters
    ----------
    bits, group : int, optional
        What a checkpoint's matrices that are not quantised are rounded to, as ``lutcore compile``
        rounds them; ``group`` 0 is one scale a row.

    Raises
    ------
    InputError
        It is neither, it is no network, or ``bits`` contradict it.
    """
    if source in MODELS:
        return MODELS[source]
    path = Path(source)
    if path.suffix == ".json":
        return _config_shape(path)
    if not path.exists():
        raise InputError(
            f"{source!r} is neither a checkpoint nor a built-in shape: {', '.join(MODELS)}"
        )
    from lutcore.compiler.importers.checkpoint import open_checkpoint

    if group is not None and bits is None:
        raise InputError(f"--group is that of --bits: {path} says the groups of its matrices")
    rounding = None if bits is None else (bits, _ROUNDING_GROUP if group is None else group)
    return checkpoint_shape(path.stem, open_checkpoint(path), rounding)


def _config_shape(path: Path) -> ModelShape:
    try:
        metadata = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(metadata, dict):
        raise InputError(f"{path} is no model's config.json")
    if metadata.get("kv_lora_rank"):
        raise InputError(
            f"{path}: kv_lora_rank: attention of latent vectors is not modelled from a "
            "config.json: give the checkpoint"
        )
    return from_metadata(path.stem, metadata)


def weight_format(
    model: ModelShape, config: CoreConfig, bits: int | None, group: int | None
) -> tuple[int, int]:
    """Bits and scale group that a system is to have: what the model says, else what the user says.

    Of a checkpoint, whose matrices have their own, the fewest bits that the core takes.

    Raises
    ------
    InputError
        The user contradicts the model.
    """
    if model.matrices:
        low, high = config.weight_bits_range
        return min((x.bits for x in model.matrices if low <= x.bits <= high), default=low), 0
    if not model.bits:
        return _BITS if bits is None else bits, _GROUP if group is None else group
    for option, ours, theirs in (
        ("--bits", bits, model.bits),
        ("--group", group, model.group_size),
    ):
        if ours not in (None, theirs):
            raise InputError(
                f"{option} {ours} contradicts {model.name}, whose quantization_config says "
                f"{theirs}: leave {option} out"
            )
    return model.bits, model.group_size


def _notes(model: ModelShape, system: System) -> list[str]:
    """Where the formats of linear layers come from."""
    if model.matrices:
        return [*model.notes]
    bits, size = system.weight_bits, system.group_size
    group = f"a scale for {size} elements" if size else "a scale a row"
    said = "as its quantization_config says" if model.bits else "assumed: it names no formats"
    return [*model.notes, f"all linear layers: weights of {bits} bits, {group}; {said}"]


def _energy_source(system: System, layers: list[dict[str, Any]]) -> str | None:
    known = [row for row in layers if row["energy_j"] is not None]
    found = [system.energy_of(row["bits"]) for row in known]
    return "; ".join(dict.fromkeys(one.source for one in found if one)) or None


def performance(model: ModelShape, phase: Phase, system: System) -> dict[str, Any]:
    """All facts as plain values: ``layers``, rows of
    :func:`~lutcore.gen.performance.model.estimate`, and ``notes``.

    Raises
    ------
    InputError
        A core's buffers cannot hold a layer of a shape.
    """
    layers = list(estimate(model, phase, system))
    return {
        "model": model.name,
        "phase": vars(phase),
        "system": system.name,
        "peak_tops": system.operations / 1e12,
        "energy_source": _energy_source(system, layers),
        "notes": _notes(model, system),
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
