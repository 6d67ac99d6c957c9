"""What library cells compute, in Verilog: a netlist's simulation needs it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError

_OPERATORS: dict[str, str] = {
    "$_BUF_": "{A}",
    "$_NOT_": "~{A}",
    "$_AND_": "({A} & {B})",
    "$_OR_": "({A} | {B})",
    "$_XOR_": "({A} ^ {B})",
    "$_ANDNOT_": "({A} & ~{B})",
}
_FLIP_FLOP = "$_DFF_P_"


@dataclass(frozen=True)
class CellModel:
    """What a cell computes, in Verilog.

    Attributes
    ----------
    outputs : dict
        Output pin -> expression of ``{pin}`` and ``{state}`` fields.
    states : dict
        State -> expression of ``{pin}`` fields that it takes at the rising edge of ``clock``.
    clock : str or None
        Clock pin.
    """

    outputs: dict[str, str]
    states: dict[str, str]
    clock: str | None

    @property
    def is_buffer(self) -> bool:
        """Whether its output is its input; that of a flip-flop is its state."""
        texts = list(self.outputs.values())
        return (
            not self.states and len(texts) == 1 and re.fullmatch(r"\{\w+\}", texts[0]) is not None
        )


def cell_model(module: Mapping[str, Any], name: str) -> CellModel:
    """Model of a cell from what Yosys's ``read_liberty`` makes of it (a module of its JSON).

    Raises
    ------
    InputError
        It is neither a gate nor a flip-flop without set and reset.
    """
    ports = module["ports"]
    pins = {port["bits"][0]: pin for pin, port in ports.items() if port["direction"] == "input"}
    drivers = {
        cell["connections"][pin][0]: cell
        for cell in module["cells"].values()
        for pin, direction in cell["port_directions"].items()
        if direction == "output"
    }
    states: dict[str, str] = {}
    clocks: set[str] = set()

    def expression(bit: Any) -> str:
        if bit in pins:
            return f"{{{pins[bit]}}}"
        driver = drivers.get(bit)
        kind = driver["type"] if driver else None
        nets = {pin: bits[0] for pin, bits in driver["connections"].items()} if driver else {}
        if kind in _OPERATORS:
            return _OPERATORS[kind].format_map({p: expression(nets[p]) for p in "AB" if p in nets})
        if kind == _FLIP_FLOP and nets["C"] in pins:
            clocks.add(pins[nets["C"]])
            state = f"state_{bit}"
            if state not in states:
                states[state] = ""  # what is behind it may lead back to it
                states[state] = expression(nets["D"])
            return f"{{{state}}}"
        raise InputError(
            f"cell {name} is neither a gate nor a flip-flop without set and reset: "
            "energy cannot be simulated with it"
        )

    outputs = {
        pin: expression(port["bits"][0])
        for pin, port in ports.items()
        if port["direction"] == "output"
    }
    return CellModel(outputs, states, clocks.pop() if clocks else None)
