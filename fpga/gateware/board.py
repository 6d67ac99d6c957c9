"""The top of a board: a core, its memory, and the serial link to both."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.fpga.boards.sdram_chip import Memory, memory_bytes
from lutcore.fpga.gateware.block_memory import block_memory
from lutcore.fpga.gateware.link import Link
from lutcore.fpga.gateware.sdram import sdram_memory, sdram_pins
from lutcore.fpga.gateware.words import ConstantWords, LiteMaster, decode
from lutcore.fpga.link.protocol import facts
from lutcore.hdl.bus.axi import axi4_signature, lite_signature
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.axi_core import AxiCore
from lutcore.hdl.isa.registers import ADDRESS_WIDTH
from lutcore.hdl.parts.pieces import forward


class Board(wiring.Component):
    """A core that a host reaches through a UART.

    Parameters
    ----------
    config : CoreConfig
    memory : Memory
        Bytes of block RAM (:func:`~lutcore.fpga.gateware.block_memory.block_memory`), or SDRAM.
    divisor : int
        Clock cycles of a bit on the line.

    Members
    -------
    rx : In
    tx : Out
    sdram_* : Out, In
        Pins of the SDRAM (:func:`~lutcore.fpga.gateware.sdram.sdram_pins`), if there is one.

    Raises
    ------
    InputError
        No core can be built from the configuration, or no memory or line of that size.
    """

    rx: Signal
    tx: Signal

    def __init__(self, config: CoreConfig, memory: Memory, divisor: int):
        self._config = config
        self._core = AxiCore(config)
        members = {"rx": In(1, init=1), "tx": Out(1, init=1)}
        self._pins: dict[str, wiring.Member] = {}
        if isinstance(memory, int):
            self._memory = block_memory(config.bus_bits, memory)
        else:
            self._memory = sdram_memory(config.bus_bits, memory)
            self._pins = dict(sdram_pins(memory.chip).members.items())
            members |= {f"sdram_{pin}": member for pin, member in self._pins.items()}
        self._facts = ConstantWords(list(facts(config, memory_bytes(memory)).values()))
        self._link = Link(divisor)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """The two highest bits of an address say whose it is."""
        m = Module()
        m.submodules.core = core = self._core
        m.submodules.memory = memory = self._memory
        m.submodules.facts = constants = self._facts
        m.submodules.link = link = self._link
        m.submodules.registers = registers = LiteMaster()
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        for name, member in axi4_signature(self._config.bus_bits).members.items():
            forward(m, getattr(memory.bus, name), getattr(core, f"m_axi_{name}"), member.flow)
        for name, member in lite_signature(ADDRESS_WIDTH).members.items():
            forward(m, getattr(registers.host, name), getattr(core, f"s_axi_{name}"), member.flow)
        for pin, member in self._pins.items():
            ours, theirs = getattr(self, f"sdram_{pin}"), getattr(memory.pins, pin)
            forward(m, ours, theirs, member.flow)
        targets = {(0, 1): memory.words, (2,): registers.words, (3,): constants.words}
        decode(m, link.words, targets)
        return m
