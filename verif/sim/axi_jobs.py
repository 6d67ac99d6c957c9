"""Programs for the protocol-level bench of a whole core (:mod:`lutcore.verif.bench.axi`)."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.axi_core import axi_core_signature
from lutcore.hdl.isa.lmma import ADDRESS_BITS, BYTES
from lutcore.verif.isa.model import IsaModel, State

#: Modules with the benches of a core in its SoC and between streams.
BENCH, STREAM_BENCH = "lutcore.verif.bench.axi", "lutcore.verif.bench.core"
#: Module that the bench drives.
TOP = "identified_core"
#: Counters that the ISA model gives too.
COUNTED = ("instructions", "slices", "read_beats", "write_beats")
#: Identifiers, which a core has none of and the bench's memory wants: port -> its direction.
_IDENTIFIERS = {"arid": "output", "rid": "input", "awid": "output", "bid": "input"}


@dataclass(frozen=True, eq=False)
class HostJob:
    """A program that a host starts through the registers.

    Attributes
    ----------
    words : list of int
        Instructions, put at ``address``.
    memory : uint8
        Memory from address ``base`` on, without them; outside of it the bus answers with an error.
    window : (int, int)
    stall : float
        Chance of a pause in a cycle, of every channel.
    seed : int
    ring_again : bool
        The host rings at once a second time, which must be refused.
    base : int
        A multiple of 4096; memory may wrap at the end of the address space.
    patience : int
        Cycles from the doorbell without an interrupt after which it is given up.
    """

    config: CoreConfig
    words: list[int]
    memory: np.ndarray
    address: int = 0
    window: tuple[int, int] = (0, 1 << ADDRESS_BITS)
    stall: float = 0.0
    seed: int = 0
    ring_again: bool = False
    base: int = 0
    patience: int = 200_000

    def image(self) -> np.ndarray:
        """Memory with the instructions, a copy."""
        image = self.memory.copy()
        code = b"".join(word.to_bytes(BYTES, "little") for word in self.words)
        place = (self.address - self.base) % (1 << ADDRESS_BITS)
        room = image[place : place + len(code)]
        room[:] = np.frombuffer(code, np.uint8)[: len(room)]
        return image

    def expected(self) -> tuple[np.ndarray, State]:
        """Memory and state that the ISA model leaves."""
        image = self.image()
        model = IsaModel(self.config, image, self.window, self.base)
        state = model.run(self.address, len(self.words))
        return image, state

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file, with the ISA model's results."""
        memory, state = self.expected()
        options = {
            name: getattr(self, name)
            for name in ("address", "window", "stall", "seed", "ring_again", "base", "patience")
        }
        options |= {"length": len(self.words), "state": vars(state)}
        # Engines that a fault stops may have been anywhere.
        options["counters"] = [] if state.cause else COUNTED
        np.savez(path, memory=self.image(), expected=memory, options=json.dumps(options))


def identified_core(config: CoreConfig, module: str) -> str:
    """Verilog of :data:`TOP`: the core in ``module`` with AXI identifiers, always 0."""
    ports = {"clk": ("input", 1), "rst": ("input", 1)}
    for name, member in axi_core_signature(config).members.items():
        direction = "input" if member.flow == In else "output"
        ports[name] = (direction, Shape.cast(member.shape).width)
    identifiers = {f"m_axi_{name}": (way, 1) for name, way in _IDENTIFIERS.items()}
    declared = (
        f"{way} [{width - 1}:0] {name}" for name, (way, width) in (ports | identifiers).items()
    )
    lines = [f"module {TOP}({', '.join(declared)});"]
    lines += [f"assign {name} = 0;" for name, (way, _) in identifiers.items() if way == "output"]
    connected = ", ".join(f".{name}({name})" for name in ports)
    return "\n".join([*lines, f"{module} core({connected});", "endmodule", ""])
