"""The instructions of the core: the one definition that decoder, models, assembler and docs read.

An instruction is 128 bits, little-endian in memory: the opcode in bits 0..7, then its fields in the
order of their definition, lowest first; all other bits are 0.
"""

import enum
import functools
from dataclasses import dataclass, field

from lutcore.errors import InputError

#: Version of the encoding, which the core's identity register shows.
VERSION = 3
BITS = 128
BYTES = BITS // 8
OPCODE_BITS = 8
#: Address registers r0..r15, and their bits: addresses wrap.
REGISTERS = 16
ADDRESS_BITS = 48
#: Loops inside each other.
LOOP_DEPTH = 4
#: Instructions that may wait in the queue of one engine; a full queue holds up all that follow.
QUEUE_DEPTH = 8


class Cause(enum.IntEnum):
    """Why a program ended."""

    NONE = 0  # it reached its halt
    ILLEGAL = 1  # unknown opcode, or bits that must be 0
    UNSUPPORTED = 2  # an operand that the configuration was not built for
    MISALIGNED = 3  # an address or pitch that is no multiple of what it addresses
    LOOP = 4  # loops too deep, an end without a loop, or no halt where the program ends
    DEADLOCK = 5  # every engine waits for a token that none will signal
    RANGE = 6  # a transfer outside of the window that the host allows
    READ = 7  # the bus answered a read with an error
    WRITE = 8  # the bus answered a write with an error
    FETCH = 9  # the bus answered the fetch of the program with an error
    ABORT = 10  # the host asked for it


#: Causes whose address is that of the instruction; the others give the address of the transfer.
INSTRUCTION_CAUSES = (
    Cause.ILLEGAL,
    Cause.UNSUPPORTED,
    Cause.MISALIGNED,
    Cause.LOOP,
    Cause.DEADLOCK,
)


class Queue(enum.Enum):
    """Who executes an instruction."""

    CONTROL = "control"
    LOAD = "load"
    COMPUTE = "compute"
    STORE = "store"


@dataclass(frozen=True)
class Field:
    """One field of an instruction.

    Attributes
    ----------
    name : str
    bits : int
    kind : {"register", "unsigned", "signed", "choice", "flag"}
    text : str
        What it means, in the field's unit.
    least : int
        Least value that is legal; below it the instruction is ``UNSUPPORTED``.
    choices : tuple of str
        Names of the values of a choice, from 0; greater values are ``UNSUPPORTED``.
    optional : bool
        Whether text may leave it out, which means its first choice.
    low : int
        Lowest bit, set when the instruction is defined.
    """

    name: str
    bits: int
    kind: str
    text: str
    least: int = 0
    choices: tuple[str, ...] = ()
    optional: bool = False
    low: int = 0

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest legal value, whatever the configuration."""
        if self.kind == "signed":
            return -(1 << self.bits - 1), (1 << self.bits - 1) - 1
        most = len(self.choices) - 1 if self.choices else (1 << self.bits) - 1
        return self.least, most

    def extract(self, word: int) -> int:
        """Value of the field in an instruction word."""
        value = word >> self.low & (1 << self.bits) - 1
        negative = self.kind == "signed" and value >> self.bits - 1
        return value - (1 << self.bits) if negative else value

    @property
    def mask(self) -> int:
        """Its bits in an instruction word."""
        return (1 << self.bits) - 1 << self.low

    def insert(self, value: int) -> int:
        """Instruction word with nothing but this field; its bits decide what it takes.

        Raises
        ------
        InputError
            The value does not fit them.
        """
        least = -(1 << self.bits - 1) if self.kind == "signed" else 0
        most = least + (1 << self.bits) - 1
        if not least <= value <= most:
            raise InputError(f"{self.name} must be in {least}..{most}, not {value}")
        return value << self.low & self.mask


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes
    ----------
    syntax : str
        Mnemonic; ``{name}`` stands for a field that is part of it, all others follow as operands.
    opcode : int
    queue : Queue
    fields : tuple of Field
    text : str
        What it does.
    """

    syntax: str
    opcode: int
    queue: Queue
    fields: tuple[Field, ...]
    text: str
    by_name: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        low, placed = OPCODE_BITS, []
        for member in self.fields:
            placed.append(Field(**(vars(member) | {"low": low})))
            low += member.bits
        assert low <= BITS, f"{self.syntax} has {low} bits"
        object.__setattr__(self, "fields", tuple(placed))
        object.__setattr__(self, "by_name", {member.name: member for member in placed})

    @functools.cached_property
    def register_names(self) -> tuple[str, ...]:
        """Fields that name an address register."""
        return tuple(member.name for member in self.fields if member.kind == "register")

    @functools.cached_property
    def name(self) -> str:
        """The mnemonic up to its first field: unique."""
        return self.syntax.split("{")[0].removesuffix(".m").rstrip(".")

    @property
    def mask(self) -> int:
        """Bits that may be set."""
        bits = sum(member.bits for member in self.fields)
        return (1 << OPCODE_BITS + bits) - 1

    def encode(self, values: dict[str, int]) -> int:
        """Instruction word of field values; what is not named is 0."""
        assert set(values) <= set(self.by_name), f"{self.name} has no {set(values)}"
        word = self.opcode
        for name, value in values.items():
            word |= self.by_name[name].insert(value)
        return word

    def decode(self, word: int) -> dict[str, int]:
        """Field values of an instruction word."""
        return {member.name: member.extract(word) for member in self.fields}


def _register(name: str, text: str) -> Field:
    return Field(name, REGISTERS.bit_length() - 1, "register", text)


def _default(name: str, text: str, choices: tuple[str, ...]) -> Field:
    return Field(name, 1, "choice", text, choices=choices, optional=True)


def _flags(*pairs: tuple[str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, 1, "flag", text) for name, text in pairs)


_ROWS = Field("rows", 16, "unsigned", "rows", least=1)
_PITCH = Field("pitch", 32, "unsigned", "bytes in memory from row to row: a multiple of the bus")
_TO_COMPUTE = _flags(
    ("wait_compute", "first take a token that compute signalled"),
    ("signal_compute", "give compute a token when done"),
)
_LOAD = (
    _register("mem", "address in memory: a multiple of the bus width in bytes"),
    _register("local", "byte address in the buffer: a multiple of the bus width, wraps"),
    _ROWS,
    Field("bytes", 24, "unsigned", "bytes of a row", least=1),
    _PITCH,
    *_TO_COMPUTE,
)

ACTIVATIONS = ("int8", "int16", "fp8-e4m3", "fp8-e5m2", "fp16", "bf16")
CODINGS = ("binary", "ternary")
TABLES = ("exact", "int8")
MODES = ("aligned", "exact")
#: Fields that say what the core must have been built for, the configuration's field, its values.
BUILT = {
    "activation": ("activation", ACTIVATIONS),
    "coding": ("weight_coding", CODINGS),
    "table": ("table", TABLES),
    "mode": ("float_mode", MODES),
}
ACCUMULATORS = ("fp32", "int32")


@dataclass(frozen=True)
class ScaleRecord:
    """A format of scale records.

    Attributes
    ----------
    size : int
        Bytes of a record.
    half : bool
        It holds s = 2 s' as FP16 in its low bits; else s' as FP32.
    zero : bool
        Bits 16 and up are z''; else z'' is the instruction's.
    """

    size: int
    half: bool
    zero: bool


#: Formats of scale records, in the order of their numbers.
SCALES = {
    "fp32": ScaleRecord(4, half=False, zero=False),
    "fp16-zero": ScaleRecord(4, half=True, zero=True),
    "fp16": ScaleRecord(2, half=True, zero=False),
}
OUTPUTS = ("fp32", "int32", "fp16", "bf16")
#: Edges of the token counters, producer to consumer, in the order of their numbers.
EDGES = ("load-compute", "compute-load", "compute-store", "store-compute")

_DEFINITIONS = (
    Instruction("halt", 1, Queue.CONTROL, (), "Wait until all is done, then end the program."),
    Instruction("barrier", 2, Queue.CONTROL, (), "Wait until all that came before is done."),
    Instruction(
        "set",
        3,
        Queue.CONTROL,
        (
            _register("reg", "register"),
            Field("value", ADDRESS_BITS, "unsigned", "its new value"),
        ),
        "Set an address register.",
    ),
    Instruction(
        "add",
        4,
        Queue.CONTROL,
        (_register("reg", "register"), Field("value", ADDRESS_BITS, "signed", "what to add")),
        f"Add to an address register, modulo 2^{ADDRESS_BITS}.",
    ),
    Instruction(
        "loop",
        5,
        Queue.CONTROL,
        (Field("count", 32, "unsigned", "how often", least=1),),
        "Run what follows, up to the end that belongs to it, so often.",
    ),
    Instruction("end", 6, Queue.CONTROL, (), "End of a loop's body."),
    Instruction(
        "credit",
        7,
        Queue.CONTROL,
        (
            Field("edge", 2, "choice", "from whom to whom", choices=EDGES),
            Field("count", 16, "unsigned", "how many", least=1),
        ),
        "Give tokens: free places in a ring of buffers before the first use.",
    ),
    Instruction(
        "load.act",
        16,
        Queue.LOAD,
        _LOAD,
        "Rows of activations. Row r goes to bank r mod m, at `local + (r div m) * pitch'`, with "
        "pitch' the bytes of a row rounded up to bus words; what a last word has too much is 0.",
    ),
    Instruction(
        "load.wgt",
        17,
        Queue.LOAD,
        _LOAD,
        "Packed weight slices, row after row without gaps; a row's last word is filled with 0.",
    ),
    Instruction(
        "load.scale",
        18,
        Queue.LOAD,
        _LOAD,
        "Scale records of 16 or 32 bits, one for each column, row after row as weights.",
    ),
    Instruction(
        "lmma.m{m}n{n}k{k}.{activation}.w{bits}.{accumulator}",
        32,
        Queue.COMPUTE,
        (
            Field("m", 12, "unsigned", "rows", least=1),
            Field("n", 16, "unsigned", "columns", least=1),
            Field("k", 12, "unsigned", "elements of K, one run at most", least=1),
            Field("activation", 3, "choice", "format of activations", choices=ACTIVATIONS),
            Field("bits", 4, "unsigned", "bits of weights", least=1),
            _default("coding", "coding of weights", CODINGS),
            _default("table", "entries of tables", TABLES),
            _default("mode", "arithmetic of float activations", MODES),
            Field("accumulator", 1, "choice", "format of sums", choices=ACCUMULATORS),
            _register("act", "byte address in a bank of the activation buffer, of bus words"),
            _register("wgt", "byte address in the weight buffer, of slices and bus words"),
            _register(
                "scale", "byte address in the scale buffer, of result beats of four-byte records"
            ),
            _register("acc", "byte address in the output buffer, of its words"),
            Field("scales", 2, "choice", "format of scale records", choices=tuple(SCALES)),
            Field("zero", 10, "signed", "zero point z'' of all columns, unless records hold it"),
            *_flags(
                ("accumulate", "add to what the output buffer holds; else replace it"),
                ("wait_load", "first take a token of load"),
                ("wait_store", "first take a token of store"),
                ("signal_load", "give load a token when done"),
                ("signal_store", "give store a token when done"),
            ),
        ),
        "`O[m,n] = A[m,k] x W[n,k] + O[m,n]`: for each block of rows and of columns, those of all "
        "tiles, one run, scaled as the records say. Each run's slices start at a bus "
        "word. The paper's O_dtype is that of the store.",
    ),
    Instruction(
        "store.{type}",
        48,
        Queue.STORE,
        (
            _register("mem", "address in memory: a multiple of the bus width in bytes"),
            _register("local", "byte address in the output buffer, of its words"),
            _ROWS,
            Field("columns", 16, "unsigned", "columns", least=1),
            _PITCH,
            Field("type", 2, "choice", "what sums become", choices=OUTPUTS),
            *_TO_COMPUTE,
        ),
        "Rows of sums; `fp32` and `int32` as they are, `fp16` and `bf16` from fp32, rounded to "
        "nearest even. No byte but those of the columns is written.",
    ),
)

#: Opcode -> instruction.
BY_OPCODE = {instruction.opcode: instruction for instruction in _DEFINITIONS}
#: Name -> instruction.
BY_NAME = {instruction.name: instruction for instruction in _DEFINITIONS}

#: (field, edge) of tokens taken and given, by queue.
WAITS = {
    Queue.LOAD: (("wait_compute", 1),),
    Queue.COMPUTE: (("wait_load", 0), ("wait_store", 3)),
    Queue.STORE: (("wait_compute", 2),),
}
SIGNALS = {
    Queue.LOAD: (("signal_compute", 0),),
    Queue.COMPUTE: (("signal_load", 1), ("signal_store", 2)),
    Queue.STORE: (("signal_compute", 3),),
}
