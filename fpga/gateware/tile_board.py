"""The top of a small board: a tile whose streams the host feeds and reads."""

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fpga.gateware.beats import BeatReader, BeatWriter, beat_words
from fpga.gateware.link import Link
from fpga.gateware.words import ConstantWords
from fpga.protocol import STEP_WORDS, facts
from gen.rtl import TOPS
from hdl.config import CoreConfig
from hdl.errors import InputError
from hdl.tile import tile_signature


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
        Bytes of results (:class:`~fpga.gateware.beats.BeatReader`).
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
        self._tile = TOPS["tile"](config)
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
        for writer, name in ((self._activations, "activations"), (self._weights, "weights")):
            target = getattr(self._tile, name)
            m.d.comb += [
                target.payload.eq(writer.beats.payload),
                target.valid.eq(writer.beats.valid),
                writer.beats.ready.eq(target.ready),
            ]
        results = self._tile.results
        m.d.comb += [
            self._results.beats.payload.eq(results.payload),
            self._results.beats.valid.eq(results.valid),
            results.ready.eq(self._results.beats.ready),
        ]
        targets = (self._results, self._activations, self._weights, constants)
        with m.Switch(host.address[30:]):
            for place, target in enumerate(targets):
                words = target.words
                with m.Case(place):
                    m.d.comb += [
                        words.read.eq(host.read),
                        words.write.eq(host.write),
                        host.done.eq(words.done),
                        host.read_data.eq(words.read_data),
                        host.error.eq(words.error & ~clear),
                    ]
        for target in targets:
            m.d.comb += [
                target.words.address.eq(host.address),
                target.words.write_data.eq(host.write_data),
            ]
        return m
