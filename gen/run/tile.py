"""One mpGEMM on generated RTL, held against the golden model."""

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lutcore.arrays import read_array
from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.hdl.config.core import CoreConfig, check_config
from lutcore.verif.golden.expect import RunResults
from lutcore.verif.golden.formats import encode, number_type
from lutcore.verif.golden.outputs import combine
from lutcore.verif.sim.job import Stalls, tile_job
from lutcore.verif.sim.layout import check_activations
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build, check_simulator

#: What a report takes from a verdict (:func:`~lutcore.verif.sim.play.run_jobs`).
_COUNTED = (
    *("cycles", "issue_cycles", "slices", "checked", "mismatches", "max_abs_error"),
    "problems",
)


@dataclass(frozen=True)
class SimulationReport:
    """Outcome of :func:`simulate`.

    ``cycles`` counts from the first slice to the last result, ``issue_cycles`` to the last slice;
    ``slices`` of them took one. ``checked`` counts the integers compared, ``mismatches`` those that
    are wrong, ``max_abs_error`` is their greatest distance from the golden model's. ``results`` are
    the tile's own, run by run; ``values`` what they add up to, ``A W^T`` as float64 [M, N]. Both
    are None where not all beats came.
    """

    design: str
    config: dict[str, Any]
    model: str | None
    tensor: str
    shape: list[int]
    cycles: int
    slices: int
    checked: int
    mismatches: int
    max_abs_error: int
    seed: int
    simulator: str
    seconds: float
    issue_cycles: int
    weight_bits: int
    kind: str
    waves: str | None = None
    problems: list[str] = field(default_factory=list)
    results: RunResults | None = field(default=None, repr=False, compare=False)
    values: np.ndarray | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; without the arrays."""
        plain = replace(self, results=None, values=None)
        return {k: v for k, v in asdict(plain).items() if k not in ("results", "values")}


def random_tensor(
    shape: tuple[int, int],
    bits: int,
    group_size: int,
    rng: np.random.Generator,
    shared: bool = False,
    ternary: bool = False,
) -> QuantTensor:
    """Random N x K weights with random zero points, ``shared`` by the columns of a group or not.

    ``ternary`` keeps two-bit codes to 0, 1, 2.
    """
    n, k = shape
    grid = (n, -(-k // group_size))
    zero_points = rng.integers(0, (1 << bits) + 1, grid).astype(np.int16)
    if shared:
        zero_points[:] = zero_points[0]
    most = (1 << bits) if not ternary else 3
    return QuantTensor(
        name=f"random-{n}x{k}",
        kind=f"W{bits}",
        bits=bits,
        codes=rng.integers(0, most, shape, dtype=np.uint8),
        scales=rng.uniform(0.5, 2.0, grid).astype(np.float32),
        zero_points=zero_points,
        minimums=None,
        group_size=group_size,
    )


def as_format(values: np.ndarray, config: CoreConfig) -> np.ndarray:
    """Real numbers in the float format of the activations, rounded to nearest even."""
    format = config.float_format
    return encode(values.astype(np.float64), format).view(number_type(format))


def random_activations(config: CoreConfig, m: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Random activations: integers over their full range, extremes included often; or floats.

    Floats are heavy-tailed (Student's t with three degrees of freedom), as activations are.
    """
    if config.is_float:
        return as_format(rng.standard_t(3, (m, k)), config)
    low, high = config.activation_range
    values = rng.integers(low, high + 1, (m, k))
    extremes = rng.choice([low, high], (m, k))
    return np.where(rng.random((m, k)) < 0.1, extremes, values)


def load_tensor(model: Path, tensor: str | None, gptq_version: int | None = None) -> QuantTensor:
    """Read a tensor from a checkpoint; without a name, say which there are."""
    checkpoint = open_checkpoint(model, gptq_version)
    if tensor is None:
        listed = ", ".join(f"{name} ({checkpoint.kind(name)})" for name in checkpoint.names()[:12])
        raise InputError(f"{model}: choose one with --tensor: {listed}")
    return checkpoint.tensor(tensor)


def load_activations(
    path: Path, tensor: QuantTensor, config: CoreConfig, rows: int = 0
) -> np.ndarray:
    """Read activations [M, K]: an ``.npy`` matrix, or the tensor's entry of an ``.npz``.

    The first ``rows`` of them; 0: all.

    Integer formats take the entry ``<name>``. Float formats take ``<name>/float`` and round it to
    the format; so they do with a float ``.npy``.
    """
    entry = f"{tensor.name}/float" if config.is_float else tensor.name

    def judge(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 2 or shape[1] != tensor.shape[1] or dtype.kind not in "iufV":
            raise InputError(
                f"{path}: activations must be a matrix [M, {tensor.shape[1]}] of numbers, "
                f"not {dtype} {list(shape)}"
            )
        if rows > shape[0]:
            raise InputError(f"--rows {rows}: {path} has only {shape[0]} rows")

    loaded = read_array(path, entry, rows, judge)
    if config.is_float and loaded.dtype.kind == "f":
        loaded = as_format(loaded, config)
    try:
        check_activations(config, loaded, tensor.shape[1])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return loaded


def load_problem(
    config: CoreConfig,
    model: Path,
    tensor: str | None,
    activations: Path | None,
    rows: int,
    random_rows: int,
    seed: int,
    gptq_version: int | None = None,
) -> tuple[QuantTensor, np.ndarray]:
    """A checkpoint's tensor, and activations [M, K] of a file or random ones.

    Parameters
    ----------
    rows, random_rows : int
        Rows of activations; of 0 all that the file has, or ``random_rows``.
    seed : int
        Of random activations.

    Raises
    ------
    InputError
        There is no such tensor, or the activations do not fit it.
    """
    weights = load_tensor(model, tensor, gptq_version)
    if activations is not None:
        return weights, load_activations(activations, weights, config, rows)
    rng = np.random.default_rng(seed)
    return weights, random_activations(config, rows or random_rows, weights.shape[1], rng)


def random_problem(
    config: CoreConfig, shape: tuple[int, int, int], bits: int, group_size: int, seed: int
) -> tuple[QuantTensor, np.ndarray]:
    """Random weights [N, K] and activations [M, K] for a tile, its widest weights if ``bits`` is 0.

    Raises
    ------
    InputError
        There are no such weights.
    """
    m, n, k = shape
    rng = np.random.default_rng(seed)
    shared, ternary = config.zero_points == "shared", config.weight_coding == "ternary"
    bits = bits or config.max_weight_bits
    weights = random_tensor((n, k), bits, group_size, rng, shared, ternary)
    return weights, random_activations(config, m, k, rng)


def simulate(
    config: CoreConfig,
    tensor: QuantTensor,
    activations: np.ndarray,
    *,
    model: str | None = None,
    seed: int = 0,
    stalls: Stalls | None = None,
    order: str | None = None,
    simulator: str = "verilator",
    waves: Path | None = None,
    force: bool = False,
) -> SimulationReport:
    """Generate the tile, run ``A W^T`` on it and compare every integer with the golden model.

    Parameters
    ----------
    tensor : QuantTensor
        N x K weights.
    activations : [M, K], integers or the float format's dtype
    waves : Path, optional
        Where a waveform goes; its suffix becomes that of the format written (fst or vcd).
    force : bool
        Let it replace a file that is not of this configuration.

    Raises
    ------
    InputError
        Tensor or activations do not fit the configuration, or the simulator is missing.
    """
    check_config(config)
    if waves is not None and not waves.name:
        raise InputError(f"--waves takes the name of a file, not {str(waves)!r}")
    started = time.monotonic()
    check_simulator(simulator)
    job = tile_job(config, activations, tensor, order=order, stalls=stalls, seed=seed)
    built = build(verilog(config), design_name(config), simulator, waves=waves is not None)
    dump = waves.with_suffix(f".{built.waves}") if waves else None
    (verdict,) = run_jobs(built, config, [job], waves_to=dump, received=True, force=force)
    results = values = None
    if verdict["beats"] == len(job.expected["last"]):
        results = job.layout.collect(verdict["received"])
        values = combine(config, results, job.layout.packed, job.layout.tensor)
    return SimulationReport(
        design=config.name,
        config=config.to_dict(),
        model=model,
        tensor=tensor.name,
        shape=[len(activations), *tensor.shape],
        seed=seed,
        simulator=simulator,
        seconds=round(time.monotonic() - started, 3),
        weight_bits=tensor.bits,
        kind=tensor.kind,
        waves=str(dump) if dump else None,
        results=results,
        values=values,
        **{name: verdict[name] for name in _COUNTED},
    )
