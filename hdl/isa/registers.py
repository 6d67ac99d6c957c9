"""The host's registers: one table, from which hardware, headers and documents are made."""

from dataclasses import dataclass

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import built_values, longest_run
from lutcore.hdl.isa.lmma import ADDRESS_BITS, VERSION

#: Bits of the register window's address.
ADDRESS_WIDTH = 8
#: How a host reads values of more than a word.
READING = (
    "Of a wide read-only value the lower half is read first: that keeps the upper half as it is "
    "then, and the upper half is read so until another lower half is."
)
#: "LUTC", little-endian.
IDENTITY = int.from_bytes(b"LUTC", "little")


@dataclass(frozen=True)
class Register:
    """One 32-bit register; 64-bit values take two, the lower half first.

    Attributes
    ----------
    name : str
    access : {"ro", "rw", "wo", "w1c"}
        Read only, read and write, write only, write ones to clear.
    text : str
        What it is, as are the meanings of fields, without any markup.
    bits : int
    fields : tuple of (name, lowest bit, bits, meaning)
    """

    name: str
    access: str
    text: str
    bits: int = 32
    fields: tuple[tuple[str, int, int, str], ...] = ()

    @property
    def size(self) -> int:
        """Bits that it takes in the window: whole words."""
        return 32 * -(-self.bits // 32)

    @property
    def held(self) -> bool:
        """Whether its upper half is read as it was when a lower half was (:data:`READING`)."""
        return self.access == "ro" and self.bits > 32


_ENDS = (
    ("done", 0, 1, "a program has ended"),
    ("fault", 1, 1, "it ended with a fault"),
    ("refused", 2, 1, "the doorbell rang while a program ran, and was ignored"),
)

_TABLE = (
    Register("identity", "ro", "LUTC"),
    Register("version", "ro", "version of instructions and registers"),
    Register(
        "control",
        "wo",
        "doorbell",
        fields=(
            ("start", 0, 1, "run the program"),
            ("abort", 1, 1, "end the program as soon as the bus is quiet"),
        ),
    ),
    Register(
        "status",
        "ro",
        "what the core does, and how the last program ended",
        fields=(
            ("busy", 0, 1, "a program runs"),
            ("cause", 8, 4, "see causes"),
        ),
    ),
    Register("irq_status", "w1c", "events since they were cleared", fields=_ENDS),
    Register("irq_enable", "rw", "events that raise the interrupt", fields=_ENDS),
    Register("program", "rw", "address of the program", ADDRESS_BITS),
    Register("length", "rw", "its instructions"),
    Register("window_low", "rw", "first address that transfers may touch; low 12 bits 0", 64),
    Register("window_high", "rw", "first address that they may not touch; low 12 bits 0", 64),
    Register("error_address", "ro", "of the fault", ADDRESS_BITS),
    Register(
        "shape",
        "ro",
        "what was built",
        fields=(
            ("m", 0, 12, "rows"),
            ("n", 12, 12, "columns, of all tiles"),
            ("depth", 24, 8, "elements of K a slice"),
        ),
    ),
    Register(
        "formats",
        "ro",
        "what was built",
        fields=(
            ("activation", 0, 4, "number of the activation format"),
            ("weight_bits", 4, 4, "most weight bits"),
            ("bus_bytes", 8, 8, "bus width"),
            ("run", 16, 12, "most elements of a run"),
            ("coding", 28, 1, "number of the weights' coding"),
            ("table", 29, 1, "number of the tables' entries"),
            ("mode", 30, 1, "number of the floats' arithmetic"),
        ),
    ),
    Register("cycles", "ro", "cycles of the last program", 64),
    Register("slices", "ro", "weight slices issued", 64),
    Register("instructions", "ro", "instructions executed", 64),
    Register("read_beats", "ro", "bus words read, the program's too", 64),
    Register("write_beats", "ro", "bus words written", 64),
    Register("wait_load", "ro", "cycles in which compute waited for load", 64),
    Register("wait_store", "ro", "cycles in which compute waited for store", 64),
    Register("wait_tile", "ro", "cycles in which a slice waited for tables or the drain", 64),
)


def _place() -> dict[str, tuple[int, Register]]:
    placed, offset = {}, 0
    for register in _TABLE:
        placed[register.name] = (offset, register)
        offset += register.size // 8
    assert offset <= 1 << ADDRESS_WIDTH
    return placed


#: Name -> byte offset and register.
REGISTERS = _place()
#: Counters that a program starts from 0.
COUNTERS = tuple(
    name for name, (offset, _) in REGISTERS.items() if offset >= REGISTERS["cycles"][0]
)


def constants(config: CoreConfig) -> dict[str, int]:
    """Values of the registers that never change."""
    shape = config.m | config.columns << 12 | config.depth << 24
    built = built_values(config)
    formats = (
        built["activation"]
        | config.max_weight_bits << 4
        | config.bus_bits // 8 << 8
        | longest_run(config) << 16
        | built["coding"] << 28
        | built["table"] << 29
        | built["mode"] << 30
    )
    return {"identity": IDENTITY, "version": VERSION, "shape": shape, "formats": formats}
