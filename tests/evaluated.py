"""Netlists of a few gates and full adders, computed gate by gate."""

from lutcore.gen.asic.library import Library, parse
from lutcore.gen.tools.netlist import Json

_GATES = {
    "$_XOR_": lambda a, b: a ^ b,
    "$_XNOR_": lambda a, b: 1 - (a ^ b),
    "$_AND_": lambda a, b: a & b,
    "$_OR_": lambda a, b: a | b,
    "$_NOT_": lambda a: 1 - a,
    "$_BUF_": lambda a: a,
}
_PLAIN = {
    "INV": "!A",
    "BUF": "A",
    "NAND": "!(A*B)",
    "NOR": "!(A+B)",
    "AOI": "!((B*C)+A)",  # the pins in another order than in the functions that are looked for
    "OAI": "!(A*(C+B))",
}


def _library() -> Library:
    cells = [("FA", {"S": "A^B^C", "CO": "(A*B)+(C*(A+B))"})]
    cells += [(name, {"Z": function}) for name, function in _PLAIN.items()]
    text = ""
    for name, outputs in cells:
        used = "".join(outputs.values())
        text += f"cell ({name}) {{ area : 1;"
        text += "".join(f"pin ({p}) {{ direction : input; }}" for p in "ABC" if p in used)
        for pin, function in outputs.items():
            text += f'pin ({pin}) {{ direction : output; function : "{function}"; }}'
        text += "}\n"
    text += (
        'cell (DFF) { area : 4; ff (Q) { clocked_on : "CK"; next_state : "D"; }'
        "pin (D) { direction : input; } pin (CK) { direction : input; }"
        'pin (Q) { direction : output; function : "Q"; } }'
    )
    return parse(f"library (tiny) {{ {text} }}".encode(), "tiny")


LIBRARY = _library()


def evaluate(module: Json, values: dict[int | str, int]) -> None:
    """Give every net of ``module`` its value; the cells may come in any order."""
    values |= {"0": 0, "1": 1}
    waiting = list(module["cells"].values())
    while waiting:
        later = []
        for cell in waiting:
            pins = {pin: bits[0] for pin, bits in cell["connections"].items()}
            directions = cell["port_directions"]
            inputs = {p: bit for p, bit in pins.items() if directions[p] == "input"}
            if not all(bit in values for bit in inputs.values()):
                later.append(cell)
                continue
            if gate := _GATES.get(cell["type"]):
                values[pins["Y"]] = gate(*(values[bit] for bit in inputs.values()))
                continue
            kind = LIBRARY.cells[cell["type"]]
            row = sum(values[inputs[pin]] << i for i, pin in enumerate(kind.inputs))
            values |= {pins[pin]: table >> row & 1 for pin, table in kind.tables.items()}
        assert len(later) < len(waiting), "a loop, or an input without a driver"
        waiting = later
