"""Emit a component once and instantiate it many times.

Amaranth writes one Verilog module per instance. A tile has up to thousands of identical columns, so
:class:`SharedModules`, given as the platform of a conversion, collects each distinct component once
and puts plain instances in its place: small readable Verilog, and time that hardly grows with N.
Without it (Amaranth's own simulator) components stay ordinary submodules.
"""

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from amaranth.hdl import (
    ClockSignal,
    Elaboratable,
    Fragment,
    Instance,
    Module,
    ResetInserter,
    ResetSignal,
    Shape,
    Signal,
    Value,
    ValueLike,
)
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from lutcore.hdl.parts.conversion import component_text

_Component = TypeVar("_Component", bound=wiring.Component)


class _Shared(NamedTuple):
    """A module: its RTLIL, its ports, and which of clock and reset it has."""

    text: str
    signature: wiring.Signature
    clocks: list[str]


class SharedModules:
    """Collector of shared modules; pass it as ``platform`` to a conversion.

    Parameters
    ----------
    prefix : str
        Put before every shared module's name, so that two designs can live in one netlist.
    places : bool
        The RTLIL says where in the source a signal is made.
    """

    def __init__(self, prefix: str, places: bool = False):
        self._prefix, self._places = prefix, places
        self._modules: dict[str, _Shared] = {}
        #: What resets the instances that are made now, besides their domain's reset.
        self._resets: list[Value] = []

    @property
    def rtlil(self) -> dict[str, str]:
        """RTLIL text of each shared module by name."""
        return {name: shared.text for name, shared in self._modules.items()}

    def instance(
        self,
        instance: str,
        name: str,
        make: Callable[[], wiring.Component],
        inputs: Mapping[str, ValueLike],
    ) -> tuple[Instance, Any]:
        """An instance of the module ``name`` and the interface that it is connected to.

        ``make`` is called for the first instance of a name; later ones must be interchangeable.
        ``inputs`` are connected as they are, and are no part of the interface.
        """
        module = f"{self._prefix}__{name}"
        if module not in self._modules:
            component = make()
            resets, self._resets = self._resets, []  # its own instances get it by its port
            text = component_text(component, module, self, self._places)
            self._resets = resets
            self._modules[module] = _Shared(text, component.signature, _clocks(text))
        shared = self._modules[module]
        open_ports = {k: v for k, v in shared.signature.members.items() if k not in inputs}
        interface = _interface(open_ports, instance)
        ports = {f"i_{port}": Value.cast(value) for port, value in inputs.items()}
        for path, member, value in wiring.Signature(open_ports).flatten(interface):
            direction = "o" if member.flow == Out else "i"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
        if "clk" in shared.clocks:
            ports["i_clk"] = ClockSignal()
        if "rst" in shared.clocks:
            ports["i_rst"] = reduce(or_, self._resets, ResetSignal())
        return Instance(module, **ports), interface

    def elaborated(self, inner: Elaboratable, reset: Value) -> Fragment:
        """What ``inner`` is made of, its instances of shared modules reset by ``reset`` too."""
        self._resets.append(reset)
        try:
            return Fragment.get(inner, self)
        finally:
            self._resets.pop()


class Reset(Elaboratable):
    """As Amaranth's ``ResetInserter``, which leaves instances of shared modules as they were.

    Parameters
    ----------
    reset : Value
        In a cycle with it, registers take their reset values at its end.
    inner : Elaboratable
    """

    def __init__(self, reset: Value, inner: Elaboratable):
        self._reset, self._inner = reset, inner

    def elaborate(self, platform: object) -> Elaboratable:
        """The inner one, in which every register with a reset has another."""
        inner = self._inner
        if isinstance(platform, SharedModules):
            inner = platform.elaborated(inner, self._reset)
        return ResetInserter(self._reset)(inner)


_CLOCKS = ("clk", "rst")


def _clocks(text: str) -> list[str]:
    """Clock and reset, where a module has them."""
    pattern = r"^ *wire .*\binput \d+ +\\{}$"
    return [port for port in _CLOCKS if re.search(pattern.format(port), text, re.MULTILINE)]


def _interface(members: Mapping[str, wiring.Member], name: str) -> Any:
    """As a signature's ``create``, but structures are views of plain signals.

    Amaranth writes a wire for every field of a structured signal, at every level, and takes most
    of its time for them where a tile has thousands of columns.
    """
    views = {
        key: member.shape(Signal(Shape.cast(member.shape), name=f"{name}__{key}"))
        for key, member in members.items()
        if member.is_port and not member.dimensions and isinstance(member.shape, data.Layout)
    }
    others = {key: member for key, member in members.items() if key not in views}
    interface = wiring.Signature(others).create(path=(name,))
    for key, view in views.items():
        setattr(interface, key, view)
    return interface


def add_shared(
    m: Module,
    platform: object,
    instance: str,
    name: str,
    make: Callable[[], _Component],
    inputs: Mapping[str, ValueLike] = MappingProxyType({}),
) -> _Component:
    """Add a component to ``m`` as submodule ``instance`` and return its interface.

    With :class:`SharedModules` as the platform, the submodule is an instance of the module ``name``
    that all such components share. ``inputs`` are driven here: without signals of their own, which
    is what takes time where thousands of instances read the same values.
    """
    if isinstance(platform, SharedModules):
        submodule, interface = platform.instance(instance, name, make, inputs)
    else:
        submodule = interface = make()
        for port, value in inputs.items():
            m.d.comb += Value.cast(getattr(interface, port)).eq(value)
    m.submodules[instance] = submodule
    return interface
