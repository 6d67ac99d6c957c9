"""Functional bins of a tile: which there are for a configuration, and which of them a job hits.

What a job sends and should receive is known from the job alone, what happened on the way from the
bench's verdict.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.forms import ternary_most
from lutcore.verif.coverage.bins import Hit
from lutcore.verif.golden.formats import bits_type
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.layout import PLANE_ORDERS, Layout

#: What a reset may fall into: before the first slice is taken, while slices are, while only results
#: are to come, and after the last.
PHASES = ("before the first slice", "slices under way", "results to come", "silence")


def _sizes(most: int) -> list[str]:
    """Bins of a number of 1 to ``most``: the ends, their neighbours, and what lies between."""
    named = {1, 2, most - 1, most}
    bins = [str(number) for number in sorted(named) if 1 <= number <= most]
    return [*bins, "between"] if most > 4 else bins


def _size(number: int, most: int) -> str:
    return str(number) if number in (1, 2, most - 1, most) else "between"


def _several(number: int) -> str:
    return str(number) if number < 3 else "more"


_SEVERAL = ("1", "2", "more")


# Weights -----------------------------------------------------------------------------------------


def _indices(config: CoreConfig) -> list[int]:
    """Indices that weights of any bits can make of a table."""
    if config.form.name == "trit":
        return [0, 1, 3]
    if config.form.name != "ternary":
        return list(range(1 << config.index_bits))
    most, sign = ternary_most(config.k), 1 << config.index_bits - 1
    return [*range(most + 1), *(sign | number for number in range(1, most + 1))]


def _weights(config: CoreConfig) -> dict[str, list[str]]:
    least, most = config.weight_bits_range
    widths = range(least, most + 1)
    wanted = {"weight bits": [str(bits) for bits in widths]}
    if config.form.bit_serial and most > 1:
        wanted["plane of bits"] = [f"{p} of {b}" for b in widths for p in range(b)]
        orders = ["plane-major"] if config.doubles else PLANE_ORDERS
        wanted["plane order"] = list(orders)
    signs = ("", ", sign plane") if config.negates_tables else ("",)
    wanted["index of a table"] = [
        f"{index} of table {table}{sign}"
        for sign in signs
        for table in range(config.tables)
        for index in _indices(config)
    ]
    return wanted


def _weights_hit(config: CoreConfig, layout: Layout, order: str) -> Iterator[Hit]:
    packed, bits = layout.packed, layout.tensor.bits
    planes = config.planes(bits)
    yield "weight bits", str(bits)
    if config.form.bit_serial and config.max_weight_bits > 1:
        for plane in range(planes):
            yield "plane of bits", f"{plane} of {bits}"
        yield "plane order", order
    flat = np.unpackbits(packed.slices, axis=-1, bitorder="little")[..., : config.slice_bits]
    shape = (*flat.shape[:3], config.columns, config.tables, config.index_bits)
    indices = flat.reshape(shape) @ (1 << np.arange(config.index_bits))
    for plane in range(planes):
        top = config.negates_tables and plane == bits - 1
        for table in range(config.tables):
            for index in np.unique(indices[:, :, plane, :, table]):
                yield "index of a table", f"{index} of table {table}{', sign plane' * top}"


# Activations -------------------------------------------------------------------------------------


def _values(config: CoreConfig) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Kinds of activations: name -> which of some values (floats as bit patterns) are of it."""
    if not config.is_float:
        low, high = config.activation_range
        return {
            "least": lambda v: v == low,
            "negative": lambda v: (v < 0) & (v > low),
            "zero": lambda v: v == 0,
            "positive": lambda v: (v > 0) & (v < high),
            "greatest": lambda v: v == high,
        }
    f = config.float_format
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "zero": lambda v: v == 0,
        "subnormal": lambda v: (v > 0) & (v < f.min_normal),
        "normal": lambda v: (v >= f.min_normal) & (v < f.max_finite),
        "greatest": lambda v: v == f.max_finite,
        "NaN": lambda v: v > (f.overflow if f.infinity else f.max_finite),
    }
    if f.infinity:
        kinds["infinity"] = lambda v: v == f.overflow
    of_magnitude = {
        f"{sign}{name}": lambda v, kind=kind, s=s: (
            kind(v & f.magnitude_mask) & (v >> f.bits - 1 == s)
        )
        for name, kind in kinds.items()
        for s, sign in enumerate(("", "negative "))
    }
    return of_magnitude


def _activations(config: CoreConfig) -> dict[str, list[str]]:
    return {
        "activation in a row": [
            f"{kind} in {m}" for m in range(config.m) for kind in _values(config)
        ]
    }


def _activations_hit(config: CoreConfig, layout: Layout) -> Iterator[Hit]:
    values = layout.activations[: layout.rows]
    if config.is_float:
        values = values.view(bits_type(config.float_format))
    values = values.astype(np.int64)
    for m in range(min(config.m, len(values))):
        row = values[m :: config.m]
        for kind, holds in _values(config).items():
            if holds(row).any():
                yield "activation in a row", f"{kind} in {m}"


# Shapes ------------------------------------------------------------------------------------------


def _shapes(config: CoreConfig) -> dict[str, list[str]]:
    partly = ["whole", *(["partly padding"] if config.depth > 1 else [])]
    wanted = {
        "steps of a run": _sizes(config.run_steps),
        "last step of a run": partly,
        "runs of a row": list(_SEVERAL[: config.max_k]),  # groups may have one element
        "last scale group": ["whole", *(["shorter"] if config.run_length > 1 else [])],
        "rows of the last tile": _sizes(config.m),
        "tiles of rows": list(_SEVERAL),
        "columns of the last tile": _sizes(config.columns),
        "tiles of columns": list(_SEVERAL),
    }
    if (pieces := _most_pieces(config)) > 1:
        wanted["runs of a scale group"] = list(_SEVERAL[:pieces])
    if config.zero_points != "external":
        wanted["zero point"] = ["least", "between", "greatest"]
    return wanted


def _most_pieces(config: CoreConfig) -> int:
    """Runs of a scale group as long as the longest row, which is run in pieces of whole steps."""
    return -(-config.max_k // (config.run_steps * config.depth))


def _shapes_hit(config: CoreConfig, layout: Layout) -> Iterator[Hit]:
    tensor, steps = layout.tensor, layout.packed.steps
    n, k = tensor.shape
    for members in layout.members:
        yield "steps of a run", _size(len(members), config.run_steps)
        padded = bool((steps.columns[members[-1]] == k).any())
        yield "last step of a run", "partly padding" if padded else "whole"
    yield "runs of a row", _several(layout.runs)
    yield "last scale group", "shorter" if k % tensor.group_size else "whole"
    rows = (layout.rows - 1) % config.m + 1
    yield "rows of the last tile", _size(rows, config.m)
    yield "tiles of rows", _several(layout.m_tiles)
    columns = (n - 1) % config.columns + 1
    yield "columns of the last tile", _size(columns, config.columns)
    yield "tiles of columns", _several(layout.n_tiles)
    if _most_pieces(config) > 1:
        for group in set(steps.group.tolist()):
            yield "runs of a scale group", _several(int((steps.group == group).sum()))
    if config.zero_points != "external":
        most = 1 << tensor.bits
        for point in np.unique(tensor.zero_points):
            yield "zero point", "least" if not point else "greatest" if point == most else "between"


# Results -----------------------------------------------------------------------------------------


def _ends(config: CoreConfig, name: str) -> tuple[int, int]:
    """Least and greatest result of a full run, where they are integers of no shared scale."""
    length = config.run_steps * config.depth
    if name == "row_sum":
        factors = (1, 1)
    elif config.zero_points == "external":
        factors = config.form.weights(config.max_weight_bits)
    else:  # twice code less zero point
        most = 2 if config.weight_coding == "ternary" else (1 << config.max_weight_bits) - 1
        factors = (-2 << config.max_weight_bits, 2 * most)
    ends = [a * factor * length for a in config.activation_range for factor in factors]
    return min(ends), max(ends)


def _results(config: CoreConfig) -> dict[str, list[str]]:
    if config.exact_floats:
        kinds = ["negative", "zero", "positive", "NaN"]
        kinds += ["infinity"] if config.float_format.infinity else []
    else:
        kinds = ["negative", "zero", "positive"]
    wanted = {
        f"{name} of a row": [f"{k} in {m}" for m in range(config.m) for k in kinds]
        for name in ("dot", "row_sum")
    }
    if config.integer_results:
        for name in ("dot", "row_sum"):
            wanted[f"{name} at its end"] = [
                f"{end} in {m}" for m in range(config.m) for end in ("least", "greatest")
            ]
    if config.aligned:
        wanted["invalid run"] = [
            f"{word} in {m}" for m in range(config.m) for word in ("no", "yes")
        ]
    return wanted


def _kinds(config: CoreConfig, values: np.ndarray) -> dict[str, np.ndarray]:
    if not config.exact_floats:
        return {"negative": values < 0, "zero": values == 0, "positive": values > 0}
    infinity, sign = 0xFF << 23, 1 << 31
    magnitude = values & sign - 1
    finite = (magnitude < infinity) & (magnitude > 0)
    return {
        "negative": finite & (values & sign > 0),
        "zero": magnitude == 0,
        "positive": finite & (values & sign == 0),
        "NaN": magnitude > infinity,
        "infinity": magnitude == infinity,
    }


def results_hit(config: CoreConfig, job: TileJob) -> Iterator[Hit]:
    """Bins of the results that the golden model wants of a job."""
    for name in ("dot", "row_sum"):
        for m in range(config.m):
            counts = job.checked[name][:, m]
            values = job.expected[name][:, m][counts]
            for kind, holds in _kinds(config, values).items():
                if holds.any():
                    yield f"{name} of a row", f"{kind} in {m}"
            if config.integer_results:
                for end, value in zip(("least", "greatest"), _ends(config, name), strict=True):
                    if (values == value).any():
                        yield f"{name} at its end", f"{end} in {m}"
    if config.aligned:
        for m in range(config.m):
            for word in np.unique(job.expected["invalid"][:, m][job.checked["invalid"][:, m]]):
                yield "invalid run", f"{('no', 'yes')[int(word)]} in {m}"


# What happened -----------------------------------------------------------------------------------


def _streams(config: CoreConfig) -> dict[str, list[str]]:
    first = "tables" if config.precompute == "external" else "activations"
    inputs = [first, "weights", *(["zero_points"] if config.zero_points != "external" else [])]
    wanted = [f"{name} {what}" for name in inputs for what in ("held", "paused", "at once")]
    wanted += [f"results {what}" for what in ("held", "awaited", "at once")]
    wanted += ["weights back to back"]
    if config.passes > 1:  # taken once their tables are written
        wanted.remove("activations at once")
    return {"streams": wanted, "reset": list(PHASES)}


def phase(slices: int, beats: int, of_slices: int, of_beats: int) -> str:
    """Where a job stood after so many slices and results of all of them."""
    if not slices:
        return PHASES[0]
    if slices < of_slices:
        return PHASES[1]
    return PHASES[2] if beats < of_beats else PHASES[3]


def happened(job: TileJob, verdict: dict[str, Any]) -> Iterator[Hit]:
    """Bins of what the bench saw (:func:`lutcore.verif.bench.tile.play`)."""
    for name, seen in verdict["streams"].items():
        for what in seen:
            if (name, what) in _UNWANTED:
                continue
            yield "streams", f"{name} {what}"
    for slices, beats in verdict["resets"]:
        yield "reset", phase(slices, beats, job.slices, job.beats)


_UNWANTED = {(name, "back to back") for name in ("tables", "activations", "zero_points", "results")}


def wanted(config: CoreConfig) -> dict[str, list[str]]:
    """All bins of a configuration, by group."""
    groups: Sequence[dict[str, list[str]]] = [
        part(config) for part in (_weights, _activations, _shapes, _results, _streams)
    ]
    return dict(itertools.chain.from_iterable(group.items() for group in groups))


def stimulated(config: CoreConfig, layout: Layout, order: str) -> Iterator[Hit]:
    """Bins of what a job sends; some may come several times."""
    yield from _weights_hit(config, layout, order)
    yield from _activations_hit(config, layout)
    yield from _shapes_hit(config, layout)
