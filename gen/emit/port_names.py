"""Names of ports between modules that have none in the source: those of the nets they carry."""

from lutcore.gen.emit.names import of_instance
from lutcore.gen.emit.nets import Connection, Nets, Part, is_private
from lutcore.gen.emit.rtlil import Cell

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
                if is_private(port.name) and port.direction == "output":
                    name = self._source(module, port.name) or "out"
                    self._found[module][port.name] = name
        for module in order:
            for part in self._nets[module].parts:
                if isinstance(part, Cell) and part.kind in self._nets:
                    self._inputs(module, part)
        return self._found

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
