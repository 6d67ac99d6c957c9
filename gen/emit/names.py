"""Names of Verilog for the nets of a module: those of the source, or made from them.

A net that has no name in the source takes that of what reads it, with a suffix: ``_next`` is what a
register takes at the next edge, ``_when`` a condition, ``_term`` an operand, ``_q`` the registers
of a net that is registered in part; ``_1``, ``_2`` and so on tell equal names apart.
"""

import re
from collections.abc import Container

from lutcore.gen.emit.bodies import signals_of
from lutcore.gen.emit.nets import (
    OPERATORS,
    MemoryPorts,
    Nets,
    Part,
    Process,
    Register,
)
from lutcore.gen.emit.rtlil import Cell, is_private
from lutcore.hdl.config.keywords import KEYWORDS
from lutcore.hdl.parts.carry_save import NAMES_BITS


def plain(name: str) -> str:
    """A name of RTLIL as a name of Verilog."""
    text = re.sub(r"\$\d+", "", name.lstrip("\\")) or "net"
    text = re.sub(r"[^A-Za-z0-9_]", "_", text)
    if text[0].isdigit():
        text = f"_{text}"
    return f"{text}_" if text in KEYWORDS else text


def bits_of(name: str, low: int, high: int) -> str:
    """Name of some bits of a net."""
    return f"{name}_{high}_{low}" if high > low else f"{name}_{low}"


def unique(name: str, taken: Container[str]) -> str:
    """A name that is not taken: with a number, if need be."""
    found, count = name, 0
    while found in taken:
        count += 1
        found = f"{name.rstrip('_')}_{count}"
    return found


def of_instance(instance: str, port: str) -> str:
    """Name of what an instance's port carries; of ports of instances within it, the last part."""
    return f"{plain(instance)}__{plain(port.rpartition('__')[2])}"


def _named_by_low_bits(nets: Nets) -> dict[str, str]:
    """Nets whose read bits are a signal with the attribute :data:`NAMES_BITS`.

    A sum has a bit more than its name where the highest is never set.
    """
    wires = nets.module.wires
    found: dict[str, str] = {}
    for target, value in nets.module.connections:
        if len(target) != 1 or len(value) != 1 or value[0].wire not in wires:
            continue
        name, bits = wires[target[0].wire], value[0]
        asked = f"\\{NAMES_BITS}" in name.attributes and name.name not in nets.readers
        if asked and (bits.low, bits.width) == (0, wires[bits.wire].width):
            found.setdefault(bits.wire, name.name)
    return found


class Names:
    """Names within one module.

    ``ports`` has, for each module, names of the ports that have none in the source; no net is named
    as in ``others``, those of the design and of the module's instances.
    """

    def __init__(self, nets: Nets, ports: dict[str, dict[str, str]], others: set[str]):
        self._nets, self._ports = nets, ports
        own = ports[nets.module.name]
        self._taken = set(others)
        self._names: dict[str, str] = {}
        for wire in nets.module.ports():
            self._names[wire.name] = self.new(own.get(wire.name, wire.name))
        for part in nets.parts:
            if isinstance(part, Cell) and part.kind not in OPERATORS:
                self._names[part.name] = self.new(part.name)
            elif isinstance(part, MemoryPorts):
                self._names[part.memory.name] = self.new(part.memory.name)
        self._low = _named_by_low_bits(nets)
        unread = set(self._low.values())
        for wire in nets.module.wires:
            seen = wire in nets.readers or wire in nets.driver
            if seen and not is_private(wire) and wire not in self._names and wire not in unread:
                self._names[wire] = self.new(wire)

    def new(self, name: str) -> str:
        """A name that nothing has yet."""
        found = unique(plain(name), self._taken)
        self._taken.add(found)
        return found

    def port(self, port: str) -> str:
        """Name of a port of the module."""
        return self._names["\\" + port]

    def __getitem__(self, wire: str) -> str:
        """Name of a net, an instance or a memory."""
        if wire not in self._names:
            self._names[wire] = self.new(self._made(wire, 0))
        return self._names[wire]

    def _made(self, wire: str, depth: int) -> str:
        """A name for a net that has none, by what drives or reads it."""
        given = self._nets.module.wires[wire].attributes.get("name") or self._low.get(wire)
        if given:
            return given
        for part in self._nets.driver.get(wire, ()):
            if isinstance(part, Cell) and part.kind not in OPERATORS:
                return self._of_instance(part, wire)
            if isinstance(part, MemoryPorts):
                return f"{self[part.memory.name]}_word"
        readers = sorted(self._nets.readers.get(wire, ()), key=_rank)
        return self._by_reader(wire, readers[0], depth) if readers else "net"

    def _of_instance(self, cell: Cell, wire: str) -> str:
        port = cell.port_of(wire)
        name = self._ports.get(cell.kind, {}).get(f"\\{port}", port)
        return of_instance(self[cell.name], name)

    def _by_reader(self, wire: str, part: Part, depth: int) -> str:
        if isinstance(part, Cell) and part.kind not in OPERATORS:
            return self._of_instance(part, wire)
        if isinstance(part, MemoryPorts):
            return f"{self[part.memory.name]}_term"
        target = self._nets.driven(part)[0][0].wire
        if isinstance(part, Register):
            return f"{self._stem(target, depth)}_next"
        suffix = "_term"
        if isinstance(part, Process):
            whole = [signal for signal, decides in signals_of(part.body) if decides]
            suffix = "_when" if any(c.wire == wire for s in whole for c in s) else "_term"
            readers = self._nets.readers.get(target, [])
            if is_private(target) and readers and isinstance(readers[0], Register):
                target = readers[0].target[0].wire
        return self._stem(target, depth) + suffix

    def _stem(self, wire: str, depth: int) -> str:
        """Name of a net without the suffixes that were added to it."""
        if wire in self._names:
            name = self._names[wire]
            return re.sub(r"(_(next|when|term))(_\d+)?$", "", name) if is_private(wire) else name
        if depth > 40:
            return "net"
        return re.sub(r"(_(next|when|term))$", "", self._made(wire, depth + 1))


def _rank(part: Part) -> int:
    """Readers that say most about what they read come first."""
    order = (Register, Process, MemoryPorts)
    return next((i for i, kind in enumerate(order) if isinstance(part, kind)), len(order))
