"""What a core of a configuration takes of each instruction: the one place that says so."""

from dataclasses import dataclass

from hdl.config import CoreConfig
from hdl.lmma import BUILT, BY_NAME, BY_OPCODE, OPCODE_BITS, Cause, Instruction, Queue
from hdl.rules import is_power_of_two


@dataclass(frozen=True)
class Units:
    """What a core's local addresses count, in bytes.

    ``slice`` and ``step`` are the bytes of a weight slice and of a row's activations of a step; all
    others are powers of two. ``weights`` is what the first slice of an ``lmma`` is aligned to.
    """

    bus: int
    slice: int
    step: int
    weights: int
    scale: int
    acc: int

    @classmethod
    def of(cls, config: CoreConfig) -> "Units":
        """Units of a configuration."""
        columns = config.drain_columns
        bus, slice_ = config.bus_bits // 8, config.slice_bits // 8
        return cls(
            bus=bus,
            slice=slice_,
            step=config.depth * config.activation_bits // 8,
            weights=max(slice_, bus) if is_power_of_two(slice_) else bus,
            scale=columns * 4,
            acc=config.m * columns * 4,
        )


def alignments(instruction: Instruction, config: CoreConfig) -> dict[str, int]:
    """Field -> what its address (or a pitch itself) must be a multiple of, in bytes."""
    units = Units.of(config)
    return {
        Queue.CONTROL: {},
        Queue.LOAD: {"mem": units.bus, "local": units.bus, "pitch": units.bus},
        Queue.COMPUTE: {
            "act": units.bus,
            "wgt": units.weights,
            "scale": units.scale,
            "acc": units.acc,
        },
        Queue.STORE: {"mem": units.bus, "local": units.acc, "pitch": units.bus},
    }[instruction.queue]


def longest_run(config: CoreConfig) -> int:
    """Most elements of K of one ``lmma``: whole steps, within its field."""
    most = BY_NAME["lmma"].by_name["k"].range[1]
    return min(config.run_steps, most // config.depth) * config.depth


def built_values(config: CoreConfig) -> dict[str, int]:
    """Fields of an ``lmma`` that say what the core must have been built for."""
    return {name: choices.index(getattr(config, key)) for name, (key, choices) in BUILT.items()}


def limits(instruction: Instruction, config: CoreConfig) -> dict[str, tuple[int, int]]:
    """Field -> least and greatest value that a core of this configuration takes."""
    bounds = {
        f.name: f.range for f in instruction.fields if f.least or (f.choices and f.kind == "choice")
    }
    if instruction.queue is Queue.COMPUTE:
        bounds |= {
            "k": (1, longest_run(config)),
            "bits": config.weight_bits_range,
            "accumulator": (0, int(config.integer_results)),
        }
        bounds |= {name: (number, number) for name, number in built_values(config).items()}
    return bounds


def check(word: int, registers: list[int], config: CoreConfig) -> Cause:
    """Cause of the fault that an instruction word is, given the address registers, or ``NONE``."""
    instruction = BY_OPCODE.get(word & (1 << OPCODE_BITS) - 1)
    if instruction is None or word & ~instruction.mask:
        return Cause.ILLEGAL
    values = instruction.decode(word)
    for name, (low, high) in limits(instruction, config).items():
        if not low <= values[name] <= high:
            return Cause.UNSUPPORTED
    for name, unit in alignments(instruction, config).items():
        value = values[name]
        if instruction.by_name[name].kind == "register":
            value = registers[value]
        if value % unit:
            return Cause.MISALIGNED
    return Cause.NONE
