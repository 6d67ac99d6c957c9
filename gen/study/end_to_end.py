"""Whole models on LUT cores beside the paper's: tables 1 and 4, figures 15, 17 and 19.

Not measured but modelled (:mod:`lutcore.gen.performance`): linear layers by the cycle model that
RTL agrees with, all else by its roofline.
"""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore.gen.experiments import paper
from lutcore.gen.experiments.campaign import write
from lutcore.gen.experiments.points import Finding, Plot
from lutcore.gen.experiments.runner import OnDone, Runner
from lutcore.gen.performance.model import Format, part
from lutcore.gen.performance.roofline import roofline
from lutcore.gen.performance.shapes import HALF, MODELS, Phase
from lutcore.gen.performance.system import ENERGIES, System
from lutcore.gen.performance.workload import Workload
from lutcore.hdl.config.presets import load_config

NAME = "end-to-end"
PREFILL = Phase(name="BS1 SEQ2048", batch=1, tokens=2048, context=2048)
DECODE = Phase(name="BS1024 SEQ1", batch=1024, tokens=1, context=1)
_PHASES = (PREFILL, DECODE)
#: The paper's clock for all, in GHz; bandwidths of the two GPUs, in GB/s.
_CLOCK, _A100, _H100 = 1.41, 1555.0, 3350.0
#: Cores of 442,368 products a cycle at two-bit weights: the paper's LUT 4x, 1,248 TOPS.
_CORES = 1728
_FP8_CORES = 4224

_ASSUMPTIONS = f"""\
All machines run at the paper's {_CLOCK} GHz; their memory gives the A100's {_A100:.0f} GB/s or
the H100's {_H100:.0f} GB/s. LUT 4x and 8x are 1,728 and 3,456 cores `default` (H100: 4,224 with
FP8 activations), which at two-bit weights have the paper's peak. A core takes its part of rows
and columns, with the cycles of the model that RTL agrees with at a memory latency of 40 cycles.
What several cores need is read from memory once and handed to all; a layer's time is the longer
of its slowest core and its bytes over the bandwidth. Multipliers, attention (FP16, 312 TOPS on
an A100, 762 on an H100) and elementwise operators are at their roofline: no launches, no
imperfect kernels, so that GPUs come out faster than the paper measured them. Operators follow
one another; numbers between them have two bytes. Weights have one scale a row. LLAMA 3B FP16
has the shape of BitNet 3B. SEQ1 sees a context of one token, as the paper's name says. A
precompute of its own reads FP16 activations from memory and writes eight-bit tables, 2^(k-1)
entries for k activations, which the linear layer reads in place of activations. Fused, tables
are built in the core: what that adds is the difference from a core that builds a run's tables
in one cycle. Energy is that of products in linear layers alone, where it was measured: no
memory, no host."""


def _machine(name: str, bits: int, activation_bits: int, **more: Any) -> System:
    h100 = name.startswith("H100")
    values: dict[str, Any] = {
        "bandwidth": _H100 if h100 else _A100,
        "host": 762.0 if h100 else 312.0,
    }
    return System(
        name=name, clock=_CLOCK, weight_bits=bits, activation_bits=activation_bits, **values | more
    )


def _lut(name: str, bits: int, cores: int, activation: str = "int8") -> System:
    config = load_config("default", [f"activation={activation}"])
    energy = ENERGIES.get(("lut", bits)) if activation == "int8" else None
    return _machine(name, bits, 8, cores=cores, config=config, energy=energy)


#: Systems of table 1.
SYSTEMS = (
    _machine("A100 FP16", 16, 16, peak=312.0),
    _machine("A100 INT8", 8, 8, peak=624.0, energy=ENERGIES["mac", 8]),
    _lut("A100 LUT 4x", 2, _CORES),
    _lut("A100 LUT 8x", 2, 2 * _CORES),
    _machine("H100 FP8", 8, 8, peak=1525.0),
    _lut("H100 LUT 8x", 2, _FP8_CORES, "fp8-e4m3"),
)
_FP16, _, _LUT_4X, _LUT_8X, *_ = SYSTEMS
#: Models of figure 17, and what they run on.
_LARGE = ("opt-175b", "bloom-176b", "llama2-7b", "llama2-13b", "llama2-70b")
_SPEEDUPS = tuple(_lut(f"LUT W{bits} A_INT8", bits, _CORES) for bits in (1, 2, 4))


def workloads(reduced: bool) -> list[tuple[str, Workload]]:
    """What is estimated, with the figure that it is for."""
    small = MODELS["bitnet-3b"]
    systems = SYSTEMS[:3] if reduced else SYSTEMS
    found = [
        ("table 1", Workload(model=small, phase=phase, system=system))
        for phase in _PHASES
        for system in systems
    ]
    large = ("opt-175b",) if reduced else _LARGE
    speedups = _SPEEDUPS[1:2] if reduced else _SPEEDUPS
    for name in large:
        for phase in _PHASES:
            for system in (_FP16, *speedups):
                work = Workload(model=MODELS[name], phase=phase, system=system)
                found.append(("fig. 17", work))
    return found


@dataclass(frozen=True)
class Precompute:
    """Seconds of a model's blocks with tables for nothing, built in the core, or by themselves."""

    free: float
    fused: float
    separate: float


def precompute(layers: Iterable[Mapping[str, Any]], system: System) -> Precompute:
    """What tables cost, from the rows of a workload on cores."""
    config = system.config
    assert config
    table = 2 ** (config.k - 1) / config.k  # bytes an activation
    free = fused = separate = 0.0
    built: set[str] = set()
    for row in layers:
        fused += row["seconds"]
        if not row["m"]:
            free += row["seconds"]
            separate += row["seconds"]
            continue
        count, inputs = row["count"], row["m"] * row["k"]
        memory = system.seconds_of(row["bytes"] / count)
        compute = (row["cycles"] - row["table_cycles"]) / (system.clock * 1e9)
        more = inputs * (table - system.activation_bits / 8)
        free += count * max(compute, memory)
        separate += count * max(compute, memory + system.seconds_of(more))
        if row["source"] not in built:  # consumers of the same activations share their tables
            built.add(row["source"])
            separate += count * system.seconds_of(inputs * (HALF + table))
    return Precompute(free, fused, separate)


def _row(figure: str, work: Workload, record: Mapping[str, Any]) -> dict[str, Any]:
    system = work.system
    published = paper.LATENCIES.get(system.name) if figure == "table 1" else None
    row: dict[str, Any] = {
        "series": system.name,
        "figure": figure,
        "model": work.model.name,
        "phase": work.phase.name,
        "workload": f"{work.model.name}, {work.phase.name}",
        "peak_tops": round(system.operations / 1e12, 1),
        "paper_ms": published[_PHASES.index(work.phase)] if published else None,
        "command": "",
        "compared": record["error"] is None,
        "status": record["error"] or "modelled",
        **record,
    }
    if record["error"] is None:
        row |= {
            "ms": 1000 * record["seconds"],
            "linear_ms": 1000 * record["linear_s"],
            "host_ms": 1000 * record["host_s"],
            "gigabytes": record["bytes"] / 1e9,
        }
    return row


def _named(rows: Iterable[Mapping[str, Any]], **labels: str) -> dict[str, Any]:
    """The first row with these labels that was estimated, or nothing."""
    for row in rows:
        if row["compared"] and all(row[name] == value for name, value in labels.items()):
            return dict(row)
    return {}


def _table_1(rows: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
    pairs = (
        ("A100 INT8", "A100 FP16"),
        ("A100 LUT 4x", "A100 FP16"),
        ("A100 LUT 4x", "A100 INT8"),
        ("A100 LUT 8x", "A100 FP16"),
        ("H100 LUT 8x", "H100 FP8"),
    )
    for place, phase in enumerate(_PHASES):
        for ours, theirs in pairs:
            a, b = (
                _named(rows, figure="table 1", series=name, phase=phase.name)
                for name in (ours, theirs)
            )
            if a and b:
                published = paper.LATENCIES[theirs][place] / paper.LATENCIES[ours][place]
                yield Finding(
                    what=f"{ours} over {theirs}, 3B, {phase.name}: times faster",
                    ours=b["ms"] / a["ms"],
                    paper=published,
                    source="table 1",
                    rows=[a["key"], b["key"]],
                    note=f"{a['ms']:.2f} and {b['ms']:.2f} ms; paper "
                    f"{a['paper_ms']} and {b['paper_ms']} ms",
                )
    a, b = (
        _named(rows, figure="table 1", series=name, phase=PREFILL.name)
        for name in ("A100 LUT 4x", "A100 INT8")
    )
    if a and b:
        yield Finding(
            what="W2 A_INT8 LUT over INT8 multipliers: linear layers a joule",
            ours=b["linear_energy_j"] / a["linear_energy_j"],
            paper=paper.INT8_EFFICIENCY.value,
            source="table 1",
            rows=[a["key"], b["key"]],
            note=f"{a['linear_energy_j']:.2f} and {b['linear_energy_j']:.2f} J of products; "
            "energies of docs/energy.md",
        )


def _speedups(rows: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
    best: Finding | None = None
    for row in rows:
        base = _named(
            rows, figure="fig. 17", series=_FP16.name, model=row["model"], phase=row["phase"]
        )
        if row["figure"] != "fig. 17" or not row["compared"] or not base:
            continue
        if row["series"] == _FP16.name:
            continue
        found = Finding(
            what=f"{row['series']} over {_FP16.name}, {row['workload']}: times faster",
            ours=base["ms"] / row["ms"],
            rows=[row["key"], base["key"]],
            note=f"{row['ms']:.1f} and {base['ms']:.1f} ms",
        )
        if best is None or (found.ours or 0) > (best.ours or 0):
            best = found
        yield found
    if best:
        yield dataclasses.replace(
            best,
            what="most speedup of a whole model",
            paper=paper.MOST_SPEEDUP.value,
            source=paper.MOST_SPEEDUP.source,
            note=best.what.removesuffix(": times faster"),
        )


def _overheads(rows: Sequence[Mapping[str, Any]]) -> Iterable[Finding]:
    names = {PREFILL.name: "prefill", DECODE.name: "decode"}
    system = _SPEEDUPS[1]
    for row in rows:
        if row["figure"] != "fig. 17" or row["series"] != system.name or not row["compared"]:
            continue
        found = precompute(row["layers"], system)
        for kind, seconds in (("not fused", found.separate), ("fused", found.fused)):
            published = paper.PRECOMPUTE[names[row["phase"]], kind]
            yield Finding(
                what=f"precompute, {kind}: share added, {row['workload']}",
                ours=seconds / found.free - 1,
                paper=published.value,
                source=published.source,
                better="lower",
                rows=[row["key"]],
            )


def _kernel() -> Iterable[Finding]:
    """The kernel of figure 15: as many one-bit products a cycle as the A100's FP16 ones."""
    shape, cores = (2048, 27_648, 5120), 216
    system = _machine(
        "LUT W1 A_FP16", 1, 16, cores=cores, config=load_config("default-fp16"), group_size=0
    )
    assert system.config
    found = part(system.config, shape, Format(1, 0), system.memory, cores)
    ours = found.cycles / (system.clock * 1e9)
    m, n, k = shape
    theirs = 2 * m * n * k / (_FP16.peak * 1e12)
    yield Finding(
        what="LUT W1 A_FP16 over the FP16 Tensor Core at its peak, 2048 x 27648 x 5120",
        ours=theirs / ours,
        source=paper.KERNEL,
        note=f"{1000 * ours:.3f} and {1000 * theirs:.3f} ms",
    )


_METHOD = (
    "Modelled, not measured: linear layers on LUT cores take the cycles of the model that RTL "
    "agrees with, all else is at its roofline. " + " ".join(_ASSUMPTIONS.split())
)


def end_to_end(reduced: bool, runner: Runner, on_done: OnDone | None = None) -> dict[str, Any]:
    """Estimate all workloads and compare them.

    Returns a result as :func:`lutcore.gen.experiments.results.result`, whose rows have ``layers``,
    the rows of their operators.
    """
    work = workloads(reduced)
    points: Any = [workload for _, workload in work]
    records = runner.run(points, on_done)
    rows = [
        _row(figure, workload, record)
        for (figure, workload), record in zip(work, records, strict=True)
    ]
    findings = [*_table_1(rows), *_speedups(rows), *_overheads(rows), *_kernel()]
    failed = sum(not row["compared"] for row in rows)
    command = ["lutcore", "study", NAME, *(["--reduced"] if reduced else [])]
    return {
        "name": NAME,
        "title": "End to end (tables 1 and 4, figures 15, 17 and 19)",
        "method": _METHOD,
        "about": "Modelled by the cycle model and rooflines: nothing was synthesised.",
        "command": shlex.join(command),
        "settings": {"liberty": None, "period_ns": None, "reduced": reduced, "points_of_each": 0},
        "counts": {
            "points": len(rows), "compared": len(rows) - failed, "not_closed": 0,
            "not_analysed": 0, "slower": 0, "failed": failed,
        },
        "findings": [dataclasses.asdict(finding) for finding in findings],
        "plots": [
            dataclasses.asdict(
                Plot(name="latency", kind="bars", x="series", y="ms", panel="workload", x_label="",
                     y_label="ms")
            )
        ],
        "columns": ["figure", "model", "phase", "ms", "paper_ms", "linear_ms", "host_ms",
                    "gigabytes", "linear_energy_j", "peak_tops"],
        "rows": rows,
        "tool_versions": {},
        "seconds": 0.0,
    }  # fmt: skip


def write_result(found: Mapping[str, Any], folder: Path, force: bool = False) -> None:
    """Write a result's files and its rooflines (figure 19) into a folder.

    Parameters and errors are those of :func:`lutcore.gen.experiments.campaign.write`.
    """
    systems: dict[str, System] = {system.name: system for system in (*SYSTEMS, *_SPEEDUPS)}
    images: dict[str, bytes] = {}
    for name in (_LUT_4X.name, _SPEEDUPS[1].name):
        series = [
            (row["workload"], row["layers"])
            for row in found["rows"]
            if row["series"] == name and row["compared"]
        ]
        label = "table-1" if name == _LUT_4X.name else "large"
        images |= roofline(systems[name], series, f"{NAME}-roofline-{label}")
    write(found, folder, force, images)
