"""The top of a small board: a tile whose streams the host feeds and reads."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.errors import InputError
from lutcore.fpga.gateware.beats import BeatReader, BeatWriter, beat_words
from lutcore.fpga.gateware.link import Link
from lutcore.fpga.gateware.words import ConstantWords, decode
from lutcore.fpga.link.protocol import STEP_WORDS, facts
from lutcore.gen.emit.interfaces import TOPS
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.tile import tile_signature


def check_tile(config: CoreConfig) -> None:
    """Raise an :class:`InputError` where no host can feed such a tile."""
    for field, value in (("precompute", "inline"), ("zero_points", "external"), ("passes", 1)):
        if (found := getattr(config, field)) != value:
            raise InputError(f"a tile on a board needs {field} = {value}, not {found}")
    if not config.integer_results:
        raise InputError(
            f"a tile on a board has no epilogue for {config.activation}, table = {config.table}: "
            f"use a core (precompute = buffered)"
        )
    words = run_step_words(config)
    if words > STEP_WORDS:
        raise InputError(
            f"a tile on a board keeps {STEP_WORDS} words of activations, a run of "
            f"{config.run_length} takes {words}: lower group_size or m"
        )


def run_step_words(config: CoreConfig) -> int:
    """Words of the activations of the longest run, which come again for each plane if doubled."""
    times = config.planes(config.max_weight_bits) if config.doubles else 1
    step = beat_words(config.m * config.depth * config.activation_bits)
    return config.run_steps * times * step


class TileBoard(wiring.Component):
    """A tile that a host reaches through a UART, for FPGAs that are too small for a core.

    The two highest bits of an address say whose it is: results (0), activations (1), weights (2),
    facts (3). A write to results forgets them, and all that is under way.

    Parameters
    ----------
    config : CoreConfig
        Tables are built inline, zero points are external.
    memory : int
        Bytes of results (:class:`~lutcore.fpga.gateware.beats.BeatReader`).
    divisor : int
        Clock cycles of a bit on the line.

    Members
    -------
    rx : In
    tx : Out

    Raises
    ------
    InputError
        No such board can be built from that.
    """

    rx: In(1, init=1)
    tx: Out(1, init=1)

    def __init__(self, config: CoreConfig, memory: int, divisor: int):
        check_tile(config)
        self._tile = TOPS["tile"].component(config)
        streams = tile_signature(config).members
        bits = {name: len(streams[name].signature.create().payload.as_value()) for name in streams}
        self._activations = BeatWriter(bits["activations"], STEP_WORDS)
        self._weights = BeatWriter(bits["weights"])
        self._results = BeatReader(bits["results"], memory)
        self._facts = ConstantWords(list(facts(config, memory).values()))
        self._link = Link(divisor)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        """Streams on one side of the link, facts on the other."""
        m = Module()
        m.submodules.link = link = self._link
        m.submodules.facts = constants = self._facts
        # Instances inside take their reset from their domain.
        m.domains.session = ClockDomain(local=True)
        parts = {
            "tile": self._tile,
            "activations": self._activations,
            "weights": self._weights,
            "results": self._results,
        }
        for name, part in parts.items():
            m.submodules[name] = DomainRenamer("session")(part)
        host = link.words
        clear = host.write & (host.address[30:] == 0)
        m.d.comb += [
            ClockSignal("session").eq(ClockSignal()),
            ResetSignal("session").eq(ResetSignal() | clear),
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
        ]
        _feed(m, self._activations.beats, self._tile.activations)
        _feed(m, self._weights.beats, self._tile.weights)
        _feed(m, self._tile.results, self._results.beats)
        owners = (self._results, self._activations, self._weights, constants)
        decode(m, host, {(place,): owner.words for place, owner in enumerate(owners)})
        with m.If(clear):
            m.d.comb += host.error.eq(0)
        return m


def _feed(m: Module, source: Any, sink: Any) -> None:
    """One stream into another whose payload has other fields."""
    m.d.comb += [
        sink.payload.eq(source.payload),
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
    ]
