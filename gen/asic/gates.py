"""Gates that steps of the flow write into a Yosys netlist, without those that constants spare."""

from lutcore.gen.asic.library import PARITY3, Cell
from lutcore.gen.tools.netlist import Bit, Json, free_numbers, new_cell

_OPPOSITE: dict[Bit, Bit] = {"0": "1", "1": "0"}


class Gates:
    """Writes cells into a module.

    Parameters
    ----------
    module : dict
        Of a design in Yosys's JSON; changed in place.
    adder : Cell or None
        The library's full adder; None: gates.
    complex_gates : dict
        Of :func:`~lutcore.gen.asic.prefix.prefix_gates`.
    """

    def __init__(
        self,
        module: Json,
        adder: Cell | None,
        complex_gates: dict[str, tuple[Cell, tuple[str, ...]]],
    ):
        self._cells: Json = module["cells"]
        self._free = free_numbers(module)
        self._adder = adder
        self._complex = complex_gates

    def _cell(self, kind: str, inputs: dict[str, Bit], outputs: dict[str, Bit]) -> None:
        self._cells[f"$sum${next(iter(outputs.values()))}"] = new_cell(kind, inputs, outputs)

    def drive(self, net: Bit, bit: Bit) -> None:
        """Lead a bit to a net that is there already."""
        self._cell("$_BUF_", {"A": bit}, {"Y": net})

    def _gate(self, kind: str, *inputs: Bit) -> Bit:
        output = next(self._free)
        self._cell(f"$_{kind}_", dict(zip("AB", inputs, strict=False)), {"Y": output})
        return output

    def invert(self, x: Bit) -> Bit:
        """The opposite."""
        return _OPPOSITE.get(x) or self._gate("NOT", x)

    def both(self, x: Bit, y: Bit) -> Bit:
        """AND."""
        if "0" in (x, y):
            return "0"
        return y if x == "1" else x if y == "1" else self._gate("AND", x, y)

    def either(self, x: Bit, y: Bit) -> Bit:
        """OR."""
        if "1" in (x, y):
            return "1"
        return y if x == "0" else x if y == "0" else self._gate("OR", x, y)

    def differ(self, x: Bit, y: Bit, invert: bool = False) -> Bit:
        """XOR, or XNOR."""
        if x in _OPPOSITE:
            x, y = y, x
        if y in _OPPOSITE:
            return self.invert(x) if (y == "1") != invert else x
        return self._gate("XNOR" if invert else "XOR", x, y)

    def and_or_invert(self, x: Bit, y: Bit, z: Bit, dual: bool = False) -> Bit:
        """``!(x*y + z)``, or ``!((x + y) * z)``, of a library's own gates, which ABC leaves."""
        zero, one = ("1", "0") if dual else ("0", "1")
        two, three = ("NOR", "OAI") if dual else ("NAND", "AOI")
        if z == one:
            return zero
        if zero in (x, y):
            return self.own_invert(z)
        if one in (x, y):
            x = y if x == one else x
            if z == zero:
                return self.own_invert(x)
            return zero if x == one else self._own("NAND" if dual else "NOR", x, z)
        return self._own(two, x, y) if z == zero else self._own(three, x, y, z)

    def own_invert(self, x: Bit) -> Bit:
        """The opposite, by the library's own inverter."""
        return _OPPOSITE.get(x) or self._own("NOT", x)

    def _own(self, name: str, *inputs: Bit) -> Bit:
        cell, pins = self._complex[name]
        output = next(self._free)
        (pin,) = cell.outputs
        self._cell(cell.name, dict(zip(pins, inputs, strict=True)), {pin: output})
        return output

    def majority(self, x: Bit, y: Bit, z: Bit) -> Bit:
        """The carry of a full adder whose sum nobody reads; ``z`` is the latest input."""
        return self.either(self.both(x, y), self.both(self.either(x, y), z))

    def full_adder(self, x: Bit, y: Bit, z: Bit) -> tuple[Bit, Bit]:
        """Sum and carry; ``z`` is the latest input."""
        if self._adder is None or any(bit in _OPPOSITE for bit in (x, y, z)):
            half = self.differ(x, y)
            carry = self.either(self.both(x, y), self.both(half, z))
            return self.differ(half, z), carry
        pins: dict[str, Bit] = {pin: next(self._free) for pin in self._adder.tables}
        self._cell(self._adder.name, dict(zip(self._adder.inputs, (x, y, z), strict=True)), pins)
        tables = self._adder.tables
        parity, carry = sorted(tables, key=lambda pin: tables[pin] != PARITY3)
        return pins[parity], pins[carry]
