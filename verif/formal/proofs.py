"""The table of proofs: which harness, of what, how strong, and for which designs."""

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass

from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.formal.accumulators import AccumulatorProperties
from lutcore.verif.formal.beats import BeatProperties
from lutcore.verif.formal.blocks import (
    AlignmentProperties,
    ExponentKeyProperties,
    MagnitudeKeyProperties,
    RoundingProperties,
    RunBufferProperties,
)
from lutcore.verif.formal.bursts import BurstProperties
from lutcore.verif.formal.decoding import DecoderProperties
from lutcore.verif.formal.engines import EngineProperties
from lutcore.verif.formal.harness import Harness
from lutcore.verif.formal.host import HostProperties
from lutcore.verif.formal.loads import LoadAddressProperties, LoadWordProperties
from lutcore.verif.formal.lookups import LookupProperties, TableProperties
from lutcore.verif.formal.master import MasterProperties
from lutcore.verif.formal.products import ProductProperties
from lutcore.verif.formal.progress import ProgressProperties
from lutcore.verif.formal.queues import QueueProperties
from lutcore.verif.formal.results import (
    DrainProperties,
    TableBufferProperties,
    ZeroPointProperties,
)
from lutcore.verif.formal.store_words import StoreWordProperties
from lutcore.verif.formal.stores import StoreAddressProperties
from lutcore.verif.formal.walks import ActivationWalkProperties, SliceWalkProperties


class Parts(enum.Enum):
    """Which parts of a block a proof is about, whose faults it must find."""

    ALL = "all"
    BURSTS = "bursts"
    OTHERS = "others"
    PACE = "pace"


@dataclass(frozen=True)
class Proof:
    """What is proved of a design.

    Attributes
    ----------
    name : str
    text : str
        In a whole sentence.
    make : callable
        The harness for a configuration.
    steps : int
        Cycles after a reset in which all claims are checked: of an induction its base.
    cover : int
        Cycles within which all covers are reached.
    unbounded : bool
        Claims follow from themselves a cycle earlier: they hold forever.
    parts : Parts
        What faults are put into.
    top : str
        Least top that has it: ``tile`` (all have), ``core`` (a core between streams or buses) or
        ``axi``.
    has : callable
        Whether a configuration's design has the block.
    every_bus : bool
        Whether it is about addresses and words of the bus, whose width then matters.
    without : callable
        Why it cannot be proved of a design that has it; empty where it can.
    """

    name: str
    text: str
    make: Callable[[CoreConfig], Harness]
    steps: int
    cover: int
    unbounded: bool = True
    parts: Parts = Parts.ALL
    top: str = "core"
    has: Callable[[CoreConfig], bool] = lambda config: True
    every_bus: bool = False
    without: Callable[[CoreConfig], str] = lambda config: ""

    @property
    def strength(self) -> str:
        """For how long it holds, in words."""
        if self.unbounded:
            return "unbounded"
        if self.steps == 1:
            return "for all inputs of blocks without state"
        return f"for {self.steps} cycles after a reset"


def _no_integers(config: CoreConfig) -> str:
    if config.exact_floats:
        return "exact floats round each sum: solvers do not decide their adders"
    if config.table_storage != "mux":
        return "columns of carry chains and of LUT memories have sums of their own"
    return ""


def _no_tables(config: CoreConfig) -> str:
    if config.engine == "mac":
        return "the engine multiplies: solvers do not decide sums of its products"
    return _no_integers(config)


def _has_tables(config: CoreConfig) -> bool:
    return config.engine != "mac" and config.table == "exact"


def _has_eight_bits(config: CoreConfig) -> bool:
    return config.table == "int8"


def _aligns(config: CoreConfig) -> bool:
    return config.aligned


#: A proof of a block without state: one cycle is all.
_of_inputs = functools.partial(Proof, steps=1, cover=1, unbounded=False)

_LIST = (
    _of_inputs(
        "exponents",
        "A row's key is the greatest exponent of a step, and whether one is infinite or NaN.",
        ExponentKeyProperties,
        top="tile",
        has=_aligns,
    ),
    _of_inputs(
        "alignment",
        "Each activation becomes the integer nearest to it at its run's exponent, ties to even.",
        AlignmentProperties,
        top="tile",
        has=_aligns,
    ),
    _of_inputs(
        "tables",
        "Every entry of a table is the sum of activations that its index stands for.",
        TableProperties,
        top="tile",
        without=_no_tables,
    ),
    _of_inputs(
        "greatest entries",
        "A row's key is the greatest entry of its tables.",
        MagnitudeKeyProperties,
        top="tile",
        has=_has_eight_bits,
    ),
    _of_inputs(
        "rounding",
        "Entries of eight-bit tables are shifted as little as they can be, and rounded to nearest.",
        RoundingProperties,
        top="tile",
        has=_has_eight_bits,
    ),
    Proof(
        "run buffer",
        "Runs leave their buffer as they came, with the greatest of their keys.",
        RunBufferProperties,
        steps=8,
        cover=9,
        unbounded=False,
        top="tile",
        has=lambda config: _aligns(config) or _has_eight_bits(config),
    ),
    Proof(
        "table buffer",
        "A run's tables are kept as they came, for as long as they are needed.",
        TableBufferProperties,
        steps=10,
        cover=10,
        unbounded=False,
        top="tile",
        has=lambda config: config.precompute == "buffered",
    ),
    Proof(
        "lookup",
        "Two slices count as their indices, planes and signs say, in dot products and row sums.",
        LookupProperties,
        steps=6,
        cover=6,
        unbounded=False,
        top="tile",
        without=_no_tables,
    ),
    Proof(
        "engines",
        "One small table gives the result of the MAC engine of the same weights and activations.",
        EngineProperties,
        steps=8,
        cover=8,
        unbounded=False,
        top="tile",
        has=_has_tables,
        without=_no_integers,
    ),
    Proof(
        "accumulators",
        "Accumulators hold the sum of their run's slices, and a run's sum fits in them.",
        AccumulatorProperties,
        steps=3,
        cover=8,
        top="tile",
        without=_no_integers,
    ),
    Proof(
        "drain",
        "Each run is captured once, as soon as it can be, and its beats leave in order.",
        DrainProperties,
        steps=2,
        cover=12,
        top="tile",
    ),
    Proof(
        "zero points",
        "A result beat and its zero points leave as one result, without their share.",
        ZeroPointProperties,
        steps=2,
        cover=6,
        top="tile",
        has=lambda config: config.zero_points != "external",
    ),
    Proof(
        "queues",
        "A queue of Amaranth's library does what the model does that stands for it in proofs.",
        QueueProperties,
        steps=10,
        cover=10,
        unbounded=False,
    ),
    Proof(
        "bursts",
        "Bursts cover every word of a transfer once, in order, within pages and window.",
        lambda config: BurstProperties(config.bus_bits // 8),
        steps=2,
        cover=8,
        every_bus=True,
    ),
    Proof(
        "load addresses",
        "The bursts of loads are those of their rows.",
        LoadAddressProperties,
        parts=Parts.BURSTS,
        steps=2,
        cover=8,
        every_bus=True,
    ),
    Proof(
        "load words",
        "Every word of a load goes to its place in its buffer, and faults are told.",
        LoadWordProperties,
        parts=Parts.OTHERS,
        steps=2,
        cover=12,
    ),
    Proof(
        "products",
        "A product is counted in tiles, and each walker of the compute engine is given it once.",
        ProductProperties,
        steps=5,
        cover=8,
        unbounded=False,
    ),
    Proof(
        "activation walk",
        "Every step of a product's activations is read once, in order, and stays until taken.",
        ActivationWalkProperties,
        steps=2,
        cover=14,
    ),
    Proof(
        "slice walk",
        "Every weight slice of a product is read in its turn, and stays until it is taken.",
        SliceWalkProperties,
        steps=2,
        cover=16,
    ),
    Proof(
        "beats",
        "Every result is added to its own sums once, and a product ends with its last.",
        BeatProperties,
        steps=2,
        cover=24,
    ),
    Proof(
        "store addresses",
        "The bursts of stores are those of their rows, and faults name the burst that failed.",
        StoreAddressProperties,
        parts=Parts.BURSTS,
        steps=2,
        cover=12,
        every_bus=True,
    ),
    Proof(
        "store words",
        "Every sum of a store arrives in its place, and no other byte is written.",
        StoreWordProperties,
        parts=Parts.OTHERS,
        steps=6,
        cover=8,
        unbounded=False,
    ),
    Proof(
        "master",
        "Requests, words and answers pass the AXI4 master unchanged; AW stays until it is taken.",
        MasterProperties,
        steps=2,
        cover=4,
        top="axi",
        every_bus=True,
    ),
    _of_inputs(
        "decoder",
        "Every word is refused for its worst fault, or sent where it belongs with its operands.",
        DecoderProperties,
    ),
    Proof(
        "progress",
        "The sequencer never hangs: where nothing moves, its program goes on or ends.",
        ProgressProperties,
        parts=Parts.PACE,
        steps=2,
        cover=16,
    ),
    Proof(
        "host",
        "Registers keep to AXI4-Lite, and hold what their table says.",
        HostProperties,
        steps=2,
        cover=6,
        top="axi",
    ),
)
#: Name -> proof, in the order in which data goes through a design.
PROOFS = {proof.name: proof for proof in _LIST}
#: Tops, each of which has what those before it have.
TOPS = ("tile", "core", "axi")


def proofs_within(top: str, config: CoreConfig) -> list[Proof]:
    """Those of the blocks that a configuration's top has."""
    within = [proof for proof in _LIST if TOPS.index(proof.top) <= TOPS.index(top)]
    return [proof for proof in within if proof.has(config)]


def proofs_of(top: str, config: CoreConfig) -> list[Proof]:
    """Those of them that can be proved."""
    return [proof for proof in proofs_within(top, config) if not proof.without(config)]
