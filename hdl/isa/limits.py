"""What a core of a configuration takes of each instruction: the one place that says so."""

from dataclasses import dataclass, field

from lutcore.hdl.config.bits import is_power_of_two
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BUILT, BY_NAME, BY_OPCODE, OPCODE_BITS, Cause, Instruction, Queue


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


@dataclass(frozen=True)
class Examined:
    """An instruction word as a core of a configuration sees it, whatever its registers hold.

    Attributes
    ----------
    cause : Cause
        Of the fault that it is, or ``NONE``; then the rest is there.
    instruction : Instruction or None
    values : dict
        Its fields.
    registers : tuple of (int, int)
        Number of a register, and what it must hold a multiple of.
    """

    cause: Cause
    instruction: Instruction | None = None
    values: dict[str, int] = field(default_factory=dict)
    registers: tuple[tuple[int, int], ...] = ()

    def check(self, registers: list[int]) -> Cause:
        """Cause of the fault that it is with these address registers, or ``NONE``."""
        for number, unit in self.registers:
            if registers[number] % unit:
                return Cause.MISALIGNED
        return self.cause


def examine(word: int, config: CoreConfig) -> Examined:
    """Decode an instruction word and check all that no register decides."""
    instruction = BY_OPCODE.get(word & (1 << OPCODE_BITS) - 1)
    if instruction is None or word & ~instruction.mask:
        return Examined(Cause.ILLEGAL)
    values = instruction.decode(word)
    for name, (low, high) in limits(instruction, config).items():
        if not low <= values[name] <= high:
            return Examined(Cause.UNSUPPORTED)
    registers = []
    for name, unit in alignments(instruction, config).items():
        if name in instruction.register_names:
            registers.append((values[name], unit))
        elif values[name] % unit:
            return Examined(Cause.MISALIGNED)
    return Examined(Cause.NONE, instruction, values, tuple(registers))
