"""What a model runs on: cores or multipliers, memory, and what an operation's energy is."""

from dataclasses import dataclass, field

from lutcore.compiler.schedule.engine_times import Memory
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig


@dataclass(frozen=True)
class Energy:
    """Measured energy of a product of an activation and a whole weight, its addition included."""

    femtojoules: float
    source: str


_CELLS = "docs/energy.md: NanGate45, 1.0 ns, no wires, clock tree and memories"

#: Kind of engine, bits of weights -> measured energy. Nothing that was not measured is here.
ENERGIES = {
    ("lut", 1): Energy(110.8, f"{_CELLS}; dense-w1a8"),
    ("lut", 2): Energy(231.8, f"{_CELLS}; dense-w2a8"),
    ("mac", 2): Energy(719.6, f"{_CELLS}; mac-int8-csa fed with two-bit weights"),
    ("mac", 8): Energy(864.7, f"{_CELLS}; mac-int8-csa"),
}


@dataclass(frozen=True, kw_only=True)
class System:
    """A machine.

    Attributes
    ----------
    name : str
    clock : float
        GHz.
    bandwidth : float
        Of the memory, GB/s.
    weight_bits, activation_bits, group_size : int
        Formats of linear layers, whose model does not say it; ``group_size`` 0 is one scale a row.
        The peak is that of ``weight_bits``.
    cores : int
        Cores of ``config``, which share the memory.
    config : CoreConfig or None
        None: multipliers of ``peak``.
    latency : int
        From a core's address to its first word, in cycles.
    peak : float
        Tera-operations a second of multipliers for linear layers, in place of cores.
    host : float
        Tera-operations a second for all else (attention in FP16).
    energy : Energy or None
        Of a product in a linear layer.
    """

    name: str
    clock: float
    bandwidth: float
    weight_bits: int
    activation_bits: int
    group_size: int = 0
    cores: int = 1
    config: CoreConfig | None = None
    latency: int = 40
    peak: float = 0.0
    host: float = 312.0
    energy: Energy | None = field(default=None)

    def __post_init__(self) -> None:
        for name in ("clock", "bandwidth", "host", "cores"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.config is None and self.peak <= 0:
            raise InputError("a system needs cores or multipliers: give a configuration or a peak")
        if self.config is not None:
            low, high = self.config.weight_bits_range
            if not low <= self.weight_bits <= high:
                raise InputError(
                    f"{self.config.name} takes weights of {low} to {high} bits, not "
                    f"{self.weight_bits}"
                )

    @property
    def operations(self) -> float:
        """Greatest operations a second of linear layers."""
        if self.config is None:
            return self.peak * 1e12
        return 2 * self.config.products_of(self.weight_bits) * self.cores * self.clock * 1e9

    def energy_of(self, bits: int | None) -> Energy | None:
        """Of a product with weights of so many bits; None: with those that the system says."""
        if bits is None or self.config is None or bits == self.weight_bits:
            return self.energy
        return ENERGIES.get(("lut", bits)) if self.config.activation == "int8" else None

    @property
    def memory(self) -> Memory:
        """What a core meets: alone the memory itself; with others the rate of its bus."""
        if self.config is None or self.cores > 1:
            return Memory(latency=self.latency)
        bus = self.config.bus_bits / 8 * self.clock
        return Memory(latency=self.latency, words_per_cycle=min(1.0, self.bandwidth / bus))

    def seconds_of(self, bytes_: float) -> float:
        """Time that the memory takes for so many bytes."""
        return bytes_ / (self.bandwidth * 1e9)
