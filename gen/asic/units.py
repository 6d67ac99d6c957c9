"""Units of Liberty files: what is read comes in ns, fF, V, kohm, nW and fJ, whatever a file uses.

A library states its units once. The standard has a default for two of them, 1 ns and 1 V; loads and
leakage without a unit are refused, since tools guess differently (OpenSTA takes pF, and W). For
resistances, which only OpenSTA reads, its 1 ohm counts.
Energies of ``internal_power`` have no unit of their own: they are in that of loads times the square
of that of voltages (Liberty User Guide on internal power; OpenSTA does so in ``LibertyReader.cc``,
``setEnergyScale``).
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Literal, TypeVar

import numpy as np

from lutcore.gen.asic.liberty import Group, unquoted

#: What a number of a library measures.
Quantity = Literal["time", "capacitance", "voltage", "resistance", "leakage", "energy"]
_Number = TypeVar("_Number", float, np.ndarray)

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3}
#: Attribute -> its quantity, symbol, exponent of the unit here, and what counts without it.
_SIMPLE: dict[str, tuple[Quantity, str, int, Fraction | None]] = {
    "time_unit": ("time", "s", -9, Fraction(1)),
    "voltage_unit": ("voltage", "v", 0, Fraction(1)),
    "pulling_resistance_unit": ("resistance", "ohm", 3, Fraction(1, 1000)),
    "leakage_power_unit": ("leakage", "w", -9, None),
}
_LOADS = "capacitive_load_unit"
_FARADS = {"ff": Fraction(1), "pf": Fraction(1000)}
#: Attributes that state a unit, in the order in which tools must meet them.
UNITS = (*_SIMPLE, _LOADS, "current_unit", "resistance_unit")
_MISSING = {
    "capacitance": ("loads", f"{_LOADS} (1, ff)"),
    "leakage": ("leakage", 'leakage_power_unit : "1nW"'),
}


class Units:
    """Units of a library: what its numbers are multiplied by.

    Parameters
    ----------
    library : Group

    Raises
    ------
    InputError
        A unit is none that the standard knows.
    """

    def __init__(self, library: Group):
        self._library = library
        self._factors: dict[Quantity, Fraction | None] = {
            quantity: _factor(library, name, symbol, exponent, default)
            for name, (quantity, symbol, exponent, default) in _SIMPLE.items()
        }
        loads = _load_factor(library)
        volts = self._factors["voltage"]
        self._factors["capacitance"] = loads
        self._factors["energy"] = loads and volts and loads * volts**2

    def convert(self, values: _Number, quantity: Quantity) -> _Number:
        """Numbers of the library in ns, fF, V, kohm, nW or fJ.

        Raises
        ------
        InputError
            The library has no unit for them.
        """
        factor = self._factors[quantity]
        if factor is None:
            what, unit = _MISSING["capacitance" if quantity == "energy" else quantity]
            raise self._library.error(
                f"{self._library} has {what} but no unit for them: "
                f"write {unit}; into it, if that is what they are in"
            )
        # A number that is exact in decimals stays the one that is nearest to it.
        return values * factor.numerator / factor.denominator

    def spelled(self) -> Iterator[str]:
        """The units that the library states, as every tool understands them."""
        for name in UNITS:
            if name in self._library.simple:
                text = re.sub(r"\s", "", self._library.text(name))
                yield f'{name} : "{text.lower() if name == "time_unit" else text}";'
            elif name == _LOADS and name in self._library.complex:
                number, farads = map(unquoted, self._library.complex[name][0])
                yield f"{name} ({number}, {farads.lower()});"


def _factor(
    library: Group, name: str, symbol: str, exponent: int, default: Fraction | None
) -> Fraction | None:
    """Of a unit that is a multiple and a symbol, as in "100ps"."""
    text = library.text(name)
    if name not in library.simple:
        return default
    found = re.fullmatch(rf"(1|10|100)?\s*([fpnumk]?){symbol}", text.lower())
    if found is None:
        raise library.error(
            f"unknown {name} {text!r}: write 1, 10 or 100 of {_examples(symbol)}", name
        )
    return int(found[1] or 1) * Fraction(10) ** (_PREFIXES[found[2]] - exponent)


def _examples(symbol: str) -> str:
    units = {"s": "ps or ns", "v": "mV or V", "ohm": "ohm or kohm", "w": "pW, nW, uW, mW or W"}
    return units[symbol]


def _load_factor(library: Group) -> Fraction | None:
    if _LOADS not in library.complex:
        return None
    text = ", ".join(library.texts(_LOADS)[0])
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{0,20})?)\s*,\s*(ff|pf)", text.lower())
    factor = Fraction(found[1]) * _FARADS[found[2]] if found else 0
    if not factor:
        raise library.error(f"unknown {_LOADS} ({text}): write a number and ff or pf", _LOADS)
    return Fraction(factor)


# Tables ------------------------------------------------------------------------------------------


def lookup_table(
    group: Group, templates: Mapping[str, Group], units: Units, quantity: Quantity
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A lookup table.

    Parameters
    ----------
    group : Group
        Its name is that of its template.
    templates : mapping
        Name -> template, which names the axes, and has their points where the table has none.
    units : Units
        Of the file that both are from.
    quantity : str
        What the values measure.

    Returns
    -------
    axes : dict
        Variable -> points, in the order of the values' axes; empty: a constant.
    values : float array
        One axis for each of ``axes``.

    Raises
    ------
    InputError
        The values do not fit the axes, or are no numbers.
    """
    template = templates.get(group.name)
    axes = _axes(group, template, units) if template else {}
    values = units.convert(group.numbers("values"), quantity)
    shape = [len(points) for points in axes.values()]
    if len(values) != np.prod(shape, dtype=int):
        wanted = f"its axes ask for {' x '.join(map(str, shape)) or 1}"
        if template is None and group.name != "scalar":
            wanted = f"no template {group.name} says how they lie"
        message = f"{group} has {len(values)} values and {wanted}: fetch the file again"
        raise group.error(message, "values")
    return axes, values.reshape(shape)


def _axes(group: Group, template: Group, units: Units) -> dict[str, np.ndarray]:
    axes = {}
    for axis in "123":
        variable, index = template.text(f"variable_{axis}"), f"index_{axis}"
        points = (group if index in group.complex else template).numbers(index)
        if variable and len(points):
            measured = _measured(variable)
            axes[variable] = units.convert(points, measured) if measured else points
    return axes


def _measured(variable: str) -> Quantity | None:
    """What the variable of an axis measures, where that has a unit here."""
    if variable.endswith(("_transition", "_time")):
        return "time"
    return "capacitance" if variable.endswith("_capacitance") else None
