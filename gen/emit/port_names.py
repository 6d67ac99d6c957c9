"""Names of ports between modules that have none in the source: those of the nets they carry."""

from lutcore.gen.emit.names import bits_of, of_instance, plain
from lutcore.gen.emit.nets import Connection, Nets, Part
from lutcore.gen.emit.remarks import part_text, remark
from lutcore.gen.emit.rtlil import Cell, is_private

#: Operators between a net and the next that has a name, at most.
_DEPTH = 8


def port_names(nets: dict[str, Nets], order: list[str]) -> dict[str, dict[str, str]]:
    """Module -> wire of a port -> its name; ``order`` has modules before those that they use."""
    return _Ports(nets).named(order)


class _Ports:
    def __init__(self, nets: dict[str, Nets]):
        self._nets = nets
        self._found: dict[str, dict[str, str]] = {name: {} for name in nets}

    def named(self, order: list[str]) -> dict[str, dict[str, str]]:
        """Outputs from the inside out, then inputs from the outside in."""
        for module in reversed(order):
            for port in self._nets[module].module.ports():
                if name := self._part_of_member(module, port.name):
                    self._found[module][port.name] = name
                elif is_private(port.name) and port.direction == "output":
                    self._found[module][port.name] = self._source(module, port.name) or "out"
        for module in order:
            for part in self._nets[module].parts:
                if isinstance(part, Cell) and part.kind in self._nets:
                    self._inputs(module, part)
        return self._found

    def _part_of_member(self, module: str, port: str) -> str:
        """The member of a component that a port is, or with its bits, is a part of."""
        nets = self._nets[module]
        place = nets.module.attributes.get("\\src", "")
        wire = nets.module.wires[port]
        if not is_private(port) and remark(wire.attributes.get("\\src", ""), plain(port), place):
            return ""  # it has a name that says something
        all_parts = nets.all_parts
        connections = [p for p in all_parts if isinstance(p, Connection) and len(p.target) == 1]
        same = [part.value for part in connections if part.target[0].wire == port]
        here = {port, *(value[0].wire for value in same if len(value) == 1)} - {""}
        for part in connections:
            (target,), low = part.target, 0
            for chunk in part.value:
                whole = chunk.low == 0 and chunk.width == nets.module.wires[port].width
                if chunk.wire in here and whole and part_text(place, plain(target.wire)):
                    if chunk.width == nets.module.wires[target.wire].width:
                        return plain(target.wire)
                    first = target.low + low
                    return bits_of(plain(target.wire), first, first + chunk.width - 1)
                low += chunk.width
        return ""

    def _inputs(self, module: str, cell: Cell) -> None:
        """Inputs of an instance, by what its parent connects to them."""
        names = self._found[cell.kind]
        for port, signal in cell.ports.items():
            inner = f"\\{port}"
            if is_private(inner) and inner not in names:
                wires = [chunk.wire for chunk in signal if chunk.wire]
                names[inner] = (self._source(module, wires[0]) if wires else "") or "in"

    def _known(self, module: str, wire: str) -> str:
        if not is_private(wire):
            return wire
        given = self._nets[module].module.wires[wire].attributes.get("name", "")
        return given or self._found[module].get(wire, "")

    def _source(self, module: str, wire: str, depth: int = 0) -> str:
        """The name of a net by what drives it; of an operator by its operands."""
        if name := self._known(module, wire):
            return name
        for part in self._nets[module].driver.get(wire, ()):
            if name := self._by(module, part, wire, depth):
                return name
        return ""

    def _by(self, module: str, part: Part, wire: str, depth: int) -> str:
        if isinstance(part, Cell) and part.kind in self._nets:
            port = part.port_of(wire)
            name = self._found[part.kind].get(f"\\{port}") or port
            return of_instance(part.name, name)
        if depth == _DEPTH:
            return ""
        suffix = "" if isinstance(part, Connection) else "_term"
        for signal in self._nets[module].read(part):
            for chunk in signal:
                if chunk.wire and (name := self._source(module, chunk.wire, depth + 1)):
                    return name.removesuffix("_term") + suffix
        return ""
