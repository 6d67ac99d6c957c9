"""The matrices of a compiled network: their programs, and where all is in the memory."""

from dataclasses import dataclass
from typing import Any

from lutcore.compiler.program.cuts import Blocks, up
from lutcore.compiler.program.plain import each, integer, integers, need, record, row, text
from lutcore.compiler.program.program import check_region
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BYTES

#: With it the memory that a file asks for is bound by what is in the file.
_MOST_ROWS = (1 << 16) - 1


@dataclass(frozen=True)
class Entry:
    """A program in the memory: for how many rows, where, and how many instructions."""

    rows: int
    address: int
    length: int

    @classmethod
    def judged(cls, plain: object, what: str) -> "Entry":
        """What ``asdict`` made of one; InputError where it is none."""
        return cls(**integers(plain, what, *cls.__dataclass_fields__))


@dataclass(frozen=True)
class Layer:
    """A matrix on the core.

    Attributes
    ----------
    name : str
        Of the graph's weight.
    shape : (int, int)
        N, K.
    programs : list of Entry
        By rows, fewest first.
    weights, scales : (int, int)
        Address and bytes.
    runs : list of (int, int)
        Elements and bytes of each run in a row of activations.
    output_pitch : int
        Bytes from row to row of the result, float32.
    blocks : dict
        Rows and column tiles of a block, for readers.
    """

    name: str
    shape: tuple[int, int]
    programs: list[Entry]
    weights: tuple[int, int]
    scales: tuple[int, int]
    runs: list[tuple[int, int]]
    output_pitch: int
    blocks: dict[str, Any]

    @property
    def pitch(self) -> int:
        """Bytes of a row of activations."""
        return sum(size for _, size in self.runs)

    @classmethod
    def judged(cls, plain: object, what: str) -> "Layer":
        """What ``asdict`` made of one; InputError where it is none."""
        found = record(plain, what, *cls.__dataclass_fields__)
        what = f"matrix {text(found['name'], what)}"

        def pair(value: object, of: str) -> tuple[int, int]:
            first, second = (integer(number, of) for number in row(value, of, 2))
            return first, second

        return cls(
            name=found["name"],
            shape=pair(found["shape"], f"{what}: shape"),
            programs=each(found["programs"], f"{what}: program", Entry.judged),
            weights=pair(found["weights"], f"{what}: weights"),
            scales=pair(found["scales"], f"{what}: scales"),
            runs=each(found["runs"], f"{what}: run", pair),
            output_pitch=integer(found["output_pitch"], f"{what}: output_pitch"),
            blocks=record(found["blocks"], f"{what}: blocks"),
        )

    def check(self, config: CoreConfig, size: int) -> None:
        """See that the core can take it, and that it is inside of an image of ``size`` bytes.

        Raises
        ------
        InputError
            It is not so.
        """
        what, unit = f"matrix {self.name}", config.bus_bits // 8
        n, k = self.shape
        step = config.depth * config.activation_bits // 8
        good = sum(length for length, _ in self.runs) == k and all(
            length > 0 and stored == up(-(-length // config.depth) * step, unit)
            for length, stored in self.runs
        )
        need(good, f"{what}: its runs do not make a row of {k} activations")
        pitch = up(4 * n, unit)
        need(self.output_pitch == pitch, f"{what}: output_pitch must be {pitch}")
        for part, (at, length) in (("weights", self.weights), ("scales", self.scales)):
            need(length > 0, f"{what} has no {part}")
            check_region(f"{what}: {part}", at, length, unit, size)
        rows = [entry.rows for entry in self.programs]
        good = bool(rows) and 0 < rows[0] and rows[-1] <= _MOST_ROWS and rows == sorted({*rows})
        most = f"up to {_MOST_ROWS}"
        need(good, f"{what} must have programs for more and more rows, {most}, not for {rows[:8]}")
        need([str(m) for m in rows] == [*self.blocks], f"{what}: blocks must be of {rows[:8]} rows")
        for entry in self.programs:
            most = config.program_buffer
            need(1 <= entry.length <= most, f"{what}: programs must have 1..{most} instructions")
            check_region(f"{what}: program", entry.address, entry.length * BYTES, unit, size)
            _check_blocks(what, self.blocks[str(entry.rows)])


def _check_blocks(what: str, plain: object) -> None:
    good = isinstance(plain, dict) and plain.keys() == Blocks.__dataclass_fields__.keys()
    if isinstance(plain, dict) and good:
        numbers = [plain[name] for name in ("rows", "tiles", "stages", "slots")]
        good = all(type(number) is int and 0 < number < 1 << 32 for number in numbers)
        good &= plain["order"] in ("rows", "columns") and isinstance(plain["resident"], bool)
    need(good, f"{what}: blocks are not those of a schedule")
