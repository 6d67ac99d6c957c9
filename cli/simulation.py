"""The command ``simulate``: one mpGEMM on the RTL of a tile."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutcore.cli.options import (
    Activations,
    AsJson,
    Config,
    Force,
    GptqVersion,
    Overrides,
    Rows,
    Seed,
)
from lutcore.cli.shared import ERR, print_facts, print_json
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.gen.run.tile import SimulationReport


#: Longest dimension of a random problem.
_MOST = 1 << 24
_Bits = Annotated[
    int, typer.Option(help="Weight bits of a random problem; 0: widest.", min=0, max=8)
]
_Group = Annotated[int, typer.Option(help="Scale group of a random problem.", min=1, max=_MOST)]


def _shape(text: str) -> tuple[int, int, int]:
    try:
        m, n, k = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--shape takes M,N,K, for example 2,64,256, not {text!r}") from None
    if min(m, n, k) < 1 or max(m, n, k) > _MOST:
        raise InputError(f"--shape takes sizes of 1 to {_MOST:,}, not {text!r}")
    return m, n, k


def simulate(
    config: Config,
    model: Annotated[Path | None, typer.Option(help="Checkpoint: GGUF or safetensors.")] = None,
    tensor: Annotated[str | None, typer.Option(help="Tensor of the checkpoint.")] = None,
    activations: Activations = None,
    rows: Rows = 0,
    shape: Annotated[str, typer.Option(help="M,N,K of a random problem.")] = "2,64,256",
    bits: _Bits = 0,
    group: _Group = 64,
    seed: Seed = 0,
    stall: Annotated[
        float, typer.Option(help="Probability that a stream pauses in a cycle.", min=0, max=0.95)
    ] = 0.0,
    order: Annotated[
        str | None,
        typer.Option(help="Order of planes: ascending, descending, shuffled, plane-major."),
    ] = None,
    simulator: Annotated[str, typer.Option("--sim", help="verilator or icarus.")] = "verilator",
    waves: Annotated[
        Path | None, typer.Option(help="Write a waveform (FST, or VCD without lz4's header).")
    ] = None,
    force: Force = False,
    gptq_version: GptqVersion = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run one mpGEMM on RTL and hold every integer against the golden model.

    The problem is a tensor of a checkpoint (--model, --tensor) or random (--shape, --bits, --seed).
    Without --activations the activations are random too.

    Example: lutcore simulate w2a8 --set n=8 --shape 2,8,256
    """
    from lutcore.gen.run.tile import load_problem, random_problem, simulate
    from lutcore.verif.sim.job import Stalls

    core, (m, n, k) = load_config(config, overrides or ()), _shape(shape)
    if model is not None:
        problem = load_problem(core, model, tensor, activations, rows, m, seed, gptq_version)
    elif tensor is not None or activations is not None:
        raise InputError("--tensor and --activations need --model")
    else:
        problem = random_problem(core, (rows or m, n, k), bits, group, seed)
    with ERR.status(f"simulating {core.name} on {simulator}"):
        report = simulate(
            core,
            *problem,
            model=model.name if model else None,
            seed=seed,
            stalls=Stalls(stall, stall, stall, stall),
            order=order,
            simulator=simulator,
            waves=waves,
            force=force,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report, str(activations) if activations else f"random, seed {seed}")
    raise typer.Exit(int(report.mismatches > 0))


def _print(report: "SimulationReport", activations: str) -> None:
    m, n, k = report.shape
    facts = {
        "tensor": f"{report.tensor} ({report.kind})",
        "shape": f"M {m}, N {n}, K {k}, {report.weight_bits}-bit weights",
        "activations": activations,
        "cycles": f"{report.cycles} ({report.slices} slices)",
        "mismatches": report.mismatches,
        "simulator": f"{report.simulator}, {report.seconds} s",
    }
    if report.waves:
        facts["waveform"] = report.waves
    print_facts(f"{report.design} against the golden model", facts)
    for problem in report.problems[:10]:
        ERR.print(f"mismatch: {problem}", highlight=False)
