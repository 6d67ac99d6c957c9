"""What a tile computes while its energy is measured: random matrices, or those of the example."""

import dataclasses

import numpy as np

from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.files import example
from lutcore.gen.energy.bench import WARM_UP
from lutcore.gen.run.tile import load_activations, random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import tile_job

STIMULI = ("random", "example")

#: Slices of a problem, at least: enough that its ends and the draw hardly count.
_SLICES = 512 + WARM_UP
#: K of a random problem, at most, in whole runs; and its N tiles that share buffered tables.
_LONGEST, _SHARED = 512, 8


def problem(
    config: CoreConfig, stimulus: str, bits: int, seed: int
) -> tuple[np.ndarray, QuantTensor]:
    """Activations [M, K] and weights of so many bits [N, K].

    Parameters
    ----------
    stimulus : {"random", "example"}
        Uniform weights and activations (floats: Student's t), or those of the example checkpoint.
    seed : int
        Of the random stimulus.

    Raises
    ------
    InputError
        There is no such stimulus, or nothing of the example fits the configuration.
    """
    if stimulus not in STIMULI:
        raise InputError(f"stimulus must be one of {', '.join(STIMULI)}, not {stimulus!r}")
    return _random(config, bits, seed) if stimulus == "random" else _example(config, bits)


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
